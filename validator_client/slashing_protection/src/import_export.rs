//! Import and export of interchange files.
//!
//! An import keeps what is new to the database as bounds, not as records: after it a key signs only what lies beyond
//! everything in the file. This is the minimal strategy of the EIP; it is safe for incomplete files and for files whose
//! records contradict each other or ours.

use crate::database::{SlashingDatabase, chain, set_chain};
use crate::error::{DatabaseError, InterchangeError};
use crate::interchange::{
    FORMAT_VERSION, Interchange, InterchangeData, InterchangeMetadata, SignedAttestation, SignedBlock,
};
use crate::keys;
use rusqlite::Transaction;
use types::{Epoch, PublicKeyBytes, Root, Slot};

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
    pubkey: PublicKeyBytes,
    block_slot: Option<i64>,
    source_epoch: Option<i64>,
    target_epoch: Option<i64>,
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
        let entries = interchange.data.iter().map(largest).collect::<Result<Vec<_>, _>>()?;
        let recorded = self.transaction(|transaction| {
            let recorded = chain(transaction)?;
            if recorded.is_some_and(|recorded| recorded != genesis_validators_root) {
                return Ok(recorded);
            }
            if recorded.is_none() {
                set_chain(transaction, genesis_validators_root)?;
            }
            for entry in &entries {
                let key_id = keys::register(transaction, &entry.pubkey)?;
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
            keys: interchange.data.len(),
            blocks: interchange.data.iter().map(|entry| entry.signed_blocks.len()).sum(),
            attestations: interchange
                .data
                .iter()
                .map(|entry| entry.signed_attestations.len())
                .sum(),
        })
    }

    /// Exports the records of some keys, or of all. Bounds are exported as records without signing root, so that the
    /// importing client closes the same.
    pub fn export(&self, pubkeys: Option<&[PublicKeyBytes]>) -> Result<Interchange, InterchangeError> {
        let (genesis_validators_root, data) = self.transaction(|transaction| {
            let mut data = Vec::new();
            for (key_id, pubkey) in keys::all(transaction)? {
                if pubkeys.is_none_or(|pubkeys| pubkeys.contains(&pubkey)) {
                    data.push(export_key(transaction, key_id, pubkey)?);
                }
            }
            Ok((chain(transaction)?, data))
        })?;
        Ok(Interchange {
            metadata: InterchangeMetadata {
                interchange_format_version: FORMAT_VERSION,
                genesis_validators_root: genesis_validators_root.ok_or(InterchangeError::UnknownChain)?,
            },
            data,
        })
    }
}

fn largest(entry: &InterchangeData) -> Result<Largest, InterchangeError> {
    let max = |values: &mut dyn Iterator<Item = u64>| match values.max() {
        None => Ok(None),
        Some(value) => i64::try_from(value)
            .map(Some)
            .map_err(|_| InterchangeError::OutOfRange {
                pubkey: entry.pubkey,
                value,
            }),
    };
    let votes = &entry.signed_attestations;
    Ok(Largest {
        pubkey: entry.pubkey,
        block_slot: max(&mut entry.signed_blocks.iter().map(|block| block.slot.as_u64()))?,
        source_epoch: max(&mut votes.iter().map(|vote| vote.source_epoch.as_u64()))?,
        target_epoch: max(&mut votes.iter().map(|vote| vote.target_epoch.as_u64()))?,
    })
}

fn export_key(
    transaction: &Transaction<'_>,
    key_id: i64,
    pubkey: PublicKeyBytes,
) -> Result<InterchangeData, rusqlite::Error> {
    let bounds = keys::bounds(transaction, key_id)?;
    let number = |value: i64| value.unsigned_abs();
    let mut signed_blocks: Vec<SignedBlock> = bounds
        .block_slot
        .map(|slot| SignedBlock {
            slot: Slot::new(number(slot)),
            signing_root: None,
        })
        .into_iter()
        .collect();
    // A lone bound becomes a record that closes no more than it.
    let mut signed_attestations: Vec<SignedAttestation> = match (bounds.source_epoch, bounds.target_epoch) {
        (None, None) => Vec::new(),
        (source, target) => {
            let source = source.unwrap_or_default();
            vec![SignedAttestation {
                source_epoch: Epoch::new(number(source)),
                target_epoch: Epoch::new(number(target.unwrap_or(source).max(source))),
                signing_root: None,
            }]
        }
    };
    let mut statement =
        transaction.prepare_cached("SELECT slot, signing_root FROM signed_blocks WHERE key_id = ?1 ORDER BY slot")?;
    for block in statement.query_map([key_id], |row| {
        Ok(SignedBlock {
            slot: Slot::new(number(row.get(0)?)),
            signing_root: Some(Root::new(row.get(1)?)),
        })
    })? {
        signed_blocks.push(block?);
    }
    let mut statement = transaction.prepare_cached(
        "SELECT source_epoch, target_epoch, signing_root FROM signed_attestations
         WHERE key_id = ?1 ORDER BY target_epoch",
    )?;
    for vote in statement.query_map([key_id], |row| {
        Ok(SignedAttestation {
            source_epoch: Epoch::new(number(row.get(0)?)),
            target_epoch: Epoch::new(number(row.get(1)?)),
            signing_root: Some(Root::new(row.get(2)?)),
        })
    })? {
        signed_attestations.push(vote?);
    }
    Ok(InterchangeData {
        pubkey,
        signed_blocks,
        signed_attestations,
    })
}
