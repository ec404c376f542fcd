//! Bounded channels whose length and losses are metrics, by name.
//!
//! A full channel never makes a producer hold more in memory: it either waits ([`Sender::send`]) or loses the message
//! and counts the loss ([`Sender::try_send`]).

use prometheus::{IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts};
use std::sync::LazyLock;
use tokio::sync::mpsc;

static LENGTH: LazyLock<Option<IntGaugeVec>> = LazyLock::new(|| {
    let opts = Opts::new("channel_queue_length", "Messages that wait in a channel");
    let metric = IntGaugeVec::new(opts, &["channel"]).ok()?;
    prometheus::register(Box::new(metric.clone())).ok()?;
    Some(metric)
});

static DROPPED: LazyLock<Option<IntCounterVec>> = LazyLock::new(|| {
    let opts = Opts::new("channel_dropped_total", "Messages lost because a channel was full");
    let metric = IntCounterVec::new(opts, &["channel"]).ok()?;
    prometheus::register(Box::new(metric.clone())).ok()?;
    Some(metric)
});

/// A message was not sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// As many messages wait as may.
    #[error("channel {0} is full: its reader is too slow")]
    Full(&'static str),
    /// Nobody reads any more.
    #[error("channel {0} is closed: its reader has stopped")]
    Closed(&'static str),
}

/// Puts messages into a channel. Cheap to clone.
#[derive(Debug)]
pub struct Sender<T> {
    inner: mpsc::Sender<T>,
    name: &'static str,
    length: Option<IntGauge>,
    dropped: Option<IntCounter>,
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            name: self.name,
            length: self.length.clone(),
            dropped: self.dropped.clone(),
        }
    }
}

/// Takes messages out of a channel.
#[derive(Debug)]
pub struct Receiver<T> {
    inner: mpsc::Receiver<T>,
    length: Option<IntGauge>,
}

/// A channel for at most `capacity` messages (at least one). `name` is the label of its metrics.
pub fn channel<T>(name: &'static str, capacity: usize) -> (Sender<T>, Receiver<T>) {
    let (sender, receiver) = mpsc::channel(capacity.max(1));
    let length = LENGTH.as_ref().map(|metric| metric.with_label_values(&[name]));
    let dropped = DROPPED.as_ref().map(|metric| metric.with_label_values(&[name]));
    (
        Sender {
            inner: sender,
            name,
            length: length.clone(),
            dropped,
        },
        Receiver {
            inner: receiver,
            length,
        },
    )
}

impl<T> Sender<T> {
    /// Sends, and waits for room if there is none.
    pub async fn send(&self, message: T) -> Result<(), SendError> {
        let permit = self.inner.reserve().await.map_err(|_| SendError::Closed(self.name))?;
        // Before the reader can take it: the gauge must not fall below zero.
        self.count_one_more();
        permit.send(message);
        Ok(())
    }

    /// Sends, or loses the message if there is no room.
    pub fn try_send(&self, message: T) -> Result<(), SendError> {
        let permit = self.inner.try_reserve().map_err(|error| match error {
            mpsc::error::TrySendError::Full(()) => {
                if let Some(dropped) = &self.dropped {
                    dropped.inc();
                }
                SendError::Full(self.name)
            }
            mpsc::error::TrySendError::Closed(()) => SendError::Closed(self.name),
        })?;
        self.count_one_more();
        permit.send(message);
        Ok(())
    }

    /// Whether nobody reads any more.
    pub fn is_closed(&self) -> bool {
        self.inner.is_closed()
    }

    fn count_one_more(&self) {
        if let Some(length) = &self.length {
            length.inc();
        }
    }
}

impl<T> Receiver<T> {
    /// The next message; none when all senders are gone and everything is read.
    pub async fn recv(&mut self) -> Option<T> {
        let message = self.inner.recv().await;
        self.count_one_less(message)
    }

    /// The next message, if one waits.
    pub fn try_recv(&mut self) -> Option<T> {
        let message = self.inner.try_recv().ok();
        self.count_one_less(message)
    }

    fn count_one_less(&self, message: Option<T>) -> Option<T> {
        if let (Some(length), Some(_)) = (&self.length, &message) {
            length.dec();
        }
        message
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        // What is left unread does not wait any more.
        self.inner.close();
        while self.try_recv().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(name: &str) -> i64 {
        LENGTH.as_ref().unwrap().with_label_values(&[name]).get()
    }

    #[tokio::test]
    async fn a_full_channel_counts_what_it_loses() {
        let (sender, mut receiver) = channel("test_full", 2);
        sender.try_send(1).unwrap();
        sender.send(2).await.unwrap();
        assert_eq!(sender.try_send(3), Err(SendError::Full("test_full")));
        assert_eq!(length("test_full"), 2);
        assert_eq!(
            DROPPED.as_ref().unwrap().with_label_values(&["test_full"]).get(),
            1,
            "the third"
        );
        assert_eq!((receiver.recv().await, receiver.try_recv()), (Some(1), Some(2)));
        assert_eq!(length("test_full"), 0);
    }

    #[tokio::test]
    async fn a_waiting_sender_goes_on_when_there_is_room() {
        let (sender, mut receiver) = channel("test_wait", 1);
        sender.send(1).await.unwrap();
        let waiting = tokio::spawn(async move { sender.send(2).await });
        assert_eq!([receiver.recv().await, receiver.recv().await], [Some(1), Some(2)]);
        waiting.await.unwrap().unwrap();
        assert_eq!(receiver.recv().await, None, "all senders are gone");
    }

    #[test]
    fn a_lost_reader_leaves_nothing_waiting() {
        let (sender, receiver) = channel("test_lost", 4);
        sender.try_send(1).unwrap();
        drop(receiver);
        assert_eq!(length("test_lost"), 0);
        assert_eq!(sender.try_send(2), Err(SendError::Closed("test_lost")));
        assert!(sender.is_closed());
    }
}
