//! What a group of n keys with threshold m withstands.

/// Fewest keys that survive the loss of a third: `ceil(2n / 3)`.
pub fn default_threshold(keys: u8) -> u8 {
    u16::from(keys).saturating_mul(2).div_ceil(3) as u8
}

/// What a group withstands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Safety {
    /// Members that may be silent: `n - m`.
    pub silent: u8,
    /// Equivocating members that it takes to slash the group: `2m - n`. Zero or less: it can be slashed without any
    /// fault, when honest members see different heads.
    pub equivocators: i16,
}

impl Safety {
    /// Of `keys` keys with `threshold`. `None` unless `1 <= threshold <= keys`.
    pub fn new(keys: u8, threshold: u8) -> Option<Self> {
        (1..=keys).contains(&threshold).then(|| Self {
            silent: keys.saturating_sub(threshold),
            equivocators: i16::from(threshold).saturating_mul(2).saturating_sub(i16::from(keys)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_of_seven_withstands_two_silent_and_two_equivocating() {
        assert_eq!(
            Safety::new(7, default_threshold(7)),
            Some(Safety {
                silent: 2,
                equivocators: 3
            })
        );
        assert_eq!(
            Safety::new(4, 2),
            Some(Safety {
                silent: 2,
                equivocators: 0
            })
        );
        assert_eq!([Safety::new(4, 0), Safety::new(4, 5)], [None, None]);
    }

    /// Two sets of m out of n signers share at least 2m - n: so many must have signed both.
    #[test]
    fn two_quorums_share_as_many_members_as_promised() {
        for keys in 1u8..=8 {
            for threshold in 1..=keys {
                let quorums: Vec<u16> = (0u16..1 << keys)
                    .filter(|set| set.count_ones() == u32::from(threshold))
                    .collect();
                let fewest = quorums
                    .iter()
                    .flat_map(|a| quorums.iter().map(move |b| (a & b).count_ones() as i16))
                    .min()
                    .unwrap();
                assert_eq!(fewest, Safety::new(keys, threshold).unwrap().equivocators.max(0));
            }
        }
    }
}
