//! Who aggregates.

use crate::SignatureError;
use crate::signature_set::opened_digest;
use ethereum_hashing::hash;
use types::constants::{
    SYNC_COMMITTEE_SUBNET_COUNT, TARGET_AGGREGATORS_PER_COMMITTEE, TARGET_AGGREGATORS_PER_SYNC_SUBCOMMITTEE,
};
use types::{Preset, Root, SchemeProof, SignatureBytes, SignerKey};

/// The value that decides whether a key aggregates, from its selection proof; only that of a proof that verifies means
/// something. Whoever makes a hash-based key may choose its digests: those are mixed with a seed that was not known
/// then, `get_seed(state, epoch, DOMAIN_SELECTION_PROOF)`. BLS keys need no seed.
///
/// Spec: dvt/validator.md#get_selection_hash
pub fn get_selection_hash(
    signer: &SignerKey,
    signature: &SignatureBytes,
    proofs: &[SchemeProof],
    seed: Option<&Root>,
) -> Result<Root, SignatureError> {
    let value = match opened_digest(signer, proofs)? {
        Some(digest) => {
            let seed = seed.ok_or(SignatureError::NoSelectionSeed)?;
            hash(&[digest.as_slice(), seed.as_slice()].concat())
        }
        None => hash(signature.as_slice()),
    };
    Ok(Root::from_slice(&value))
}

/// Whether a member of a committee with `seats` seats aggregates: the more seats, the fewer of them do.
///
/// Spec: dvt/validator.md#is_aggregator
pub fn is_aggregator(
    seats: u64,
    signer: &SignerKey,
    signature: &SignatureBytes,
    proofs: &[SchemeProof],
    seed: Option<&Root>,
) -> Result<bool, SignatureError> {
    let modulo = seats.checked_div(TARGET_AGGREGATORS_PER_COMMITTEE).unwrap_or_default();
    let value = get_selection_hash(signer, signature, proofs, seed)?;
    Ok(is_selected(value.as_slice(), modulo))
}

/// Spec: altair/validator.md#is_sync_committee_aggregator
pub fn is_sync_committee_aggregator<P: Preset>(signature: &SignatureBytes) -> bool {
    let modulo = P::SYNC_COMMITTEE_SIZE
        .checked_div(SYNC_COMMITTEE_SUBNET_COUNT)
        .and_then(|size| size.checked_div(TARGET_AGGREGATORS_PER_SYNC_SUBCOMMITTEE))
        .unwrap_or_default();
    is_selected(&hash(signature.as_slice()), modulo)
}

/// Whether one in `modulo`, of all if it is 0, is this one.
fn is_selected(value: &[u8], modulo: u64) -> bool {
    let bytes = value.first_chunk::<8>().copied().unwrap_or_default();
    u64::from_le_bytes(bytes).is_multiple_of(modulo.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use types::{Mainnet, Minimal, PublicKeyBytes};

    fn proofs() -> impl Iterator<Item = SignatureBytes> {
        (0..=255u8).map(SignatureBytes::repeat_byte)
    }

    #[test]
    fn in_small_committees_everybody_aggregates_and_in_large_ones_a_few() {
        let key = SignerKey::from(PublicKeyBytes::ZERO);
        let count = |seats| {
            proofs()
                .filter(|proof| is_aggregator(seats, &key, proof, &[], None).unwrap())
                .count()
        };
        assert_eq!((count(1), count(31)), (256, 256));
        assert!((90..166).contains(&count(32)), "{}", count(32));
        assert!((1..64).contains(&count(16 * 16)), "{}", count(16 * 16));
    }

    #[test]
    fn small_subcommittees_all_aggregate_and_one_in_eight_of_a_large_one() {
        // 32 positions, 4 subnets, 16 aggregators wanted: everybody.
        assert!(proofs().all(|proof| is_sync_committee_aggregator::<Minimal>(&proof)));
        let selected = proofs().filter(is_sync_committee_aggregator::<Mainnet>).count();
        assert!((15..=50).contains(&selected), "{selected} of 256");
    }
}
