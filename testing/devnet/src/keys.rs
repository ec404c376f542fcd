//! Keys of a devnet: all from one seed, and of no value.

use crate::error::DevnetError;
use crate::layout::{Account, Layout, NodeNumber};
use bls::{KeyPath, SecretKey};
use ethereum_hashing::hash_fixed;
use keystore::account::derive_voting_key;
use keystore::{Kdf, Keystore, Password, ValidatorsDir, XmssKey, XmssKeystore, XmssSeed};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use types::constants::{LEAVES_PER_EPOCH, SHORT_LIVED_XMSS_SCHEME};
use types::{PublicKeyBytes, SignerKey};
use xmss::Seed;

/// Nothing is of value here.
const SEED: &[u8; 32] = b"fresnel devnet: keys of no value";

/// A key that has leaves, with the seed that it comes from.
struct HashBased {
    seed: XmssSeed,
    key: XmssKey,
}

/// Secret keys of a layout, each made once.
#[derive(Default)]
pub(crate) struct Keys {
    bls: HashMap<Account, SecretKey>,
    hash_based: HashMap<Account, HashBased>,
}

impl Keys {
    /// Makes the hash-based keys of a layout, for so many epochs from genesis on: some tenths of a second for each key
    /// and eight epochs. BLS keys are made when they are asked for.
    pub(crate) fn of(layout: &Layout, epochs: u64) -> Result<Self, DevnetError> {
        let mut keys = Self::default();
        for (node, account) in layout.hash_based_accounts() {
            let seed = seed_of(account);
            let leaves = 0..epochs.saturating_mul(LEAVES_PER_EPOCH);
            let key = XmssKey::generate(SHORT_LIVED_XMSS_SCHEME, &Seed::from_bytes(&seed), leaves, &|_| {}).map_err(
                |error| DevnetError::Key {
                    node,
                    reason: error.to_string(),
                },
            )?;
            keys.hash_based.insert(account, HashBased { seed, key });
        }
        Ok(keys)
    }

    /// The secret BLS key of an account.
    pub(crate) fn secret(&mut self, node: NodeNumber, account: Account) -> Result<&SecretKey, DevnetError> {
        match self.bls.entry(account) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let key = derive_voting_key(SEED, account.0).map_err(|error| DevnetError::Key {
                    node,
                    reason: error.to_string(),
                })?;
                Ok(entry.insert(key))
            }
        }
    }

    /// The public BLS key of an account.
    pub(crate) fn public(&mut self, node: NodeNumber, account: Account) -> Result<PublicKeyBytes, DevnetError> {
        Ok(self.secret(node, account)?.public_key().to_bytes())
    }

    /// The public key of an account, of whatever scheme.
    pub(crate) fn signer_key(&mut self, node: NodeNumber, account: Account) -> Result<SignerKey, DevnetError> {
        match self.hash_based.get(&account) {
            Some(hash_based) => Ok(hash_based.key.pubkey()),
            None => Ok(self.public(node, account)?.into()),
        }
    }

    /// Writes a key and its password as a client expects them. A hash-based key is given away.
    pub(crate) fn store(&mut self, dir: &ValidatorsDir, node: NodeNumber, account: Account) -> Result<(), DevnetError> {
        let failed = |reason: String| DevnetError::Key { node, reason };
        let password = Password::random();
        // The client finds the keystores itself; definitions would name the directory before it has its name.
        if let Some(HashBased { seed, key }) = self.hash_based.remove(&account) {
            let keystore = XmssKeystore::encrypt(&seed, &key, &password, Kdf::insecure(), None)
                .map_err(|error| failed(error.to_string()))?;
            dir.store_xmss(&keystore, &seed, key, &password)
                .map_err(|error| failed(error.to_string()))?;
            return Ok(());
        }
        let path = KeyPath::signing_key(account.0).to_string();
        let keystore = Keystore::encrypt(self.secret(node, account)?, &password, Kdf::insecure(), &path, None)
            .map_err(|error| failed(error.to_string()))?;
        dir.store(&keystore, &password)
            .map_err(|error| failed(error.to_string()))?;
        Ok(())
    }
}

/// The seed of an account's hash-based key.
fn seed_of(account: Account) -> XmssSeed {
    let mut input = SEED.to_vec();
    input.extend_from_slice(&account.0.to_le_bytes());
    XmssSeed::new(hash_fixed(&input))
}
