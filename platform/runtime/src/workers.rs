//! Threads for heavy work, apart from the async runtime. More urgent work goes first; each kind has a queue of its own
//! with a limit, so that a flood of one kind does not keep the others out.

use parking_lot::{Condvar, Mutex};
use prometheus::{IntCounterVec, IntGaugeVec, Opts};
use std::collections::VecDeque;
use std::sync::{Arc, LazyLock};
use tokio::sync::oneshot;

/// Kinds of work, most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Blocks and the choice of the head.
    BlockImport,
    /// Proposals and signatures of groups.
    GroupProposal,
    /// Answers that a validator client waits for.
    ApiRequest,
    /// Aggregates.
    Aggregates,
    /// Single votes.
    Attestations,
    /// Everything that can wait.
    Background,
}

impl Priority {
    const ALL: [Self; 6] = [
        Self::BlockImport,
        Self::GroupProposal,
        Self::ApiRequest,
        Self::Aggregates,
        Self::Attestations,
        Self::Background,
    ];

    /// Jobs that may wait.
    const fn limit(self) -> usize {
        match self {
            Self::BlockImport | Self::GroupProposal => 256,
            Self::ApiRequest => 1024,
            Self::Aggregates | Self::Background => 1024,
            Self::Attestations => 4096,
        }
    }

    /// What to do when too many wait. Votes grow old: the newest are worth more than those that waited longest. Of
    /// everything else somebody awaits the outcome, and learns at once that there is too much.
    const fn when_full(self) -> WhenFull {
        match self {
            Self::Aggregates | Self::Attestations => WhenFull::DropOldest,
            Self::BlockImport | Self::GroupProposal | Self::ApiRequest | Self::Background => WhenFull::RefuseNew,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::BlockImport => "block_import",
            Self::GroupProposal => "group_proposal",
            Self::ApiRequest => "api_request",
            Self::Aggregates => "aggregates",
            Self::Attestations => "attestations",
            Self::Background => "background",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WhenFull {
    RefuseNew,
    DropOldest,
}

/// Work was not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// Too much of the same kind waits already.
    #[error("too much work of the kind {0:?} waits already")]
    QueueFull(Priority),
    /// The pool is stopped, or the work panicked.
    #[error("workers stopped before the work was done")]
    Stopped,
}

/// Does the work, or says why it is not done.
type Job = Box<dyn FnOnce(Result<(), PoolError>) + Send>;

struct Queues {
    queues: [VecDeque<Job>; Priority::ALL.len()],
    stopped: bool,
}

struct Inner {
    queues: Mutex<Queues>,
    work: Condvar,
}

/// A pool of threads. Cheap to clone; the threads end when the last clone is gone.
#[derive(Clone)]
pub struct WorkerPool {
    inner: Arc<Inner>,
    threads: usize,
    _stop: Arc<StopOnDrop>,
}

struct StopOnDrop(Arc<Inner>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.queues.lock().stopped = true;
        self.0.work.notify_all();
    }
}

impl std::fmt::Debug for WorkerPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WorkerPool")
    }
}

static QUEUE_LENGTH: LazyLock<Option<IntGaugeVec>> = LazyLock::new(|| {
    let opts = Opts::new("beacon_processor_work_queue_length", "Jobs that wait, by kind");
    let metric = IntGaugeVec::new(opts, &["kind"]).ok()?;
    prometheus::register(Box::new(metric.clone())).ok()?;
    Some(metric)
});

static QUEUE_DROPPED: LazyLock<Option<IntCounterVec>> = LazyLock::new(|| {
    let opts = Opts::new(
        "beacon_processor_work_dropped_total",
        "Jobs not done because too many waited, by kind",
    );
    let metric = IntCounterVec::new(opts, &["kind"]).ok()?;
    prometheus::register(Box::new(metric.clone())).ok()?;
    Some(metric)
});

fn note_length(priority: Priority, length: usize) {
    if let Some(metric) = &*QUEUE_LENGTH {
        metric
            .with_label_values(&[priority.name()])
            .set(i64::try_from(length).unwrap_or(i64::MAX));
    }
}

impl WorkerPool {
    /// Starts as many threads.
    ///
    /// Errors if the system gives no more threads.
    pub fn start(threads: usize) -> std::io::Result<Self> {
        let inner = Arc::new(Inner {
            queues: Mutex::new(Queues {
                queues: Default::default(),
                stopped: false,
            }),
            work: Condvar::new(),
        });
        let threads = threads.max(1);
        for number in 0..threads {
            let inner = Arc::clone(&inner);
            std::thread::Builder::new()
                .name(format!("worker-{number}"))
                .spawn(move || inner.work())?;
        }
        Ok(Self {
            threads,
            _stop: Arc::new(StopOnDrop(Arc::clone(&inner))),
            inner,
        })
    }

    /// How many jobs run at once, at least one.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Does work on a thread of the pool and gives its result.
    pub fn run<T, F>(
        &self,
        priority: Priority,
        work: F,
    ) -> impl Future<Output = Result<T, PoolError>> + Send + use<T, F>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move |may_run| {
            // Whoever asked may have stopped waiting.
            let _ = sender.send(may_run.map(|()| work()));
        });
        let submitted = self.submit(priority, job);
        async move {
            submitted?;
            receiver.await.map_err(|_| PoolError::Stopped)?
        }
    }

    fn submit(&self, priority: Priority, job: Job) -> Result<(), PoolError> {
        let mut queues = self.inner.queues.lock();
        if queues.stopped {
            return Err(PoolError::Stopped);
        }
        let queue = &mut queues.queues[priority as usize];
        let mut dropped = None;
        if queue.len() >= priority.limit() {
            if let Some(metric) = &*QUEUE_DROPPED {
                metric.with_label_values(&[priority.name()]).inc();
            }
            match priority.when_full() {
                WhenFull::RefuseNew => return Err(PoolError::QueueFull(priority)),
                WhenFull::DropOldest => dropped = queue.pop_front(),
            }
        }
        queue.push_back(job);
        note_length(priority, queue.len());
        drop(queues);
        self.inner.work.notify_one();
        if let Some(dropped) = dropped {
            dropped(Err(PoolError::QueueFull(priority)));
        }
        Ok(())
    }
}

impl Inner {
    fn work(&self) {
        while let Some(job) = self.next() {
            // A panic in one job must not take the thread from the others.
            if std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job(Ok(())))).is_err() {
                tracing::error!("A worker's job panicked");
            }
        }
    }

    fn next(&self) -> Option<Job> {
        let mut queues = self.queues.lock();
        loop {
            for priority in Priority::ALL {
                let queue = &mut queues.queues[priority as usize];
                if let Some(job) = queue.pop_front() {
                    note_length(priority, queue.len());
                    return Some(job);
                }
            }
            if queues.stopped {
                return None;
            }
            self.work.wait(&mut queues);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[tokio::test]
    async fn urgent_work_goes_first() {
        let pool = WorkerPool::start(1).unwrap();
        let (started, is_started) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let blocker = pool.run(Priority::Background, move || {
            started.send(()).unwrap();
            released.recv().unwrap();
        });
        is_started.recv().unwrap();
        let order = Arc::new(Mutex::new(Vec::new()));
        let note = |name| {
            let order = Arc::clone(&order);
            move || order.lock().push(name)
        };
        let background = pool.run(Priority::Background, note("background"));
        let attestation = pool.run(Priority::Attestations, note("attestation"));
        let block = pool.run(Priority::BlockImport, note("block"));
        release.send(()).unwrap();
        tokio::try_join!(blocker, background, attestation, block).unwrap();
        assert_eq!(*order.lock(), ["block", "attestation", "background"]);
    }

    #[tokio::test]
    async fn a_full_queue_of_votes_drops_the_oldest() {
        let pool = WorkerPool::start(1).unwrap();
        let (release, released) = mpsc::channel::<()>();
        let (started, is_started) = mpsc::channel();
        let blocker = pool.run(Priority::BlockImport, move || {
            started.send(()).unwrap();
            released.recv().unwrap();
        });
        is_started.recv().unwrap();
        let count = Priority::Attestations.limit() + 1;
        let mut waiting: Vec<_> = (0..count)
            .map(|number| pool.run(Priority::Attestations, move || number))
            .collect();
        let newest = waiting.pop().unwrap();
        let oldest = waiting.remove(0);
        assert_eq!(oldest.await, Err(PoolError::QueueFull(Priority::Attestations)));
        release.send(()).unwrap();
        blocker.await.unwrap();
        assert_eq!(newest.await, Ok(count - 1));
        assert_eq!(waiting.remove(0).await, Ok(1));
    }

    #[tokio::test]
    async fn a_full_queue_refuses_and_a_panic_is_survived() {
        let pool = WorkerPool::start(1).unwrap();
        let panicked: Result<(), _> = pool.run(Priority::Background, || panic!("expected in this test")).await;
        assert_eq!(panicked, Err(PoolError::Stopped));

        let (release, released) = mpsc::channel::<()>();
        let (started, is_started) = mpsc::channel();
        let blocker = pool.run(Priority::BlockImport, move || {
            started.send(()).unwrap();
            released.recv().unwrap();
        });
        is_started.recv().unwrap();
        let waiting: Vec<_> = (0..Priority::BlockImport.limit())
            .map(|_| pool.run(Priority::BlockImport, || ()))
            .collect();
        let refused = pool.run(Priority::BlockImport, || ());
        let other_kind = pool.run(Priority::ApiRequest, || 7);
        release.send(()).unwrap();
        blocker.await.unwrap();
        for job in waiting {
            job.await.unwrap();
        }
        assert_eq!(refused.await, Err(PoolError::QueueFull(Priority::BlockImport)));
        assert_eq!(other_kind.await, Ok(7));
    }
}
