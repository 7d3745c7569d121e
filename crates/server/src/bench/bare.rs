//! The bare server: hyper as a node uses it, with nothing behind it. It is the yardstick for what the store costs.

use std::convert::Infallible;
use std::io::Write;
use std::process::ExitCode;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};

use crate::bench::args::BareArgs;
use crate::http::connection;

/// The bodies of all answers.
struct Bodies {
    put: Bytes,
    other: Bytes,
}

/// Runs `precede bare` until it is ended.
pub(crate) async fn command(args: &BareArgs) -> ExitCode {
    match run(args).await {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &BareArgs) -> anyhow::Result<Infallible> {
    let listener = TcpListener::bind(args.bind).await?;
    let bodies =
        Arc::new(Bodies { put: body(args.put_body_bytes.unwrap_or(args.body_bytes)), other: body(args.body_bytes) });
    let builder = Arc::new(connection::builder());
    let mut stdout = std::io::stdout();
    writeln!(stdout, "listening on {}", listener.local_addr()?)?;
    stdout.flush()?;
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        tokio::spawn(serve(socket, Arc::clone(&builder), Arc::clone(&bodies)));
    }
}

async fn serve(socket: TcpStream, builder: Arc<Builder<TokioExecutor>>, bodies: Arc<Bodies>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let bodies = Arc::clone(&bodies);
        async move { answer(request, &bodies).await }
    });
    // It ends when the client ends it, in order or not.
    let _ = builder.serve_connection_with_upgrades(TokioIo::new(socket), service).await;
}

async fn answer(request: Request<Incoming>, bodies: &Bodies) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let is_put = request.method() == Method::PUT;
    if is_put {
        request.into_body().collect().await?;
    }
    let mut response = Response::new(Full::new(if is_put { bodies.put.clone() } else { bodies.other.clone() }));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// A JSON object of so many bytes.
fn body(bytes: u32) -> Bytes {
    const EMPTY: &str = r#"{"message":""}"#;
    let length = usize::try_from(bytes).unwrap_or(usize::MAX).saturating_sub(EMPTY.len());
    format!(r#"{{"message":"{}"}}"#, "m".repeat(length)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_json_of_the_size_asked_for() {
        for bytes in [14, 15, 128] {
            let body = body(bytes);
            assert_eq!(body.len(), bytes as usize);
            serde_json::from_slice::<serde_json::Value>(&body).unwrap();
        }
    }
}
