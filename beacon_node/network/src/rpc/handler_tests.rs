use super::super::framing::push_payload;
use super::super::messages::ResponseChunk;
use super::*;
use std::io;
use std::pin::Pin;

const SHORT: Duration = Duration::from_millis(50);
const DEADLINE: Duration = Duration::from_secs(20);

/// The other end of a stream.
struct Peer {
    sends: Vec<u8>,
    /// Whether it closes its half after that.
    ends: bool,
    /// Bytes that it still takes.
    reads: usize,
    /// How many of them at once, and when again.
    at_once: usize,
    pause: Duration,
    next: Option<Pin<Box<tokio::time::Sleep>>>,
    /// Whether it resets the stream when it would have to read on.
    resets: bool,
    /// What it has taken.
    taken: Arc<parking_lot::Mutex<Vec<u8>>>,
}

impl Peer {
    /// Reads so much, as fast as it comes.
    fn new(sends: Vec<u8>, ends: bool, reads: usize) -> Self {
        Self {
            sends,
            ends,
            reads,
            at_once: usize::MAX,
            pause: Duration::ZERO,
            next: None,
            resets: false,
            taken: Arc::default(),
        }
    }
}

impl AsyncRead for Peer {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, out: &mut [u8]) -> Poll<io::Result<usize>> {
        let count = out.len().min(self.sends.len());
        if count == 0 && !self.ends {
            return Poll::Pending;
        }
        out.iter_mut()
            .zip(self.sends.drain(..count))
            .for_each(|(out, byte)| *out = byte);
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for Peer {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(next) = &mut self.next {
            futures::ready!(next.as_mut().poll(cx));
        }
        let count = bytes.len().min(self.reads).min(self.at_once);
        self.reads -= count;
        self.taken.lock().extend_from_slice(&bytes[..count]);
        self.next = (!self.pause.is_zero()).then(|| Box::pin(tokio::time::sleep(self.pause)));
        if count == 0 && self.resets {
            Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
        } else if count == 0 {
            Poll::Pending
        } else {
            Poll::Ready(Ok(count))
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

const PATIENCE: Patience = Patience {
    request: SHORT,
    chunk: SHORT,
    reading: |_| DEADLINE,
    answer: |_, _| DEADLINE,
};

/// Serves a peer that asks for blocks with three chunks of ten bytes. Gives how it left, and whether its request was
/// passed on.
async fn serve_blocks(peer: Peer) -> (Option<Abandoned>, bool) {
    serve_patiently(peer, PATIENCE).await
}

async fn serve_patiently(peer: Peer, patience: Patience) -> (Option<Abandoned>, bool) {
    let protocol = ProtocolKind::BlocksByRange.versions()[0];
    let (sender, mut requests) = mpsc::channel(1);
    let answer = async {
        let Some(HandlerEvent::Request { responder, .. }) = requests.recv().await else {
            return false;
        };
        for _ in 0..3 {
            if responder.object(types::ForkDigest::ZERO, vec![7; 10]).await.is_err() {
                break;
            }
        }
        true
    };
    let both = futures::future::join(serve(peer, protocol, sender, Duration::ZERO, patience), answer);
    let (event, was_asked) = timeout(DEADLINE, both).await.expect("a peer cannot hold a stream");
    let how = event.map(|event| match event {
        HandlerEvent::Abandoned { how, .. } => how,
        other => panic!("{other:?}"),
    });
    (how, was_asked)
}

fn request() -> Vec<u8> {
    let mut bytes = Vec::new();
    let numbers = [0u64, 3, 1].map(u64::to_le_bytes).concat();
    push_payload(&numbers, &mut bytes).unwrap();
    bytes
}

#[tokio::test]
async fn a_request_that_stops_half_way_is_given_up_and_noted() {
    let whole = request();
    for cut in 0..whole.len() {
        let peer = |ends| Peer::new(whole[..cut].to_vec(), ends, usize::MAX);
        let early = serve_blocks(peer(true)).await;
        assert_eq!(early, (Some(Abandoned::RequestCutShort), false), "{cut} bytes");
        // Each of these takes its time.
        if cut % 8 == 0 {
            let silent = serve_blocks(peer(false)).await;
            assert_eq!(silent, (Some(Abandoned::RequestOverdue), false), "{cut} bytes");
        }
    }
    let open = Peer::new(whole, false, usize::MAX);
    let how = serve_blocks(open).await;
    assert_eq!(how, (Some(Abandoned::RequestOverdue), false), "its half is not closed");
}

fn chunk_len() -> usize {
    let protocol = ProtocolKind::BlocksByRange.versions()[0];
    let chunk = ResponseChunk::Object {
        fork_digest: types::ForkDigest::ZERO,
        ssz: vec![7; 10],
    };
    encode_chunk(protocol, chunk).unwrap().len()
}

#[tokio::test]
async fn an_answer_that_is_not_read_is_given_up_and_noted() {
    let whole = 3 * chunk_len();
    let peer = |reads| Peer::new(request(), true, reads);
    for reads in [0, 1, whole / 3, whole - 1] {
        let how = serve_blocks(peer(reads)).await;
        assert_eq!(how, (Some(Abandoned::AnswerNotRead), true), "{reads} of {whole} bytes");
    }
    assert_eq!(serve_blocks(peer(whole)).await, (None, true));
}

#[tokio::test]
async fn who_reads_every_chunk_in_time_but_the_answer_too_slowly_loses_its_place() {
    let slow = || Peer {
        at_once: chunk_len(),
        pause: SHORT * 4,
        ..Peer::new(request(), true, usize::MAX)
    };
    let patient = Patience {
        chunk: DEADLINE,
        ..PATIENCE
    };
    assert_eq!(serve_patiently(slow(), patient).await, (None, true));
    // Three chunks may take what the last would end after.
    let hasty = Patience {
        answer: |kind, chunks| {
            assert_eq!((kind, chunks), (ProtocolKind::BlocksByRange, 3));
            SHORT * 6
        },
        ..patient
    };
    let how = serve_patiently(slow(), hasty).await;
    assert_eq!(how, (Some(Abandoned::AnswerNotRead), true));
}

#[tokio::test]
async fn who_reads_every_chunk_in_time_but_at_no_rate_loses_its_place() {
    const PAUSE: Duration = Duration::from_secs(2);
    // The first of three chunks is taken at once.
    let slow = || Peer {
        at_once: chunk_len(),
        pause: PAUSE,
        ..Peer::new(request(), true, usize::MAX)
    };
    let at_rate = |reading| Patience {
        chunk: DEADLINE,
        reading,
        ..PATIENCE
    };
    let enough = at_rate(|bytes| PAUSE * (bytes as u32 / chunk_len() as u32));
    assert_eq!(serve_patiently(slow(), enough).await, (None, true));
    let begun = Instant::now();
    // Enough for the second chunk, and not for the third.
    let too_little = at_rate(|bytes| PAUSE + SHORT * (bytes as u32 / chunk_len() as u32));
    let how = serve_patiently(slow(), too_little).await;
    assert_eq!(how, (Some(Abandoned::AnswerNotRead), true));
    assert!(begun.elapsed() < 2 * PAUSE, "it is not waited for");
}

#[tokio::test]
async fn who_resets_a_stream_pays_for_it_only_if_it_was_slow_before() {
    let resetting = |pause| Peer {
        at_once: chunk_len(),
        pause,
        resets: true,
        ..Peer::new(request(), true, chunk_len())
    };
    let patience = Patience {
        chunk: DEADLINE,
        reading: |_| SHORT * 40,
        ..PATIENCE
    };
    assert_eq!(serve_patiently(resetting(Duration::ZERO), patience).await, (None, true));
    let how = serve_patiently(resetting(SHORT * 20), patience).await;
    assert_eq!(how, (Some(Abandoned::AnswerNotRead), true));
}

#[tokio::test]
async fn a_node_that_takes_its_time_does_not_count_that_against_the_reader() {
    let protocol = ProtocolKind::BlocksByRange.versions()[0];
    let (sender, mut requests) = mpsc::channel(1);
    let patience = Patience {
        reading: |_| SHORT,
        ..PATIENCE
    };
    let peer = Peer::new(request(), true, usize::MAX);
    let served = serve(peer, protocol, sender, Duration::ZERO, patience);
    let both = futures::future::join(served, async {
        let event = requests.recv().await;
        let Some(HandlerEvent::Request { responder, .. }) = &event else {
            panic!("{event:?}");
        };
        for _ in 0..3 {
            tokio::time::sleep(SHORT * 2).await;
            assert!(responder.object(types::ForkDigest::ZERO, vec![7; 10]).await.is_ok());
        }
    });
    let (event, ()) = timeout(DEADLINE, both).await.expect("it is answered");
    assert!(event.is_none(), "the peer is not at fault: {event:?}");
}

#[tokio::test]
async fn an_answer_that_the_node_does_not_give_in_time_ends_with_an_error() {
    let protocol = ProtocolKind::BlocksByRange.versions()[0];
    let (sender, mut requests) = mpsc::channel(1);
    let patience = Patience {
        answer: |_, _| SHORT,
        ..PATIENCE
    };
    let peer = Peer::new(request(), true, usize::MAX);
    let taken = Arc::clone(&peer.taken);
    let served = serve(peer, protocol, sender, Duration::ZERO, patience);
    let both = futures::future::join(served, async {
        let event = requests.recv().await;
        let Some(HandlerEvent::Request { responder, .. }) = &event else {
            panic!("{event:?}");
        };
        let chunk = responder.object(types::ForkDigest::ZERO, vec![7; 10]).await;
        assert!(chunk.is_ok());
        while !responder.is_closed() {
            tokio::time::sleep(SHORT).await;
        }
    });
    let (event, ()) = timeout(DEADLINE, both).await.expect("the place is free again");
    assert!(event.is_none(), "the peer is not at fault: {event:?}");
    let error = taken.lock().get(chunk_len()).copied();
    assert_eq!(error, Some(ResponseCode::ServerError.as_u8()));
}
