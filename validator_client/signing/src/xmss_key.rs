//! XMSS keys in this process: signing away from the signer's thread, and the window that slides behind it.

use crate::method::{Answer, ClearedMessage, MessageSignature, SigningKey};
use crate::signer::SigningError;
use keystore::{ProgressLog, XmssKey, XmssKeyError};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use types::{Leaf, SignerKey};

/// An XMSS key in this process. Which leaves are used is on record with the signer, not here.
#[derive(Debug)]
pub(crate) struct LocalXmssKey {
    key: Arc<XmssKey>,
    /// Whether a thread computes trees at the moment.
    is_at_work: AtomicBool,
}

impl LocalXmssKey {
    pub(crate) fn new(key: XmssKey) -> Self {
        Self {
            key: Arc::new(key),
            is_at_work: AtomicBool::new(false),
        }
    }

    /// Some milliseconds, unless the leaf's tree is not there: after a long pause.
    fn sign_now(&self, message: &ClearedMessage) -> Result<MessageSignature, SigningError> {
        let wrong = |error: XmssKeyError| SigningError::Xmss(error);
        let (Leaf::Signs(leaf) | Leaf::Opens(leaf)) = message.leaf() else {
            return Err(SigningError::NoLeaf {
                pubkey: self.key.pubkey(),
                kind: message.kind(),
            });
        };
        if !self.key.is_prepared(leaf) {
            self.prepare(leaf).map_err(wrong)?;
        }
        let data = match message.leaf() {
            Leaf::Opens(leaf) => self.key.open(leaf),
            Leaf::Signs(_) | Leaf::None => self.key.sign(leaf, &message.signing_root().0),
        };
        MessageSignature::of_scheme(self.key.pubkey().scheme(), data.map_err(wrong)?)
    }

    fn prepare(&self, leaf: u64) -> Result<(), XmssKeyError> {
        let pubkey = self.key.pubkey();
        let start = Instant::now();
        let progress = ProgressLog::new(pubkey, "Computing the tree that an XMSS key needs now");
        if self.key.prepare(leaf, &|done| progress.tell(done))? {
            tracing::info!(%pubkey, leaf, seconds = start.elapsed().as_secs_f64(), "Tree of an XMSS key was computed");
            self.save();
        }
        Ok(())
    }

    fn save(&self) {
        if let Err(error) = self.key.save() {
            tracing::warn!(pubkey = %self.key.pubkey(), %error, "Trees of an XMSS key are not saved: the next start takes longer");
        }
    }

    /// Lets a thread compute the next tree, if it is time and none does.
    fn slide(self: &Arc<Self>, leaf: u64) {
        if !self.key.wants_next(leaf) || self.is_at_work.swap(true, Ordering::AcqRel) {
            return;
        }
        let this = Arc::clone(self);
        let spawned = std::thread::Builder::new()
            .name("xmss-window".to_owned())
            .spawn(move || {
                if let Err(error) = this.slide_now(leaf) {
                    tracing::error!(pubkey = %this.key.pubkey(), %error, "Next tree of an XMSS key is not there");
                }
                this.is_at_work.store(false, Ordering::Release);
            });
        if let Err(error) = spawned {
            self.is_at_work.store(false, Ordering::Release);
            tracing::error!(pubkey = %self.key.pubkey(), %error, "The system gives no thread for an XMSS key");
        }
    }

    fn slide_now(&self, leaf: u64) -> Result<(), String> {
        let start = Instant::now();
        // One core: there is time until the tree is needed, and signatures use all cores.
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .build()
            .map_err(|error| error.to_string())?;
        let has_changed = pool
            .install(|| self.key.prepare_next(leaf, &|_| {}))
            .map_err(|error| error.to_string())?;
        if has_changed {
            tracing::debug!(pubkey = %self.key.pubkey(), seconds = start.elapsed().as_secs_f64(), "Window of an XMSS key has moved");
            self.save();
        }
        Ok(())
    }
}

impl SigningKey for LocalXmssKey {
    fn public_key(&self) -> SignerKey {
        self.key.pubkey()
    }

    fn one_time_leaves(&self) -> Option<Range<u64>> {
        Some(self.key.leaves())
    }

    fn get_ready(self: Arc<Self>, leaf: u64) {
        let leaves = self.key.leaves();
        let leaf = leaf.max(leaves.start);
        let this = Arc::clone(&self);
        let work = move || {
            if let Err(error) = this.prepare(leaf) {
                tracing::error!(pubkey = %this.key.pubkey(), %error, "XMSS key is not ready");
            }
            this.slide(leaf);
        };
        if let Err(error) = std::thread::Builder::new().name("xmss-start".to_owned()).spawn(work) {
            // The first signature computes the tree instead.
            tracing::warn!(pubkey = %self.key.pubkey(), %error, "The system gives no thread for an XMSS key");
        }
    }

    fn sign(self: Arc<Self>, message: ClearedMessage, answer: Answer) {
        let runtime = answer.runtime().clone();
        runtime.spawn_blocking(move || {
            answer.send(self.sign_now(&message));
            if let Leaf::Signs(leaf) | Leaf::Opens(leaf) = message.leaf() {
                self.slide(leaf);
            }
        });
    }
}
