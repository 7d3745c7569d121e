//! Single operations from the command line, through the client library.

use std::process::ExitCode;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use precede_client::{Address, Barrier, Error, Lagging, ReadOptions, Session, SessionFile, Value, WriteOptions};
use serde_json::json;
use serde_json::value::RawValue;

use crate::cli::{BarrierArgs, ClientArgs, DeleteArgs, GetArgs, PutArgs};
use crate::exit::{Exit, fail, print};
use crate::http::Object;

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
            let written = session.put_with(&args.key, value?, &options(args.idempotency_key.as_deref())).await?;
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
            let options = options(args.idempotency_key.as_deref());
            let Some(deleted) = session.delete_with(&args.key, &options).await? else { return Ok(None) };
            let text = format!("deleted on {} ({} replicas)", deleted.node, deleted.acks);
            let object = Object::new(256).boolean("doesExist", true).number("acks", deleted.acks.into());
            Ok(Some((text.into_bytes(), finished(object, &deleted.version, &deleted.node))))
        })
        .await,
        args.client.json,
        false,
    )
}

/// The options of a write, which may have a name.
fn options(name: Option<&str>) -> WriteOptions {
    name.map_or_else(WriteOptions::new, |name| WriteOptions::new().idempotency_key(name))
}

/// Waits until all that a session has seen is on every replica.
pub(crate) async fn barrier(args: &BarrierArgs) -> ExitCode {
    let options = ReadOptions::new().wait(Duration::from_millis(args.wait_ms));
    let barrier = match run(&args.client, async |session| session.barrier(&options).await).await {
        Ok(barrier) => barrier,
        Err((exit, error)) => return fail(exit, error),
    };
    let out = if args.client.json {
        let lagging = |lagging: &Lagging| json!({ "shard-id": lagging.shard_id, "address": lagging.address });
        let missing: Vec<_> = barrier.missing.iter().map(lagging).collect();
        let object = Object::new(256).boolean("reached", barrier.reached).value("missing", &missing);
        let object = object.value("outstanding", &barrier.outstanding).boolean("view-known", barrier.view_known);
        object.finish().to_vec()
    } else {
        told(&barrier).into_bytes()
    };
    print(&[&out[..], b"\n"].concat(), if barrier.reached { Exit::Done } else { Exit::No })
}

/// What a barrier has come to, line by line.
fn told(barrier: &Barrier) -> String {
    if barrier.reached {
        return "everything is on every replica".to_owned();
    }
    let replica = |lagging: &Lagging| {
        format!("{} of shard {} does not have it all, or does not answer", lagging.address, lagging.shard_id)
    };
    let shard = |shard: &u32| format!("shard {shard} has not got everything yet in the view change under way");
    let view = (!barrier.view_known).then(|| "the node has not heard of the session's view yet".to_owned());
    let lines = barrier.missing.iter().map(replica).chain(barrier.outstanding.iter().map(shard)).chain(view);
    lines.collect::<Vec<_>>().join("\n")
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
async fn run<T>(
    args: &ClientArgs,
    operation: impl AsyncFnOnce(&mut Session) -> Result<T, Error>,
) -> Result<T, (Exit, String)> {
    let client = args.credentials.client(&args.nodes).map_err(|error| (Exit::Usage, with_causes(error)))?;
    let file = args.session.as_ref().map(SessionFile::new);
    let mut session = match &file {
        Some(file) => file.load(&client).map_err(|error| (Exit::Usage, with_causes(error)))?,
        None => client.session(),
    };
    let done = operation(&mut session).await.map_err(|error| (exit(&error), remedied(&error, args)))?;
    if let Some(file) = &file {
        file.save(&session).map_err(|error| (Exit::Usage, with_causes(error)))?;
    }
    Ok(done)
}

fn finish(result: Result<Printed, (Exit, String)>, as_json: bool, as_bytes: bool) -> ExitCode {
    match result {
        Ok(Some((text, object))) => {
            let mut out = if as_json { object.to_vec() } else { text };
            if !as_bytes {
                out.push(b'\n');
            }
            print(&out, Exit::Done)
        }
        Ok(None) if as_json => {
            let object = Object::new(64).boolean("doesExist", false).finish();
            print(&[&object[..], b"\n"].concat(), Exit::No)
        }
        Ok(None) => {
            eprintln!("the key does not exist");
            Exit::No.into()
        }
        Err((exit, error)) => fail(exit, error),
    }
}

/// An error and what led to it.
fn with_causes(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into())
}

/// An error, and what to do about it here where it does not say so itself.
fn remedied(error: &Error, args: &ClientArgs) -> String {
    match (error, &args.session) {
        (Error::ContextLost, Some(file)) => {
            let file = file.display();
            format!("the cluster no longer knows the view of the context in {file}: remove {file} to go on without it")
        }
        (Error::Unavailable { .. } | Error::Protocol { .. }, _) => {
            format!("{error}; `precede health --node ADDR` says how a node is, --node names another one")
        }
        (Error::OutcomeUnknown { .. }, _) => format!("{error}; read the key to see, or write it again"),
        (Error::ContextLost | Error::Refused { .. } | Error::BadRequest { .. } | Error::InvalidAddress { .. }, _) => {
            error.to_string()
        }
    }
}

fn exit(error: &Error) -> Exit {
    match error {
        Error::Refused { .. } | Error::BadRequest { .. } | Error::InvalidAddress { .. } => Exit::Usage,
        Error::Unavailable { .. } | Error::OutcomeUnknown { .. } | Error::ContextLost | Error::Protocol { .. } => {
            Exit::Unavailable
        }
    }
}
