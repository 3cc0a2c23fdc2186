//! The peer: `slop-ai` 0.2.0, unmodified, one server per session with one subscribed consumer each.
//!
//! A consumer is a connection in this process that encodes each message as a socket would and drops the text. It gets
//! the same descriptors, the same changes and the same number of threads. Action handlers are left out, which favours
//! the peer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use slop_ai::SlopServer;
use slop_ai::server::Connection;

use crate::consumer::Verdict;
use crate::mirror::Mirror;
use crate::plan::cell::Cell;
use crate::process;
use crate::workload::population::Population;

/// How many mirrors are verified.
const VERIFIED: u32 = 8;

/// One server for each session.
pub(crate) struct SlopAi {
    pub(crate) population: Arc<Population>,
    servers: Vec<SlopServer>,
    frames: Arc<AtomicU64>,
    /// The consumers that record their frames, with the index of their server.
    recorders: Vec<(usize, Arc<InProcess>)>,
}

/// A consumer of the peer.
struct InProcess {
    frames: Arc<AtomicU64>,
    recording: Option<Mutex<Vec<String>>>,
}

impl Connection for InProcess {
    fn send(&self, message: &Value) -> slop_ai::Result<()> {
        let text = serde_json::to_string(message)?;
        self.frames.fetch_add(1, Ordering::Relaxed);
        if let Some(recording) = &self.recording {
            recording.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        }
        Ok(())
    }

    fn close(&self) -> slop_ai::Result<()> {
        Ok(())
    }
}

impl InProcess {
    /// Applies the recorded frames to a mirror and compares it with the server's tree.
    fn verify(&self, server: &SlopServer) -> Result<(), String> {
        let tree = serde_json::to_value(server.tree()).unwrap_or_default();
        let lock = |recording: &Mutex<Vec<String>>| recording.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut mirror = Mirror::default();
        for frame in self.recording.iter().flat_map(lock) {
            mirror.take(&frame).map_err(|error| format!("the peer sent a frame that does not apply: {error}"))?;
        }
        if mirror.shows(&tree) { Ok(()) } else { Err("a mirror of the peer differs from the peer's tree".to_owned()) }
    }
}

impl SlopAi {
    pub(crate) fn start(cell: &Cell) -> Self {
        let population = Arc::new(Population::new(cell.sessions, cell.likeness));
        let frames = Arc::new(AtomicU64::new(0));
        let mut peer = Self { population, servers: Vec::new(), frames, recorders: Vec::new() };
        for u in 0..cell.active_sessions() {
            peer.start_server(cell, u);
        }
        peer
    }

    fn start_server(&mut self, cell: &Cell, u: u32) {
        let server = SlopServer::new("app", "App");
        cell.workload.register_with_peer(&server, &self.population, u);
        let recording = (u < VERIFIED).then(Mutex::default);
        let consumer = Arc::new(InProcess { frames: Arc::clone(&self.frames), recording });
        let connection: Arc<dyn Connection> = Arc::clone(&consumer) as Arc<dyn Connection>;
        server.handle_connection(Arc::clone(&connection));
        server.handle_message(&connection, &json!({"type": "subscribe", "id": "all", "path": "/", "depth": -1}));
        if u < VERIFIED {
            self.recorders.push((self.servers.len(), consumer));
        }
        self.servers.push(server);
    }

    /// Frames that all consumers have received.
    pub(crate) fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }

    /// The number of servers.
    pub(crate) fn len(&self) -> usize {
        self.servers.len()
    }

    /// Refreshes every server, which evaluates, compares and sends.
    pub(crate) fn refresh_all(&self) {
        let share = self.servers.len().div_ceil(process::threads()).max(1);
        std::thread::scope(|scope| {
            for share in self.servers.chunks(share) {
                scope.spawn(move || share.iter().for_each(SlopServer::refresh));
            }
        });
    }

    /// Refreshes the server of member `u`.
    pub(crate) fn refresh_one(&self, u: u32) {
        self.servers[u as usize].refresh();
    }

    /// Compares mirrors with the servers' trees: the peer, too, must have done the work that was timed.
    pub(crate) fn verify(&self) -> Verdict {
        let mut verdict = Verdict::default();
        for (at, consumer) in &self.recorders {
            verdict.checked += 1;
            verdict.wrong.extend(consumer.verify(&self.servers[*at]).err());
        }
        verdict
    }
}
