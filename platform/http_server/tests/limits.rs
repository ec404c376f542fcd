//! Servers on loopback, and callers that take more than they should.

#![expect(clippy::unwrap_used, reason = "a failed step is a failed test")]

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::get;
use futures::stream::unfold;
use http_server::{Limits, Listener, serve};
use runtime::ShutdownHandle;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

const SHORT: Duration = Duration::from_millis(150);
/// Long enough for anything that is to happen.
const LONG: Duration = Duration::from_secs(30);
const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: node\r\n\r\n";
const SLOW_REQUEST: &[u8] = b"GET /slow HTTP/1.1\r\nhost: node\r\n\r\n";

struct Server {
    address: SocketAddr,
    shutdown: ShutdownHandle,
    served: JoinHandle<()>,
    /// Each request of `/slow` that has begun.
    begun: mpsc::UnboundedReceiver<()>,
    /// Lets one of them go on.
    go_on: Arc<Notify>,
}

fn limits() -> Limits {
    Limits {
        idle: LONG,
        drain: LONG,
        ..Limits::default()
    }
}

impl Server {
    async fn start(limits: Limits) -> Self {
        Self::with_routes(limits, Router::new()).await
    }

    async fn with_routes(limits: Limits, routes: Router) -> Self {
        let listener = Listener::bind("Test server", "127.0.0.1:0".parse().unwrap())
            .await
            .unwrap();
        let address = listener.address();
        let (shutdown, end) = ShutdownHandle::new();
        let (begins, begun) = mpsc::unbounded_channel();
        let go_on = Arc::new(Notify::new());
        let released = Arc::clone(&go_on);
        let slow = move || {
            let (begins, released) = (begins.clone(), Arc::clone(&released));
            async move {
                begins.send(()).unwrap();
                released.notified().await;
                "done"
            }
        };
        let routes = routes.route("/", get(async || "done")).route("/slow", get(slow));
        Self {
            address,
            shutdown,
            served: tokio::spawn(serve(listener, routes, limits, end)),
            begun,
            go_on,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn ends(self) {
        tokio::time::timeout(LONG, self.served).await.unwrap().unwrap();
    }
}

/// Reads until the body of an answer has come.
async fn answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(b"done") {
        let read = stream.read_buf(&mut answer).await.unwrap();
        assert_ne!(read, 0, "closed after {:?}", String::from_utf8_lossy(&answer));
    }
    String::from_utf8(answer).unwrap()
}

/// Waits until the server closes a connection.
async fn closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    // A connection that is dropped with something unread is reset.
    let _ = tokio::time::timeout(LONG, stream.read_to_end(&mut rest)).await.unwrap();
    assert!(!rest.ends_with(b"done"), "{:?}", String::from_utf8_lossy(&rest));
}

#[tokio::test]
async fn a_connection_beyond_the_limit_is_served_once_another_ends() {
    let server = Server::start(Limits {
        connections: 2,
        ..limits()
    })
    .await;
    let (mut first, mut second, mut third) = (server.connect().await, server.connect().await, server.connect().await);
    for stream in [&mut first, &mut second] {
        stream.write_all(REQUEST).await.unwrap();
        assert!(answer(stream).await.starts_with("HTTP/1.1 200"));
    }
    third.write_all(REQUEST).await.unwrap();
    let waits = tokio::time::timeout(SHORT, third.readable()).await;
    assert!(waits.is_err(), "the first two are still open");
    drop(first);
    assert!(answer(&mut third).await.starts_with("HTTP/1.1 200"));
    second.write_all(REQUEST).await.unwrap();
    answer(&mut second).await;
}

#[tokio::test]
async fn a_connection_without_a_whole_request_is_closed() {
    let server = Server::start(Limits {
        idle: SHORT,
        ..limits()
    })
    .await;
    let mut silent = server.connect().await;
    closed(&mut silent).await;
    let mut slow = server.connect().await;
    slow.write_all(&REQUEST[..20]).await.unwrap();
    closed(&mut slow).await;
    let mut used = server.connect().await;
    used.write_all(REQUEST).await.unwrap();
    answer(&mut used).await;
    closed(&mut used).await;
}

#[tokio::test]
async fn a_request_may_take_longer_than_a_connection_may_be_idle() {
    let mut server = Server::start(Limits {
        idle: SHORT,
        ..limits()
    })
    .await;
    let mut busy = server.connect().await;
    busy.write_all(SLOW_REQUEST).await.unwrap();
    server.begun.recv().await.unwrap();
    // By when an idle one is closed, the busy one is not.
    closed(&mut server.connect().await).await;
    server.go_on.notify_one();
    answer(&mut busy).await;
}

/// Tells when an answer is no longer sent.
struct Told(Arc<Notify>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[tokio::test]
async fn an_answer_that_nobody_reads_is_given_up() {
    let gone = Arc::new(Notify::new());
    let told = Arc::clone(&gone);
    let endless = async move || {
        Body::from_stream(unfold(Told(Arc::clone(&told)), async |told| {
            Some((Ok::<_, Infallible>(Bytes::from_static(&[7; 1 << 16])), told))
        }))
    };
    let idle = Limits {
        idle: SHORT,
        ..limits()
    };
    let server = Server::with_routes(idle, Router::new().route("/endless", get(endless))).await;
    let mut stream = server.connect().await;
    stream
        .write_all(b"GET /endless HTTP/1.1\r\nhost: node\r\n\r\n")
        .await
        .unwrap();
    tokio::time::timeout(LONG, gone.notified()).await.unwrap();
}

#[tokio::test]
async fn at_the_end_idle_connections_are_closed_and_requests_in_flight_are_answered() {
    let mut server = Server::start(limits()).await;
    let mut idle = server.connect().await;
    idle.write_all(REQUEST).await.unwrap();
    answer(&mut idle).await;
    let mut fresh = server.connect().await;
    let mut busy = server.connect().await;
    busy.write_all(SLOW_REQUEST).await.unwrap();
    server.begun.recv().await.unwrap();
    server.shutdown.trigger("end of the test");
    closed(&mut idle).await;
    closed(&mut fresh).await;
    while TcpStream::connect(server.address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!server.served.is_finished());
    server.go_on.notify_one();
    assert!(answer(&mut busy).await.contains("connection: close"));
    server.ends().await;
}

#[tokio::test]
async fn a_request_that_takes_too_long_does_not_hold_up_the_end() {
    let mut server = Server::start(Limits {
        drain: SHORT,
        ..limits()
    })
    .await;
    let mut busy = server.connect().await;
    busy.write_all(SLOW_REQUEST).await.unwrap();
    server.begun.recv().await.unwrap();
    server.shutdown.trigger("end of the test");
    server.ends().await;
    closed(&mut busy).await;
}
