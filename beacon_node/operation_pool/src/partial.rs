//! A group's exits and key-set changes while its members sign them one by one.

use signature_scheme::{SignatureError, SignedPart, aggregate};
use state_transition::StateError;
use state_transition::dvt::accessors::get_key_set;
use types::constants::BLS_SCHEME;
use types::{BeaconState, Preset, SchemeProofs, SignatureBytes, SignerIndex, Signers, ValidatorIndex};

/// Members of one group can sign one thing in at most so many different combinations that are kept.
const MAX_PARTS: usize = 32;

/// Signatures of some members in one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MemberPart {
    pub(crate) signers: Signers,
    pub(crate) signature: SignatureBytes,
    pub(crate) proofs: SchemeProofs,
}

/// Parts could not be added up.
#[derive(Debug, thiserror::Error)]
pub enum PartError {
    /// The state could not answer.
    #[error("state: {0}")]
    State(#[from] StateError),
    /// A signature or proof is malformed.
    #[error("signature: {0}")]
    Signature(#[from] SignatureError),
}

fn keys(signers: &Signers) -> impl Iterator<Item = u8> + '_ {
    (0u8..).zip(signers.iter()).filter(|(_, bit)| *bit).map(|(key, _)| key)
}

fn is_disjoint(signers: &Signers, others: &Signers) -> bool {
    signers.iter().zip(others.iter()).all(|(one, other)| !(one && other))
}

/// Takes a part, unless another has all of its signers.
pub(crate) fn insert(parts: &mut Vec<MemberPart>, part: MemberPart) {
    let is_known = parts.iter().any(|known| {
        known
            .signers
            .iter()
            .zip(part.signers.iter())
            .all(|(known, new)| known || !new)
    });
    if !is_known && parts.len() < MAX_PARTS {
        parts.push(part);
    }
}

/// Adds up as many parts as do not share signers, largest first.
pub(crate) fn sum<P: Preset>(
    state: &BeaconState<P>,
    index: ValidatorIndex,
    parts: &[MemberPart],
) -> Result<MemberPart, PartError> {
    let key_set = get_key_set(state, index, state.current_epoch())?;
    let scheme = |key: u8| {
        key_set
            .and_then(|key_set| key_set.keys.get(usize::from(key)))
            .map_or(BLS_SCHEME, |key| key.scheme)
    };
    let mut by_size: Vec<&MemberPart> = parts.iter().collect();
    by_size.sort_by_key(|part| std::cmp::Reverse(part.signers.num_set_bits()));
    let mut signers = Signers::default();
    let mut chosen = Vec::new();
    for part in by_size {
        if is_disjoint(&signers, &part.signers) {
            signers = signers.union(&part.signers);
            chosen.push(part);
        }
    }
    let named = chosen
        .iter()
        .map(|part| {
            keys(&part.signers)
                .map(|key| Ok((SignerIndex::virtual_index(index, key)?, scheme(key))))
                .collect::<Result<Vec<_>, types::ArithError>>()
        })
        .collect::<Result<Vec<_>, _>>()
        .map_err(StateError::from)?;
    let signed: Vec<SignedPart<'_>> = chosen
        .iter()
        .zip(&named)
        .map(|(part, signers)| SignedPart {
            signers,
            signature: &part.signature,
            proofs: &part.proofs,
        })
        .collect();
    let (signature, proofs) = aggregate(&signed)?;
    Ok(MemberPart {
        signers,
        signature,
        proofs,
    })
}
