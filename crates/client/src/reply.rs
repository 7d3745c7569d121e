//! Answers as they come from the wire, and what their status means for the request.

use std::time::Duration;

use bytes::Bytes;
use hyper::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::{Address, Barrier, Context, Deleted, Error, Found, Value, Written};

const NODE: &str = "precede-node";
const VERSION: &str = "precede-version";
const ACKS: &str = "precede-acks";

/// How much of a foreign error body is quoted, in characters.
const QUOTED_MAX: usize = 200;

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The node that was asked.
    pub(crate) asked: Address,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// What an answer's status means for the request.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It was served, or the thing asked for does not exist.
    Served,
    /// It is settled that it will not be served.
    Refused(Error),
    /// This node does not serve it now; nothing was changed.
    NotNow {
        reason: String,
        /// When the node thinks it may.
        retry_after: Option<Duration>,
    },
    /// The node, or something before it, failed on the way.
    Failed(String),
}

/// The fields of JSON answers that the client looks at.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Explanation {
    error: Option<String>,
    message: Option<String>,
    does_exist: Option<bool>,
}

impl Reply {
    /// Judges the answer by its status.
    pub(crate) fn verdict(&self) -> Verdict {
        match self.status {
            StatusCode::OK | StatusCode::CREATED | StatusCode::ACCEPTED => Verdict::Served,
            StatusCode::NOT_FOUND if self.says_absent() => Verdict::Served,
            StatusCode::BAD_REQUEST => Verdict::Refused(Error::BadRequest { message: self.explanation() }),
            StatusCode::GONE => Verdict::Refused(Error::ContextLost),
            StatusCode::SERVICE_UNAVAILABLE => Verdict::NotNow {
                reason: format!("{} answered 503: {}", self.asked, self.explanation()),
                retry_after: self
                    .text(header::RETRY_AFTER.as_str())
                    .and_then(|s| s.parse().ok())
                    .map(Duration::from_secs),
            },
            // Nothing was changed, and every replica of the shard would have to hold it.
            status if status.is_client_error() || status == StatusCode::INSUFFICIENT_STORAGE => {
                Verdict::Refused(Error::Refused {
                    status: status.as_u16(),
                    message: self.explanation(),
                    node: self.asked.clone(),
                })
            }
            status if status.is_server_error() => {
                Verdict::Failed(format!("it answered {}: {}", status.as_u16(), self.explanation()))
            }
            status => Verdict::Refused(self.protocol(format!("unexpected status {}", status.as_u16()))),
        }
    }

    /// The context of the answer, which takes the place of the request's.
    pub(crate) fn context(&self) -> Result<Context, Error> {
        match Context::from_headers(&self.headers) {
            Some(Ok(context)) => Ok(context),
            Some(Err(error)) => Err(self.protocol(format!("its Causal-Context is {error}"))),
            None => Err(self.protocol("it has no Causal-Context header (is this a node of Precede?)".to_owned())),
        }
    }

    /// The node that served the request: not always the one asked.
    pub(crate) fn node(&self) -> Address {
        self.text(NODE).and_then(|text| text.parse().ok()).unwrap_or_else(|| self.asked.clone())
    }

    /// The outcome of a read.
    pub(crate) fn into_found(self) -> Result<Option<Found>, Error> {
        match self.status {
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::OK => Ok(Some(Found {
                version: self.version()?,
                node: self.node(),
                value: Value::received(self.body.clone(), self.text(header::CONTENT_TYPE.as_str())),
            })),
            status => Err(self.protocol(format!("status {} for a read", status.as_u16()))),
        }
    }

    /// The outcome of a write.
    pub(crate) fn into_written(self) -> Result<Written, Error> {
        #[derive(Deserialize)]
        struct Body {
            replaced: bool,
        }
        let replaced = match self.status {
            StatusCode::CREATED => false,
            StatusCode::OK => true,
            StatusCode::ACCEPTED => self.json::<Body>()?.replaced,
            status => return Err(self.protocol(format!("status {} for a write", status.as_u16()))),
        };
        Ok(Written {
            replaced,
            acks: self.acks()?,
            version: self.version()?,
            node: self.node(),
            concern_reached: self.status != StatusCode::ACCEPTED,
        })
    }

    /// The outcome of a deletion.
    pub(crate) fn into_deleted(self) -> Result<Option<Deleted>, Error> {
        match self.status {
            StatusCode::NOT_FOUND => Ok(None),
            StatusCode::OK | StatusCode::ACCEPTED => Ok(Some(Deleted {
                acks: self.acks()?,
                version: self.version()?,
                node: self.node(),
                concern_reached: self.status != StatusCode::ACCEPTED,
            })),
            status => Err(self.protocol(format!("status {} for a deletion", status.as_u16()))),
        }
    }

    /// The outcome of a barrier.
    pub(crate) fn into_barrier(self) -> Result<Barrier, Error> {
        match self.status {
            StatusCode::OK | StatusCode::ACCEPTED => {
                Ok(Barrier { reached: self.status == StatusCode::OK, ..self.json()? })
            }
            status => Err(self.protocol(format!("status {} for a barrier", status.as_u16()))),
        }
    }

    /// The body as JSON.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| self.protocol(format!("its body cannot be read: {error}")))
    }

    /// The answer is outside the protocol.
    pub(crate) fn protocol(&self, message: String) -> Error {
        Error::Protocol { node: self.asked.clone(), message }
    }

    fn version(&self) -> Result<String, Error> {
        match self.text(VERSION) {
            Some(version) => Ok(version.to_owned()),
            None => Err(self.protocol("it has no Precede-Version header".to_owned())),
        }
    }

    fn acks(&self) -> Result<u32, Error> {
        self.text(ACKS)
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| self.protocol("it has no Precede-Acks header with a number".to_owned()))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Whether a 404 is about the key or shard asked for, not about an unknown path.
    fn says_absent(&self) -> bool {
        let Ok(explained) = serde_json::from_slice::<Explanation>(&self.body) else {
            return true;
        };
        explained.does_exist == Some(false) || explained.error.is_none_or(|text| text == "Shard does not exist")
    }

    /// The reason that the body gives.
    fn explanation(&self) -> String {
        let explained = serde_json::from_slice::<Explanation>(&self.body).unwrap_or_default();
        let text = explained.error.or(explained.message).unwrap_or_else(|| {
            let text = String::from_utf8_lossy(&self.body);
            text.trim().chars().take(QUOTED_MAX).collect()
        });
        if text.is_empty() { "no reason given".to_owned() } else { text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, headers: &[(&'static str, &'static str)], body: &'static str) -> Reply {
        let headers = headers
            .iter()
            .map(|&(name, value)| (http::HeaderName::from_static(name), http::HeaderValue::from_static(value)));
        Reply {
            asked: "a:1".parse().unwrap(),
            status: StatusCode::from_u16(status).unwrap(),
            headers: headers.collect(),
            body: Bytes::from(body),
        }
    }

    #[test]
    fn a_404_about_the_key_is_an_answer_and_one_about_the_path_is_not() {
        let absent = reply(404, &[], r#"{"doesExist":false,"error":"Key does not exist","message":"Error in GET"}"#);
        assert!(matches!(absent.verdict(), Verdict::Served));
        assert!(matches!(reply(404, &[], "").verdict(), Verdict::Served));
        let path = reply(404, &[], r#"{"error":"Unknown path"}"#);
        assert!(matches!(path.verdict(), Verdict::Refused(Error::Refused { status: 404, .. })));
    }

    #[test]
    fn each_status_has_its_verdict() {
        let verdict = |status| reply(status, &[("retry-after", "2")], r#"{"error":"why"}"#).verdict();
        assert!(matches!(verdict(400), Verdict::Refused(Error::BadRequest { message }) if message == "why"));
        assert!(matches!(verdict(410), Verdict::Refused(Error::ContextLost)));
        assert!(matches!(verdict(413), Verdict::Refused(Error::Refused { status: 413, .. })));
        assert!(matches!(verdict(500), Verdict::Failed(_)));
        assert!(matches!(verdict(504), Verdict::Failed(_)));
        assert!(matches!(verdict(507), Verdict::Refused(Error::Refused { status: 507, .. })));
        assert!(matches!(verdict(302), Verdict::Refused(Error::Protocol { .. })));
        let two = Some(Duration::from_secs(2));
        assert!(matches!(verdict(503), Verdict::NotNow { retry_after, .. } if retry_after == two));
    }

    #[test]
    fn an_answer_without_a_context_is_outside_the_protocol() {
        assert!(matches!(reply(200, &[], "").context(), Err(Error::Protocol { .. })));
        assert!(reply(200, &[("causal-context", "")], "").context().unwrap().is_empty());
    }

    #[test]
    fn a_202_is_a_write_whose_concern_was_not_reached() {
        let headers = [("precede-acks", "1"), ("precede-version", "v"), ("precede-node", "b:2")];
        let written = reply(202, &headers, r#"{"replaced":true}"#).into_written().unwrap();
        assert_eq!((written.replaced, written.acks, written.concern_reached), (true, 1, false));
        assert_eq!(written.node.as_str(), "b:2");
        assert!(!reply(202, &headers, "{}").into_deleted().unwrap().unwrap().concern_reached);
        assert!(reply(200, &headers[1..], "").into_written().is_err(), "acks are missing");
    }
}
