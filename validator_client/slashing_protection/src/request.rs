//! Requests of keys of any scheme.

use crate::error::{Accepted, DatabaseError, Refusal};
use crate::leaves::Checked;
use crate::{AttestationRequest, BlockRequest, SlashingDatabase, attestations, blocks, leaves};
use rusqlite::Transaction;
use types::{Epoch, Leaf, Root, SignerKey, Slot};

/// A message that a key is to sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SigningRequest {
    /// Key.
    pub pubkey: SignerKey,
    /// What would be signed.
    pub signing_root: Root,
    /// What of it could be slashed.
    pub slashable: Slashable,
    /// The leaf that a hash-based key has for it. Of no meaning for other keys.
    pub leaf: Leaf,
}

/// What of a message could be slashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slashable {
    /// Nothing.
    Nothing,
    /// A second block for the slot.
    Block {
        /// Slot of the block.
        slot: Slot,
    },
    /// A double or surround vote.
    Attestation {
        /// Source epoch of the vote.
        source_epoch: Epoch,
        /// Target epoch of the vote.
        target_epoch: Epoch,
    },
}

/// What is known about a one-time key that was made known to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registered {
    /// It was known, and begins at this leaf.
    Known(u64),
    /// It was not known, and begins at the leaf that was asked for.
    New,
}

impl SlashingDatabase {
    /// Checks requests in order and records those that are safe, durably, before this returns; in one transaction: one
    /// wait for the disk. The answers stand in the order of the requests; a refused one does not touch the others. Of a
    /// request with a leaf, vote and leaf are recorded both or not at all.
    pub fn check_and_insert(
        &self,
        requests: &[SigningRequest],
    ) -> Result<Vec<Result<Accepted, Refusal>>, DatabaseError> {
        self.transaction(|transaction| requests.iter().map(|request| check_one(transaction, request)).collect())
    }

    /// Makes a key with one-time leaves known. A key that is known keeps its record and its mark. One that is not
    /// begins at `first_leaf`: that of its window if it never signed, or, if its record is lost, one beyond
    /// everything that it may have used.
    pub fn register_one_time_key(&self, pubkey: &SignerKey, first_leaf: u64) -> Result<Registered, DatabaseError> {
        let first = i64::try_from(first_leaf).unwrap_or(i64::MAX);
        self.transaction(|transaction| {
            if let Some(mark) = mark_of(transaction, pubkey)? {
                return Ok(Registered::Known(mark));
            }
            leaves::register(transaction, pubkey, first)?;
            Ok(Registered::New)
        })
    }

    /// The low-water mark of a key with one-time leaves: those before it are never used again. `None` if the database
    /// does not know such a key.
    pub fn first_open_leaf(&self, pubkey: &SignerKey) -> Result<Option<u64>, DatabaseError> {
        self.transaction(|transaction| mark_of(transaction, pubkey))
    }
}

fn mark_of(transaction: &Transaction<'_>, pubkey: &SignerKey) -> Result<Option<u64>, rusqlite::Error> {
    let Some(key_id) = crate::keys::id_of(transaction, pubkey)? else {
        return Ok(None);
    };
    Ok(leaves::first_open_leaf(transaction, key_id)?.map(i64::unsigned_abs))
}

fn check_one(
    transaction: &Transaction<'_>,
    request: &SigningRequest,
) -> Result<Result<Accepted, Refusal>, rusqlite::Error> {
    let SigningRequest {
        pubkey, signing_root, ..
    } = *request;
    // The leaf first, because this only looks: nothing is recorded of a request that is refused.
    let checked = match leaves::check(transaction, pubkey, request.leaf, signing_root)? {
        Ok(checked) => checked,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let accepted = match request.slashable {
        Slashable::Nothing => Ok(Accepted::New),
        Slashable::Block { slot } => blocks::check_and_insert(
            transaction,
            &BlockRequest {
                pubkey,
                slot,
                signing_root,
            },
        )?,
        Slashable::Attestation {
            source_epoch,
            target_epoch,
        } => attestations::check_and_insert(
            transaction,
            &AttestationRequest {
                pubkey,
                source_epoch,
                target_epoch,
                signing_root,
            },
        )?,
    };
    Ok(match (accepted, checked) {
        (Err(refusal), _) => Err(refusal),
        (Ok(accepted), Checked::ManyTimes) => Ok(accepted),
        (Ok(_), Checked::Again) => Ok(Accepted::Again),
        (Ok(_), Checked::New(used)) => {
            leaves::insert(transaction, &used)?;
            Ok(Accepted::New)
        }
    })
}
