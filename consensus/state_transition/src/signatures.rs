//! What happens to the signatures of a block.

use signature_scheme::{SignatureError, SignatureSet};

/// Takes the signature sets that the checks of a block meet, in order.
pub trait Verifier {
    /// Whether sets are thrown away: then they need not be built.
    const IS_NULL: bool;

    /// Verifies a set, now or later.
    fn push(&mut self, set: SignatureSet) -> Result<(), SignatureError>;
}

/// Takes every signature as valid: for blocks whose signatures were verified before, and for one's own.
#[derive(Debug, Clone, Copy, Default)]
pub struct NullVerifier;

impl Verifier for NullVerifier {
    const IS_NULL: bool = true;

    fn push(&mut self, _: SignatureSet) -> Result<(), SignatureError> {
        Ok(())
    }
}

/// Verifies each set when it comes.
#[derive(Debug, Clone, Copy, Default)]
pub struct ImmediateVerifier;

impl Verifier for ImmediateVerifier {
    const IS_NULL: bool = false;

    fn push(&mut self, set: SignatureSet) -> Result<(), SignatureError> {
        signature_scheme::verify(&set)
    }
}

/// Collects all sets and verifies them as one batch at the end.
#[derive(Debug, Clone, Default)]
pub struct BatchVerifier {
    sets: Vec<SignatureSet>,
}

impl BatchVerifier {
    /// The collected sets.
    #[must_use]
    pub fn sets(&self) -> &[SignatureSet] {
        &self.sets
    }

    /// Verifies all collected sets, on all cores.
    pub fn finish(self) -> Result<(), SignatureError> {
        signature_scheme::verify_batch(&self.sets)
    }
}

impl Verifier for BatchVerifier {
    const IS_NULL: bool = false;

    fn push(&mut self, set: SignatureSet) -> Result<(), SignatureError> {
        self.sets.push(set);
        Ok(())
    }
}
