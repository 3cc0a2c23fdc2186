//! The application that victim and attackers use.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use grove_engine::{Action, Config, Descriptor, Engine, Invocation, Item, Outcome, Scope, Session};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::peer::Peer;

/// The user on whose behalf all hostile peers act.
pub const HOSTILE_USER: &str = "mallory";

/// How many items the list that everybody sees has.
const ITEMS: usize = 500;

/// An engine with a small application: a note for each user, and a list that all see.
#[derive(Debug, Clone)]
pub struct Stage {
    engine: Engine,
    notes: Arc<Mutex<HashMap<String, i64>>>,
    /// For how long the notes of the hostile user block whoever renders them, in ms.
    blocks_ms: Arc<AtomicU64>,
}

impl Stage {
    /// An engine with this configuration.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let engine = Engine::builder("app", "App").config(config).build();
        let stage = Self { engine, notes: Arc::default(), blocks_ms: Arc::default() };
        stage.serve_notes();
        stage.engine.register("list", |_: &Session| {
            Descriptor::collection()
                .items((0..ITEMS).map(|n| Item::new(format!("item-{n}")).prop("title", format!("Item {n}"))))
        });
        stage
    }

    fn serve_notes(&self) {
        let notes = Arc::clone(&self.notes);
        let set = Action::new("set", move |call: Invocation<Value>| {
            let user = call.session.user().unwrap_or_default().to_owned();
            notes.lock().insert(user, call.params["n"].as_i64().unwrap_or_default());
            Outcome::data(json!({"set": true}))
        });
        let shout = {
            let engine = self.engine.clone();
            Action::new("shout", move |call: Invocation<()>| {
                let user = call.session.user().unwrap_or_default().to_owned();
                for n in 0..100 {
                    let data = json!({"n": n, "text": "x".repeat(500)});
                    engine.emit(Scope::user(user.clone()), "shout", Some(&data)).expect("the event fits a frame");
                }
            })
        };
        let stage = self.clone();
        self.engine.register("note", move |session: &Session| {
            let user = session.user().unwrap_or_default();
            let blocks_ms = stage.blocks_ms.load(Ordering::SeqCst);
            if blocks_ms > 0 && user == HOSTILE_USER {
                std::thread::sleep(Duration::from_millis(blocks_ms));
            }
            Descriptor::status().prop("owner", user).prop("n", stage.note_of(user)).action(&set).action(&shout)
        });
    }

    /// The engine.
    #[must_use]
    pub const fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The number in a user's note.
    #[must_use]
    pub fn note_of(&self, user: &str) -> i64 {
        self.notes.lock().get(user).copied().unwrap_or_default()
    }

    /// Changes a user's note, without a refresh.
    pub fn set_note(&self, user: &str, n: i64) {
        self.notes.lock().insert(user.to_owned(), n);
    }

    /// From now on the note of the hostile user blocks whoever renders it for this long.
    pub(crate) fn block_notes_of_hostile_user(&self, time: Duration) {
        let ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.blocks_ms.store(ms, Ordering::SeqCst);
    }

    /// A hostile consumer, in a session of its own.
    #[must_use]
    pub fn consumer(&self, session: &str) -> Peer {
        Peer::consumer(&self.engine, Session::new(session).with_user(HOSTILE_USER))
    }

    /// A hostile consumer that is subscribed to its whole tree.
    #[must_use]
    pub fn watcher(&self, session: &str) -> Peer {
        let mut peer = self.consumer(session);
        peer.send(&json!({"type": "subscribe", "id": "s", "path": "/", "depth": -1}));
        peer
    }

    /// A hostile browser tab.
    #[must_use]
    pub fn tab(&self, session: &str) -> Peer {
        Peer::tab(&self.engine, Session::new(session).with_user(HOSTILE_USER))
    }
}
