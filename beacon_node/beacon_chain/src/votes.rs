//! Votes and evidence from the wire, verified by whoever brings them.

use crate::BeaconChain;
use fork_choice::ForkChoiceError;
use types::{AttestationData, Preset, SignerIndex, ValidatorIndex};

impl<P: Preset> BeaconChain<P> {
    /// Takes in a vote whose signature was verified. A vote of the current slot counts from the next slot on.
    pub fn apply_vote(&self, attesting_indices: &[SignerIndex], data: &AttestationData) -> Result<(), ForkChoiceError> {
        self.fork_choice
            .write()
            .on_attestation_or_queue::<P>(attesting_indices, data, &self.spec)
    }

    /// Takes in who verified evidence makes slashable.
    pub fn apply_attester_slashing(&self, slashable_indices: impl IntoIterator<Item = ValidatorIndex>) {
        self.fork_choice.write().on_attester_slashing(slashable_indices);
    }
}
