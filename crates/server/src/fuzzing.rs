//! Entrances to the parsers of what strangers send and operators say, without a server around them: for the fuzz targets
//! in `fuzz/`, and for properties. Not an interface.

use std::time::Duration;

use bytes::Bytes;
use precede_core::causality::context::Context;
use precede_core::causality::token;
use precede_core::config::Config;
use precede_core::id::Address;
use precede_core::placement::view::View;
use precede_core::wire::request::ViewChange;

use crate::access::tokens::Tokens;
use crate::http::{Issuer, Memo, Merger, Object, body, params, view_change};
use crate::secrets::Secrets;
use crate::settings::said::{Said, Source, Told, variables};
use crate::settings::{Settings, file, table};
use crate::tls::{self, Identity};

/// A body's `value` and `causal-context`, as their texts.
///
/// # Errors
/// The text of the answer.
pub fn body(body: &[u8]) -> Result<(Option<&str>, Option<&str>), String> {
    body::parse(body).map(|fields| (fields.value, fields.context)).map_err(|failure| failure.error)
}

/// The contexts in the field `causal-context` of a body, merged.
///
/// # Errors
/// The text of the answer.
pub fn context(json: &str, cluster: u64) -> Result<Context, String> {
    let memo = Memo::default();
    let mut merger = Merger::new(Issuer { cluster, secrets: &None }, cluster, &memo);
    merger.add_json(json).map_err(|failure| failure.error)?;
    Ok(merger.context)
}

/// A response's body with nothing but a context.
#[must_use]
pub fn body_with(context: &Context, cluster: u64) -> Bytes {
    Object::new(0).context(token::encode(context, cluster)).finish()
}

/// Whether the parameters of a query are good.
///
/// # Errors
/// The text of the answer.
pub fn query(query: &str) -> Result<(), String> {
    params::parse(Some(query)).map(|_| ()).map_err(|failure| failure.error)
}

/// The key that part of a path means.
///
/// # Errors
/// The text of the answer.
pub fn key(path: &str, bytes_max: usize) -> Result<Vec<u8>, String> {
    params::key(path, bytes_max).map(std::borrow::Cow::into_owned).map_err(|failure| failure.error)
}

/// The view that a body asks for of a node, and how long the answer may take.
///
/// # Errors
/// The text of the answer.
pub fn view_change(body: &[u8], view: &View, me: &Address) -> Result<(ViewChange, Duration), String> {
    view_change::parse(body, view, me).map_err(|failure| failure.error)
}

/// The core's configuration by what was said: pairs of a setting's id and its text. Unknown settings are left out.
///
/// # Errors
/// What is wrong with it.
pub fn settings(said: &[(&str, &str)]) -> Result<Config, String> {
    let told = said.iter().filter_map(|(id, value)| {
        let id = table::find(id)?.id;
        Some((id, Told { id, value: (*value).to_owned(), source: Source::Environment }))
    });
    let said = Said { told: told.collect(), file: None };
    let settings = Settings::resolve(&said).map_err(|error| error.to_string())?;
    // The system chooses a port for 0 before the core is configured.
    settings.config(settings.bind.port().max(1), 1).map_err(|error| error.to_string())
}

/// What is wrong with the text of a configuration file that is called `f`.
#[must_use]
pub fn file(text: &str) -> Vec<String> {
    file::parse(text, "f").1
}

/// How many secrets a file has, and whether it lets in those without one.
///
/// # Errors
/// What is wrong with it.
pub fn secrets(content: &[u8]) -> Result<(usize, bool), String> {
    let secrets = Secrets::parse(content)?;
    let first = secrets.first().id;
    assert!(secrets.still_take(Some(first)), "what is used is taken");
    Ok((secrets.all().count(), secrets.anyone))
}

/// The role and the name of the token with this secret in a file of tokens, if it is there.
///
/// # Errors
/// What is wrong with the file.
pub fn token(content: &[u8], secret: &[u8]) -> Result<Option<(String, String)>, String> {
    let tokens = Tokens::parse(content)?;
    Ok(tokens.find(secret).map(|token| (token.role.to_string(), token.name.clone())))
}

/// Reads a node's certificates, its key and its authorities, and the last as a client does too.
///
/// # Errors
/// What is wrong with which of them.
pub fn identity(files: &[Vec<u8>; 3]) -> Result<(), String> {
    Identity::parse(files)?;
    tls::trust(&files[2]).map(|_| ())
}

/// An authority, and the certificate and key of a node by it, in PEM.
#[must_use]
pub fn made(host: &str) -> Option<[String; 3]> {
    let authority = tls::make::authority().ok()?;
    let node = tls::make::node(&authority, &[host.to_owned()]).ok()?;
    Some([node.certificate, node.key, authority.certificate])
}

/// The variables of the environment that a node looks at: for tests that start nodes.
pub fn environment() -> impl Iterator<Item = String> {
    variables()
}

#[cfg(test)]
mod tests {
    use precede_core::causality::hlc::Timestamp;
    use precede_core::causality::version_vector::VersionVector;
    use precede_core::id::{NodeId, Origin, ViewId};
    use proptest::prelude::*;

    use super::*;

    fn contexts() -> impl Strategy<Value = Context> {
        let number = || prop_oneof![0u64..4, any::<u64>()];
        let view = move || {
            (0u32..3, number(), number()).prop_map(|(epoch, activation, coordinator)| ViewId {
                epoch,
                activation: Timestamp(activation),
                coordinator: NodeId(coordinator),
            })
        };
        let entry = (view(), number(), number(), number()).prop_map(|(view, node, start, timestamp)| {
            (Origin { view, node: NodeId(node), start: Timestamp(start) }, Timestamp(timestamp))
        });
        (prop::option::of(view()), number(), prop::collection::vec(entry, 0..8)).prop_map(|(view, stable, entries)| {
            Context { view, stable: Timestamp(stable), entries: VersionVector::from_iter(entries) }
        })
    }

    /// What a response says, a request may say.
    fn said_again(given: &Context) -> Context {
        let response = body_with(given, 7);
        let (_, json) = body(&response).unwrap();
        context(json.unwrap(), 7).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn a_context_comes_back_from_json_as_it_went(given in contexts()) {
            // A context with neither `stable` nor entries counts as empty, whatever view it names.
            let expected = if given.is_empty() { Context::default() } else { given.clone() };
            prop_assert_eq!(said_again(&given), expected);
        }

        #[test]
        fn a_list_of_contexts_is_their_merger(one in contexts(), other in contexts()) {
            let texts = [&one, &other].map(|context| {
                let response = body_with(context, 7);
                body(&response).unwrap().1.unwrap().to_owned()
            });
            let mut merged = said_again(&one);
            merged.merge(&said_again(&other));
            prop_assert_eq!(context(&format!("[{}, {}]", texts[0], texts[1]), 7).unwrap(), merged);
        }
    }
}
