//! Faults that a test switches on and off while the node runs.

use alloy_primitives::B256;
use std::collections::{BTreeSet, HashSet};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// What goes wrong. The default is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Connections are dropped, open ones at the next byte.
    pub offline: bool,
    /// Payloads and forkchoices are processed but answered with SYNCING.
    pub syncing: bool,
    /// These blocks, and all that build on them, are answered with INVALID.
    pub invalid: HashSet<B256>,
    /// Each answer waits this long.
    pub delay: Duration,
    /// These methods do not exist: not among the capabilities, and answered with -32601.
    pub missing_methods: BTreeSet<String>,
    /// Adds this many spaces to the end of each answer.
    pub padding: usize,
}

/// Accepts connections that break as long as `offline` is set.
pub(crate) struct FaultyListener {
    pub(crate) inner: TcpListener,
    pub(crate) offline: Arc<AtomicBool>,
}

impl axum::serve::Listener for FaultyListener {
    type Io = FaultyStream;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (FaultyStream, SocketAddr) {
        loop {
            let (inner, address) = axum::serve::Listener::accept(&mut self.inner).await;
            if !self.offline.load(Ordering::Relaxed) {
                return (
                    FaultyStream {
                        inner,
                        offline: self.offline.clone(),
                    },
                    address,
                );
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }
}

pub(crate) struct FaultyStream {
    inner: TcpStream,
    offline: Arc<AtomicBool>,
}

impl FaultyStream {
    fn check(&self) -> io::Result<()> {
        if self.offline.load(Ordering::Relaxed) {
            Err(io::ErrorKind::ConnectionReset.into())
        } else {
            Ok(())
        }
    }
}

impl AsyncRead for FaultyStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check()?;
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl AsyncWrite for FaultyStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check()?;
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}
