//! The tweakable hash: Poseidon1, domain-separated by the key's parameter and by the place of the hash.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "the hot loops: operators are those of the field, indices are constants below the width of the state"
)]

use crate::field::{DIGEST_LEN, Digest, Element, LANES, ORDER, PARAMETER_LEN, Packed, Parameter, pack, unpack};
use crate::field::{RANDOMNESS_LEN, Randomness};
use crate::parameters::{MAX_CHAINS, Parameters};
use p3_field::{Algebra, PrimeCharacteristicRing};
use p3_koala_bear::{Poseidon1KoalaBear, default_koalabear_poseidon1_16, default_koalabear_poseidon1_24};
use p3_symmetric::Permutation;
use std::sync::{LazyLock, OnceLock};

/// Elements of a tweak.
const TWEAK_LEN: usize = 2;
/// Elements of an encoded message.
pub(crate) const MESSAGE_LEN: usize = 9;
/// Elements of the sponge's state that input never touches.
const CAPACITY: usize = 9;

const CHAIN_SEPARATOR: u64 = 0;
const TREE_SEPARATOR: u64 = 1;
const MESSAGE_SEPARATOR: u64 = 2;

static NARROW: LazyLock<Poseidon1KoalaBear<16>> = LazyLock::new(default_koalabear_poseidon1_16);
static WIDE: LazyLock<Poseidon1KoalaBear<24>> = LazyLock::new(default_koalabear_poseidon1_24);

/// One element, or a vector of them: a hash of vectors is a vector of hashes.
pub(crate) trait Lane: Algebra<Element> + Copy {
    fn permute_narrow(state: &mut [Self; 16]);
    fn permute_wide(state: &mut [Self; 24]);
}

impl<A> Lane for A
where
    A: Algebra<Element> + Copy,
    Poseidon1KoalaBear<16>: Permutation<[A; 16]>,
    Poseidon1KoalaBear<24>: Permutation<[A; 24]>,
{
    #[inline]
    fn permute_narrow(state: &mut [A; 16]) {
        NARROW.permute_mut(state);
    }

    #[inline]
    fn permute_wide(state: &mut [A; 24]) {
        WIDE.permute_mut(state);
    }
}

type Tweak<A> = [A; TWEAK_LEN];

/// Digits of an integer below 2^62 in base p.
#[inline]
fn tweak(value: u64) -> Tweak<Element> {
    let order = u64::from(ORDER);
    [
        Element::new((value % order) as u32),
        Element::new((value / order) as u32),
    ]
}

#[inline]
pub(crate) fn chain_tweak(leaf: u32, chain: usize, position: u32) -> Tweak<Element> {
    tweak(u64::from(leaf) << 24 | (chain as u64) << 16 | u64::from(position) << 8 | CHAIN_SEPARATOR)
}

#[inline]
pub(crate) fn tree_tweak(level: usize, index: u32) -> Tweak<Element> {
    tweak((level as u64) << 40 | u64::from(index) << 8 | TREE_SEPARATOR)
}

#[inline]
pub(crate) fn message_tweak(leaf: u32) -> Tweak<Element> {
    tweak(u64::from(leaf) << 8 | MESSAGE_SEPARATOR)
}

/// One step of a chain.
#[inline]
pub(crate) fn chain_step<A: Lane>(
    parameter: &[A; PARAMETER_LEN],
    tweak: &Tweak<A>,
    value: &[A; DIGEST_LEN],
) -> [A; DIGEST_LEN] {
    let mut state = [A::ZERO; 16];
    state[..8].copy_from_slice(value);
    state[8..13].copy_from_slice(parameter);
    state[13..15].copy_from_slice(tweak);
    A::permute_narrow(&mut state);
    std::array::from_fn(|index| state[index] + value[index])
}

/// Parent of two nodes.
#[inline]
pub(crate) fn parent<A: Lane>(
    parameter: &[A; PARAMETER_LEN],
    tweak: &Tweak<A>,
    left: &[A; DIGEST_LEN],
    right: &[A; DIGEST_LEN],
) -> [A; DIGEST_LEN] {
    let mut input = [A::ZERO; 24];
    input[..5].copy_from_slice(parameter);
    input[5..7].copy_from_slice(tweak);
    input[7..15].copy_from_slice(left);
    input[15..23].copy_from_slice(right);
    compress_wide(&input)
}

/// Hash of a message: what its codeword is read from.
#[inline]
pub(crate) fn message_hash<A: Lane>(
    message: &[A; MESSAGE_LEN],
    parameter: &[A; PARAMETER_LEN],
    tweak: &Tweak<A>,
    randomness: &[A; RANDOMNESS_LEN],
) -> [A; DIGEST_LEN] {
    let mut input = [A::ZERO; 24];
    input[..9].copy_from_slice(message);
    input[9..14].copy_from_slice(parameter);
    input[14..16].copy_from_slice(tweak);
    input[16..23].copy_from_slice(randomness);
    compress_wide(&input)
}

#[inline]
fn compress_wide<A: Lane>(input: &[A; 24]) -> [A; DIGEST_LEN] {
    let mut state = *input;
    A::permute_wide(&mut state);
    std::array::from_fn(|index| state[index] + input[index])
}

/// Leaf over the ends of its chains: a sponge whose rate is replaced, not added to. Input of a fixed length, so the
/// zeros at its end need no marker.
#[inline]
pub(crate) fn leaf<A: Lane>(
    parameter: &[A; PARAMETER_LEN],
    tweak: &Tweak<A>,
    ends: &[[A; DIGEST_LEN]],
) -> [A; DIGEST_LEN] {
    let mut state = [A::ZERO; 24];
    for (element, value) in state.iter_mut().zip(capacity(ends.len())) {
        *element = A::from(*value);
    }
    let mut position = CAPACITY;
    for value in parameter.iter().chain(tweak).chain(ends.iter().flatten()) {
        state[position] = *value;
        position += 1;
        if position == 24 {
            A::permute_wide(&mut state);
            position = CAPACITY;
        }
    }
    if position > CAPACITY {
        state[position..].fill(A::ZERO);
        A::permute_wide(&mut state);
    }
    std::array::from_fn(|index| state[CAPACITY + index])
}

/// The sponge's first elements: a hash of all lengths.
fn capacity(chains: usize) -> &'static [Element; CAPACITY] {
    static CAPACITIES: [OnceLock<[Element; CAPACITY]>; MAX_CHAINS + 1] = [const { OnceLock::new() }; MAX_CHAINS + 1];
    CAPACITIES[chains].get_or_init(|| {
        let lengths = [PARAMETER_LEN, TWEAK_LEN, chains, DIGEST_LEN];
        let mut value = lengths
            .iter()
            .fold(0u128, |value, length| value << 32 | *length as u128);
        let input = std::array::from_fn(|_| {
            let digit = value % u128::from(ORDER);
            value /= u128::from(ORDER);
            Element::new(digit as u32)
        });
        let mut state = input;
        WIDE.permute_mut(&mut state);
        std::array::from_fn(|index| state[index] + input[index])
    })
}

/// Walks each chain of a leaf from position `from[i]` to `to[i]`. The positions are public.
pub(crate) fn walk_chains(parameter: &Parameter, leaf: u32, values: &mut [Digest], from: &[u8], to: &[u8]) {
    if LANES == 1 {
        for (chain, value) in values.iter_mut().enumerate() {
            for position in u32::from(from[chain])..u32::from(to[chain]) {
                value.0 = chain_step(parameter, &chain_tweak(leaf, chain, position + 1), &value.0);
            }
        }
        return;
    }
    // Chains of about the same length side by side. A lane whose chain has ended computes what nobody reads.
    let mut order: [usize; MAX_CHAINS] = std::array::from_fn(|chain| chain);
    let order = &mut order[..values.len()];
    order.sort_unstable_by_key(|chain| from[*chain].abs_diff(to[*chain]));
    let parameter = parameter.map(Packed::from);
    for group in order.chunks(LANES) {
        let chain = |lane: usize| group[lane.min(group.len() - 1)];
        let steps = |lane: usize| u32::from(to[chain(lane)]) - u32::from(from[chain(lane)]);
        let mut current = pack(|lane| values[chain(lane)].0);
        for step in 0..steps(group.len() - 1) {
            let tweak = pack(|lane| {
                let position = u32::from(from[chain(lane)]) + step + 1;
                chain_tweak(leaf, chain(lane), position)
            });
            current = chain_step(&parameter, &tweak, &current);
            for (lane, chain) in group.iter().enumerate() {
                if step + 1 == steps(lane) {
                    values[*chain] = unpack(&current, lane);
                }
            }
        }
    }
}

/// Hash of a leaf's chain ends.
pub(crate) fn leaf_digest(parameter: &Parameter, leaf_index: u32, ends: &[Digest]) -> Digest {
    let mut values = [[Element::ZERO; DIGEST_LEN]; MAX_CHAINS];
    for (value, end) in values.iter_mut().zip(ends) {
        *value = end.0;
    }
    Digest(leaf(parameter, &tree_tweak(0, leaf_index), &values[..ends.len()]))
}

/// Leaves `first..first + LANES`, from the starts of their chains, side by side.
pub(crate) fn packed_leaves<P: Parameters>(
    parameter: &Parameter,
    first: u32,
    start: impl Fn(u32, usize) -> [Element; DIGEST_LEN],
) -> [Digest; LANES] {
    let parameter = parameter.map(Packed::from);
    // The last vector may reach beyond 2^32, where nobody reads it.
    let index = |lane: usize| first.wrapping_add(lane as u32);
    let mut ends = [[Packed::ZERO; DIGEST_LEN]; MAX_CHAINS];
    for (chain, value) in ends.iter_mut().enumerate().take(P::CHAINS) {
        let mut current = pack(|lane| start(index(lane), chain));
        for position in 1..P::BASE {
            let tweak = pack(|lane| chain_tweak(index(lane), chain, position));
            current = chain_step(&parameter, &tweak, &current);
        }
        *value = current;
    }
    let tweak = pack(|lane| tree_tweak(0, index(lane)));
    let digests = leaf(&parameter, &tweak, &ends[..P::CHAINS]);
    std::array::from_fn(|lane| unpack(&digests, lane))
}

/// Root above a leaf, given the siblings on its way.
pub(crate) fn root_of_path(parameter: &Parameter, leaf_index: u32, digest: Digest, path: &[Digest]) -> Digest {
    let mut node = digest;
    let mut index = leaf_index;
    for (level, sibling) in path.iter().enumerate() {
        let (left, right) = if index & 1 == 0 {
            (&node, sibling)
        } else {
            (sibling, &node)
        };
        index >>= 1;
        node = Digest(parent(parameter, &tree_tweak(level + 1, index), &left.0, &right.0));
    }
    node
}

/// Digest of a codeword search in one lane; see [`message_hash`].
pub(crate) fn packed_message_hash(
    message: &[Element; MESSAGE_LEN],
    parameter: &Parameter,
    leaf: u32,
    randomness: &[Randomness; LANES],
) -> [Digest; LANES] {
    let hash = message_hash(
        &message.map(Packed::from),
        &parameter.map(Packed::from),
        &message_tweak(leaf).map(Packed::from),
        &pack(|lane| randomness[lane]),
    );
    std::array::from_fn(|lane| unpack(&hash, lane))
}
