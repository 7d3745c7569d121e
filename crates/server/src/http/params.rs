//! Parameters of the query and the key of the path.

use std::borrow::Cow;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use precede_core::limits::WAIT_MAX;
use precede_core::wire::request::WriteConcern;

use crate::http::errors::Failure;

/// What the query asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Params {
    /// How long the context may be waited for.
    pub(crate) wait: Option<Duration>,
    /// The write concern.
    pub(crate) concern: Option<WriteConcern>,
    /// Whether values are bytes.
    pub(crate) raw: bool,
}

/// Parses a query; parameters that are not known are ignored.
pub(crate) fn parse(query: Option<&str>) -> Result<Params, Failure> {
    let mut params = Params::default();
    for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = percent_decode_str(value).decode_utf8_lossy();
        match name {
            "wait" => params.wait = Some(wait(&value)?),
            "w" => params.concern = Some(concern(&value)?),
            "raw" => params.raw = switch(&value)?,
            _ => {}
        }
    }
    Ok(params)
}

fn wait(text: &str) -> Result<Duration, Failure> {
    let limit = WAIT_MAX.as_millis();
    match text.parse::<u64>() {
        Ok(millis) if u128::from(millis) <= limit => Ok(Duration::from_millis(millis)),
        Ok(_) | Err(_) => Err(Failure::bad(format!(
            "Parameter wait is \"{text}\": it must be a number of milliseconds up to {limit}"
        ))),
    }
}

fn concern(text: &str) -> Result<WriteConcern, Failure> {
    match text {
        "1" => Ok(WriteConcern::One),
        "2" => Ok(WriteConcern::Two),
        "majority" => Ok(WriteConcern::Majority),
        "all" => Ok(WriteConcern::All),
        _ => Err(Failure::bad(format!("Parameter w is \"{text}\": it must be one of 1, 2, majority, all"))),
    }
}

fn switch(text: &str) -> Result<bool, Failure> {
    match text {
        "" | "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(Failure::bad(format!("Parameter raw is \"{text}\": it must be true or false"))),
    }
}

/// Decodes and judges a key. A `+` is a plus, a `/` may be encoded or not.
pub(crate) fn key(text: &str, bytes_max: usize) -> Result<Cow<'_, [u8]>, Failure> {
    let key = if text.contains('%') { percent_decode_str(text).into() } else { Cow::Borrowed(text.as_bytes()) };
    if key.is_empty() {
        return Err(Failure::bad("Key is missing"));
    }
    if key.len() > bytes_max {
        return Err(Failure::bad("Key is too long"));
    }
    if std::str::from_utf8(&key).is_err() {
        return Err(Failure::bad("Key is not valid UTF-8"));
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_parsed_and_bad_ones_named() {
        let params = parse(Some("wait=50&w=majority&raw&other=1")).unwrap();
        let wait = Some(Duration::from_millis(50));
        assert_eq!(params, Params { wait, concern: Some(WriteConcern::Majority), raw: true });
        assert_eq!(parse(None).unwrap(), Params::default());
        for query in ["wait=", "wait=-1", "wait=60001", "wait=1e3", "w=3", "w=", "raw=x"] {
            let (name, _) = query.split_once('=').unwrap();
            let error = parse(Some(query)).unwrap_err();
            assert!(error.error.starts_with(&format!("Parameter {name} ")), "{}", error.error);
        }
    }

    #[test]
    fn keys_are_decoded_and_judged() {
        assert_eq!(&*key("a%2Fb/c+d%20%C3%A4", 1024).unwrap(), "a/b/c+d ä".as_bytes());
        assert_eq!(key("%ff", 1024).unwrap_err().error, "Key is not valid UTF-8");
        assert_eq!(key("", 1024).unwrap_err().error, "Key is missing");
        assert_eq!(key("%20%20", 1).unwrap_err().error, "Key is too long");
        assert_eq!(key("%20", 1).unwrap(), b" ".as_slice());
    }
}
