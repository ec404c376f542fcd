//! The library behind cells and proofs.

use rust_eth_kzg::{DASContext, TrustedSetup, UsePrecomp};
use std::sync::LazyLock;

/// Made when first needed. Without tables for proving: they would take more memory than the rest of a node, and only
/// proposers of blobs whose execution client gives no cell proofs would gain.
static CONTEXT: LazyLock<DASContext> = LazyLock::new(|| DASContext::new(&TrustedSetup::default(), UsePrecomp::No));

pub(crate) fn context() -> &'static DASContext {
    &CONTEXT
}
