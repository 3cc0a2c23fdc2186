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

/// How old a login is at least before its use puts its end off.
const PROLONG_SECONDS: i64 = 24 * 3600;

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

    /// Puts the end of a login that is used off, once a day, and answers with the new one. Tabs and AIs that are connected
    /// with it stay so; an AI that comes later, or asks `/slop/renew`, has it from the store.
    pub(crate) fn prolong(&self, login: &Login) -> Result<Option<Moment>> {
        let expires = Moment::now().plus(LOGIN_SECONDS);
        let is_due = login.expires.is_some_and(|before| before.plus(PROLONG_SECONDS) <= expires);
        if !is_due || !self.store().prolong_login(&login.id, expires)? {
            return Ok(None);
        }
        let login = Login { expires: Some(expires), ..login.clone() };
        self.engine().update_session(&tree::session_of(&login));
        Ok(Some(expires))
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

#[cfg(test)]
mod tests {
    use grove_engine::testing::TestConsumer;
    use grove_engine::{Descriptor, Session, Source};

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_login_that_is_used_lasts_longer_also_for_what_is_connected_with_it() {
        let desk = Desk::in_memory().expect("a desk");
        let soon = Moment::now().plus(3600);
        desk.store().add_login("token", "login", "alice", soon).expect("a login");
        let login = desk.store().login("token").expect("an answer").expect("the login");
        let mut agent = TestConsumer::connect(desk.engine(), tree::session_of(&login)).await;
        let end = |session: &Session| Descriptor::status().prop("end", format!("{:?}", session.expires_at()));
        desk.engine().register_for("login", "end", Source::new(end)).expect("the session is open");
        let shown = |moment: Moment| format!("{:?}", Some(moment.to_system_time()));
        assert_eq!(agent.query("/end").await["properties"]["end"], shown(soon));

        let later = desk.prolong(&login).expect("an answer").expect("it is due");
        assert_eq!(agent.query("/end").await["properties"]["end"], shown(later));
        let login = desk.store().login("token").expect("an answer").expect("the login");
        assert_eq!(login.expires, Some(later));
        assert_eq!(desk.prolong(&login).expect("an answer"), None, "not at every look");
    }

    #[tokio::test]
    async fn a_login_that_has_ended_is_not_prolonged() {
        let desk = Desk::in_memory().expect("a desk");
        desk.store().add_login("token", "login", "alice", Moment::now().plus(3600)).expect("a login");
        let login = desk.store().login("token").expect("an answer").expect("the login");
        desk.log_out(&login).expect("a logout");
        assert_eq!(desk.prolong(&login).expect("an answer"), None);
    }
}
