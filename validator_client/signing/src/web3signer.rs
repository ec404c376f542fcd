//! BLS keys in a remote signer (Web3Signer API).
//!
//! The signer is told the message, not only its root, so that it can protect it a second time. Its answer is trusted no
//! further than its signature verifies.

use crate::message::SignableMessage;
use crate::method::{Answer, ClearedMessage, MessageSignature, SigningKey};
use crate::signer::SigningError;
use bls::{PublicKey, Signature};
use keystore::RemoteKey;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{Certificate, Client, StatusCode, Url};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;
use types::{ChainSpec, Fork, ForkName, ForkVersioned as _, Preset, Root, SignatureBytes, SignerKey};

/// As in Lighthouse.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(12);
/// A signature has 194 characters.
const MAX_ANSWER_BYTES: usize = 4096;
/// Characters of an error's text that are shown.
const MAX_SHOWN: usize = 200;
/// The version whose block headers are those of all later forks.
const HEADER_VERSION: &str = "FULU";

/// A remote signer did not sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemoteError {
    /// The definition.
    #[error("field `{field}`: {reason}")]
    Definition {
        /// The field.
        field: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The API has no such message.
    #[error("the Web3Signer API has no message for {kind}")]
    NoSuchMessage {
        /// The message.
        kind: &'static str,
    },
    /// No answer in time.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// No connection, or one that broke.
    #[error("not reachable: {0}")]
    Transport(String),
    /// The key is not there.
    #[error("it does not have the key")]
    UnknownKey,
    /// Its own slashing protection.
    #[error("its slashing protection refused")]
    Slashable,
    /// Any other error.
    #[error("status {status}: {text}")]
    Status {
        /// HTTP status.
        status: u16,
        /// Beginning of the answer.
        text: String,
    },
    /// An answer that is far too long.
    #[error("an answer of more than {} bytes", MAX_ANSWER_BYTES)]
    TooLong,
    /// An answer that is something else.
    #[error("expected a signature: 0x and 192 hexadecimal digits, found {0:?}")]
    NotASignature(String),
    /// A signature that does not verify: of another key or message.
    #[error("its signature is not one of this key over this message")]
    WrongSignature,
}

/// A BLS key in a remote signer.
pub(crate) struct RemoteBlsKey {
    pubkey: SignerKey,
    public_key: PublicKey,
    url: Url,
    timeout: Duration,
    http: Client,
}

impl RemoteBlsKey {
    pub(crate) fn new(remote: &RemoteKey) -> Result<Self, SigningError> {
        let pubkey = remote.pubkey.into();
        let wrong = |field, reason| SigningError::Remote {
            pubkey,
            error: RemoteError::Definition { field, reason },
        };
        let public_key =
            PublicKey::from_bytes(&remote.pubkey).map_err(|error| wrong("voting_public_key", error.to_string()))?;
        let mut url = Url::parse(&remote.url).map_err(|error| wrong("url", error.to_string()))?;
        if !["http", "https"].contains(&url.scheme()) {
            return Err(wrong(
                "url",
                "expected http://HOST:PORT or https://HOST:PORT".to_owned(),
            ));
        }
        url.set_query(None);
        url.set_fragment(None);
        url.path_segments_mut()
            .map_err(|()| wrong("url", "it has no host".to_owned()))?
            .pop_if_empty()
            .extend(["api", "v1", "eth2", "sign"])
            .push(&remote.pubkey.to_string());
        Ok(Self {
            pubkey,
            public_key,
            url,
            timeout: remote.request_timeout.unwrap_or(DEFAULT_TIMEOUT),
            http: client(remote.root_certificate.as_deref())
                .map_err(|reason| wrong("root_certificate_path", reason))?,
        })
    }

    async fn request(&self, document: String) -> Result<SignatureBytes, RemoteError> {
        let transport = |error: reqwest::Error| {
            if error.is_timeout() {
                RemoteError::Timeout(self.timeout)
            } else {
                // The URL may hold credentials.
                RemoteError::Transport(describe(&error.without_url()))
            }
        };
        let mut response = self
            .http
            .post(self.url.clone())
            .timeout(self.timeout)
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/json")
            .body(document)
            .send()
            .await
            .map_err(transport)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(transport)? {
            if body.len().saturating_add(chunk.len()) > MAX_ANSWER_BYTES {
                return Err(RemoteError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        let text = String::from_utf8_lossy(&body);
        match status {
            StatusCode::OK => parse(&text),
            StatusCode::NOT_FOUND => Err(RemoteError::UnknownKey),
            StatusCode::PRECONDITION_FAILED => Err(RemoteError::Slashable),
            status => Err(RemoteError::Status {
                status: status.as_u16(),
                text: shown(&text),
            }),
        }
    }

    async fn sign_verified(&self, document: Option<String>, root: Root) -> Result<MessageSignature, RemoteError> {
        let bytes = self.request(document.unwrap_or_default()).await?;
        let public_key = self.public_key;
        let verified = tokio::task::spawn_blocking(move || {
            Signature::from_bytes(&bytes).is_ok_and(|signature| signature.verify(&public_key, &root).is_ok())
        })
        .await;
        match verified {
            Ok(true) => Ok(MessageSignature::bls(bytes)),
            _ => Err(RemoteError::WrongSignature),
        }
    }
}

impl SigningKey for RemoteBlsKey {
    fn public_key(&self) -> SignerKey {
        self.pubkey
    }

    fn needs_document(&self) -> bool {
        true
    }

    fn sign(self: Arc<Self>, message: ClearedMessage, answer: Answer) {
        let runtime = answer.runtime().clone();
        runtime.spawn(async move {
            let signed = self.sign_verified(message.document, message.signing_root).await;
            answer.send(signed.map_err(|error| SigningError::Remote {
                pubkey: self.pubkey,
                error,
            }));
        });
    }
}

impl fmt::Debug for RemoteBlsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteBlsKey")
            .field("pubkey", &self.pubkey)
            .field("host", &self.url.host_str())
            .finish_non_exhaustive()
    }
}

/// Keys of one remote signer share connections.
fn client(root_certificate: Option<&[u8]>) -> Result<Client, String> {
    static CLIENTS: LazyLock<Mutex<HashMap<Option<Vec<u8>>, Client>>> = LazyLock::new(Mutex::default);
    let mut clients = CLIENTS.lock().unwrap_or_else(PoisonError::into_inner);
    let certificate = root_certificate.map(<[u8]>::to_vec);
    if let Some(client) = clients.get(&certificate) {
        return Ok(client.clone());
    }
    let mut builder = Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("fresnel/", env!("CARGO_PKG_VERSION")))
        // A signer is a neighbour: a proxy of the environment is for the world outside.
        .no_proxy();
    if let Some(pem) = &certificate {
        builder = builder.add_root_certificate(Certificate::from_pem(pem).map_err(|error| error.to_string())?);
    }
    let client = builder.build().map_err(|error| error.to_string())?;
    clients.insert(certificate, client.clone());
    Ok(client)
}

/// JSON or plain text: both are in use.
fn parse(text: &str) -> Result<SignatureBytes, RemoteError> {
    let text = text.trim();
    let not_a_signature = || RemoteError::NotASignature(shown(text));
    if text.starts_with('{') {
        let document: Value = serde_json::from_str(text).map_err(|_| not_a_signature())?;
        let signature = document.get("signature").and_then(Value::as_str);
        return signature.and_then(|text| text.parse().ok()).ok_or_else(not_a_signature);
    }
    text.parse().map_err(|_| not_a_signature())
}

fn shown(text: &str) -> String {
    text.chars()
        .filter(|character| !character.is_control())
        .take(MAX_SHOWN)
        .collect()
}

/// An error with its causes: the outermost one of a request says little.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// A request of the API.
pub(crate) fn document<P: Preset>(
    message: &SignableMessage<'_, P>,
    signing_root: Root,
    genesis_validators_root: Root,
    spec: &ChainSpec,
) -> Result<String, RemoteError> {
    let (kind, field, object) = match message {
        SignableMessage::Block(header) => (
            "BLOCK_V2",
            "beacon_block",
            json!({ "version": HEADER_VERSION, "block_header": header }),
        ),
        SignableMessage::Attestation(data) => ("ATTESTATION", "attestation", json!(data)),
        SignableMessage::AggregateAndProof(message) => (
            "AGGREGATE_AND_PROOF_V2",
            "aggregate_and_proof",
            json!({ "version": version(message.fork_name()), "data": message }),
        ),
        SignableMessage::RandaoReveal(epoch) => ("RANDAO_REVEAL", "randao_reveal", json!({ "epoch": epoch })),
        SignableMessage::SelectionProof(slot) => ("AGGREGATION_SLOT", "aggregation_slot", json!({ "slot": slot })),
        SignableMessage::SyncCommitteeMessage {
            slot,
            beacon_block_root,
        } => (
            "SYNC_COMMITTEE_MESSAGE",
            "sync_committee_message",
            json!({ "beacon_block_root": beacon_block_root, "slot": slot }),
        ),
        SignableMessage::SyncSelectionProof(data) => (
            "SYNC_COMMITTEE_SELECTION_PROOF",
            "sync_aggregator_selection_data",
            json!(data),
        ),
        SignableMessage::ContributionAndProof(message) => (
            "SYNC_COMMITTEE_CONTRIBUTION_AND_PROOF",
            "contribution_and_proof",
            json!(message),
        ),
        SignableMessage::VoluntaryExit(exit) => ("VOLUNTARY_EXIT", "voluntary_exit", json!(exit)),
        SignableMessage::KeySetChange(_) | SignableMessage::KeyPossession(_) => {
            return Err(RemoteError::NoSuchMessage { kind: message.kind() });
        }
    };
    let mut document = json!({
        "type": kind,
        "fork_info": {
            "fork": fork_at(message.epoch(), spec),
            "genesis_validators_root": genesis_validators_root,
        },
        "signingRoot": signing_root,
    });
    if let Some(fields) = document.as_object_mut() {
        fields.insert(field.to_owned(), object);
    }
    Ok(document.to_string())
}

/// The state's field `fork` in an epoch.
fn fork_at(epoch: types::Epoch, spec: &ChainSpec) -> Fork {
    let name = spec.fork_name_at_epoch(epoch);
    Fork {
        previous_version: match name {
            ForkName::Fulu => spec.electra_fork_version,
            ForkName::Dvt => spec.fulu_fork_version,
        },
        current_version: spec.fork_version(name),
        epoch: spec.fork_epoch(name),
    }
}

fn version(fork: ForkName) -> &'static str {
    match fork {
        ForkName::Fulu => "FULU",
        ForkName::Dvt => "DVT",
    }
}
