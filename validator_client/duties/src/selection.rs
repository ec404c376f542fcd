//! Who aggregates.

use beacon_api::AttesterDuty;
use signing::MessageSignature;

/// Whether the key of a duty aggregates, by its selection proof.
pub(crate) fn is_aggregator(duty: &AttesterDuty, proof: &MessageSignature) -> bool {
    signature_scheme::is_aggregator(
        duty.committee_length,
        &duty.pubkey,
        &proof.signature,
        &proof.proofs,
        duty.selection_seed.as_ref(),
    )
    .unwrap_or_else(|error| {
        tracing::error!(key = %duty.pubkey, %error, "Whether the key aggregates is not known: it does not");
        false
    })
}
