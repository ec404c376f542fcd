//! `ssz_static`: formats/ssz_static.

use crate::case_dir::{CaseDir, CaseError};
use crate::runners::wrong;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use ssz::{Decode, Encode};
use tree_hash::TreeHash;
use types::*;

#[derive(Deserialize)]
struct Roots {
    root: Root,
}

/// Bytes, root and value must be of the same object; bytes and JSON must come back as they were.
fn check<T: Decode + Encode + TreeHash + Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(
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
    // The JSON of the Beacon API is not in the vectors, but what it writes it must read.
    let json = serde_json::to_value(&value).map_err(wrong)?;
    if serde_json::from_value::<T>(json).map_err(wrong)? != value {
        return Err(CaseError::wrong("JSON reads back as another value"));
    }
    Ok(())
}

/// The same through the enum over all forks, which is what the rest of the program handles.
fn check_versioned<T: ForkVersioned + Encode + TreeHash + Serialize + PartialEq>(
    fork: ForkName,
    directory: &CaseDir,
) -> Result<(), CaseError> {
    let bytes = directory.ssz_bytes("serialized")?;
    let value = T::from_ssz_bytes_by_fork(&bytes, fork).map_err(wrong)?;
    if value.fork_name() != fork {
        return Err(CaseError::wrong("decoded as another fork"));
    }
    if value.as_ssz_bytes() != bytes {
        return Err(CaseError::wrong("the enum over forks encodes to other bytes"));
    }
    let Roots { root } = directory.yaml("roots.yaml")?;
    if value.tree_hash_root() != root {
        return Err(CaseError::wrong("the enum over forks has another root"));
    }
    let json = serde_json::to_string(&value).map_err(wrong)?;
    if T::from_json_by_fork(&json, fork).map_err(wrong)? != value {
        return Err(CaseError::wrong(
            "JSON of the enum over forks reads back as another value",
        ));
    }
    Ok(())
}

macro_rules! by_fork {
    ($fork:expr, $directory:expr, $versioned:ty, $fulu:ty, $dvt:ty) => {{
        check_versioned::<$versioned>($fork, $directory)?;
        match $fork {
            ForkName::Fulu => check::<$fulu>($directory),
            ForkName::Dvt => check::<$dvt>($directory),
        }
    }};
}

pub(crate) fn run<P: Preset>(name: &str, fork: ForkName, directory: &CaseDir) -> Result<(), CaseError> {
    match name {
        "AggregateAndProof" => by_fork!(
            fork,
            directory,
            AggregateAndProof<P>,
            AggregateAndProofFulu<P>,
            AggregateAndProofDvt<P>
        ),
        "Attestation" => by_fork!(fork, directory, Attestation<P>, AttestationFulu<P>, AttestationDvt<P>),
        "AttestationData" => check::<AttestationData>(directory),
        "AttesterSlashing" => by_fork!(
            fork,
            directory,
            AttesterSlashing<P>,
            AttesterSlashingFulu<P>,
            AttesterSlashingDvt<P>
        ),
        "BLSToExecutionChange" => check::<BLSToExecutionChange>(directory),
        "BeaconBlock" => by_fork!(fork, directory, BeaconBlock<P>, BeaconBlockFulu<P>, BeaconBlockDvt<P>),
        "BeaconBlockBody" => by_fork!(
            fork,
            directory,
            BeaconBlockBody<P>,
            BeaconBlockBodyFulu<P>,
            BeaconBlockBodyDvt<P>
        ),
        "BeaconBlockHeader" => check::<BeaconBlockHeader>(directory),
        "BeaconState" => by_fork!(fork, directory, BeaconState<P>, BeaconStateFulu<P>, BeaconStateDvt<P>),
        "BlobIdentifier" => check::<BlobIdentifier>(directory),
        "BlobSidecar" => check::<BlobSidecar<P>>(directory),
        "Checkpoint" => check::<Checkpoint>(directory),
        "ConsolidationRequest" => check::<ConsolidationRequest>(directory),
        "ContributionAndProof" => check::<ContributionAndProof<P>>(directory),
        "DataColumnSidecar" => by_fork!(
            fork,
            directory,
            DataColumnSidecar<P>,
            DataColumnSidecarFulu<P>,
            DataColumnSidecarDvt<P>
        ),
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
        "IndexedAttestation" => by_fork!(
            fork,
            directory,
            IndexedAttestation<P>,
            IndexedAttestationFulu<P>,
            IndexedAttestationDvt<P>
        ),
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
        "ProposerSlashing" => by_fork!(
            fork,
            directory,
            ProposerSlashing,
            ProposerSlashingFulu,
            ProposerSlashingDvt
        ),
        "SchemeProof" => check::<SchemeProof>(directory),
        "SignedAggregateAndProof" => {
            by_fork!(
                fork,
                directory,
                SignedAggregateAndProof<P>,
                SignedAggregateAndProofFulu<P>,
                SignedAggregateAndProofDvt<P>
            )
        }
        "SignedBLSToExecutionChange" => check::<SignedBLSToExecutionChange>(directory),
        "SignedBeaconBlock" => by_fork!(
            fork,
            directory,
            SignedBeaconBlock<P>,
            SignedBeaconBlockFulu<P>,
            SignedBeaconBlockDvt<P>
        ),
        "SignedBeaconBlockHeader" => {
            by_fork!(
                fork,
                directory,
                SignedBeaconBlockHeader,
                SignedBeaconBlockHeaderFulu,
                SignedBeaconBlockHeaderDvt
            )
        }
        "SignedContributionAndProof" => check::<SignedContributionAndProof<P>>(directory),
        "SignedKeySetChange" => check::<SignedKeySetChange>(directory),
        "SignedVoluntaryExit" => by_fork!(
            fork,
            directory,
            SignedVoluntaryExit,
            SignedVoluntaryExitFulu,
            SignedVoluntaryExitDvt
        ),
        "SigningData" => check::<SigningData>(directory),
        "SingleAttestation" => by_fork!(
            fork,
            directory,
            SingleAttestation,
            SingleAttestationFulu,
            SingleAttestationDvt
        ),
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
