//! The one way in: every write, whether a person clicked or an AI acted, goes through a method of [`Desk`].
//!
//! Each of them asks in the same order: may this person change anything, is what was sent usable, does the thing exist
//! and is it theirs. Then it writes, and then [`Desk::announce`] tells the pages and the engine in one breath, so that
//! neither can know what the other does not.

mod board;
mod inbox;
mod settings;
mod tasks;
mod text;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use grove_engine::Engine;
use tokio::sync::broadcast;

use crate::change::Change;
use crate::clock::Moment;
use crate::error::{DeskError, Result};
use crate::people::Person;
use crate::store::{Login, Store};
use crate::{secret, seed, tree};

pub(crate) use inbox::Delivery;

/// How many changes a page may fall behind before it is told to show everything again.
const CHANGES_KEPT: usize = 256;

/// How long a browser stays logged in.
const LOGIN_SECONDS: i64 = 30 * 24 * 3600;

/// The desk: its data, its engine, and the pages that watch. Cheap to clone.
///
/// The engine's sources hold a clone, so a desk lives until the process ends.
#[derive(Clone)]
pub struct Desk {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    engine: Engine,
    changes: broadcast::Sender<Change>,
}

impl Desk {
    /// Opens the desk of a SQLite file, creating and filling the file when it is new, and registers its tree with a
    /// new engine. Must be called inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// When SQLite cannot open, create or migrate the file.
    pub fn open(path: &Path) -> Result<Self, DeskError> {
        Self::start(Store::open(path)?)
    }

    /// A desk on a fresh store that is gone when the process ends; for tests and demonstrations.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn in_memory() -> Result<Self, DeskError> {
        Self::start(Store::in_memory()?)
    }

    fn start(store: Store) -> Result<Self> {
        seed::fill(&store)?;
        let engine = Engine::builder("desk", "Desk").build();
        let (changes, _) = broadcast::channel(CHANGES_KEPT);
        let desk = Self { inner: Arc::new(Inner { store, engine, changes }) };
        tree::register(&desk);
        Ok(desk)
    }

    /// The engine that serves the trees.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    /// Everybody who has a desk here.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn people(&self) -> Result<Vec<Person>, DeskError> {
        self.store().people()
    }

    /// The development token of each person, as name and token. Each is a secret that opens that person's desk.
    ///
    /// # Errors
    ///
    /// When SQLite fails.
    pub fn development_tokens(&self) -> Result<Vec<(String, String)>, DeskError> {
        self.store().development_tokens()
    }

    /// For reading. Whoever writes goes through the methods of the desk.
    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    /// What changes from now on.
    pub(crate) fn watch(&self) -> broadcast::Receiver<Change> {
        self.inner.changes.subscribe()
    }

    /// The end of the funnel: tells the open pages and the engine what was just written.
    fn announce(&self, change: Change) {
        if let Some(scope) = change.scope() {
            self.inner.engine.refresh(scope);
        }
        if let Some(login) = change.ended_login() {
            self.inner.engine.revoke(grove_engine::Revocation::session(login));
        }
        // An error means that no page is open.
        let _ = self.inner.changes.send(change);
    }

    /// Does work that touches the store where it may block, and hands its answer back to async code.
    pub(crate) async fn run<T, F>(&self, work: F) -> T
    where
        F: FnOnce(&Self) -> T + Send + 'static,
        T: Send + 'static,
    {
        let desk = self.clone();
        match tokio::task::spawn_blocking(move || work(&desk)).await {
            Ok(answer) => answer,
            Err(failure) => std::panic::resume_unwind(failure.into_panic()),
        }
    }

    /// Logs `person` in and answers with the secret for the cookie and when it ends.
    pub(crate) fn log_in(&self, person: &str) -> Result<(String, Moment)> {
        let token = secret::token();
        let expires = Moment::now().plus(LOGIN_SECONDS);
        self.store().add_login(&token, &secret::name(), person, expires)?;
        Ok((token, expires))
    }

    /// The secret that a login's page shows for the person's AI. It leads to the same engine session as the cookie, so
    /// that the AI sees the page's tabs, and yet opens nothing but the tree: the cookie stays out of reach of scripts.
    /// It is made when a page first shows it, so there is none where no page does.
    pub(crate) fn agent_token(&self, login: &Login) -> Result<Option<String>> {
        self.store().agent_token(&login.id, &secret::token())
    }

    /// Ends a browser's login and everything that lives on it: its pages, and the AIs that came in with its cookie or
    /// its agent token. A development token has no end.
    pub(crate) fn log_out(&self, login: &Login) -> Result<()> {
        if self.store().end_login(&login.id)? {
            self.announce(Change::LoggedOut { login: login.id.clone() });
        }
        Ok(())
    }

    /// Shows everybody's tasks again at each midnight. Runs until it is dropped.
    pub async fn turn_pages(&self) {
        loop {
            tokio::time::sleep(Moment::now().until_midnight()).await;
            self.announce(Change::Date);
        }
    }

    /// Ends the streams of all open pages, which would hold the server up. The pages come back by themselves.
    pub fn let_pages_go(&self) {
        self.announce(Change::Closing);
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("pages", &self.inner.changes.receiver_count()).finish_non_exhaustive()
    }
}

/// The first question of every write.
fn may_write(person: &Person) -> Result<()> {
    if person.role.may_write() { Ok(()) } else { Err(DeskError::ViewOnly) }
}
