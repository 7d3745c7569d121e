//! What a node says to another whom it dials, until there is a link: the request to upgrade, and the proof that both know the
//! cluster's secret.

use std::io;

use precede_core::id::Address;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::access::secret;
use crate::peer::guard::{Pass, Shared};
use crate::peer::proof::{self, NONCE_HEADER, Nonce, PROOF_HEADER, Side, Terms};
use crate::peer::wire::Wire;
use crate::peer::{ADDRESS_HEADER, CLUSTER_HEADER, EPOCH_HEADER, PATH};
use crate::secrets::{SecretId, Secrets};

/// Bytes of an answer.
const ANSWER_BYTES_MAX: usize = 4096;

/// Who dials whom.
#[derive(Debug, Clone)]
pub(crate) struct Greeting {
    /// The node that is dialled.
    pub(crate) to: Address,
    /// This node.
    pub(crate) from: Address,
    /// The fingerprint of its cluster.
    pub(crate) cluster: u64,
    /// The epoch of its view.
    pub(crate) epoch: u32,
}

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unlinked {
    /// The other node, or this one, does not want it. Somebody has to do something about it.
    #[error("{0}")]
    Refused(&'static str),
    /// It cannot be reached, or does not speak as a node does.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// The head of an answer.
struct Answer {
    text: String,
}

impl Greeting {
    /// Makes a connection a link.
    pub(crate) async fn exchange(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        shared: &Shared,
    ) -> Result<(Wire, Pass), Unlinked> {
        let dialler = match shared {
            Some(_) => Some(secret::random().map_err(io::Error::other)?),
            None => None,
        };
        let mut answer = self.ask(stream, dialler.as_ref(), None).await?;
        let mut answerer = None;
        if answer.status() == Some("401")
            && let (Some(secrets), Some(dialler)) = (shared, &dialler)
        {
            let number = answer.header(NONCE_HEADER).and_then(proof::nonce);
            let number = answerer.insert(number.ok_or_else(|| io::Error::other("its number is malformed"))?);
            let proof = secrets.look(|secrets| self.prove(secrets, dialler, number));
            answer = self.ask(stream, Some(dialler), Some(&proof)).await?;
        }
        let wire = self.agreed(&answer, shared)?;
        let pass = match (shared, &dialler, &answerer) {
            (Some(secrets), Some(dialler), Some(answerer)) => {
                let proof = answer.header(PROOF_HEADER).unwrap_or_default();
                let by = secrets.look(|secrets| self.proved_by(secrets, (dialler, answerer), wire, proof));
                Pass(Some(by.ok_or(Unlinked::Refused(
                    "it does not prove that it knows the secret: compare PEER_SECRET_FILE",
                ))?))
            }
            _ => Pass(None),
        };
        match pass.is_good(shared) {
            true => Ok((wire, pass)),
            false => {
                Err(Unlinked::Refused("it asked for no proof of the secret, and has none: give it PEER_SECRET_FILE"))
            }
        }
    }

    /// Sends a request to upgrade and reads the answer.
    async fn ask(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        nonce: Option<&Nonce>,
        proof: Option<&str>,
    ) -> io::Result<Answer> {
        let (to, from, (cluster, epoch)) = (&self.to, &self.from, self.shown());
        let mut request = format!(
            "GET {PATH} HTTP/1.1\r\nHost: {to}\r\nConnection: upgrade\r\nUpgrade: {}\r\n\
             {CLUSTER_HEADER}: {cluster}\r\n{EPOCH_HEADER}: {epoch}\r\n{ADDRESS_HEADER}: {from}\r\n",
            Wire::offer(),
        );
        for (name, value) in
            [(NONCE_HEADER, nonce.map(|nonce| secret::hex(nonce))), (PROOF_HEADER, proof.map(str::to_owned))]
        {
            if let Some(value) = value {
                request += &format!("{name}: {value}\r\n");
            }
        }
        request += "\r\n";
        stream.write_all(request.as_bytes()).await?;
        stream.flush().await?;
        Answer::read(stream).await
    }

    /// The version that an answer agrees to, or what it refuses.
    fn agreed(&self, answer: &Answer, shared: &Shared) -> Result<Wire, Unlinked> {
        match answer.status() {
            Some("101") => answer
                .header("upgrade")
                .and_then(Wire::agreed)
                .ok_or_else(|| io::Error::other("it agreed to nothing that was offered").into()),
            Some("401") if shared.is_none() => Err(Unlinked::Refused(NO_SECRET)),
            Some("403") if answer.text.contains("PEER_SECRET_FILE") => Err(Unlinked::Refused(match shared {
                Some(_) => "refused by a node of another secret: compare the files of PEER_SECRET_FILE",
                None => NO_SECRET,
            })),
            Some("403") => {
                Err(Unlinked::Refused("refused by a node of another cluster: compare CLUSTER, VIEW and REPL_FACTOR"))
            }
            Some("426") => Err(Unlinked::Refused(
                "refused by a node of a version too far from this one's: upgrade in smaller steps",
            )),
            Some(_) | None => {
                let line = answer.text.lines().next().unwrap_or_default();
                Err(io::Error::other(format!("it answered \"{line}\"")).into())
            }
        }
    }

    /// Cluster and epoch as their headers have them.
    fn shown(&self) -> (String, String) {
        (format!("{:016x}", self.cluster), self.epoch.to_string())
    }

    /// This node's proof.
    fn prove(&self, secrets: &Secrets, dialler: &Nonce, answerer: &Nonce) -> String {
        let (from, to, (cluster, epoch)) = (self.from.as_str(), self.to.as_str(), self.shown());
        let (cluster, epoch, offered) = (&cluster, &epoch, &Wire::offer());
        let terms = Terms { from, to, cluster, epoch, offered, agreed: "", dialler, answerer };
        terms.prove(secrets.first(), Side::Dials)
    }

    /// The secret by which the other node has proved itself.
    fn proved_by(
        &self,
        secrets: &Secrets,
        (dialler, answerer): (&Nonce, &Nonce),
        wire: Wire,
        proof: &str,
    ) -> Option<SecretId> {
        let (from, to, (cluster, epoch)) = (self.from.as_str(), self.to.as_str(), self.shown());
        let (cluster, epoch, offered, agreed) = (&cluster, &epoch, &Wire::offer(), &wire.name());
        let terms = Terms { from, to, cluster, epoch, offered, agreed, dialler, answerer };
        terms.proved_by(secrets, Side::Answers, proof)
    }
}

/// What a node without a secret is told where one is asked for.
const NO_SECRET: &str = "refused: the nodes of that cluster share a secret: give this one PEER_SECRET_FILE";

impl Answer {
    /// Reads an answer, and its body if it has one. Behind an upgrade the other side sends nothing, so nothing of the link is
    /// read by mistake.
    async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let mut bytes = Vec::with_capacity(512);
        loop {
            let text = String::from_utf8_lossy(&bytes);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let answer = Self { text: head.to_owned() };
                let length: usize =
                    answer.header("content-length").and_then(|text| text.parse().ok()).unwrap_or_default();
                if body.len() >= length {
                    return Ok(Self { text: text.into_owned() });
                }
            }
            if bytes.len() > ANSWER_BYTES_MAX {
                return Err(io::Error::other("its answer is too long for a node's"));
            }
            if stream.read_buf(&mut bytes).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn status(&self) -> Option<&str> {
        self.text.split(' ').nth(1)
    }

    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.text.lines().skip(1).take_while(|line| !line.is_empty());
        let mut fields = lines.filter_map(|line| line.split_once(':'));
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}
