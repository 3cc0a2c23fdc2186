//! The baseline: `slop-ai` 0.2.0, unmodified, one server per session with one subscribed consumer each.
//!
//! Its consumer is a connection inside this process that encodes each message as a socket would and drops the text. It
//! gets the same descriptors, the same changes and as many threads. Handlers are left out, which favours it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use slop_ai::SlopServer;
use slop_ai::server::Connection;

use crate::cell::Cell;
use crate::consumer::Verdict;
use crate::mirror::Mirror;
use crate::process;
use crate::workload::population::Population;

/// How many mirrors are checked.
const CHECKED: u32 = 8;

/// One server for each session.
pub(crate) struct Peers {
    pub(crate) population: Arc<Population>,
    servers: Vec<SlopServer>,
    taken: Arc<AtomicU64>,
    recorded: Vec<(usize, Arc<InProcess>)>,
}

/// The peer's consumer.
struct InProcess {
    taken: Arc<AtomicU64>,
    tape: Option<Mutex<Vec<String>>>,
}

impl Connection for InProcess {
    fn send(&self, message: &Value) -> slop_ai::Result<()> {
        let text = serde_json::to_string(message)?;
        self.taken.fetch_add(1, Ordering::Relaxed);
        if let Some(tape) = &self.tape {
            tape.lock().expect("no other consumer panics").push(text);
        }
        Ok(())
    }

    fn close(&self) -> slop_ai::Result<()> {
        Ok(())
    }
}

impl Peers {
    pub(crate) fn start(cell: &Cell) -> Self {
        let population = Arc::new(Population::new(cell.sessions, cell.likeness));
        let taken = Arc::new(AtomicU64::new(0));
        let mut peers = Self { population, servers: Vec::new(), taken, recorded: Vec::new() };
        for u in 0..cell.active_sessions() {
            peers.start_one(cell, u);
        }
        peers
    }

    fn start_one(&mut self, cell: &Cell, u: u32) {
        let server = SlopServer::new("app", "App");
        cell.workload.register_at_peer(&server, &self.population, u);
        let tape = (u < CHECKED).then(Mutex::default);
        let consumer = Arc::new(InProcess { taken: Arc::clone(&self.taken), tape });
        let connection: Arc<dyn Connection> = Arc::clone(&consumer) as Arc<dyn Connection>;
        server.handle_connection(Arc::clone(&connection));
        server.handle_message(&connection, &json!({"type": "subscribe", "id": "all", "path": "/", "depth": -1}));
        if u < CHECKED {
            self.recorded.push((self.servers.len(), consumer));
        }
        self.servers.push(server);
    }

    /// Frames that all consumers took so far.
    pub(crate) fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    pub(crate) fn len(&self) -> usize {
        self.servers.len()
    }

    /// Refreshes every server: it evaluates, compares and sends in one go.
    pub(crate) fn refresh_all(&self) {
        let share = self.servers.len().div_ceil(process::threads()).max(1);
        std::thread::scope(|scope| {
            for share in self.servers.chunks(share) {
                scope.spawn(move || share.iter().for_each(SlopServer::refresh));
            }
        });
    }

    /// Refreshes the server of one member.
    pub(crate) fn refresh_one(&self, u: u32) {
        self.servers[u as usize].refresh();
    }

    /// Compares mirrors with the servers' trees: the peer, too, must have done what it was timed for.
    pub(crate) fn check(&self) -> Verdict {
        let mut verdict = Verdict::default();
        for (at, consumer) in &self.recorded {
            let fresh = serde_json::to_value(self.servers[*at].tree()).unwrap_or_default();
            let tape = consumer.tape.iter().flat_map(|tape| tape.lock().expect("no consumer panicked").clone());
            let mut mirror = Mirror::default();
            let played = tape.into_iter().try_for_each(|frame| mirror.take(&frame));
            verdict.checked += 1;
            match played {
                Ok(()) if mirror.shows(&fresh) => {}
                Ok(()) => verdict.wrong.push("a mirror of the peer differs from its tree".to_owned()),
                Err(why) => verdict.wrong.push(format!("the peer: {why}")),
            }
        }
        verdict
    }
}
