//! One consumer on a WebSocket. It is a task, and records what arrives.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::sync::{Mutex, Notify};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::consumer::{QUERY, SUBSCRIBE};
use crate::failure::Failure;
use crate::measure::stopwatch::time_of_day_us;
use crate::mirror::Mirror;
use crate::websocket::{Socket, dial};

/// Longer than any frame takes.
const FRAME_TIMEOUT: Duration = Duration::from_secs(30);

/// A consumer that is subscribed to the whole tree of its session.
pub(super) struct SocketConsumer {
    /// Snapshots and patches so far.
    frames: AtomicU32,
    /// The time of day at which the last of them had arrived completely.
    last_us: AtomicU64,
    arrived: Notify,
    snapshot_bytes: AtomicU64,
    sink: Mutex<SplitSink<Socket, Message>>,
    /// Every frame, if its mirror is verified at the end.
    recording: Option<Mutex<Vec<String>>>,
}

impl SocketConsumer {
    /// Connects to the session of member `u` and subscribes.
    pub(super) async fn connect(url: &str, u: u32, recorded: bool) -> Result<(u32, Arc<Self>), Failure> {
        let (mut sink, stream) = dial(&format!("{url}?token={u}")).await?.split();
        sink.send(Message::text(SUBSCRIBE)).await?;
        let consumer = Arc::new(Self {
            frames: AtomicU32::new(0),
            last_us: AtomicU64::new(0),
            arrived: Notify::new(),
            snapshot_bytes: AtomicU64::new(0),
            sink: Mutex::new(sink),
            recording: recorded.then(Mutex::default),
        });
        tokio::spawn(Arc::clone(&consumer).receive_all(stream));
        Ok((u, consumer))
    }

    async fn receive_all(self: Arc<Self>, mut stream: SplitStream<Socket>) {
        while let Some(Ok(message)) = stream.next().await {
            if let Message::Text(text) = message {
                self.receive(text.as_str(), time_of_day_us()).await;
            }
        }
    }

    async fn receive(&self, text: &str, at_us: u64) {
        if text.starts_with(r#"{"type":"snapshot""#) {
            self.snapshot_bytes.store(text.len() as u64, Ordering::Relaxed);
        } else if !text.starts_with(r#"{"type":"patch""#) {
            return;
        }
        if let Some(recording) = &self.recording {
            recording.lock().await.push(text.to_owned());
        }
        self.last_us.store(at_us, Ordering::Relaxed);
        self.frames.fetch_add(1, Ordering::Release);
        self.arrived.notify_waiters();
    }

    pub(super) fn frames(&self) -> u32 {
        self.frames.load(Ordering::Acquire)
    }

    pub(super) fn snapshot_bytes(&self) -> u64 {
        self.snapshot_bytes.load(Ordering::Relaxed)
    }

    /// Waits until this many frames have arrived. Returns the time of day at which the last one did.
    pub(super) async fn wait_for(&self, frames: u32) -> Result<u64, Failure> {
        let waiting = async {
            loop {
                let arrived = self.arrived.notified();
                if self.frames() >= frames {
                    return self.last_us.load(Ordering::Relaxed);
                }
                arrived.await;
            }
        };
        let last_us = timeout(FRAME_TIMEOUT, waiting).await;
        Ok(last_us.map_err(|_| format!("a consumer received {} of {frames} frames in time", self.frames()))?)
    }

    /// Applies the recorded frames to a mirror and compares it with a fresh query. `None` if nothing was recorded.
    pub(super) async fn verify(&self) -> Result<Option<Result<(), String>>, Failure> {
        let Some(recording) = &self.recording else { return Ok(None) };
        let frames = self.frames();
        self.sink.lock().await.send(Message::text(QUERY)).await?;
        self.wait_for(frames + 1).await?;
        let mut recording = recording.lock().await.clone();
        let fresh = recording.pop().unwrap_or_default();
        Ok(Some(compare(&recording, &serde_json::from_str(&fresh)?)))
    }
}

/// Applies frames to a mirror and compares it with the reply to a query.
fn compare(frames: &[String], fresh: &Value) -> Result<(), String> {
    let mut mirror = Mirror::default();
    frames.iter().try_for_each(|frame| mirror.take(frame))?;
    if mirror.shows(&fresh["tree"]) { Ok(()) } else { Err("a mirror differs from a fresh query".to_owned()) }
}
