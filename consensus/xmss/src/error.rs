//! What can be wrong.

use std::ops::Range;

/// Bytes are not an encoding of what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Wrong number of bytes.
    #[error("{found} bytes, expected {expected}")]
    Length {
        /// Bytes that such an object has.
        expected: usize,
        /// Bytes that were given.
        found: usize,
    },
    /// An SSZ offset other than the one that is possible: a path or list of chain ends of another length.
    #[error("offset {found} at byte {position}, expected {expected}")]
    Offset {
        /// Where it stands.
        position: usize,
        /// What it has to be.
        expected: u32,
        /// What it is.
        found: u32,
    },
    /// A field element is not below the order of the field.
    #[error("field element {value} is not canonical")]
    NotCanonical {
        /// The integer that was read.
        value: u32,
    },
}

/// A signature or opening is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// No key has such a leaf.
    #[error("leaf {leaf} is beyond the lifetime of 2^{log_lifetime}")]
    Leaf {
        /// The leaf.
        leaf: u32,
        /// Depth of the tree.
        log_lifetime: usize,
    },
    /// The message with this randomness has no encoding.
    #[error("randomness gives no codeword")]
    Codeword,
    /// The path does not end in the key's root.
    #[error("does not verify")]
    Invalid,
}

/// A key cannot sign or open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The leaf is not among those that the key was made for.
    #[error("leaf {leaf} is not in the key's window {active:?}")]
    NotActive {
        /// The leaf.
        leaf: u32,
        /// Leaves of the key.
        active: Range<u64>,
    },
    /// The bottom tree of the leaf is not in memory.
    #[error("leaf {leaf} is not prepared: the key is ready for {prepared:?}")]
    NotPrepared {
        /// The leaf.
        leaf: u32,
        /// Leaves of the bottom trees in memory, from the first to the last.
        prepared: Range<u64>,
    },
    /// No randomness gives a codeword, after as many attempts as there are.
    #[error("no codeword after {attempts} attempts")]
    NoCodeword {
        /// Attempts.
        attempts: u32,
    },
}

/// A key cannot be made, read or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No leaves, or leaves beyond the lifetime.
    #[error("leaves {leaves:?} are not a window of a lifetime of 2^{log_lifetime}")]
    Window {
        /// What was asked for.
        leaves: Range<u64>,
        /// Depth of the tree.
        log_lifetime: usize,
    },
    /// The leaf is not among those that the key was made for.
    #[error("leaf {leaf} is not in the key's window {active:?}")]
    NotActive {
        /// The leaf.
        leaf: u32,
        /// Leaves of the key.
        active: Range<u64>,
    },
    /// A bottom tree that is not this key's.
    #[error("bottom tree {0} does not belong to this key")]
    ForeignTree(u32),
    /// The bytes are not a key or bottom tree.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// A list of signatures is not that of enough members of a key set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ThresholdError {
    /// Signers are not in ascending order, or one stands twice.
    #[error("signers are not in ascending order at position {position}")]
    Order {
        /// Position in the list.
        position: usize,
    },
    /// There are not as many signatures as signers.
    #[error("{signatures} signatures for {signers} signers")]
    Count {
        /// Signers.
        signers: usize,
        /// Signatures.
        signatures: usize,
    },
    /// A signer that the key set does not have.
    #[error("signer {signer} of a key set of {keys}")]
    Signer {
        /// Position in the key set.
        signer: usize,
        /// Keys of the set.
        keys: usize,
    },
    /// Fewer valid signatures than needed.
    #[error("{valid} valid signatures, {threshold} are needed")]
    TooFew {
        /// Valid signatures.
        valid: usize,
        /// Needed.
        threshold: usize,
    },
}
