//! Operations in the layout of a block's fork. What came before the fork gets empty new fields; the other way round
//! only what does not use them fits.

use ssz_types::VariableList;
use types::{
    AttesterSlashing, AttesterSlashingDvt, ForkName, ForkVersioned as _, IndexedAttestationDvt, IndexedAttestationFulu,
    Preset, ProposerSlashing, ProposerSlashingDvt, SchemeProofs, SignedBeaconBlockHeaderDvt,
    SignedBeaconBlockHeaderFulu, SignedVoluntaryExit, SignedVoluntaryExitDvt, Signers,
};

fn header(header: SignedBeaconBlockHeaderFulu) -> SignedBeaconBlockHeaderDvt {
    SignedBeaconBlockHeaderDvt {
        message: header.message,
        signature: header.signature,
        signers: Signers::default(),
        proofs: SchemeProofs::empty(),
    }
}

fn vote<P: Preset>(vote: IndexedAttestationFulu<P>) -> IndexedAttestationDvt<P> {
    IndexedAttestationDvt {
        attesting_indices: vote.attesting_indices,
        data: vote.data,
        signature: vote.signature,
        proofs: SchemeProofs::empty(),
    }
}

pub(crate) fn exit_for(exit: SignedVoluntaryExit, fork: ForkName) -> Option<SignedVoluntaryExit> {
    match (exit, fork) {
        (SignedVoluntaryExit::Fulu(exit), ForkName::Dvt) => Some(SignedVoluntaryExit::Dvt(SignedVoluntaryExitDvt {
            message: exit.message,
            signature: exit.signature,
            signers: Signers::default(),
            proofs: SchemeProofs::empty(),
        })),
        (exit, fork) => (exit.fork_name() == fork).then_some(exit),
    }
}

pub(crate) fn proposer_slashing_for(slashing: ProposerSlashing, fork: ForkName) -> Option<ProposerSlashing> {
    match (slashing, fork) {
        (ProposerSlashing::Fulu(slashing), ForkName::Dvt) => Some(ProposerSlashing::Dvt(ProposerSlashingDvt {
            signed_header_1: header(slashing.signed_header_1),
            signed_header_2: header(slashing.signed_header_2),
        })),
        (slashing, fork) => (slashing.fork_name() == fork).then_some(slashing),
    }
}

pub(crate) fn attester_slashing_for<P: Preset>(
    slashing: AttesterSlashing<P>,
    fork: ForkName,
) -> Option<AttesterSlashing<P>> {
    match (slashing, fork) {
        (AttesterSlashing::Fulu(slashing), ForkName::Dvt) => Some(AttesterSlashing::Dvt(AttesterSlashingDvt {
            attestation_1: vote(slashing.attestation_1),
            attestation_2: vote(slashing.attestation_2),
            more_1: VariableList::empty(),
            more_2: VariableList::empty(),
            key_set_age_1: 0,
            key_set_age_2: 0,
        })),
        (slashing, fork) => (slashing.fork_name() == fork).then_some(slashing),
    }
}
