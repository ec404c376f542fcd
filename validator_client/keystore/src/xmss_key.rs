//! XMSS keys of any lifetime, in use: trees in memory, the file that spares computing them, and the window that slides.
//!
//! ```text
//!   seed --> all bottom trees --> top tree --> public key      once; minutes to hours for a long window
//!                                    |
//!   tree file --> top tree, two bottom trees                   at each start; checked against the public key
//!                                    |
//!   leaf of the second bottom tree is used --> the next one is computed, the first forgotten, the file written anew
//! ```

use crate::tree_file::{TreeFile, TreeFileError, Trees};
use std::fmt;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use types::SignerKey;
use types::constants::{SHORT_LIVED_XMSS_SCHEME, XMSS_SCHEME};
use xmss::{Devnet, KeyError, Message, Parameters, Production, Progress, SecretKey, Seed, SignError};

/// An XMSS key cannot be made, read or used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum XmssKeyError {
    /// Another scheme's number.
    #[error("scheme {0} is not one of XMSS: expected 1 (lifetime 2^32) or 2 (lifetime 2^18)")]
    Scheme(u8),
    /// Before the window.
    #[error("{pubkey} is for leaves {leaves:?}, and cannot be used for leaf {leaf} yet")]
    NotYet {
        /// The key.
        pubkey: SignerKey,
        /// What it is for.
        leaves: Range<u64>,
        /// What was asked for.
        leaf: u64,
    },
    /// After the window.
    #[error(
        "{pubkey} is exhausted: it was made for leaves {leaves:?} and cannot be used for leaf {leaf}; its place in the group needs a new key"
    )]
    Exhausted {
        /// The key.
        pubkey: SignerKey,
        /// What it is for.
        leaves: Range<u64>,
        /// What was asked for.
        leaf: u64,
    },
    /// Making or reading it.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Signing or opening.
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// What the parameter sets have in common. One implementation: [`Prepared`].
trait Tree: Send + Sync {
    fn sign(&self, leaf: u32, message: &Message) -> Result<Vec<u8>, SignError>;
    fn open(&self, leaf: u32) -> Result<Vec<u8>, SignError>;
    /// Whether the leaf can be used at once.
    fn is_prepared(&self, leaf: u32) -> bool;
    /// Whether the leaf is in the last of the bottom trees in memory, and there is one after it.
    fn wants_next(&self, leaf: u32) -> bool;
    fn prepare(&self, leaf: u32, progress: &(dyn Fn(Progress) + Sync)) -> Result<(), KeyError>;
    fn prepare_next(&self, progress: &(dyn Fn(Progress) + Sync)) -> Result<(), KeyError>;
    fn trees(&self) -> Trees;
}

/// A key for a window of leaves. Threads share it by reference. It knows nothing of which leaves are used.
pub struct XmssKey {
    pubkey: SignerKey,
    leaves: Range<u64>,
    tree: Box<dyn Tree>,
    file: Option<TreeFile>,
    /// One tree is computed at a time.
    at_work: Mutex<()>,
}

impl XmssKey {
    /// Makes the key of a seed for `leaves`, widened to whole bottom trees, on all cores.
    pub fn generate(
        scheme: u8,
        seed: &Seed,
        leaves: Range<u64>,
        progress: &(dyn Fn(Progress) + Sync),
    ) -> Result<Self, XmssKeyError> {
        match scheme {
            XMSS_SCHEME => Self::new(scheme, SecretKey::<Production>::generate(seed, leaves, progress)?),
            SHORT_LIVED_XMSS_SCHEME => Self::new(scheme, SecretKey::<Devnet>::generate(seed, leaves, progress)?),
            _ => Err(XmssKeyError::Scheme(scheme)),
        }
    }

    /// Reads the trees of the key `pubkey`; those of another one are an error.
    pub(crate) fn from_trees(pubkey: SignerKey, trees: &Trees) -> Result<Self, TreeFileError> {
        match pubkey.scheme() {
            XMSS_SCHEME => Self::restored::<Production>(pubkey, trees),
            SHORT_LIVED_XMSS_SCHEME => Self::restored::<Devnet>(pubkey, trees),
            scheme => Err(TreeFileError::Key(XmssKeyError::Scheme(scheme))),
        }
    }

    fn restored<P: Parameters>(pubkey: SignerKey, trees: &Trees) -> Result<Self, TreeFileError> {
        let invalid = |error: KeyError| TreeFileError::Key(error.into());
        let mut key = SecretKey::<P>::from_bytes(&trees.key).map_err(invalid)?;
        if key.public_key().to_bytes().as_slice() != pubkey.as_bytes() {
            return Err(TreeFileError::OtherKey);
        }
        for (leaf, bytes) in &trees.bottom {
            // `restore` compares the tree's root with the key's.
            key.restore(*leaf, bytes).map_err(invalid)?;
        }
        Self::new(pubkey.scheme(), key).map_err(TreeFileError::Key)
    }

    fn new<P: Parameters>(scheme: u8, key: SecretKey<P>) -> Result<Self, XmssKeyError> {
        let bytes = key.public_key().to_bytes();
        Ok(Self {
            // Public keys are shorter than a signer's key may be.
            pubkey: SignerKey::new(scheme, &bytes).ok_or(XmssKeyError::Scheme(scheme))?,
            leaves: key.active(),
            tree: Box::new(Prepared(RwLock::new(key))),
            file: None,
            at_work: Mutex::new(()),
        })
    }

    pub(crate) fn with_file(mut self, file: TreeFile) -> Self {
        self.file = Some(file);
        self
    }

    /// Public key.
    pub fn pubkey(&self) -> SignerKey {
        self.pubkey
    }

    /// Leaves that the key was made for.
    pub fn leaves(&self) -> Range<u64> {
        self.leaves.clone()
    }

    /// Whether the key was made for a leaf.
    pub fn check(&self, leaf: u64) -> Result<u32, XmssKeyError> {
        if leaf < self.leaves.start {
            return Err(XmssKeyError::NotYet {
                pubkey: self.pubkey,
                leaves: self.leaves(),
                leaf,
            });
        }
        u32::try_from(leaf)
            .ok()
            .filter(|_| leaf < self.leaves.end)
            .ok_or_else(|| XmssKeyError::Exhausted {
                pubkey: self.pubkey,
                leaves: self.leaves(),
                leaf,
            })
    }

    /// Signs a message with a leaf that is prepared: some milliseconds on all cores. The same leaf and message always
    /// give the same bytes.
    pub fn sign(&self, leaf: u64, message: &Message) -> Result<Vec<u8>, XmssKeyError> {
        Ok(self.tree.sign(self.check(leaf)?, message)?)
    }

    /// Opens a leaf that is prepared.
    pub fn open(&self, leaf: u64) -> Result<Vec<u8>, XmssKeyError> {
        Ok(self.tree.open(self.check(leaf)?)?)
    }

    /// Whether a leaf can be used at once; otherwise [`XmssKey::prepare`] has to compute its bottom tree before.
    pub fn is_prepared(&self, leaf: u64) -> bool {
        self.check(leaf).is_ok_and(|leaf| self.tree.is_prepared(leaf))
    }

    /// Computes the bottom tree of a leaf, if it is not there: a fraction of a second for a lifetime of 2^18, half a
    /// minute of all cores for 2^32. Tells whether the trees have changed.
    pub fn prepare(&self, leaf: u64, progress: &(dyn Fn(Progress) + Sync)) -> Result<bool, XmssKeyError> {
        let leaf = self.check(leaf)?;
        let _one = self.alone();
        // Another thread may have done it while this one waited.
        if self.tree.is_prepared(leaf) {
            return Ok(false);
        }
        self.tree.prepare(leaf, progress)?;
        Ok(true)
    }

    /// Whether the window should slide, because a leaf is in the second half of the last tree in memory.
    pub fn wants_next(&self, leaf: u64) -> bool {
        self.check(leaf).is_ok_and(|leaf| self.tree.wants_next(leaf))
    }

    /// Slides the window: computes the next bottom tree, while the key goes on signing with those that it has. On the
    /// cores of the rayon pool that this is called in. Tells whether the trees have changed.
    pub fn prepare_next(&self, leaf: u64, progress: &(dyn Fn(Progress) + Sync)) -> Result<bool, XmssKeyError> {
        let leaf = self.check(leaf)?;
        let _one = self.alone();
        if !self.tree.wants_next(leaf) {
            return Ok(false);
        }
        self.tree.prepare_next(progress)?;
        Ok(true)
    }

    /// Writes the trees into the file that the key was read from or made with, if any: the next start is fast then.
    pub fn save(&self) -> Result<(), TreeFileError> {
        match &self.file {
            Some(file) => file.write(&self.tree.trees()),
            None => Ok(()),
        }
    }

    fn alone(&self) -> MutexGuard<'_, ()> {
        self.at_work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for XmssKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("XmssKey")
            .field("pubkey", &self.pubkey)
            .field("leaves", &self.leaves)
            .finish_non_exhaustive()
    }
}

/// A key that signs under a read lock; only the moment of taking a new tree needs the write lock.
struct Prepared<P: Parameters>(RwLock<SecretKey<P>>);

impl<P: Parameters> Prepared<P> {
    fn read(&self) -> RwLockReadGuard<'_, SecretKey<P>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, task: Option<xmss::TreeTask<P>>, progress: &(dyn Fn(Progress) + Sync)) -> Result<(), KeyError> {
        let Some(task) = task else {
            return Ok(());
        };
        let done = std::sync::atomic::AtomicU64::new(0);
        let tree = task.run(&|count| {
            let done = done.fetch_add(count, std::sync::atomic::Ordering::Relaxed);
            progress(Progress {
                done: done.saturating_add(count),
                total: P::TREE_LEAVES,
            });
        })?;
        self.0.write().unwrap_or_else(PoisonError::into_inner).install(tree)
    }
}

impl<P: Parameters> Tree for Prepared<P> {
    fn sign(&self, leaf: u32, message: &Message) -> Result<Vec<u8>, SignError> {
        Ok(self.read().sign(leaf, message)?.to_bytes())
    }

    fn open(&self, leaf: u32) -> Result<Vec<u8>, SignError> {
        Ok(self.read().open(leaf)?.to_bytes())
    }

    fn is_prepared(&self, leaf: u32) -> bool {
        self.read().task_for(leaf).is_ok_and(|task| task.is_none())
    }

    fn wants_next(&self, leaf: u32) -> bool {
        let key = self.read();
        // Duties are asked for some epochs ahead: the tree before the last one serves until those are over as well.
        let middle = key.prepared().end.saturating_sub(P::TREE_LEAVES / 2);
        u64::from(leaf) >= middle && key.next_task().is_some()
    }

    fn prepare(&self, leaf: u32, progress: &(dyn Fn(Progress) + Sync)) -> Result<(), KeyError> {
        let task = self.read().task_for(leaf)?;
        self.run(task, progress)
    }

    fn prepare_next(&self, progress: &(dyn Fn(Progress) + Sync)) -> Result<(), KeyError> {
        let task = self.read().next_task();
        self.run(task, progress)
    }

    fn trees(&self) -> Trees {
        let key = self.read();
        Trees {
            key: key.to_bytes(),
            bottom: key
                .bottom_trees()
                .iter()
                .map(|tree| (tree.leaves().start as u32, tree.to_bytes()))
                .collect(),
        }
    }
}
