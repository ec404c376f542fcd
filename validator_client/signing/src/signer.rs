//! The signer: a handle for async duties, and the thread behind it.
//!
//! One thread, because the database takes one writer and a signature takes less than a millisecond: the thread takes
//! whatever waits, so under load votes share transactions by themselves, and its memory stays small. Blocks of a batch
//! go first. In: [`Signer::sign`] and [`Signer::with_database`]; out: one answer each. Invariant: nothing is signed
//! before its record is on disk.

use crate::message::SignableMessage;
use crate::method::{MessageSignature, SigningMethod};
use crate::metrics;
use crate::protection::{Clearance, Protection, clear};
use slashing_protection::{DatabaseError, Refusal, SlashingDatabase};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::sync::{mpsc, oneshot};
use types::{ChainSpec, Preset, PublicKeyBytes, Root};

/// Requests that may wait; further callers wait for room.
const QUEUE_LENGTH: usize = 1024;
/// Requests that the thread takes at once.
const MAX_BATCH: usize = 256;

/// A message was not signed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SigningError {
    /// No such key here.
    #[error("{0} is not a key of this client")]
    UnknownKey(PublicKeyBytes),
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

struct Job {
    method: SigningMethod,
    signing_root: Root,
    protection: Protection,
    kind: &'static str,
    reply: oneshot::Sender<Result<MessageSignature, SigningError>>,
}

enum Work {
    Sign(Job),
    Database(Box<dyn FnOnce(&SlashingDatabase) + Send>),
}

/// All keys of a client, behind their slashing protection. Dropping it waits for the request at work and releases the
/// database.
#[derive(Debug)]
pub struct Signer {
    spec: Arc<ChainSpec>,
    genesis_validators_root: Root,
    keys: RwLock<HashMap<PublicKeyBytes, SigningMethod>>,
    queue: Option<mpsc::Sender<Work>>,
    thread: Option<JoinHandle<()>>,
}

impl Signer {
    /// Binds the database to the chain, makes the keys known to it, and starts the thread. Blocks for some
    /// milliseconds.
    pub fn start(
        database: SlashingDatabase,
        keys: Vec<SigningMethod>,
        genesis_validators_root: Root,
        spec: Arc<ChainSpec>,
    ) -> Result<Self, SigningError> {
        let pubkeys: Vec<_> = keys.iter().map(SigningMethod::pubkey).collect();
        database
            .bind_to_chain(genesis_validators_root)
            .and_then(|()| database.register_keys(&pubkeys))
            .map_err(|error| SigningError::Database(Arc::new(error)))?;
        let (queue, requests) = mpsc::channel(QUEUE_LENGTH);
        let thread = std::thread::Builder::new()
            .name("signer".to_owned())
            .spawn(move || run(&database, requests))
            .map_err(|_| SigningError::Stopped)?;
        Ok(Self {
            spec,
            genesis_validators_root,
            keys: RwLock::new(keys.into_iter().map(|key| (key.pubkey(), key)).collect()),
            queue: Some(queue),
            thread: Some(thread),
        })
    }

    /// Signs a message with a key of this client, after its record is on disk if it could be slashed.
    pub async fn sign<P: Preset>(
        &self,
        pubkey: &PublicKeyBytes,
        message: SignableMessage<'_, P>,
    ) -> Result<MessageSignature, SigningError> {
        let method = self.method(pubkey).ok_or(SigningError::UnknownKey(*pubkey))?;
        let signing_root = message.signing_root(self.genesis_validators_root, &self.spec);
        let start = Instant::now();
        let (reply, answer) = oneshot::channel();
        self.enqueue(Work::Sign(Job {
            method,
            signing_root,
            protection: Protection::of(&message, *pubkey, signing_root),
            kind: message.kind(),
            reply,
        }))
        .await?;
        let answer = answer.await.map_err(|_| SigningError::Stopped)?;
        metrics::observe_time(message.kind(), start.elapsed().as_secs_f64());
        answer
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

    /// Adds a key, after it is known to the database.
    pub async fn add_key(&self, key: SigningMethod) -> Result<(), SigningError> {
        let pubkey = key.pubkey();
        self.with_database(move |database| database.register_keys(&[pubkey]))
            .await?
            .map_err(|error| SigningError::Database(Arc::new(error)))?;
        self.keys
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(pubkey, key);
        Ok(())
    }

    /// Removes a key; its record stays. Requests that wait already are still signed.
    pub fn remove_key(&self, pubkey: &PublicKeyBytes) -> bool {
        self.keys
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(pubkey)
            .is_some()
    }

    /// All keys, in no order.
    pub fn pubkeys(&self) -> Vec<PublicKeyBytes> {
        self.keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .keys()
            .copied()
            .collect()
    }

    /// Whether the key is one of this client.
    pub fn has_key(&self, pubkey: &PublicKeyBytes) -> bool {
        self.method(pubkey).is_some()
    }

    /// The chain that is signed for.
    pub fn genesis_validators_root(&self) -> Root {
        self.genesis_validators_root
    }

    /// Configuration of the chain.
    pub fn spec(&self) -> &ChainSpec {
        &self.spec
    }

    fn method(&self, pubkey: &PublicKeyBytes) -> Option<SigningMethod> {
        self.keys
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(pubkey)
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

fn run(database: &SlashingDatabase, mut requests: mpsc::Receiver<Work>) {
    while let Some(first) = requests.blocking_recv() {
        let mut jobs = Vec::new();
        let mut others = Vec::new();
        let mut next = Some(first);
        while let Some(work) = next {
            match work {
                // A caller that gave up needs no signature, and no record of it.
                Work::Sign(job) if job.reply.is_closed() => {}
                Work::Sign(job) => jobs.push(job),
                Work::Database(work) => others.push(work),
            }
            next = (jobs.len() < MAX_BATCH).then(|| requests.try_recv().ok()).flatten();
        }
        // A block is the most urgent.
        let (blocks, rest): (Vec<_>, Vec<_>) = jobs
            .into_iter()
            .partition(|job| matches!(job.protection, Protection::Block(_)));
        sign_batch(database, blocks);
        sign_batch(database, rest);
        for work in others {
            work(database);
        }
    }
}

fn sign_batch(database: &SlashingDatabase, jobs: Vec<Job>) {
    let requests: Vec<_> = jobs.iter().map(|job| (job.protection, job.signing_root)).collect();
    for (job, cleared) in jobs.into_iter().zip(clear(database, &requests)) {
        let again = cleared.as_ref().is_ok_and(Clearance::again);
        metrics::count(job.kind, cleared.as_ref().map(|_| ()), again);
        if let Err(error) = &cleared {
            tracing::error!(kind = job.kind, pubkey = %job.method.pubkey(), %error, "not signed");
        }
        let signed = cleared.map(|clearance| job.method.sign(&clearance));
        // The caller may have gone.
        let _ = job.reply.send(signed);
    }
}
