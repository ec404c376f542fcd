//! Votes of a group's keys within an epoch, flag by flag: one `uint64` with 16 bits for each flag.

use types::{ArithError, GroupParticipation, Gwei, SafeArith};

/// Bits for each flag: `MAX_GROUP_SIZE`.
const WIDTH: u32 = 16;

/// Bits of the keys that voted for `flag_index`.
pub fn get_votes(participation: GroupParticipation, flag_index: usize) -> u16 {
    let shift = (flag_index as u32).saturating_mul(WIDTH);
    participation.checked_shr(shift).unwrap_or_default() as u16
}

/// `participation` with the bits of `votes` set for `flag_index`. Flags beyond the third do not exist and change
/// nothing.
pub fn set_votes(participation: GroupParticipation, flag_index: usize, votes: u16) -> GroupParticipation {
    let shift = (flag_index as u32).saturating_mul(WIDTH);
    participation | u64::from(votes).checked_shl(shift).unwrap_or_default()
}

/// How many keys voted for `flag_index`.
pub fn count_votes(participation: GroupParticipation, flag_index: usize) -> u8 {
    get_votes(participation, flag_index).count_ones() as u8
}

/// What a proposer earns for bringing a flag from `before` to `after` votes when all `threshold` votes together are
/// worth `reward`: `floor(R min(after, m) / m) - floor(R min(before, m) / m)`. Over any sequence of inclusions the
/// shares add up to exactly `reward`.
///
/// Spec: dvt/beacon-chain.md#process_attestation
pub fn proposer_reward_share(reward: Gwei, before: u8, after: u8, threshold: u8) -> Result<Gwei, ArithError> {
    let share = |votes: u8| {
        reward
            .safe_mul(u64::from(votes.min(threshold)))?
            .safe_div(u64::from(threshold))
    };
    share(after)?.safe_sub(share(before)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn shares_of_any_sequence_add_up_to_the_reward(
            reward in 0u64..1 << 50,
            threshold in 1u8..=16,
            mut steps in prop::collection::vec(0u8..=16, 0..20),
        ) {
            steps.sort();
            let mut votes = 0;
            let mut paid = 0;
            for step in steps {
                paid += proposer_reward_share(reward, votes, step, threshold).unwrap();
                votes = step;
            }
            prop_assert!(paid <= reward);
            if votes >= threshold {
                prop_assert_eq!(paid, reward);
            }
        }

        #[test]
        fn flags_do_not_touch_each_other(source: u16, target: u16, head: u16) {
            let participation = [source, target, head]
                .into_iter()
                .enumerate()
                .fold(0, |participation, (flag, votes)| set_votes(participation, flag, votes));
            prop_assert_eq!([0, 1, 2].map(|flag| get_votes(participation, flag)), [source, target, head]);
            prop_assert_eq!(u32::from(count_votes(participation, 1)), target.count_ones());
        }
    }

    #[test]
    fn threshold_of_zero_is_an_error_and_not_a_panic() {
        assert_eq!(proposer_reward_share(1, 0, 1, 0), Err(ArithError::DivisionByZero));
    }
}
