//! The signer: a handle for async duties, and the thread behind it.
//!
//! One thread, because the database takes one writer and a signature takes less than a millisecond: the thread takes
//! whatever waits, so under load votes share transactions by themselves, and its memory stays small. Blocks of a batch
//! go first. In: [`Signer::sign`] and [`Signer::with_database`]; out: one answer each. Invariants: nothing is signed
//! before its record is on disk, and no leaf is used more than an epoch ahead of the clock.

use crate::exhaustion::ExhaustionWatch;
use crate::message::SignableMessage;
use crate::method::{Answer, ClearedMessage, MessageSignature, SigningMethod};
use crate::metrics;
use crate::protection::{clear, request_of};
use crate::web3signer::{self, RemoteError};
use keystore::XmssKeyError;
use runtime::SlotClock;
use slashing_protection::{Accepted, DatabaseError, Refusal, Registered, SigningRequest, Slashable, SlashingDatabase};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use types::{ChainSpec, Epoch, Leaf, Preset, Root, SignerKey, get_leaf_index};

/// Requests that may wait; further callers wait for room.
const QUEUE_LENGTH: usize = 1024;
/// Requests that the thread takes at once.
const MAX_BATCH: usize = 256;
/// Epochs after the present one whose leaves are used: selection proofs are opened an epoch ahead, and what was wrong in
/// this epoch is signed again for the next. That nothing further ahead is ever used is what a lost record is replaced by.
const EPOCHS_AHEAD: u64 = 1;
/// Epochs after the present one in which a key may have used leaves without our knowledge: clocks differ.
const RESTORE_MARGIN: u64 = EPOCHS_AHEAD + 1;

/// A message was not signed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SigningError {
    /// No such key here.
    #[error("{0} is not a key of this client")]
    UnknownKey(SignerKey),
    /// A one-time key that is new to the record, and nobody says what it may have signed.
    #[error(
        "{0} has one-time leaves and is not in the slashing protection database: it cannot be used before it is known \
         which of them are used"
    )]
    NoRecord(SignerKey),
    /// A hash-based key has no leaf for such a message.
    #[error("{pubkey} is hash-based, and such keys have no leaf for a {kind}: they are not drawn into sync committees")]
    NoLeaf {
        /// The key.
        pubkey: SignerKey,
        /// The message.
        kind: &'static str,
    },
    /// Before the key's window.
    #[error("{pubkey} is for leaves {leaves:?} and cannot be used for leaf {leaf} yet")]
    LeafNotYet {
        /// The key.
        pubkey: SignerKey,
        /// What was asked for.
        leaf: u64,
        /// Its window.
        leaves: Range<u64>,
    },
    /// After the key's window.
    #[error(
        "{pubkey} is exhausted: it is for leaves {leaves:?} and cannot be used for leaf {leaf}; its place in the group's \
         key set needs a new key"
    )]
    Exhausted {
        /// The key.
        pubkey: SignerKey,
        /// What was asked for.
        leaf: u64,
        /// Its window.
        leaves: Range<u64>,
    },
    /// Whatever asks for it: a wrong message, or a wrong clock.
    #[error(
        "{pubkey} cannot be used for leaf {leaf} of epoch {epoch}: the present epoch is {present}, and no leaf after the \
         next epoch is used"
    )]
    LeafTooEarly {
        /// The key.
        pubkey: SignerKey,
        /// What was asked for.
        leaf: u64,
        /// Epoch of the message.
        epoch: Epoch,
        /// Epoch of the clock.
        present: Epoch,
    },
    /// An XMSS key.
    #[error(transparent)]
    Xmss(XmssKeyError),
    /// A remote signer.
    #[error("remote signer of {pubkey}: {error}")]
    Remote {
        /// The key.
        pubkey: SignerKey,
        /// What is wrong.
        error: RemoteError,
    },
    /// Longer than any proof.
    #[error("a signature of {length} bytes does not fit into a proof")]
    TooLong {
        /// Bytes.
        length: usize,
    },
    /// Signing it could be slashed.
    #[error("slashing protection refused: {0}")]
    Refused(Box<Refusal>),
    /// The record could not be written: nothing is signed without it.
    #[error("slashing protection failed, nothing was signed: {0}")]
    Database(Arc<DatabaseError>),
    /// The client is ending.
    #[error("the signer has stopped")]
    Stopped,
}

/// What a key with one-time leaves may have used if it is not in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownPast {
    /// Nobody knows: the key is refused.
    Refuse,
    /// Nothing: its chain has not begun, or it was made just now.
    NeverUsed,
    /// Anything up to this epoch, which is the present one: its record is lost. It begins later, by a margin.
    UntilNow(Epoch),
}

struct Job {
    method: SigningMethod,
    request: SigningRequest,
    document: Option<String>,
    kind: &'static str,
    runtime: Handle,
    reply: oneshot::Sender<Result<MessageSignature, SigningError>>,
}

impl Job {
    /// Whether anything about it has to be on record.
    fn needs_record(&self) -> bool {
        self.request.slashable != Slashable::Nothing || self.method.key().one_time_leaves().is_some()
    }
}

/// Shared with the thread, which signs nothing with a key that is not here any more.
type Keys = Arc<RwLock<HashMap<SignerKey, SigningMethod>>>;

enum Work {
    Sign(Box<Job>),
    Database(Box<dyn FnOnce(&SlashingDatabase) + Send>),
}

/// All keys of a client, behind their slashing protection. Dropping it waits for the request at work and releases the
/// database.
#[derive(Debug)]
pub struct Signer {
    spec: Arc<ChainSpec>,
    genesis_validators_root: Root,
    clock: SlotClock,
    keys: Keys,
    exhaustion: ExhaustionWatch,
    queue: Option<mpsc::Sender<Work>>,
    thread: Option<JoinHandle<()>>,
}

impl Signer {
    /// As [`Signer::start_with`], for keys that the database knows, and BLS keys.
    pub fn start(
        database: SlashingDatabase,
        keys: Vec<SigningMethod>,
        genesis_validators_root: Root,
        spec: Arc<ChainSpec>,
        clock: SlotClock,
    ) -> Result<Self, SigningError> {
        Self::start_with(
            database,
            keys,
            genesis_validators_root,
            spec,
            clock,
            UnknownPast::Refuse,
        )
    }

    /// Binds the database to the chain, makes the keys known to it, and starts the thread. Blocks for some
    /// milliseconds; keys that have to compute something begin with it. `past` is that of keys with one-time leaves that
    /// the database does not know.
    pub fn start_with(
        database: SlashingDatabase,
        keys: Vec<SigningMethod>,
        genesis_validators_root: Root,
        spec: Arc<ChainSpec>,
        clock: SlotClock,
        past: UnknownPast,
    ) -> Result<Self, SigningError> {
        database.bind_to_chain(genesis_validators_root).map_err(failed)?;
        for key in &keys {
            register(&database, key, past)?;
        }
        // Without a word on the time, the first message tells.
        let now = match past {
            UnknownPast::UntilNow(epoch) => Some(epoch),
            UnknownPast::NeverUsed => Some(Epoch::new(0)),
            UnknownPast::Refuse => None,
        };
        if let Some(now) = now {
            for key in &keys {
                Arc::clone(key.key()).get_ready(get_leaf_index(now, 0));
            }
        }
        let keys: Keys = Arc::new(RwLock::new(keys.into_iter().map(|key| (key.pubkey(), key)).collect()));
        let (queue, requests) = mpsc::channel(QUEUE_LENGTH);
        let of_thread = Arc::clone(&keys);
        let thread = std::thread::Builder::new()
            .name("signer".to_owned())
            .spawn(move || run(&database, &of_thread, requests))
            .map_err(|_| SigningError::Stopped)?;
        Ok(Self {
            spec,
            genesis_validators_root,
            clock,
            keys,
            exhaustion: ExhaustionWatch::default(),
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    /// Signs a message with a key of this client, after its record is on disk if it could be slashed or uses a leaf.
    pub async fn sign<P: Preset>(
        &self,
        pubkey: impl Into<SignerKey>,
        message: SignableMessage<'_, P>,
    ) -> Result<MessageSignature, SigningError> {
        let pubkey = pubkey.into();
        let kind = message.kind();
        let start = Instant::now();
        let (reply, answer) = oneshot::channel();
        match self.prepare(pubkey, &message, reply) {
            Ok(job) => self.enqueue(Work::Sign(Box::new(job))).await?,
            Err(error) => {
                metrics::count(kind, Err(&error), false);
                return Err(error);
            }
        }
        let answer = answer.await.map_err(|_| SigningError::Stopped)?;
        metrics::observe_time(kind, start.elapsed().as_secs_f64());
        answer
    }

    /// What can be refused without a look at the record is refused here.
    fn prepare<P: Preset>(
        &self,
        pubkey: SignerKey,
        message: &SignableMessage<'_, P>,
        reply: oneshot::Sender<Result<MessageSignature, SigningError>>,
    ) -> Result<Job, SigningError> {
        let method = self.method(pubkey).ok_or(SigningError::UnknownKey(pubkey))?;
        let kind = message.kind();
        let signing_root = message.signing_root(self.genesis_validators_root, &self.spec);
        if let Some(leaves) = method.key().one_time_leaves() {
            self.check_leaf(pubkey, message, leaves)?;
        }
        let document = if method.key().needs_document() {
            let document = web3signer::document(message, signing_root, self.genesis_validators_root, &self.spec);
            Some(document.map_err(|error| SigningError::Remote { pubkey, error })?)
        } else {
            None
        };
        Ok(Job {
            method,
            request: request_of(message, pubkey, signing_root),
            document,
            kind,
            runtime: Handle::try_current().map_err(|_| SigningError::Stopped)?,
            reply,
        })
    }

    fn check_leaf<P: Preset>(
        &self,
        pubkey: SignerKey,
        message: &SignableMessage<'_, P>,
        leaves: Range<u64>,
    ) -> Result<(), SigningError> {
        let (Leaf::Signs(leaf) | Leaf::Opens(leaf)) = message.leaf() else {
            let kind = message.kind();
            return Err(SigningError::NoLeaf { pubkey, kind });
        };
        if leaf < leaves.start {
            return Err(SigningError::LeafNotYet { pubkey, leaf, leaves });
        }
        if leaf >= leaves.end {
            return Err(SigningError::Exhausted { pubkey, leaf, leaves });
        }
        let epoch = message.epoch();
        // Before genesis the chain is in its first epoch.
        let present = self.clock.now_slot().unwrap_or_default().epoch::<P>();
        if epoch > present.saturating_add(EPOCHS_AHEAD) {
            return Err(SigningError::LeafTooEarly {
                pubkey,
                leaf,
                epoch,
                present,
            });
        }
        let epoch_ms = P::slots_per_epoch().saturating_mul(self.spec.slot_duration_ms);
        if let Some(epochs_left) = self.exhaustion.observe(pubkey, leaf, &leaves, epoch_ms) {
            let hours_left = epochs_left.saturating_mul(epoch_ms).checked_div(3_600_000);
            tracing::warn!(
                %pubkey,
                epochs_left,
                hours_left,
                "Key will soon have no leaves left: its place in the group's key set needs a new key"
            );
        }
        Ok(())
    }

    /// Runs a piece of work on the database, between requests: import, export, pruning.
    pub async fn with_database<T: Send + 'static>(
        &self,
        work: impl FnOnce(&SlashingDatabase) -> T + Send + 'static,
    ) -> Result<T, SigningError> {
        let (reply, answer) = oneshot::channel();
        self.enqueue(Work::Database(Box::new(move |database| {
            // The caller may have gone; the work is done all the same.
            let _ = reply.send(work(database));
        })))
        .await?;
        answer.await.map_err(|_| SigningError::Stopped)
    }

    /// Adds a key, after it is known to the database. One with one-time leaves has to be known already.
    pub async fn add_key(&self, key: SigningMethod) -> Result<(), SigningError> {
        self.add_key_with(key, UnknownPast::Refuse).await
    }

    /// As [`Signer::add_key`]; `past` is that of a key with one-time leaves that the database does not know.
    pub async fn add_key_with(&self, key: SigningMethod, past: UnknownPast) -> Result<(), SigningError> {
        let pubkey = key.pubkey();
        let registered = key.clone();
        self.with_database(move |database| register(database, &registered, past))
            .await??;
        self.keys
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(pubkey, key);
        Ok(())
    }

    /// Removes a key; its record stays. What [`Signer::with_database`] sees after this is all that the key has signed in
    /// this process: requests that wait are refused.
    pub fn remove_key(&self, pubkey: impl Into<SignerKey>) -> bool {
        self.keys
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&pubkey.into())
            .is_some()
    }

    /// All keys, in no order.
    pub fn keys(&self) -> Vec<SignerKey> {
        self.keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .keys()
            .copied()
            .collect()
    }

    /// Whether the key is one of this client.
    pub fn has_key(&self, pubkey: impl Into<SignerKey>) -> bool {
        self.method(pubkey.into()).is_some()
    }

    /// The chain that is signed for.
    pub fn genesis_validators_root(&self) -> Root {
        self.genesis_validators_root
    }

    /// Configuration of the chain.
    pub fn spec(&self) -> &ChainSpec {
        &self.spec
    }

    fn method(&self, pubkey: SignerKey) -> Option<SigningMethod> {
        self.keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&pubkey)
            .cloned()
    }

    async fn enqueue(&self, work: Work) -> Result<(), SigningError> {
        self.queue
            .as_ref()
            .ok_or(SigningError::Stopped)?
            .send(work)
            .await
            .map_err(|_| SigningError::Stopped)
    }
}

impl Drop for Signer {
    fn drop(&mut self) {
        // The thread ends when the queue is closed and empty.
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(database: &SlashingDatabase, keys: &Keys, mut requests: mpsc::Receiver<Work>) {
    while let Some(first) = requests.blocking_recv() {
        let mut jobs: Vec<Job> = Vec::new();
        let mut others = Vec::new();
        let mut next = Some(first);
        while let Some(work) = next {
            match work {
                // A caller that gave up needs no signature, and no record of it.
                Work::Sign(job) if job.reply.is_closed() => {}
                Work::Sign(job) => jobs.push(*job),
                Work::Database(work) => others.push(work),
            }
            next = (jobs.len() < MAX_BATCH).then(|| requests.try_recv().ok()).flatten();
        }
        let jobs = of_present_keys(jobs, keys);
        // A block is the most urgent.
        let (blocks, rest): (Vec<_>, Vec<_>) = jobs
            .into_iter()
            .partition(|job| matches!(job.request.slashable, Slashable::Block { .. }));
        sign_batch(database, blocks);
        sign_batch(database, rest);
        for work in others {
            work(database);
        }
    }
}

/// Refuses requests for keys that were removed while these waited.
fn of_present_keys(jobs: Vec<Job>, keys: &Keys) -> Vec<Job> {
    let keys = keys.read().unwrap_or_else(PoisonError::into_inner);
    let (present, removed): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| keys.contains_key(&job.request.pubkey));
    for job in removed {
        let error = SigningError::UnknownKey(job.request.pubkey);
        metrics::count(job.kind, Err(&error), false);
        // The caller may have gone.
        let _ = job.reply.send(Err(error));
    }
    present
}

fn sign_batch(database: &SlashingDatabase, jobs: Vec<Job>) {
    let requests: Vec<_> = jobs
        .iter()
        .map(|job| job.needs_record().then_some(job.request))
        .collect();
    for (job, cleared) in jobs.into_iter().zip(clear(database, &requests)) {
        let answer = Answer {
            reply: job.reply,
            runtime: job.runtime,
            pubkey: job.request.pubkey,
            kind: job.kind,
            again: cleared.as_ref().is_ok_and(|accepted| *accepted == Accepted::Again),
        };
        match cleared {
            Ok(_) => {
                let message = ClearedMessage {
                    signing_root: job.request.signing_root,
                    leaf: job.request.leaf,
                    kind: job.kind,
                    document: job.document,
                };
                Arc::clone(job.method.key()).sign(message, answer);
            }
            Err(error) => answer.send(Err(error)),
        }
    }
}

fn failed(error: DatabaseError) -> SigningError {
    SigningError::Database(Arc::new(error))
}

/// Makes a key known to the database.
fn register(database: &SlashingDatabase, key: &SigningMethod, past: UnknownPast) -> Result<(), SigningError> {
    let pubkey = key.pubkey();
    let Some(leaves) = key.key().one_time_leaves() else {
        let pubkey = pubkey.as_bls().ok_or(SigningError::NoRecord(pubkey))?;
        return database.register_keys(&[pubkey]).map_err(failed);
    };
    let first = match past {
        UnknownPast::Refuse => {
            return match database.first_open_leaf(&pubkey).map_err(failed)? {
                Some(_) => Ok(()),
                None => Err(SigningError::NoRecord(pubkey)),
            };
        }
        UnknownPast::NeverUsed => leaves.start,
        UnknownPast::UntilNow(epoch) => {
            let first = epoch.saturating_add(RESTORE_MARGIN).saturating_add(1u64);
            leaves.start.max(get_leaf_index(first, 0))
        }
    };
    let registered = database.register_one_time_key(&pubkey, first).map_err(failed)?;
    match (registered, past) {
        (Registered::New, UnknownPast::UntilNow(now)) => tracing::warn!(
            %pubkey,
            first_leaf = first,
            now = now.as_u64(),
            margin_epochs = RESTORE_MARGIN,
            "Key was not in the slashing protection database: it signs nothing before the epoch of its first leaf, \
             because it is not known which leaves are used"
        ),
        (Registered::New, _) => tracing::info!(%pubkey, first_leaf = first, "Key begins its record of used leaves"),
        (Registered::Known(first_open), _) => tracing::debug!(%pubkey, first_open, "Key has a record of used leaves"),
    }
    Ok(())
}
