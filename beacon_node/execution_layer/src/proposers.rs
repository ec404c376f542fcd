//! Who gets the fees of which validator's blocks.

use crate::metrics;
use alloy_primitives::Address;
use parking_lot::RwLock;
use prometheus::IntCounter;
use std::collections::HashMap;
use types::{Epoch, ValidatorIndex};

/// A validator client repeats its preparations each epoch; one that has not for this long is gone.
const EXPIRY_EPOCHS: u64 = 2;

/// Preparations of the validator clients (`prepare_beacon_proposer`), above a default for the node.
#[derive(Debug, Default)]
pub struct FeeRecipients {
    default: Option<Address>,
    prepared: RwLock<HashMap<ValidatorIndex, (Address, Epoch)>>,
}

impl FeeRecipients {
    /// With the value of `--suggested-fee-recipient`.
    pub fn new(default: Option<Address>) -> Self {
        Self {
            default,
            prepared: RwLock::default(),
        }
    }

    /// Takes preparations that came in `epoch`, and forgets those not repeated for two epochs.
    pub fn prepare(&self, epoch: Epoch, preparations: impl IntoIterator<Item = (ValidatorIndex, Address)>) {
        let mut prepared = self.prepared.write();
        for (validator, recipient) in preparations {
            match prepared.insert(validator, (recipient, epoch)) {
                None => increment(&metrics::PROPOSER_INSERTED),
                Some((previous, _)) if previous != recipient => increment(&metrics::PROPOSER_DATA_UPDATED),
                Some(_) => {}
            }
        }
        prepared.retain(|_, (_, since)| since.saturating_add(EXPIRY_EPOCHS) >= epoch);
    }

    /// The fee recipient of a proposer: as prepared, else the default.
    pub fn get(&self, validator: ValidatorIndex) -> Option<Address> {
        self.prepared
            .read()
            .get(&validator)
            .map(|(recipient, _)| *recipient)
            .or(self.default)
    }

    /// Whether a validator client of this node has prepared this proposer: then its payload is worth preparing.
    pub fn is_prepared(&self, validator: ValidatorIndex) -> bool {
        self.prepared.read().contains_key(&validator)
    }
}

fn increment(metric: &Option<IntCounter>) {
    if let Some(metric) = metric {
        metric.inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preparation_goes_before_the_default_and_expires() {
        let [default, own] = [1, 2].map(Address::repeat_byte);
        let recipients = FeeRecipients::new(Some(default));
        let [a, b] = [7, 8].map(ValidatorIndex::new);
        recipients.prepare(Epoch::new(10), [(a, own)]);
        assert_eq!((recipients.get(a), recipients.get(b)), (Some(own), Some(default)));
        recipients.prepare(Epoch::new(12), [(b, own)]);
        assert!(recipients.is_prepared(a) && recipients.is_prepared(b));
        recipients.prepare(Epoch::new(13), []);
        assert!(!recipients.is_prepared(a) && recipients.is_prepared(b));
        assert_eq!(recipients.get(a), Some(default));
        assert_eq!(FeeRecipients::new(None).get(a), None);
    }
}
