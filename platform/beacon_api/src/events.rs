//! `/eth/v1/events`: what happens, as server-sent events.

use crate::body::from_json_of_either;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;
use types::{
    Attestation, AttesterSlashing, ColumnIndex, Epoch, ExecutionAddress, ForkName, Hash32, KzgCommitment, Preset,
    ProposerSlashing, Root, SignedAggregateAndProof, SignedBLSToExecutionChange, SignedBeaconBlockHeader,
    SignedContributionAndProof, SignedKeySetChange, SignedVoluntaryExit, SingleAttestation, Slot, ValidatorIndex,
    Withdrawal,
};

/// There is a new head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadEvent {
    /// Slot of the head.
    pub slot: Slot,
    /// Its block root.
    pub block: Root,
    /// Its state root.
    pub state: Root,
    /// Whether it is the first of its epoch.
    pub epoch_transition: bool,
    /// What duties of the current epoch depend on.
    pub previous_duty_dependent_root: Root,
    /// What duties of the next epoch depend on.
    pub current_duty_dependent_root: Root,
    /// Whether the execution client has still to verify it.
    #[serde(default)]
    pub execution_optimistic: bool,
}

/// A block was imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockEvent {
    /// Its slot.
    pub slot: Slot,
    /// Its root.
    pub block: Root,
    /// Whether the execution client has still to verify it.
    #[serde(default)]
    pub execution_optimistic: bool,
}

/// A block has passed the conditions of gossip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockGossipEvent {
    /// Its slot.
    pub slot: Slot,
    /// Its root.
    pub block: Root,
}

/// There is a new finalised checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalizedCheckpointEvent {
    /// Block root.
    pub block: Root,
    /// State root.
    pub state: Root,
    /// Epoch.
    pub epoch: Epoch,
    /// Whether the execution client has still to verify it.
    #[serde(default)]
    pub execution_optimistic: bool,
}

/// The new head does not descend from the old one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainReorgEvent {
    /// Slot of the new head.
    pub slot: Slot,
    /// Slots from the common ancestor to the new head.
    #[serde(with = "serde_utils::quoted_u64")]
    pub depth: u64,
    /// Block root.
    pub old_head_block: Root,
    /// Block root.
    pub new_head_block: Root,
    /// State root.
    pub old_head_state: Root,
    /// State root.
    pub new_head_state: Root,
    /// Epoch of the new head.
    pub epoch: Epoch,
    /// Whether the execution client has still to verify the new head.
    #[serde(default)]
    pub execution_optimistic: bool,
}

/// The execution client has been told to begin a payload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayloadAttributesEvent {
    /// Fork of the payload.
    pub version: ForkName,
    /// What it builds on, and for whom.
    pub data: PayloadAttributesData,
}

/// What a payload builds on, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayloadAttributesData {
    /// Who proposes.
    pub proposer_index: ValidatorIndex,
    /// When.
    pub proposal_slot: Slot,
    /// Number of the payload before.
    #[serde(with = "serde_utils::quoted_u64")]
    pub parent_block_number: u64,
    /// Root of the block before.
    pub parent_block_root: Root,
    /// Hash of the payload before.
    pub parent_block_hash: Hash32,
    /// What the payload must have.
    pub payload_attributes: PayloadAttributes,
}

/// What a payload must have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayloadAttributes {
    /// Unix seconds of the slot.
    #[serde(with = "serde_utils::quoted_u64")]
    pub timestamp: u64,
    /// RANDAO mix of the slot.
    pub prev_randao: Hash32,
    /// Who gets the fees.
    #[serde(with = "serde_utils::address_hex")]
    pub suggested_fee_recipient: ExecutionAddress,
    /// What the state pays out.
    pub withdrawals: Vec<Withdrawal>,
    /// Root of the block before.
    pub parent_beacon_block_root: Root,
}

/// There are none: columns have taken their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BlobSidecarEvent {}

/// A data column has passed the conditions of gossip.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataColumnSidecarEvent {
    /// Root of its block.
    pub block_root: Root,
    /// Which column.
    #[serde(with = "serde_utils::quoted_u64")]
    pub index: ColumnIndex,
    /// Slot of its block.
    pub slot: Slot,
    /// Commitments to all blobs of the block.
    pub kzg_commitments: Vec<KzgCommitment>,
}

/// A group's block has the signatures of enough members. Times are those of this node.
///
/// Spec: dvt/beacon-api.md#group_block
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupBlockEvent {
    /// Slot of the block.
    pub slot: Slot,
    /// Registry index of the group.
    pub proposer_index: ValidatorIndex,
    /// Root of the block.
    pub block: Root,
    /// Rank of the leader whose block it is.
    #[serde(with = "serde_utils::quoted_u64")]
    pub rank: u64,
    /// Keys that had signed when the threshold was reached, ascending.
    #[serde(with = "serde_utils::quoted_u64_vec")]
    pub signers: Vec<u64>,
    /// How many must sign.
    #[serde(with = "serde_utils::quoted_u64")]
    pub threshold: u64,
    /// How many keys the group has.
    #[serde(with = "serde_utils::quoted_u64")]
    pub size: u64,
    /// When the leader's proposal or its header was first seen here, in milliseconds since the start of the slot.
    #[serde(with = "serde_utils::quoted_u64")]
    pub seen_ms: u64,
    /// When the threshold was reached here, in milliseconds since the start of the slot.
    #[serde(with = "serde_utils::quoted_u64")]
    pub threshold_ms: u64,
}

macro_rules! events {
    ($($(#[$meta:meta])* $variant:ident($body:ty) = $topic:literal, $read:path;)*) => {
        /// Kinds of events.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum EventTopic {
            $($(#[$meta])* $variant,)*
        }

        impl EventTopic {
            /// All.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// As in queries and streams.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $topic,)*
                }
            }
        }

        /// Something has happened.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(bound = "P: Preset", untagged)]
        pub enum Event<P: Preset> {
            $($(#[$meta])* $variant(Box<$body>),)*
        }

        impl<P: Preset> Event<P> {
            /// Of which kind it is.
            pub fn topic(&self) -> EventTopic {
                match self {
                    $(Self::$variant(_) => EventTopic::$variant,)*
                }
            }

            /// Reads the data of an event.
            pub fn from_json(topic: EventTopic, json: &str) -> Result<Self, serde_json::Error> {
                match topic {
                    $(EventTopic::$variant => $read(json).map(|body| Self::$variant(Box::new(body))),)*
                }
            }
        }
    };
}

events! {
    /// There is a new head.
    Head(HeadEvent) = "head", serde_json::from_str;
    /// A block was imported.
    Block(BlockEvent) = "block", serde_json::from_str;
    /// A block has passed the conditions of gossip.
    BlockGossip(BlockGossipEvent) = "block_gossip", serde_json::from_str;
    /// An aggregate was accepted.
    Attestation(Attestation<P>) = "attestation", from_json_of_either;
    /// A single vote was accepted.
    SingleAttestation(SingleAttestation) = "single_attestation", from_json_of_either;
    /// An exit was accepted.
    VoluntaryExit(SignedVoluntaryExit) = "voluntary_exit", from_json_of_either;
    /// A change of withdrawal credentials was accepted.
    BlsToExecutionChange(SignedBLSToExecutionChange) = "bls_to_execution_change", serde_json::from_str;
    /// A proposer slashing was accepted.
    ProposerSlashing(ProposerSlashing) = "proposer_slashing", from_json_of_either;
    /// An attester slashing was accepted.
    AttesterSlashing(AttesterSlashing<P>) = "attester_slashing", from_json_of_either;
    /// There is a new finalised checkpoint.
    FinalizedCheckpoint(FinalizedCheckpointEvent) = "finalized_checkpoint", serde_json::from_str;
    /// The new head does not descend from the old one.
    ChainReorg(ChainReorgEvent) = "chain_reorg", serde_json::from_str;
    /// A sync committee contribution was accepted.
    ContributionAndProof(SignedContributionAndProof<P>) = "contribution_and_proof", serde_json::from_str;
    /// A data column has passed the conditions of gossip.
    DataColumnSidecar(DataColumnSidecarEvent) = "data_column_sidecar", serde_json::from_str;
    /// The execution client has been told to begin a payload.
    PayloadAttributes(PayloadAttributesEvent) = "payload_attributes", serde_json::from_str;
    /// Nothing since Fulu. Tools of before ask for it.
    BlobSidecar(BlobSidecarEvent) = "blob_sidecar", serde_json::from_str;
    /// A group's block has the signatures of enough members.
    GroupBlock(GroupBlockEvent) = "group_block", serde_json::from_str;
    /// A complete key-set change was accepted.
    KeySetChange(SignedKeySetChange) = "key_set_change", serde_json::from_str;
    /// A member's signature of a block of its group was accepted.
    GroupSignature(SignedBeaconBlockHeader) = "group_signature", from_json_of_either;
    /// An aggregate was accepted: the message of its aggregator.
    AggregateAndProof(SignedAggregateAndProof<P>) = "aggregate_and_proof", from_json_of_either;
}

impl<P: Preset> Event<P> {
    /// As a message of the stream.
    pub fn to_sse(&self) -> Result<String, serde_json::Error> {
        let json = serde_json::to_string(self)?;
        Ok(format!("event: {}\ndata: {json}\n\n", self.topic()))
    }
}

impl fmt::Display for EventTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EventTopic {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .iter()
            .copied()
            .find(|topic| topic.as_str() == text)
            .ok_or_else(|| {
                let known: Vec<&str> = Self::ALL.iter().map(|topic| topic.as_str()).collect();
                format!("unknown topic, expected one of {}", known.join(", "))
            })
    }
}

/// A stream of events cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// A message is larger than any that a node sends.
    #[error("message of more than {limit} bytes")]
    TooLarge {
        /// Bytes.
        limit: usize,
    },
    /// A message is not UTF-8.
    #[error("message is not UTF-8")]
    NotText,
    /// The data of a message is not what its topic says.
    #[error("event {topic}: {reason}")]
    Data {
        /// Topic.
        topic: String,
        /// What is wrong.
        reason: String,
    },
}

/// Largest message that is read.
const MAX_MESSAGE_BYTES: usize = 4 << 20;

/// Takes a byte stream of server-sent events apart.
#[derive(Debug, Default)]
pub struct SseParser {
    line: Vec<u8>,
    event: String,
    data: String,
    messages: VecDeque<(String, String)>,
}

impl SseParser {
    /// Reads on. Chunks may end anywhere.
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), EventError> {
        for part in chunk.split_inclusive(|byte| *byte == b'\n') {
            if self.line.len() + self.data.len() + part.len() > MAX_MESSAGE_BYTES {
                return Err(EventError::TooLarge {
                    limit: MAX_MESSAGE_BYTES,
                });
            }
            self.line.extend_from_slice(part);
            if self.line.last() == Some(&b'\n') {
                self.end_line()?;
            }
        }
        Ok(())
    }

    /// The next whole message: name and data.
    pub fn next_message(&mut self) -> Option<(String, String)> {
        self.messages.pop_front()
    }

    fn end_line(&mut self) -> Result<(), EventError> {
        let bytes = std::mem::take(&mut self.line);
        let line = std::str::from_utf8(&bytes).map_err(|_| EventError::NotText)?;
        let line = line.trim_end_matches(['\n', '\r']);
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            let data = std::mem::take(&mut self.data);
            if !data.is_empty() {
                self.messages.push_back((event, data));
            }
            return Ok(());
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.event),
            "data" => {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            // A comment keeps the connection alive; other fields mean nothing here.
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::Minimal;

    fn head() -> Event<Minimal> {
        Event::Head(Box::new(HeadEvent {
            slot: Slot::new(10),
            block: Root::repeat_byte(1),
            state: Root::repeat_byte(2),
            epoch_transition: false,
            previous_duty_dependent_root: Root::repeat_byte(3),
            current_duty_dependent_root: Root::repeat_byte(4),
            execution_optimistic: false,
        }))
    }

    #[test]
    fn a_stream_is_read_however_it_is_cut() {
        let text = format!(
            ": hello\n\n{}event: block\r\ndata: {{\"slot\":\"1\",\r\ndata: \"block\":\"{}\"}}\r\n\r\nevent: head\n",
            head().to_sse().unwrap(),
            Root::ZERO
        );
        for size in [1, 2, 7, 10_000] {
            let mut parser = SseParser::default();
            let mut events = Vec::new();
            for chunk in text.as_bytes().chunks(size) {
                parser.push(chunk).unwrap();
                while let Some((topic, data)) = parser.next_message() {
                    events.push(Event::<Minimal>::from_json(topic.parse().unwrap(), &data).unwrap());
                }
            }
            assert_eq!(events.len(), 2, "chunks of {size}");
            assert_eq!(events[0], head());
            assert_eq!(events[1].topic(), EventTopic::Block);
        }
    }

    #[test]
    fn a_message_without_end_is_refused() {
        let mut parser = SseParser::default();
        let chunk = vec![b'x'; 1 << 20];
        for _ in 0..4 {
            parser.push(&chunk).unwrap();
        }
        assert!(matches!(parser.push(&chunk), Err(EventError::TooLarge { .. })));
        let mut parser = SseParser::default();
        let line = [b"data: ".as_slice(), &chunk, b"\n"].concat();
        let result = (0..5).try_for_each(|_| parser.push(&line));
        assert!(matches!(result, Err(EventError::TooLarge { .. })));
    }

    #[test]
    fn each_topic_is_read_as_it_is_written() {
        for topic in EventTopic::ALL {
            assert_eq!(topic.as_str().parse(), Ok(*topic));
        }
        let error = "weather".parse::<EventTopic>().unwrap_err();
        assert!(error.contains("head"), "{error}");
    }
}
