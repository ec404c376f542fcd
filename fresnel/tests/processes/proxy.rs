//! A proxy between a beacon node and its execution client that breaks some of the answers.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// How long an answer that does not come is held back: longer than a node waits for any.
const HANG: Duration = Duration::from_secs(10);
/// Largest head of a message.
const MAX_HEAD: usize = 1 << 16;

/// What happens to an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// The request is carried out, the answer never comes.
    Hang,
    /// The connection ends before the request is carried out.
    Refused,
    /// The request is carried out, and the connection ends.
    Cut,
    /// Half of the body comes.
    Truncated,
    /// HTTP 500 with a text that is not JSON.
    ServerError,
    /// An answer to another question.
    WrongId,
    /// JSON-RPC: internal error.
    RpcError,
    /// JSON that is no answer.
    Nonsense,
    /// The payload is said to be unknown yet.
    Syncing,
    /// The payload is said to be invalid, and its parent valid.
    InvalidWithParent,
    /// The payload is said to be invalid, and nothing else.
    Invalid,
}

/// For every call.
const ANY: [Fault; 8] = [
    Fault::Refused,
    Fault::Cut,
    Fault::Truncated,
    Fault::ServerError,
    Fault::WrongId,
    Fault::RpcError,
    Fault::Nonsense,
    Fault::Hang,
];
/// For calls that judge a payload.
const JUDGING: [Fault; 3] = [Fault::Syncing, Fault::InvalidWithParent, Fault::Invalid];

/// How a node's calls go wrong: the same seed breaks the same calls in the same way.
#[derive(Debug)]
struct State {
    seed: u64,
    calls: u64,
    /// Of a hundred calls.
    percent: u64,
    /// Faults that are still to come.
    left: u64,
    counts: BTreeMap<(Fault, String), u64>,
}

impl State {
    fn draw(&mut self) -> u64 {
        // splitmix64
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.seed;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    fn next(&mut self, method: &str) -> Option<Fault> {
        self.calls += 1;
        if self.left == 0 || self.draw() % 100 >= self.percent {
            return None;
        }
        let judges = method.starts_with("engine_newPayload") || method.starts_with("engine_forkchoiceUpdated");
        let draw = self.draw();
        let fault = if judges && draw.is_multiple_of(2) {
            JUDGING[usize::try_from(draw / 2 % JUDGING.len() as u64).unwrap()]
        } else {
            // A call that hangs takes the time of many others.
            let kinds = if (draw / 2).is_multiple_of(16) {
                ANY.len()
            } else {
                ANY.len() - 1
            };
            ANY[usize::try_from(draw / 32 % kinds as u64).unwrap()]
        };
        self.left -= 1;
        *self.counts.entry((fault, method.to_owned())).or_default() += 1;
        Some(fault)
    }
}

/// A running proxy. It stops when this is dropped.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    server: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Proxy {
    /// Passes everything to `upstream`, and breaks `percent` of the calls until there were `faults`.
    pub(crate) async fn start(upstream: SocketAddr, seed: u64, percent: u64, faults: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            seed,
            calls: 0,
            percent,
            left: faults,
            counts: BTreeMap::new(),
        }));
        let shared = Arc::clone(&state);
        let server = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                tokio::spawn(async move {
                    // A connection that breaks is what this is for.
                    let _ = serve(client, upstream, state).await;
                });
            }
        });
        Self { address, state, server }
    }

    /// Faults that are still to come.
    pub(crate) fn left(&self) -> u64 {
        self.state.lock().unwrap().left
    }

    /// Calls so far, and faults by kind and method.
    pub(crate) fn counts(&self) -> (u64, BTreeMap<(Fault, String), u64>) {
        let state = self.state.lock().unwrap();
        (state.calls, state.counts.clone())
    }
}

/// A message of HTTP/1.1 with a length.
struct Message {
    head: Vec<u8>,
    body: Vec<u8>,
}

/// Reads a message; `None` if the connection ends before it begins.
async fn read(stream: &mut TcpStream) -> io::Result<Option<Message>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) if head.is_empty() => return Ok(None),
            Err(error) => return Err(error),
        }
        if head.len() > MAX_HEAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
    let text = String::from_utf8_lossy(&head).to_lowercase();
    let length = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .and_then(|length| length.trim().parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    Ok(Some(Message { head, body }))
}

async fn write(stream: &mut TcpStream, status: &str, body: &[u8]) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body).await
}

async fn serve(mut client: TcpStream, upstream: SocketAddr, state: Arc<Mutex<State>>) -> io::Result<()> {
    client.set_nodelay(true)?;
    while let Some(request) = read(&mut client).await? {
        let call: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let method = call["method"].as_str().unwrap_or_default().to_owned();
        let fault = state.lock().unwrap().next(&method);
        if fault == Some(Fault::Refused) {
            return Ok(());
        }
        let mut server = TcpStream::connect(upstream).await?;
        server.write_all(&request.head).await?;
        server.write_all(&request.body).await?;
        let Some(answer) = read(&mut server).await? else {
            return Ok(());
        };
        let Some(fault) = fault else {
            client.write_all(&answer.head).await?;
            client.write_all(&answer.body).await?;
            continue;
        };
        let id = &call["id"];
        let result = |result: Value| json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string();
        let judged = |status: Value| {
            result(if method.starts_with("engine_forkchoiceUpdated") {
                json!({ "payloadStatus": status, "payloadId": null })
            } else {
                status
            })
        };
        let status = |status: &str, latest: &Value| json!({ "status": status, "latestValidHash": latest, "validationError": null });
        let body = match fault {
            Fault::Refused | Fault::Cut => return Ok(()),
            Fault::Hang => {
                sleep(HANG).await;
                return Ok(());
            }
            Fault::Truncated => {
                client.write_all(&answer.head).await?;
                client.write_all(&answer.body[..answer.body.len() / 2]).await?;
                return Ok(());
            }
            Fault::ServerError => {
                write(&mut client, "500 Internal Server Error", b"something broke").await?;
                continue;
            }
            Fault::WrongId => {
                let mut answer: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                answer["id"] = json!(u64::MAX);
                answer.to_string()
            }
            Fault::RpcError => {
                json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -32603, "message": "injected" } }).to_string()
            }
            Fault::Nonsense => "[\"what?\"]".to_owned(),
            Fault::Syncing => judged(status("SYNCING", &Value::Null)),
            Fault::InvalidWithParent => judged(status("INVALID", &call["params"][0]["parentHash"])),
            Fault::Invalid => judged(status("INVALID", &Value::Null)),
        };
        write(&mut client, "200 OK", body.as_bytes()).await?;
    }
    Ok(())
}
