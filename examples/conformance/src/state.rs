//! Everything that the app remembers. It outlives the trees that the engine makes of it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use grove_engine::Session;
use parking_lot::Mutex;
use serde_json::Number;

use crate::notes::Notes;
use crate::own::Own;

/// The app's data. Each part has a lock of its own.
#[derive(Debug)]
pub(crate) struct State {
    /// By session id.
    own: Mutex<HashMap<String, Arc<Mutex<Own>>>>,
    pub(crate) board: Mutex<Board>,
    /// The boards of rooms.
    pub(crate) notes: Notes,
    /// What `/stamp` shows.
    pub(crate) stamp: Mutex<Number>,
    /// By registered path: the sessions for which its descriptor function panics.
    broken: Mutex<HashMap<String, HashSet<String>>>,
}

/// What `/board` shows to everybody.
#[derive(Debug, Clone)]
pub(crate) struct Board {
    pub(crate) text: String,
    /// How often the text was set.
    pub(crate) rev: u64,
}

impl State {
    pub(crate) fn new() -> Self {
        Self {
            own: Mutex::default(),
            board: Mutex::new(Board { text: "welcome".to_owned(), rev: 0 }),
            notes: Notes::default(),
            stamp: Mutex::new(0.into()),
            broken: Mutex::default(),
        }
    }

    /// What a session has for itself; made when it is first asked for.
    pub(crate) fn own(&self, session: &str) -> Arc<Mutex<Own>> {
        let mut own = self.own.lock();
        if let Some(known) = own.get(session) {
            return Arc::clone(known);
        }
        Arc::clone(own.entry(session.to_owned()).or_insert_with(|| Arc::new(Mutex::new(Own::new(session)))))
    }

    pub(crate) fn set_board(&self, text: String) {
        let mut board = self.board.lock();
        *board = Board { text, rev: board.rev + 1 };
    }

    pub(crate) fn set_broken(&self, session: &str, path: &str, broken: bool) {
        let mut all = self.broken.lock();
        let sessions = all.entry(path.to_owned()).or_default();
        if broken {
            sessions.insert(session.to_owned());
        } else {
            sessions.remove(session);
        }
        if sessions.is_empty() {
            all.remove(path);
        }
    }

    /// Panics if the path is broken for the session. As long as it is broken for no one, nothing of the session is read,
    /// so that functions which read nothing go on being shared.
    pub(crate) fn panic_if_broken(&self, session: &Session, path: &str) {
        let broken = self.broken.lock().get(path).is_some_and(|sessions| sessions.contains(session.id()));
        assert!(!broken, "/{path} is broken");
    }
}
