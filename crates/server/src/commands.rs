//! Single operations from the command line, through the client library.
//!
//! Exit codes: 0 done, 1 the key does not exist, 2 a mistake of the caller, 3 nothing could serve it or its outcome is
//! unknown.

use std::io::Write;
use std::process::ExitCode;

use precede_client::{Client, Error, Session, SessionFile, Value};
use serde_json::json;
use serde_json::value::RawValue;

use crate::EXIT_USAGE;
use crate::cli::{ClientArgs, DeleteArgs, GetArgs, PutArgs};

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
            let object = json!({
                "replaced": written.replaced, "acks": written.acks, "version": written.version,
                "node": written.node.to_string(),
            });
            Ok(Some((text.into_bytes(), object)))
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
            let value = match found.value.is_json() {
                true => found.value.decode::<serde_json::Value>().unwrap_or_default(),
                false => found.value.to_string().into(),
            };
            let object = json!({
                "value": value, "content-type": found.value.content_type(), "version": found.version,
                "node": found.node.to_string(),
            });
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
            let object = json!({ "acks": deleted.acks, "version": deleted.version, "node": deleted.node.to_string() });
            Ok(Some((text.into_bytes(), object)))
        })
        .await,
        args.client.json,
        false,
    )
}

/// What an operation has to print, as a text and as JSON; none if the key does not exist.
type Printed = Option<(Vec<u8>, serde_json::Value)>;

/// Runs an operation in the session of the file, if one is named.
async fn run(
    args: &ClientArgs,
    operation: impl AsyncFnOnce(&mut Session) -> Result<Printed, Error>,
) -> Result<Printed, (u8, String)> {
    let client = Client::new(&args.nodes).map_err(|error| (EXIT_USAGE, error.to_string()))?;
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
            let mut out = if as_json { object.to_string().into_bytes() } else { text };
            if !as_bytes {
                out.push(b'\n');
            }
            match std::io::stdout().write_all(&out) {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            }
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

fn exit_code(error: &Error) -> u8 {
    match error {
        Error::Refused { .. } | Error::BadRequest { .. } | Error::InvalidAddress { .. } => EXIT_USAGE,
        Error::Unavailable { .. } | Error::OutcomeUnknown { .. } | Error::ContextLost | Error::Protocol { .. } => {
            EXIT_UNAVAILABLE
        }
    }
}
