//! Serving until the end.

use crate::Listener;
use crate::patience::Patience;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use runtime::Shutdown;
use std::pin::pin;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// Largest head of a request, and what is buffered of an answer: room for some hundred public keys in a query. With all
/// connections in use it is 64 MiB.
const BUFFER_BYTES: usize = 128 << 10;

/// What callers may take of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once. Who comes later waits until one ends.
    pub connections: usize,
    /// How long a connection may wait for a request's head to be complete, from its beginning or from the answer before;
    /// and how long an answer may wait for somebody to read.
    pub idle: Duration,
    /// How long requests may still take after the end was called.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            idle: Duration::from_secs(60),
            drain: Duration::from_secs(5),
        }
    }
}

/// Serves until the shutdown: then no connection is accepted, idle ones are closed, and what is asked already is answered,
/// if that does not take too long.
pub async fn serve(mut listener: Listener, routes: Router, limits: Limits, shutdown: Shutdown) {
    let (name, address) = (listener.name(), listener.address());
    tracing::info!(%address, "{name} started");
    let mut connections = JoinSet::new();
    let mut end = shutdown.clone();
    let mut end = pin!(end.wait());
    loop {
        tokio::select! {
            stream = listener.accept(), if connections.len() < limits.connections => {
                connections.spawn(connection(stream, routes.clone(), limits, shutdown.clone()));
            }
            Some(_) = connections.join_next() => {}
            _ = &mut end => break,
        }
    }
    drop(listener);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.drain, drained).await.is_err() {
        let count = connections.len();
        tracing::debug!(%address, count, "{name} has ended with requests unanswered");
    }
}

async fn connection(stream: TcpStream, routes: Router, limits: Limits, mut shutdown: Shutdown) {
    // Answers are written at once; a part that waits for another costs a slot's precious milliseconds.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::trace!(%error, "No TCP_NODELAY");
    }
    let stream = Patience::new(TokioIo::new(stream), limits.idle);
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.idle)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(stream, TowerToHyperService::new(routes));
    let mut served = pin!(served);
    let outcome = tokio::select! {
        outcome = served.as_mut() => outcome,
        _ = shutdown.wait() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = outcome {
        tracing::trace!(%error, "A connection has broken off");
    }
}
