//! Single operations from the command line, through the client library.
//!
//! Exit codes ([`EXIT_CODES`] tells them to users): 0 done, 1 the key does not exist, 2 a mistake of the caller, 3 nothing
//! could serve it or its outcome is unknown.

use std::io::Write;
use std::process::ExitCode;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use precede_client::{Address, Error, Session, SessionFile, Value};
use serde_json::value::RawValue;

use crate::EXIT_USAGE;
use crate::cli::{ClientArgs, DeleteArgs, GetArgs, PutArgs};
use crate::http::Object;

/// The exit codes, for the help of the commands.
pub(crate) const EXIT_CODES: &str = "Exit codes: 0 done, 1 the key does not exist, 2 a mistake of the caller, \
3 nothing could serve it or its outcome is unknown";
const EXIT_ABSENT: u8 = 1;
const EXIT_UNAVAILABLE: u8 = 3;

/// Writes a key.
pub(crate) async fn put(args: &PutArgs) -> ExitCode {
    let value = if args.raw {
        Ok(Value::raw(args.value.clone(), "text/plain; charset=utf-8"))
    } else {
        match RawValue::from_string(args.value.clone()) {
            Ok(json) => Ok(Value::from(json)),
            Err(_) => Value::json(&args.value),
        }
    };
    finish(
        run(&args.client, async |session| {
            let written = session.put(&args.key, value?).await?;
            let text = format!(
                "{} on {} ({} replicas)",
                if written.replaced { "updated" } else { "added" },
                written.node,
                written.acks
            );
            let object = Object::new(256).boolean("replaced", written.replaced).number("acks", written.acks.into());
            Ok(Some((text.into_bytes(), finished(object, &written.version, &written.node))))
        })
        .await,
        args.client.json,
        false,
    )
}

/// Reads a key.
pub(crate) async fn get(args: &GetArgs) -> ExitCode {
    finish(
        run(&args.client, async |session| {
            let Some(found) = session.get(&args.key).await? else { return Ok(None) };
            let object = Object::new(256 + found.value.as_bytes().len()).boolean("doesExist", true);
            let object = value(object, &found.value).text("content-type", found.value.content_type());
            let object = finished(object, &found.version, &found.node);
            Ok(Some((found.value.as_bytes().to_vec(), object)))
        })
        .await,
        args.client.json,
        args.raw,
    )
}

/// Deletes a key.
pub(crate) async fn delete(args: &DeleteArgs) -> ExitCode {
    finish(
        run(&args.client, async |session| {
            let Some(deleted) = session.delete(&args.key).await? else { return Ok(None) };
            let text = format!("deleted on {} ({} replicas)", deleted.node, deleted.acks);
            let object = Object::new(256).boolean("doesExist", true).number("acks", deleted.acks.into());
            Ok(Some((text.into_bytes(), finished(object, &deleted.version, &deleted.node))))
        })
        .await,
        args.client.json,
        false,
    )
}

/// A value as a field: JSON with the very text that was written, bytes as a text, or in base64 if they are none.
fn value(object: Object, value: &Value) -> Object {
    match (value.is_json(), std::str::from_utf8(value.as_bytes())) {
        (true, _) => object.raw("value", value.as_bytes()),
        (false, Ok(text)) => object.text("value", text),
        (false, Err(_)) => object.text("value-base64", &STANDARD.encode(value.as_bytes())),
    }
}

fn finished(object: Object, version: &str, node: &Address) -> Bytes {
    object.text("version", version).text("node", node.as_str()).finish()
}

/// What an operation has to print, as a text and as JSON; none if the key does not exist.
type Printed = Option<(Vec<u8>, Bytes)>;

/// Runs an operation in the session of the file, if one is named.
async fn run(
    args: &ClientArgs,
    operation: impl AsyncFnOnce(&mut Session) -> Result<Printed, Error>,
) -> Result<Printed, (u8, String)> {
    let client = args.credentials.client(&args.nodes).map_err(|error| (EXIT_USAGE, error.to_string()))?;
    let file = args.session.as_ref().map(SessionFile::new);
    let mut session = match &file {
        Some(file) => file.load(&client).map_err(|error| (EXIT_USAGE, error.to_string()))?,
        None => client.session(),
    };
    let printed = operation(&mut session).await.map_err(|error| (exit_code(&error), error.to_string()))?;
    if let Some(file) = &file {
        file.save(&session).map_err(|error| (EXIT_USAGE, error.to_string()))?;
    }
    Ok(printed)
}

fn finish(result: Result<Printed, (u8, String)>, as_json: bool, as_bytes: bool) -> ExitCode {
    match result {
        Ok(Some((text, object))) => {
            let mut out = if as_json { object.to_vec() } else { text };
            if !as_bytes {
                out.push(b'\n');
            }
            print(&out, ExitCode::SUCCESS)
        }
        Ok(None) if as_json => {
            let object = Object::new(64).boolean("doesExist", false).finish();
            print(&[&object[..], b"\n"].concat(), ExitCode::from(EXIT_ABSENT))
        }
        Ok(None) => {
            eprintln!("the key does not exist");
            ExitCode::from(EXIT_ABSENT)
        }
        Err((code, error)) => {
            eprintln!("error: {error}");
            ExitCode::from(code)
        }
    }
}

/// Prints, and ends with this code if that was possible.
fn print(out: &[u8], code: ExitCode) -> ExitCode {
    match std::io::stdout().write_all(out) {
        Ok(()) => code,
        Err(_) => ExitCode::FAILURE,
    }
}

fn exit_code(error: &Error) -> u8 {
    match error {
        Error::Refused { .. } | Error::BadRequest { .. } | Error::InvalidAddress { .. } => EXIT_USAGE,
        Error::Unavailable { .. } | Error::OutcomeUnknown { .. } | Error::ContextLost | Error::Protocol { .. } => {
            EXIT_UNAVAILABLE
        }
    }
}
