//! Topic names: `/eth2/<fork digest>/<name>/ssz_snappy`.

use std::fmt;
use std::str::FromStr;
use typenum::Unsigned as _;
use types::constants::MAX_SCHEME_PROOF_BYTES;
use types::{ChainSpec, ForkDigest, Mainnet, MaxGroupSize, Preset};

/// Spec: phase0/p2p-interface.md#configuration
pub(super) const ATTESTATION_SUBNET_COUNT: u64 = 64;
/// Spec: altair/validator.md#misc
pub(super) const SYNC_COMMITTEE_SUBNET_COUNT: u64 = 4;
/// Spec: fulu/p2p-interface.md#configuration
pub(super) const DATA_COLUMN_SIDECAR_SUBNET_COUNT: u64 = 128;

/// Bytes of a hash-based signature; those of other schemes have fewer.
///
/// Spec: dvt/signatures.md#proofs
const MAX_SIGNATURE_LEN: usize = 2536;
/// Keys of one validator, each of which signs once.
const MAX_SIGNERS: usize = MaxGroupSize::USIZE;
/// What a message has beside signatures, cells and transactions: none comes near it.
const BESIDE_SIGNATURES: usize = 4096;
/// Of a commitment or proof in the place of each cell.
const KZG_LEN: usize = 48;

const PREFIX: &str = "eth2";
const ENCODING: &str = "ssz_snappy";
const ATTESTATION_PREFIX: &str = "beacon_attestation_";
const SYNC_PREFIX: &str = "sync_committee_";
const COLUMN_PREFIX: &str = "data_column_sidecar_";

/// What a topic carries, without the fork.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TopicKind {
    /// `SignedBeaconBlock`
    BeaconBlock,
    /// `SignedAggregateAndProof`
    BeaconAggregateAndProof,
    /// `SingleAttestation` of a subnet
    BeaconAttestation(u64),
    /// `SignedVoluntaryExit`
    VoluntaryExit,
    /// `ProposerSlashing`
    ProposerSlashing,
    /// `AttesterSlashing`
    AttesterSlashing,
    /// `SignedContributionAndProof`
    SyncCommitteeContributionAndProof,
    /// `SyncCommitteeMessage` of a subnet
    SyncCommittee(u64),
    /// `SignedBLSToExecutionChange`
    BlsToExecutionChange,
    /// `DataColumnSidecar` of a subnet
    DataColumnSidecar(u64),
    /// `LightClientFinalityUpdate`
    LightClientFinalityUpdate,
    /// `LightClientOptimisticUpdate`
    LightClientOptimisticUpdate,
    /// `SignedBeaconBlock` with one signer, the leader of its group
    GroupBlockProposal,
    /// `SignedBeaconBlockHeader` with one signer
    GroupBlockSignature,
    /// `SignedKeySetChange`
    KeySetChange,
}

impl TopicKind {
    /// Kinds without a subnet.
    pub const GLOBAL: [Self; 12] = [
        Self::BeaconBlock,
        Self::BeaconAggregateAndProof,
        Self::VoluntaryExit,
        Self::ProposerSlashing,
        Self::AttesterSlashing,
        Self::SyncCommitteeContributionAndProof,
        Self::BlsToExecutionChange,
        Self::LightClientFinalityUpdate,
        Self::LightClientOptimisticUpdate,
        Self::GroupBlockProposal,
        Self::GroupBlockSignature,
        Self::KeySetChange,
    ];

    /// Kinds that every node follows, whatever its duties.
    pub fn core() -> impl Iterator<Item = Self> {
        Self::GLOBAL.into_iter().filter(|kind| !kind.is_light_client())
    }

    /// Whether the topic exists only in forks with distributed validators.
    pub fn is_group_topic(self) -> bool {
        matches!(
            self,
            Self::GroupBlockProposal | Self::GroupBlockSignature | Self::KeySetChange
        )
    }

    /// Whether the topic serves light clients.
    pub fn is_light_client(self) -> bool {
        matches!(
            self,
            Self::LightClientFinalityUpdate | Self::LightClientOptimisticUpdate
        )
    }

    /// Name without a subnet number: a label for metrics.
    pub fn family(self) -> &'static str {
        match self {
            Self::BeaconBlock => "beacon_block",
            Self::BeaconAggregateAndProof => "beacon_aggregate_and_proof",
            Self::BeaconAttestation(_) => "beacon_attestation",
            Self::VoluntaryExit => "voluntary_exit",
            Self::ProposerSlashing => "proposer_slashing",
            Self::AttesterSlashing => "attester_slashing",
            Self::SyncCommitteeContributionAndProof => "sync_committee_contribution_and_proof",
            Self::SyncCommittee(_) => "sync_committee",
            Self::BlsToExecutionChange => "bls_to_execution_change",
            Self::DataColumnSidecar(_) => "data_column_sidecar",
            Self::LightClientFinalityUpdate => "light_client_finality_update",
            Self::LightClientOptimisticUpdate => "light_client_optimistic_update",
            Self::GroupBlockProposal => "group_block_proposal",
            Self::GroupBlockSignature => "group_block_signature",
            Self::KeySetChange => "key_set_change",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        if let Some(kind) = Self::GLOBAL.into_iter().find(|kind| kind.family() == name) {
            return Some(kind);
        }
        if let Some(rest) = name.strip_prefix(ATTESTATION_PREFIX) {
            return subnet(rest, ATTESTATION_SUBNET_COUNT).map(Self::BeaconAttestation);
        }
        if let Some(rest) = name.strip_prefix(SYNC_PREFIX) {
            return subnet(rest, SYNC_COMMITTEE_SUBNET_COUNT).map(Self::SyncCommittee);
        }
        if let Some(rest) = name.strip_prefix(COLUMN_PREFIX) {
            return subnet(rest, DATA_COLUMN_SIDECAR_SUBNET_COUNT).map(Self::DataColumnSidecar);
        }
        None
    }
}

/// A decimal without sign or leading zeros below `count`: there is one way to write a topic.
fn subnet(text: &str, count: u64) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let id: u64 = (canonical && digits).then(|| text.parse().ok())??;
    (id < count).then_some(id)
}

impl fmt::Display for TopicKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BeaconAttestation(id) | Self::SyncCommittee(id) | Self::DataColumnSidecar(id) => {
                write!(f, "{}_{id}", self.family())
            }
            _ => f.write_str(self.family()),
        }
    }
}

/// How large messages may be. What is larger is valid in no state, and fills queues.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PayloadLimits {
    /// The most that a block of any epoch may have.
    max_blobs: usize,
}

/// What so many signers sign, each with a key of its own.
const fn signed_by(signers: usize) -> usize {
    BESIDE_SIGNATURES + signers * MAX_SIGNATURE_LEN
}

impl PayloadLimits {
    pub(crate) fn of(spec: &ChainSpec) -> Self {
        let scheduled = spec.blob_schedule.iter().map(|entry| entry.max_blobs_per_block);
        let max_blobs = scheduled.fold(spec.max_blobs_per_block_electra, u64::max);
        Self {
            max_blobs: usize::try_from(max_blobs).unwrap_or(usize::MAX),
        }
    }

    /// Bound on the uncompressed payload, in bytes.
    pub(crate) fn max_payload_len(self, kind: TopicKind) -> usize {
        match kind {
            TopicKind::BeaconBlock | TopicKind::GroupBlockProposal | TopicKind::AttesterSlashing => {
                super::MAX_PAYLOAD_SIZE
            }
            TopicKind::BeaconAggregateAndProof => MAX_SCHEME_PROOF_BYTES as usize + (1 << 20),
            // The header may be signed by a whole group. The length of a cell is the same in all presets.
            TopicKind::DataColumnSidecar(_) => {
                let of_blob = <Mainnet as Preset>::BytesPerCell::USIZE + 2 * KZG_LEN;
                let limit = self
                    .max_blobs
                    .saturating_mul(of_blob)
                    .saturating_add(signed_by(MAX_SIGNERS));
                limit.min(super::MAX_PAYLOAD_SIZE)
            }
            // Two headers; the proofs of new keys, and those of the old ones.
            TopicKind::ProposerSlashing | TopicKind::KeySetChange => signed_by(2 * MAX_SIGNERS),
            TopicKind::VoluntaryExit => signed_by(MAX_SIGNERS),
            TopicKind::BeaconAttestation(_) | TopicKind::GroupBlockSignature => signed_by(1),
            TopicKind::SyncCommittee(_)
            | TopicKind::SyncCommitteeContributionAndProof
            | TopicKind::BlsToExecutionChange => signed_by(0),
            TopicKind::LightClientFinalityUpdate | TopicKind::LightClientOptimisticUpdate => 1 << 20,
        }
    }
}

/// A topic of a fork.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GossipTopic {
    /// Fork that the objects belong to.
    pub fork_digest: ForkDigest,
    /// What it carries.
    pub kind: TopicKind,
}

impl GossipTopic {
    /// Topic `kind` of fork `fork_digest`.
    pub fn new(fork_digest: ForkDigest, kind: TopicKind) -> Self {
        Self { fork_digest, kind }
    }
}

impl fmt::Display for GossipTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "/{PREFIX}/{}/{}/{ENCODING}",
            hex::encode(self.fork_digest.as_slice()),
            self.kind
        )
    }
}

/// A topic string of another form than ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("topic {0:?} is not /eth2/<8 hex digits>/<known name>/ssz_snappy")]
pub struct TopicError(pub String);

impl FromStr for GossipTopic {
    type Err = TopicError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let mut parts = text.strip_prefix('/')?.split('/');
            let (prefix, digest, name, encoding) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
            let lower = digest.bytes().all(|byte| !byte.is_ascii_uppercase());
            if prefix != PREFIX || encoding != ENCODING || parts.next().is_some() || !lower {
                return None;
            }
            let mut bytes = [0; 4];
            hex::decode_to_slice(digest, &mut bytes).ok()?;
            Some(Self::new(ForkDigest::new(bytes), TopicKind::parse(name)?))
        };
        parse().ok_or_else(|| TopicError(text.chars().take(128).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::super::MAX_PAYLOAD_SIZE;
    use super::*;
    use proptest::prelude::*;
    use ssz::Encode as _;
    use ssz_types::FixedVector;
    use types::*;

    const DIGEST: ForkDigest = ForkDigest::new([0x44, 0x6a, 0x72, 0x32]);

    #[test]
    fn the_example_of_the_spec() {
        let topic = GossipTopic::new(DIGEST, TopicKind::BeaconAggregateAndProof);
        assert_eq!(
            topic.to_string(),
            "/eth2/446a7232/beacon_aggregate_and_proof/ssz_snappy"
        );
    }

    #[test]
    fn every_topic_reads_back() {
        let mut kinds = TopicKind::GLOBAL.to_vec();
        kinds.extend((0..ATTESTATION_SUBNET_COUNT).map(TopicKind::BeaconAttestation));
        kinds.extend((0..SYNC_COMMITTEE_SUBNET_COUNT).map(TopicKind::SyncCommittee));
        kinds.extend((0..DATA_COLUMN_SIDECAR_SUBNET_COUNT).map(TopicKind::DataColumnSidecar));
        let mut names = std::collections::BTreeSet::new();
        for kind in kinds.iter().copied() {
            let topic = GossipTopic::new(DIGEST, kind);
            assert_eq!(topic.to_string().parse(), Ok(topic));
            names.insert(topic.to_string());
        }
        assert_eq!(names.len(), kinds.len());
    }

    #[test]
    fn other_spellings_are_refused() {
        for text in [
            "",
            "/eth2/446a7232/beacon_block",
            "/eth2/446a7232/beacon_block/ssz",
            "/eth2/446a7232/beacon_block/ssz_snappy/",
            "/eth2/0x446a7232/beacon_block/ssz_snappy",
            "/eth2/446A7232/beacon_block/ssz_snappy",
            "/eth2/446a72/beacon_block/ssz_snappy",
            "/eth2/446a7232/beacon_attestation_64/ssz_snappy",
            "/eth2/446a7232/beacon_attestation_01/ssz_snappy",
            "/eth2/446a7232/beacon_attestation_+1/ssz_snappy",
            "/eth2/446a7232/beacon_attestation/ssz_snappy",
            "/eth2/446a7232/sync_committee_4/ssz_snappy",
            "/eth2/446a7232/data_column_sidecar_128/ssz_snappy",
            "/eth2/446a7232/blob_sidecar_0/ssz_snappy",
        ] {
            assert!(text.parse::<GossipTopic>().is_err(), "{text}");
        }
    }

    /// What the keys of a whole group add if none of them is a BLS key.
    fn proofs(signers: usize) -> SchemeProofs {
        let data = vec![7; signers * MAX_SIGNATURE_LEN].try_into().unwrap();
        vec![SchemeProof { scheme: 1, data }].try_into().unwrap()
    }

    fn header() -> SignedBeaconBlockHeaderDvt {
        SignedBeaconBlockHeaderDvt {
            message: BeaconBlockHeader::default(),
            signature: SignatureBytes::default(),
            signers: Signers::default(),
            proofs: proofs(MAX_SIGNERS),
        }
    }

    fn column(blobs: usize) -> DataColumnSidecarDvt<Mainnet> {
        DataColumnSidecarDvt {
            index: 0,
            column: vec![Cell::<Mainnet>::default(); blobs].try_into().unwrap(),
            kzg_commitments: vec![KzgCommitment::default(); blobs].try_into().unwrap(),
            kzg_proofs: vec![KzgProof::default(); blobs].try_into().unwrap(),
            signed_block_header: header(),
            kzg_commitments_inclusion_proof: FixedVector::default(),
        }
    }

    #[test]
    fn the_largest_column_of_the_schedule_fits_and_one_filled_with_proofs_does_not() {
        let mut spec = ChainSpec::mainnet();
        let limit = |spec: &ChainSpec| PayloadLimits::of(spec).max_payload_len(TopicKind::DataColumnSidecar(3));
        for blobs in [21, 72] {
            spec.blob_schedule.push(BlobParameters {
                epoch: Epoch::new(1_000_000),
                max_blobs_per_block: blobs,
            });
            let blobs = blobs as usize;
            let largest = column(blobs);
            assert!(largest.ssz_bytes_len() <= limit(&spec));
            assert!(column(blobs + 2).ssz_bytes_len() > limit(&spec));
            let mut filled = column(1);
            filled.signed_block_header.proofs = proofs(128);
            assert!(filled.ssz_bytes_len() > limit(&spec));
        }
        spec.blob_schedule.clear();
        assert!(column(spec.max_blobs_per_block_electra as usize).ssz_bytes_len() <= limit(&spec));
        spec.max_blobs_per_block_electra = u64::MAX;
        assert_eq!(limit(&spec), MAX_PAYLOAD_SIZE);
    }

    #[test]
    fn what_a_whole_group_signs_with_hash_based_keys_fits_its_topic() {
        let limits = PayloadLimits::of(&ChainSpec::mainnet());
        let fits = |kind, bytes: usize| bytes <= limits.max_payload_len(kind);
        let slashing = ProposerSlashingDvt {
            signed_header_1: header(),
            signed_header_2: header(),
        };
        assert!(fits(TopicKind::ProposerSlashing, slashing.ssz_bytes_len()));
        let exit = SignedVoluntaryExitDvt {
            message: VoluntaryExit {
                epoch: Epoch::new(0),
                validator_index: ValidatorIndex::new(0),
            },
            signature: SignatureBytes::default(),
            signers: Signers::default(),
            proofs: proofs(MAX_SIGNERS),
        };
        assert!(fits(TopicKind::VoluntaryExit, exit.ssz_bytes_len()));
        let key = VirtualKey {
            scheme: 1,
            pubkey: vec![7; 64].try_into().unwrap(),
        };
        let key_proof = KeyProof {
            slot: Slot::new(0),
            proof: proofs(1)[0].clone(),
        };
        let change = SignedKeySetChange {
            message: KeySetChange {
                validator_index: ValidatorIndex::new(0),
                sequence: 0,
                slot: Slot::new(0),
                threshold: 1,
                keys: vec![key; MAX_SIGNERS].try_into().unwrap(),
            },
            key_proofs: vec![key_proof; MAX_SIGNERS].try_into().unwrap(),
            signers: Signers::default(),
            signature: SignatureBytes::default(),
            proofs: proofs(MAX_SIGNERS),
        };
        assert!(fits(TopicKind::KeySetChange, change.ssz_bytes_len()));
        let mut single = header();
        single.proofs = proofs(1);
        assert!(fits(TopicKind::GroupBlockSignature, single.ssz_bytes_len()));
        let vote = SingleAttestationDvt {
            committee_index: 0,
            attester_index: SignerIndex::new(0),
            data: AttestationData {
                slot: Slot::new(0),
                index: 0,
                beacon_block_root: Root::ZERO,
                source: Checkpoint::default(),
                target: Checkpoint::default(),
            },
            signature: SignatureBytes::default(),
            proofs: proofs(1),
        };
        assert!(fits(TopicKind::BeaconAttestation(0), vote.ssz_bytes_len()));
    }

    proptest! {
        #[test]
        fn parsing_never_panics_and_is_canonical(text in "/?eth2/[0-9a-fA-F]{0,9}/[a-z_]{0,24}[0-9]{0,4}/ssz_snappy") {
            if let Ok(topic) = text.parse::<GossipTopic>() {
                prop_assert_eq!(topic.to_string(), text);
            }
        }
    }
}
