//! The context that a connection was given last, and its token. Clients send back what they got, so most tokens need not be read
//! again; and readers' contexts rarely change, so most need not be written again.

use http::HeaderValue;
use parking_lot::Mutex;
use precede_core::causality::context::Context;

use crate::http::seal::{Issuer, Mark};

/// What a connection was given last; nothing at its beginning.
#[derive(Debug, Default)]
pub(crate) struct Memo(Mutex<Option<Issued>>);

#[derive(Debug)]
struct Issued {
    /// Who issued it, and under which secret.
    mark: Mark,
    context: Context,
    token: HeaderValue,
}

impl Memo {
    /// The context of a token, if it is the one that the connection was given last.
    pub(crate) fn recall(&self, token: &[u8], issuer: Issuer<'_>) -> Option<Context> {
        let last = self.0.lock();
        let issued = last.as_ref().filter(|issued| issued.token.as_bytes() == token && issued.mark == issuer.mark())?;
        Some(issued.context.clone())
    }

    /// The token of a context, which the connection is given now.
    pub(crate) fn encode(&self, context: Context, issuer: Issuer<'_>) -> HeaderValue {
        let mark = issuer.mark();
        let mut last = self.0.lock();
        if let Some(issued) = &*last
            && issued.mark == mark
            && issued.context == context
        {
            return issued.token.clone();
        }
        let token = HeaderValue::try_from(issuer.token(&context)).expect("a token is visible ASCII");
        *last = Some(Issued { mark, context, token: token.clone() });
        token
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use precede_core::causality::hlc::Timestamp;
    use precede_core::causality::token;

    #[test]
    fn what_is_remembered_is_what_would_be_read_and_written() {
        let context = |stable| Context { stable: Timestamp(stable), ..Context::default() };
        let issuer = |cluster| Issuer { cluster, secrets: &None };
        let memo = Memo::default();
        assert_eq!(memo.encode(Context::default(), issuer(7)), "");
        for (stable, cluster) in [(5, 7), (5, 7), (5, 8), (6, 8), (6, 7)] {
            let token = token::encode(&context(stable), cluster);
            assert_eq!(memo.encode(context(stable), issuer(cluster)), token);
            assert_eq!(memo.recall(token.as_bytes(), issuer(cluster)), Some(context(stable)));
            assert_eq!(memo.recall(token.as_bytes(), issuer(cluster + 1)), None, "of another cluster");
        }
        assert_eq!(memo.recall(token::encode(&context(9), 7).as_bytes(), issuer(7)), None, "what another was given");
    }
}
