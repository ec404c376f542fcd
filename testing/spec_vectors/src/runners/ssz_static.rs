//! `ssz_static`: formats/ssz_static.

use crate::case_dir::{CaseDir, CaseError};
use crate::runners::wrong;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use ssz::{Decode, Encode};
use tree_hash::TreeHash;
use types::*;

#[derive(Deserialize)]
struct Roots {
    root: Root,
}

/// Bytes, root and value must be of the same object, and bytes must come back as they were.
fn check<T: Decode + Encode + TreeHash + DeserializeOwned + PartialEq + std::fmt::Debug>(
    directory: &CaseDir,
) -> Result<(), CaseError> {
    let bytes = directory.ssz_bytes("serialized")?;
    let value = T::from_ssz_bytes(&bytes).map_err(wrong)?;
    if value.as_ssz_bytes() != bytes {
        return Err(CaseError::wrong("encoding gives other bytes"));
    }
    let Roots { root } = directory.yaml("roots.yaml")?;
    let found = value.tree_hash_root();
    if found != root {
        return Err(CaseError::wrong(format!("root is {found}, expected {root}")));
    }
    let read: T = directory.yaml("value.yaml")?;
    if read != value {
        return Err(CaseError::wrong("value.yaml reads as another value"));
    }
    Ok(())
}

macro_rules! by_fork {
    ($fork:expr, $directory:expr, $fulu:ty, $dvt:ty) => {
        match $fork {
            ForkName::Fulu => check::<$fulu>($directory),
            ForkName::Dvt => check::<$dvt>($directory),
        }
    };
}

pub(crate) fn run<P: Preset>(name: &str, fork: ForkName, directory: &CaseDir) -> Result<(), CaseError> {
    match name {
        "AggregateAndProof" => by_fork!(fork, directory, AggregateAndProofFulu<P>, AggregateAndProofDvt<P>),
        "Attestation" => by_fork!(fork, directory, AttestationFulu<P>, AttestationDvt<P>),
        "AttestationData" => check::<AttestationData>(directory),
        "AttesterSlashing" => by_fork!(fork, directory, AttesterSlashingFulu<P>, AttesterSlashingDvt<P>),
        "BLSToExecutionChange" => check::<BLSToExecutionChange>(directory),
        "BeaconBlock" => by_fork!(fork, directory, BeaconBlockFulu<P>, BeaconBlockDvt<P>),
        "BeaconBlockBody" => by_fork!(fork, directory, BeaconBlockBodyFulu<P>, BeaconBlockBodyDvt<P>),
        "BeaconBlockHeader" => check::<BeaconBlockHeader>(directory),
        "BeaconState" => by_fork!(fork, directory, BeaconStateFulu<P>, BeaconStateDvt<P>),
        "BlobIdentifier" => check::<BlobIdentifier>(directory),
        "BlobSidecar" => check::<BlobSidecar<P>>(directory),
        "Checkpoint" => check::<Checkpoint>(directory),
        "ConsolidationRequest" => check::<ConsolidationRequest>(directory),
        "ContributionAndProof" => check::<ContributionAndProof<P>>(directory),
        "DataColumnSidecar" => by_fork!(fork, directory, DataColumnSidecarFulu<P>, DataColumnSidecarDvt<P>),
        "DataColumnsByRootIdentifier" => check::<DataColumnsByRootIdentifier<P>>(directory),
        "Deposit" => check::<Deposit>(directory),
        "DepositData" => check::<DepositData>(directory),
        "DepositMessage" => check::<DepositMessage>(directory),
        "DepositRequest" => check::<DepositRequest>(directory),
        "Eth1Block" => check::<Eth1Block>(directory),
        "Eth1Data" => check::<Eth1Data>(directory),
        "ExecutionPayload" => check::<ExecutionPayload<P>>(directory),
        "ExecutionPayloadHeader" => check::<ExecutionPayloadHeader<P>>(directory),
        "ExecutionRequests" => check::<ExecutionRequests<P>>(directory),
        "Fork" => check::<Fork>(directory),
        "ForkData" => check::<ForkData>(directory),
        "Group" => check::<Group>(directory),
        "HistoricalBatch" => check::<HistoricalBatch<P>>(directory),
        "HistoricalSummary" => check::<HistoricalSummary>(directory),
        "IndexedAttestation" => by_fork!(fork, directory, IndexedAttestationFulu<P>, IndexedAttestationDvt<P>),
        "KeyPossession" => check::<KeyPossession>(directory),
        "KeyProof" => check::<KeyProof>(directory),
        "KeySet" => check::<KeySet>(directory),
        "KeySetChange" => check::<KeySetChange>(directory),
        "LightClientBootstrap" => check::<LightClientBootstrap<P>>(directory),
        "LightClientFinalityUpdate" => check::<LightClientFinalityUpdate<P>>(directory),
        "LightClientHeader" => check::<LightClientHeader<P>>(directory),
        "LightClientOptimisticUpdate" => check::<LightClientOptimisticUpdate<P>>(directory),
        "LightClientUpdate" => check::<LightClientUpdate<P>>(directory),
        "MatrixEntry" => check::<MatrixEntry<P>>(directory),
        "PendingAttestation" => check::<PendingAttestation<P>>(directory),
        "PendingConsolidation" => check::<PendingConsolidation>(directory),
        "PendingDeposit" => check::<PendingDeposit>(directory),
        "PendingPartialWithdrawal" => check::<PendingPartialWithdrawal>(directory),
        "PowBlock" => check::<PowBlock>(directory),
        "ProposerSlashing" => by_fork!(fork, directory, ProposerSlashingFulu, ProposerSlashingDvt),
        "SchemeProof" => check::<SchemeProof>(directory),
        "SignedAggregateAndProof" => {
            by_fork!(
                fork,
                directory,
                SignedAggregateAndProofFulu<P>,
                SignedAggregateAndProofDvt<P>
            )
        }
        "SignedBLSToExecutionChange" => check::<SignedBLSToExecutionChange>(directory),
        "SignedBeaconBlock" => by_fork!(fork, directory, SignedBeaconBlockFulu<P>, SignedBeaconBlockDvt<P>),
        "SignedBeaconBlockHeader" => {
            by_fork!(fork, directory, SignedBeaconBlockHeaderFulu, SignedBeaconBlockHeaderDvt)
        }
        "SignedContributionAndProof" => check::<SignedContributionAndProof<P>>(directory),
        "SignedKeySetChange" => check::<SignedKeySetChange>(directory),
        "SignedVoluntaryExit" => by_fork!(fork, directory, SignedVoluntaryExitFulu, SignedVoluntaryExitDvt),
        "SigningData" => check::<SigningData>(directory),
        "SingleAttestation" => by_fork!(fork, directory, SingleAttestationFulu, SingleAttestationDvt),
        "SyncAggregate" => check::<SyncAggregate<P>>(directory),
        "SyncAggregatorSelectionData" => check::<SyncAggregatorSelectionData>(directory),
        "SyncCommittee" => check::<SyncCommittee<P>>(directory),
        "SyncCommitteeContribution" => check::<SyncCommitteeContribution<P>>(directory),
        "SyncCommitteeMessage" => check::<SyncCommitteeMessage>(directory),
        "Validator" => check::<Validator>(directory),
        "VirtualKey" => check::<VirtualKey>(directory),
        "VoluntaryExit" => check::<VoluntaryExit>(directory),
        "Withdrawal" => check::<Withdrawal>(directory),
        "WithdrawalRequest" => check::<WithdrawalRequest>(directory),
        other => Err(CaseError::Unknown(format!("ssz_static/{other}"))),
    }
}
