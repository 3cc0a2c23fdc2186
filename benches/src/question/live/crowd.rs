//! Many consumers on real sockets. Each is one task; what it receives is noted where the measurement looks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::sync::{Mutex, Notify};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::Failure;
use crate::consumer::{QUERY, SUBSCRIBE, Verdict};
use crate::mirror::Mirror;
use crate::stopwatch::time_of_day_us;

pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How many handshakes are under way at once.
const HANDSHAKES: usize = 64;

/// How many mirrors are checked.
const CHECKED: usize = 32;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes read at once; the client's memory is nobody's concern, but there are many.
const READ_BUFFER_BYTES: usize = 4096;

/// All consumers.
pub(super) struct Crowd {
    members: Vec<Arc<Member>>,
}

/// What is known of one consumer.
struct Member {
    /// Snapshots and patches so far.
    frames: AtomicU32,
    /// The time of day when the last of them had arrived whole.
    last_us: AtomicU64,
    arrived: Notify,
    snapshot_bytes: AtomicU64,
    sink: Mutex<SplitSink<Socket, Message>>,
    /// Every frame, for those whose mirror is checked at the end.
    tape: Option<Mutex<Vec<String>>>,
}

/// Opens a socket with this token.
pub(super) async fn dial(url: &str, token: &str) -> Result<Socket, Failure> {
    let config = WebSocketConfig::default().read_buffer_size(READ_BUFFER_BYTES);
    let (socket, _) = connect_async_with_config(format!("{url}?token={token}"), Some(config), true).await?;
    Ok(socket)
}

impl Crowd {
    /// Connects and subscribes this many consumers, and waits until all have their snapshot.
    pub(super) async fn gather(url: &str, count: u32) -> Result<Self, Failure> {
        let recorded = (count as usize).div_ceil(CHECKED).max(1);
        let mut waiting = (0..count).map(|u| Member::join(url, u, (u as usize).is_multiple_of(recorded)));
        let mut handshakes: FuturesUnordered<_> = waiting.by_ref().take(HANDSHAKES).collect();
        let mut members = Vec::with_capacity(count as usize);
        while let Some(member) = handshakes.next().await {
            members.push(member?);
            handshakes.extend(waiting.next());
        }
        members.sort_unstable_by_key(|(u, _)| *u);
        let crowd = Self { members: members.into_iter().map(|(_, member)| member).collect() };
        for member in &crowd.members {
            member.wait_for(1).await?;
        }
        Ok(crowd)
    }

    pub(super) fn len(&self) -> u32 {
        self.members.len() as u32
    }

    pub(super) fn snapshot_bytes(&self) -> u64 {
        self.members.last().map_or(0, |member| member.snapshot_bytes.load(Ordering::Relaxed))
    }

    /// How many frames each has got.
    pub(super) fn frames(&self) -> Vec<u32> {
        self.members.iter().map(|member| member.frames.load(Ordering::Acquire)).collect()
    }

    /// Waits until everybody has the frame of the shared change of this number; answers when each had it.
    pub(super) async fn wait_for_shared(&self, number: u32) -> Result<Vec<u64>, Failure> {
        let mut arrivals = Vec::with_capacity(self.members.len());
        for member in &self.members {
            // The snapshot was the first frame, and each shared change is one more.
            arrivals.push(member.wait_for(1 + number).await?);
        }
        Ok(arrivals)
    }

    /// Waits until member `u` has one frame more than `seen`; answers when.
    pub(super) async fn wait_for_next(&self, u: u32, seen: u32) -> Result<u64, Failure> {
        self.members[u as usize].wait_for(seen + 1).await
    }

    /// Plays the tapes and compares each mirror with a fresh query.
    pub(super) async fn check(&self) -> Result<Verdict, Failure> {
        let mut verdict = Verdict::default();
        for member in &self.members {
            let Some(tape) = &member.tape else { continue };
            let frames = member.frames.load(Ordering::Acquire);
            member.sink.lock().await.send(Message::text(QUERY)).await?;
            member.wait_for(frames + 1).await?;
            let mut tape = tape.lock().await.clone();
            let mut fresh: Value = serde_json::from_str(&tape.pop().unwrap_or_default())?;
            let mut mirror = Mirror::default();
            let played = tape.iter().try_for_each(|frame| mirror.take(frame));
            verdict.checked += 1;
            match played {
                Ok(()) if mirror.shows(&fresh["tree"].take()) => {}
                Ok(()) => verdict.wrong.push("a mirror differs from a fresh query".to_owned()),
                Err(why) => verdict.wrong.push(why),
            }
        }
        Ok(verdict)
    }
}

impl Member {
    async fn join(url: &str, u: u32, recorded: bool) -> Result<(u32, Arc<Self>), Failure> {
        let (mut sink, stream) = dial(url, &u.to_string()).await?.split();
        sink.send(Message::text(SUBSCRIBE)).await?;
        let member = Arc::new(Self {
            frames: AtomicU32::new(0),
            last_us: AtomicU64::new(0),
            arrived: Notify::new(),
            snapshot_bytes: AtomicU64::new(0),
            sink: Mutex::new(sink),
            tape: recorded.then(Mutex::default),
        });
        tokio::spawn(Arc::clone(&member).listen(stream));
        Ok((u, member))
    }

    async fn listen(self: Arc<Self>, mut stream: SplitStream<Socket>) {
        while let Some(Ok(message)) = stream.next().await {
            let Message::Text(text) = message else { continue };
            let at_us = time_of_day_us();
            let snapshot = text.starts_with(r#"{"type":"snapshot""#);
            if !snapshot && !text.starts_with(r#"{"type":"patch""#) {
                continue;
            }
            if snapshot {
                self.snapshot_bytes.store(text.len() as u64, Ordering::Relaxed);
            }
            if let Some(tape) = &self.tape {
                tape.lock().await.push(text.as_str().to_owned());
            }
            self.last_us.store(at_us, Ordering::Relaxed);
            self.frames.fetch_add(1, Ordering::Release);
            self.arrived.notify_waiters();
        }
    }

    /// Waits until this many frames have come; answers when the last one did.
    async fn wait_for(&self, frames: u32) -> Result<u64, Failure> {
        let waiting = async {
            loop {
                let arrived = self.arrived.notified();
                if self.frames.load(Ordering::Acquire) >= frames {
                    return self.last_us.load(Ordering::Relaxed);
                }
                arrived.await;
            }
        };
        let got = timeout(PATIENCE, waiting).await;
        Ok(got.map_err(|_| format!("a consumer got {:?} of {frames} frames", self.frames))?)
    }
}
