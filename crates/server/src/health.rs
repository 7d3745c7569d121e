//! `precede health`: asks a node how it is, and says so by the exit code, for containers and scripts that have no other
//! program at hand.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::cli::HealthArgs;
use crate::credentials::CA_FILE_VARIABLE;
use crate::exit::{Exit, fail, print_line};
use crate::{live_file, tls};

/// Bytes of an answer that are read at most.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// Runs `precede health`.
pub(crate) async fn command(args: &HealthArgs) -> ExitCode {
    let node = args.node.clone().unwrap_or_else(|| format!("127.0.0.1:{}", args.port));
    let path = if args.alive { "/healthz" } else { "/readyz" };
    // In a container the node's own settings are there, elsewhere those of the other commands.
    let ca_file = args.ca_file.clone().or_else(|| std::env::var_os(CA_FILE_VARIABLE).map(PathBuf::from));
    let answer = async {
        match &ca_file {
            None => probe(&node, path).await,
            Some(file) => probe_tls(&node, args.certified.as_deref().unwrap_or(&node), file, path).await,
        }
    };
    match timeout(Duration::from_millis(args.timeout_ms), answer).await {
        Ok(Ok(answer)) if answer.starts_with("HTTP/1.1 200 ") => print_line(body(&answer), Exit::Done),
        Ok(Ok(answer)) if answer.starts_with("HTTP/1.1 ") => {
            eprintln!("{}", body(&answer));
            Exit::No.into()
        }
        Ok(Ok(_)) => fail(
            Exit::Unavailable,
            format_args!(
                "{node} does not answer in HTTP: a node that speaks TLS is asked with --ca-file or {CA_FILE_VARIABLE}"
            ),
        ),
        Ok(Err(error)) => fail(
            Exit::Unavailable,
            format_args!("{node}: {error}: start the node, or name another one with --node or --port"),
        ),
        Err(_) => fail(
            Exit::Unavailable,
            format_args!(
                "{node} did not answer within {} ms: it is busy or cut off; --timeout-ms waits longer",
                args.timeout_ms
            ),
        ),
    }
}

/// Asks a node one of the two questions about its health; returns its answer whole.
pub(crate) async fn probe(node: &str, path: &str) -> std::io::Result<String> {
    ask(TcpStream::connect(node).await?, node, path).await
}

/// The same, by TLS, of a node whose certificate has this name and is by one of these authorities.
async fn probe_tls(node: &str, name: &str, authorities: &Path, path: &str) -> std::io::Result<String> {
    let trust = live_file::read(authorities).and_then(|pem| tls::trust(&pem)).map_err(std::io::Error::other)?;
    ask(tls::connect(&trust, name, TcpStream::connect(node).await?).await?, node, path).await
}

async fn ask(mut stream: impl AsyncRead + AsyncWrite + Unpin, node: &str, path: &str) -> std::io::Result<String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {node}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The body of an answer.
pub(crate) fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}
