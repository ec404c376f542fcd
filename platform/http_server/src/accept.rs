//! Listening, and taking connections in.

use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

/// How long accepting rests after the system has refused: as a rule, until a file is closed.
const PAUSE: Duration = Duration::from_millis(100);

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("{name} cannot listen on {address}: {reason}")]
pub struct ListenError {
    /// Which server.
    pub name: &'static str,
    /// Where.
    pub address: SocketAddr,
    /// Why not.
    #[source]
    pub reason: Error,
}

/// An open socket of a server that does not serve yet: callers wait.
#[derive(Debug)]
pub struct Listener {
    name: &'static str,
    address: SocketAddr,
    socket: TcpListener,
    /// Whether the last attempt to accept has failed. A failure is logged once, and once that it is over.
    fails: bool,
}

impl Listener {
    /// Listens on an address, for a server that logs and errors call by `name`.
    pub async fn bind(name: &'static str, address: SocketAddr) -> std::result::Result<Self, ListenError> {
        let failed = |reason| ListenError { name, address, reason };
        let socket = TcpListener::bind(address).await.map_err(failed)?;
        Ok(Self {
            name,
            address: socket.local_addr().map_err(failed)?,
            socket,
            fails: false,
        })
    }

    /// Where it listens; the system has chosen the port if 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// The next connection. Goes on whatever the system says, and may be dropped at any time.
    pub(crate) async fn accept(&mut self) -> TcpStream {
        let Self {
            name,
            address,
            socket,
            fails,
        } = self;
        let (stream, _) = first_accepted(
            fails,
            || socket.accept(),
            |error| match error {
                Some(error) => tracing::warn!(%address, %error, "{name} cannot take connections in"),
                None => tracing::info!(%address, "{name} takes connections in again"),
            },
        )
        .await;
        stream
    }
}

/// Accepts until it works. Tells of the first failure of a row, and when the row is over.
async fn first_accepted<T, F>(fails: &mut bool, mut accept: impl FnMut() -> F, tell: impl Fn(Option<&Error>)) -> T
where
    F: Future<Output = Result<T>>,
{
    loop {
        match accept().await {
            Ok(accepted) => {
                if std::mem::take(fails) {
                    tell(None);
                }
                return accepted;
            }
            // The caller was gone before its turn.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted
                ) => {}
            Err(error) => {
                if !std::mem::replace(fails, true) {
                    tell(Some(&error));
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};
    use std::collections::VecDeque;
    use std::time::Instant;

    /// Number of the error of too many open files.
    const EMFILE: i32 = 24;

    #[tokio::test]
    async fn without_free_files_accepting_rests_and_goes_on() {
        let outcomes: RefCell<VecDeque<Result<u8>>> = RefCell::new(VecDeque::from([
            Err(Error::from_raw_os_error(EMFILE)),
            Err(Error::from_raw_os_error(EMFILE)),
            Ok(1),
            Err(ErrorKind::ConnectionAborted.into()),
            Ok(2),
        ]));
        let told = Cell::new((0, 0));
        let tell = |error: Option<&Error>| {
            let (failures, ends) = told.get();
            told.set(if error.is_some() {
                (failures + 1, ends)
            } else {
                (failures, ends + 1)
            });
        };
        let accept = || std::future::ready(outcomes.borrow_mut().pop_front().unwrap());
        let mut fails = false;
        let started = Instant::now();
        assert_eq!(first_accepted(&mut fails, accept, tell).await, 1);
        assert!(started.elapsed() >= 2 * PAUSE, "it does not spin");
        assert_eq!(told.get(), (1, 1), "a row of failures is told of once");
        assert_eq!(first_accepted(&mut fails, accept, tell).await, 2);
        assert_eq!(told.get(), (1, 1), "a caller that hangs up is no failure");
    }

    #[tokio::test]
    async fn an_address_that_is_taken_is_named_with_the_server() {
        let first = Listener::bind("First", "127.0.0.1:0".parse().unwrap()).await.unwrap();
        let error = Listener::bind("Second", first.address()).await.unwrap_err();
        let start = format!("Second cannot listen on {}: ", first.address());
        assert!(error.to_string().starts_with(&start), "{error}");
    }
}
