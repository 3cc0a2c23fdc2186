//! What waits for the connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_nats::{Client, PublishErrorKind};
use bytes::Bytes;
use tokio::sync::Notify;
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::stats::{Counters, count};

/// Takes messages without waiting: what finds no place, or no connection, is dropped and counted.
#[derive(Debug)]
pub(crate) struct Outgoing {
    queue: Sender<Waiting>,
    gate: Arc<Gate>,
}

/// What those who publish and the one who writes share.
#[derive(Debug)]
struct Gate {
    bytes: AtomicUsize,
    most_bytes: usize,
    up: AtomicBool,
    closing: Notify,
    counters: Arc<Counters>,
}

#[derive(Debug)]
struct Waiting {
    subject: String,
    message: Bytes,
}

/// The one task that writes.
pub(crate) struct Writer {
    queue: Receiver<Waiting>,
    gate: Arc<Gate>,
}

impl Outgoing {
    pub(crate) fn new(most: usize, most_bytes: usize, counters: Arc<Counters>) -> (Self, Writer) {
        let (sender, receiver) = mpsc::channel(most);
        let (bytes, up, closing) = (AtomicUsize::new(0), AtomicBool::new(false), Notify::new());
        let gate = Arc::new(Gate { bytes, most_bytes, up, closing, counters });
        (Self { queue: sender, gate: Arc::clone(&gate) }, Writer { queue: receiver, gate })
    }

    pub(crate) fn set_up(&self, up: bool) {
        self.gate.up.store(up, Ordering::Release);
    }

    pub(crate) fn is_up(&self) -> bool {
        self.gate.up.load(Ordering::Acquire)
    }

    /// Accepts nothing more.
    pub(crate) fn close(&self) {
        self.gate.closing.notify_one();
    }

    pub(crate) fn publish(&self, subject: String, message: &str) {
        let gate = &self.gate;
        if !self.is_up() {
            return count(&gate.counters.dropped_away);
        }
        let bytes = message.len();
        let before = gate.bytes.fetch_add(bytes, Ordering::AcqRel);
        let waiting = Waiting { subject, message: Bytes::copy_from_slice(message.as_bytes()) };
        // One message may be larger than the bound, if nothing else waits.
        if (before > 0 && before + bytes > gate.most_bytes) || self.queue.try_send(waiting).is_err() {
            gate.bytes.fetch_sub(bytes, Ordering::AcqRel);
            count(&gate.counters.dropped_full);
        }
    }
}

impl Writer {
    /// Writes until the queue is closed, and then what still waits.
    pub(crate) async fn run(mut self, client: Client) {
        loop {
            let waiting = tokio::select! {
                waiting = self.queue.recv() => waiting,
                () = self.gate.closing.notified() => {
                    self.queue.close();
                    continue;
                }
            };
            let Some(Waiting { subject, message }) = waiting else { return };
            self.gate.bytes.fetch_sub(message.len(), Ordering::AcqRel);
            self.write(&client, subject, message).await;
        }
    }

    async fn write(&self, client: &Client, subject: String, message: Bytes) {
        let counters = &self.gate.counters;
        if !self.gate.up.load(Ordering::Acquire) {
            return count(&counters.dropped_away);
        }
        match client.publish(subject, message).await {
            Ok(()) => count(&counters.sent),
            Err(error) if error.kind() == PublishErrorKind::MaxPayloadExceeded => count(&counters.dropped_too_large),
            Err(_) => count(&counters.dropped_away),
        }
    }
}
