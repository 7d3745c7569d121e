//! The context that a connection was given last, and its token. Clients send back what they got, so most tokens need not be read
//! again; and readers' contexts rarely change, so most need not be written again.

use http::HeaderValue;
use parking_lot::Mutex;
use precede_core::causality::context::Context;
use precede_core::causality::token;

/// What a connection was given last; nothing at its beginning.
#[derive(Debug, Default)]
pub(crate) struct Memo(Mutex<Option<Issued>>);

#[derive(Debug)]
struct Issued {
    /// The fingerprint of the cluster that it was issued for.
    cluster: u64,
    context: Context,
    token: HeaderValue,
}

impl Memo {
    /// The context of a token, if it is the one that the connection was given last.
    pub(crate) fn recall(&self, token: &[u8], cluster: u64) -> Option<Context> {
        let last = self.0.lock();
        let issued = last.as_ref().filter(|issued| issued.cluster == cluster && issued.token.as_bytes() == token)?;
        Some(issued.context.clone())
    }

    /// The token of a context, which the connection is given now.
    pub(crate) fn encode(&self, context: Context, cluster: u64) -> HeaderValue {
        let mut last = self.0.lock();
        if let Some(issued) = &*last
            && issued.cluster == cluster
            && issued.context == context
        {
            return issued.token.clone();
        }
        let token = HeaderValue::try_from(token::encode(&context, cluster)).expect("a token is visible ASCII");
        *last = Some(Issued { cluster, context, token: token.clone() });
        token
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use precede_core::causality::hlc::Timestamp;

    #[test]
    fn what_is_remembered_is_what_would_be_read_and_written() {
        let context = |stable| Context { stable: Timestamp(stable), ..Context::default() };
        let memo = Memo::default();
        assert_eq!(memo.encode(Context::default(), 7), "");
        for (stable, cluster) in [(5, 7), (5, 7), (5, 8), (6, 8), (6, 7)] {
            let token = token::encode(&context(stable), cluster);
            assert_eq!(memo.encode(context(stable), cluster), token);
            assert_eq!(memo.recall(token.as_bytes(), cluster), Some(context(stable)));
            assert_eq!(memo.recall(token.as_bytes(), cluster + 1), None, "of another cluster");
        }
        assert_eq!(memo.recall(token::encode(&context(9), 7).as_bytes(), 7), None, "what another was given");
    }
}
