//! How two nodes prove to each other that they know a secret, without telling it: each sends a random number, and a code of both
//! numbers and of all that the link is to be. What was heard once is of no use for another link: its numbers are others. A code of
//! one side is none of the other, nor for another node.
//!
//! Who dials sends its number with the request to upgrade; who is dialled answers 401 with a number of its own; who dials asks
//! again, with its code; who is dialled upgrades, with its own code. Numbers and codes are headers, in hexadecimal digits.

use hmac::Mac;

use crate::access::secret::{BYTES, hex, unhex};
use crate::secrets::{Code, Secret, SecretId, Secrets};

/// The header with a side's random number.
pub(crate) const NONCE_HEADER: &str = "precede-nonce";
/// The header with a side's code.
pub(crate) const PROOF_HEADER: &str = "precede-proof";

/// A random number, used for one link.
pub(crate) type Nonce = [u8; BYTES];

/// Who proves.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Side {
    /// Who dials.
    Dials,
    /// Who is dialled.
    Answers,
}

/// What both sides say of a link in the making.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms<'a> {
    /// The address of who dials.
    pub(crate) from: &'a str,
    /// The address of who is dialled, as both know it.
    pub(crate) to: &'a str,
    /// The dialler's cluster, as the header has it.
    pub(crate) cluster: &'a str,
    /// The dialler's epoch, as the header has it.
    pub(crate) epoch: &'a str,
    /// The versions of the wire that are offered.
    pub(crate) offered: &'a str,
    /// The one that is agreed on; empty where who dials does not know it yet.
    pub(crate) agreed: &'a str,
    /// The number of who dials.
    pub(crate) dialler: &'a Nonce,
    /// The number of who is dialled.
    pub(crate) answerer: &'a Nonce,
}

impl Terms<'_> {
    /// The code that a side proves with.
    pub(crate) fn prove(&self, secret: &Secret, side: Side) -> String {
        hex(&self.code(secret, side).finalize().into_bytes())
    }

    /// The secret by which a side has proved itself, if it is one of these. Compared in constant time.
    pub(crate) fn proved_by(&self, secrets: &Secrets, side: Side, proof: &str) -> Option<SecretId> {
        let proof = unhex(proof)?;
        secrets.all().find(|secret| self.code(secret, side).verify_slice(&proof).is_ok()).map(|secret| secret.id)
    }

    fn code(&self, secret: &Secret, side: Side) -> Code {
        let side: &[u8] = match side {
            Side::Dials => b"dials",
            Side::Answers => b"answers",
        };
        let texts = [self.from, self.to, self.cluster, self.epoch, self.offered, self.agreed].map(str::as_bytes);
        let mut code = secret.link();
        for part in [side, self.dialler, self.answerer].into_iter().chain(texts) {
            // With its length before it, no part can be taken for the end of another.
            code.update(&(part.len() as u64).to_le_bytes());
            code.update(part);
        }
        code
    }
}

/// The number in a header.
pub(crate) fn nonce(text: &str) -> Option<Nonce> {
    unhex(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secrets::tests::secrets;

    const TERMS: Terms<'_> = Terms {
        from: "a:1",
        to: "b:2",
        cluster: "00ff",
        epoch: "3",
        offered: "precede-peer/1",
        agreed: "",
        dialler: &[1; BYTES],
        answerer: &[2; BYTES],
    };

    #[test]
    fn who_knows_a_secret_proves_it_and_nobody_else_does() {
        let (old, new, other) = ("o".repeat(32), "n".repeat(32), "x".repeat(32));
        let taken = secrets(&[&new, &old]);
        for known in [&old, &new] {
            let proof = TERMS.prove(secrets(&[known]).first(), Side::Dials);
            assert_eq!(TERMS.proved_by(&taken, Side::Dials, &proof), Some(secrets(&[known]).first().id));
            assert_eq!(TERMS.proved_by(&taken, Side::Answers, &proof), None, "it is not sent back as one's own");
        }
        let proof = TERMS.prove(secrets(&[&other]).first(), Side::Dials);
        assert_eq!(TERMS.proved_by(&taken, Side::Dials, &proof), None);
        for proof in ["", "00", &"0".repeat(64), &"é".repeat(32)] {
            assert_eq!(TERMS.proved_by(&taken, Side::Dials, proof), None);
        }
    }

    #[test]
    fn a_proof_is_of_this_link_and_no_other() {
        let taken = secrets(&[&"s".repeat(32)]);
        let proof = TERMS.prove(taken.first(), Side::Dials);
        for other in [
            Terms { from: "c:1", ..TERMS },
            Terms { to: "c:2", ..TERMS },
            Terms { cluster: "00fe", ..TERMS },
            Terms { epoch: "4", ..TERMS },
            Terms { offered: "precede-peer/2", ..TERMS },
            Terms { agreed: "precede-peer/1", ..TERMS },
            Terms { dialler: &[3; BYTES], ..TERMS },
            Terms { answerer: &[3; BYTES], ..TERMS },
            Terms { from: "a:1b", to: ":2", ..TERMS },
        ] {
            assert_eq!(other.proved_by(&taken, Side::Dials, &proof), None, "{other:?}");
        }
    }
}
