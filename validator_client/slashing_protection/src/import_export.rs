//! Import and export of interchange files.
//!
//! An import keeps what is new to the database as bounds, not as records: after it a key signs only what lies beyond
//! everything in the file. This is the minimal strategy of the EIP; it is safe for incomplete files and for files whose
//! records contradict each other or ours. The mark of a key with one-time leaves rises beyond every leaf in the file.

use crate::database::{SlashingDatabase, chain, set_chain};
use crate::error::{DatabaseError, InterchangeError};
use crate::interchange::{
    FORMAT_VERSION, Interchange, InterchangeData, InterchangeMetadata, OneTimeKeyData, SignedAttestation, SignedBlock,
    UsedLeaf,
};
use crate::{keys, leaves};
use rusqlite::Transaction;
use types::{Epoch, Root, SignerKey, Slot};

/// What an import did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Imported {
    /// Keys in the file.
    pub keys: usize,
    /// Blocks in the file.
    pub blocks: usize,
    /// Votes in the file.
    pub attestations: usize,
}

/// The largest values of one entry of a file.
struct Largest {
    pubkey: SignerKey,
    /// First leaf that is open, of a key that has leaves.
    first_open_leaf: Option<i64>,
    block_slot: Option<i64>,
    source_epoch: Option<i64>,
    target_epoch: Option<i64>,
    /// How many blocks and votes there are.
    blocks: usize,
    attestations: usize,
}

impl SlashingDatabase {
    /// Imports a file of the chain `genesis_validators_root`, whole or not at all. Its keys become known.
    pub fn import(
        &self,
        interchange: &Interchange,
        genesis_validators_root: Root,
    ) -> Result<Imported, InterchangeError> {
        let metadata = &interchange.metadata;
        if metadata.interchange_format_version != FORMAT_VERSION {
            return Err(InterchangeError::Version {
                expected: FORMAT_VERSION,
                found: metadata.interchange_format_version,
            });
        }
        if metadata.genesis_validators_root != genesis_validators_root {
            return Err(InterchangeError::OtherChain {
                expected: genesis_validators_root,
                found: metadata.genesis_validators_root,
            });
        }
        let bls = interchange
            .data
            .iter()
            .map(|entry| largest(entry.pubkey.into(), &entry.signed_blocks, &entry.signed_attestations));
        let one_time = interchange.one_time_keys.iter().map(largest_of_one_time_key);
        let entries = bls.chain(one_time).collect::<Result<Vec<_>, _>>()?;
        let recorded = self.transaction(|transaction| {
            let recorded = chain(transaction)?;
            if recorded.is_some_and(|recorded| recorded != genesis_validators_root) {
                return Ok(recorded);
            }
            if recorded.is_none() {
                set_chain(transaction, genesis_validators_root)?;
            }
            for entry in &entries {
                let key_id = match entry.first_open_leaf {
                    None => keys::register(transaction, &entry.pubkey)?,
                    Some(first_open) => leaves::register(transaction, &entry.pubkey, first_open)?,
                };
                keys::raise_bounds(
                    transaction,
                    key_id,
                    entry.block_slot,
                    entry.source_epoch,
                    entry.target_epoch,
                )?;
            }
            Ok(None)
        })?;
        if let Some(recorded) = recorded {
            return Err(DatabaseError::OtherChain {
                path: self.path().to_path_buf(),
                recorded,
                requested: genesis_validators_root,
            }
            .into());
        }
        Ok(Imported {
            keys: entries.len(),
            blocks: entries.iter().map(|entry| entry.blocks).sum(),
            attestations: entries.iter().map(|entry| entry.attestations).sum(),
        })
    }

    /// Exports the records of some keys, or of all. Bounds are exported as records without signing root, so that the
    /// importing client closes the same.
    pub fn export(&self, pubkeys: Option<&[SignerKey]>) -> Result<Interchange, InterchangeError> {
        let (genesis_validators_root, data, one_time_keys) = self.transaction(|transaction| {
            let mut data = Vec::new();
            let mut one_time_keys = Vec::new();
            for (key_id, pubkey) in keys::all(transaction)? {
                if !pubkeys.is_none_or(|pubkeys| pubkeys.contains(&pubkey)) {
                    continue;
                }
                let signed_blocks = blocks_of(transaction, key_id)?;
                let signed_attestations = attestations_of(transaction, key_id)?;
                if let Some(first_open) = leaves::first_open_leaf(transaction, key_id)? {
                    one_time_keys.push(OneTimeKeyData {
                        pubkey,
                        first_open_leaf: first_open.unsigned_abs(),
                        used_leaves: leaves_of(transaction, key_id)?,
                        signed_blocks,
                        signed_attestations,
                    });
                } else if let Some(pubkey) = pubkey.as_bls() {
                    data.push(InterchangeData {
                        pubkey,
                        signed_blocks,
                        signed_attestations,
                    });
                }
            }
            Ok((chain(transaction)?, data, one_time_keys))
        })?;
        Ok(Interchange {
            metadata: InterchangeMetadata {
                interchange_format_version: FORMAT_VERSION,
                genesis_validators_root: genesis_validators_root.ok_or(InterchangeError::UnknownChain)?,
            },
            data,
            one_time_keys,
        })
    }
}

fn largest(
    pubkey: SignerKey,
    blocks: &[SignedBlock],
    votes: &[SignedAttestation],
) -> Result<Largest, InterchangeError> {
    let max = |values: &mut dyn Iterator<Item = u64>| {
        let value = values.max();
        value.map(|value| in_range(pubkey, value)).transpose()
    };
    Ok(Largest {
        pubkey,
        first_open_leaf: None,
        block_slot: max(&mut blocks.iter().map(|block| block.slot.as_u64()))?,
        source_epoch: max(&mut votes.iter().map(|vote| vote.source_epoch.as_u64()))?,
        target_epoch: max(&mut votes.iter().map(|vote| vote.target_epoch.as_u64()))?,
        blocks: blocks.len(),
        attestations: votes.len(),
    })
}

fn largest_of_one_time_key(entry: &OneTimeKeyData) -> Result<Largest, InterchangeError> {
    let after_used = entry.used_leaves.iter().map(|used| used.leaf.saturating_add(1)).max();
    let first_open = after_used.unwrap_or_default().max(entry.first_open_leaf);
    Ok(Largest {
        first_open_leaf: Some(in_range(entry.pubkey, first_open)?),
        ..largest(entry.pubkey, &entry.signed_blocks, &entry.signed_attestations)?
    })
}

fn in_range(pubkey: SignerKey, value: u64) -> Result<i64, InterchangeError> {
    i64::try_from(value).map_err(|_| InterchangeError::OutOfRange { pubkey, value })
}

fn blocks_of(transaction: &Transaction<'_>, key_id: i64) -> Result<Vec<SignedBlock>, rusqlite::Error> {
    let bound = keys::bounds(transaction, key_id)?.block_slot.map(|slot| SignedBlock {
        slot: Slot::new(slot.unsigned_abs()),
        signing_root: None,
    });
    let mut statement =
        transaction.prepare_cached("SELECT slot, signing_root FROM signed_blocks WHERE key_id = ?1 ORDER BY slot")?;
    let recorded = statement.query_map([key_id], |row| {
        Ok(SignedBlock {
            slot: Slot::new(row.get::<_, i64>(0)?.unsigned_abs()),
            signing_root: Some(Root::new(row.get(1)?)),
        })
    })?;
    bound.map(Ok).into_iter().chain(recorded).collect()
}

fn attestations_of(transaction: &Transaction<'_>, key_id: i64) -> Result<Vec<SignedAttestation>, rusqlite::Error> {
    let epoch = |value: i64| Epoch::new(value.unsigned_abs());
    let bounds = keys::bounds(transaction, key_id)?;
    // A lone bound becomes a record that closes no more than it.
    let bound = match (bounds.source_epoch, bounds.target_epoch) {
        (None, None) => None,
        (source, target) => {
            let source = source.unwrap_or_default();
            Some(SignedAttestation {
                source_epoch: epoch(source),
                target_epoch: epoch(target.unwrap_or(source).max(source)),
                signing_root: None,
            })
        }
    };
    let mut statement = transaction.prepare_cached(
        "SELECT source_epoch, target_epoch, signing_root FROM signed_attestations
         WHERE key_id = ?1 ORDER BY target_epoch",
    )?;
    let recorded = statement.query_map([key_id], |row| {
        Ok(SignedAttestation {
            source_epoch: epoch(row.get(0)?),
            target_epoch: epoch(row.get(1)?),
            signing_root: Some(Root::new(row.get(2)?)),
        })
    })?;
    bound.map(Ok).into_iter().chain(recorded).collect()
}

fn leaves_of(transaction: &Transaction<'_>, key_id: i64) -> Result<Vec<UsedLeaf>, rusqlite::Error> {
    transaction
        .prepare_cached("SELECT leaf, signing_root FROM used_leaves WHERE key_id = ?1 ORDER BY leaf")?
        .query_map([key_id], |row| {
            Ok(UsedLeaf {
                leaf: row.get::<_, i64>(0)?.unsigned_abs(),
                signing_root: row.get::<_, Option<[u8; 32]>>(1)?.map(Root::new),
            })
        })?
        .collect()
}
