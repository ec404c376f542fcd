//! What happens to the signatures of a block.

use rayon::Scope;
use signature_scheme::{Batch, SignatureError, SignatureSet};

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

/// Verifies sets on the cores that are idle while the checks go on; the verdict is the batch's, after the scope.
pub(crate) struct ConcurrentVerifier<'a, 'scope> {
    scope: &'a Scope<'scope>,
    batch: &'scope Batch,
}

impl<'a, 'scope> ConcurrentVerifier<'a, 'scope> {
    /// Sets go to `batch`, in tasks of `scope`.
    pub(crate) fn new(scope: &'a Scope<'scope>, batch: &'scope Batch) -> Self {
        Self { scope, batch }
    }
}

impl Verifier for ConcurrentVerifier<'_, '_> {
    const IS_NULL: bool = false;

    fn push(&mut self, set: SignatureSet) -> Result<(), SignatureError> {
        let batch = self.batch;
        self.scope.spawn(move |_| batch.add(&set));
        Ok(())
    }
}
