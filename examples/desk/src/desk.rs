//! The single entry point: every write, whether a person clicked or an AI acted, goes through a method of [`Desk`].
//!
//! Each of them checks in the same order: may this person change anything, is the input valid, does the object exist and
//! is it theirs. Then it writes, and then [`Desk::announce`] notifies the pages and the engine together, so that neither
//! can know what the other does not.

mod board;
mod delivery;
mod inbox;
mod keys;
mod room;
mod settings;
mod tasks;
mod text;

use std::fmt;
use std::sync::Arc;

use grove_attest::{Members, Peers};
use grove_engine::{Engine, Revocation};
use tokio::sync::broadcast;

use crate::change::Change;
use crate::clock::Moment;
use crate::error::{DeskError, Result};
use crate::people::Person;
use crate::session::{person_session_id, person_session_of, session_of};
use crate::store::{Login, Store};
use crate::{board_room, launched, secret, seed};

pub(crate) use delivery::Delivery;

/// How many changes a page may fall behind before it must reload everything.
const CHANGE_BACKLOG: usize = 256;

/// How long a browser stays logged in.
const LOGIN_SECONDS: i64 = 30 * 24 * 3600;

/// How long after its last extension a login is extended when it is used.
const EXTEND_SECONDS: i64 = 24 * 3600;

/// The desk: its data, its engine, and the pages that watch. Cheap to clone.
///
/// The engine's sources hold a clone, so a desk lives until the process ends.
#[derive(Clone)]
pub struct Desk {
    inner: Arc<Inner>,
}

struct Inner {
    store: Arc<Store>,
    engine: Engine,
    peers: Peers,
    changes: broadcast::Sender<Change>,
}

impl Desk {
    /// A desk on a store, which is filled when it is new, with an engine that has no tree yet; and with the keys by which
    /// people launch sessions.
    pub(crate) fn new(store: Store, members: impl Members + 'static) -> Result<Self> {
        seed::fill(&store)?;
        let engine = Engine::builder("desk", "Desk").rooms(board_room::options()).build();
        let (changes, _) = broadcast::channel(CHANGE_BACKLOG);
        let store = Arc::new(store);
        let peers = launched::peers(&engine, members, &store)?;
        Ok(Self { inner: Arc::new(Inner { store, engine, peers, changes }) })
    }

    /// The engine that serves the trees.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.inner.engine
    }

    /// The sessions that people launch.
    pub(crate) fn peers(&self) -> &Peers {
        &self.inner.peers
    }

    /// Everyone who has a desk here.
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

    /// For reading. Writes go through the methods of the desk.
    pub(crate) fn store(&self) -> &Store {
        &self.inner.store
    }

    /// The changes from now on.
    pub(crate) fn watch(&self) -> broadcast::Receiver<Change> {
        self.inner.changes.subscribe()
    }

    /// Notifies the open pages and the engine of what was just written.
    fn announce(&self, change: Change) {
        if let Some(scope) = change.scope() {
            self.inner.engine.refresh(scope);
        }
        if let Some(login) = change.ended_login() {
            self.inner.engine.revoke(Revocation::session(login));
            self.inner.engine.revoke(Revocation::session(person_session_id(login)));
        }
        // An error means that no page is open.
        let _ = self.inner.changes.send(change);
    }

    /// Runs work that uses the store on a thread that may block, and returns its result to async code.
    pub(crate) async fn run<T, F>(&self, work: F) -> T
    where
        F: FnOnce(&Self) -> T + Send + 'static,
        T: Send + 'static,
    {
        let desk = self.clone();
        match tokio::task::spawn_blocking(move || work(&desk)).await {
            Ok(result) => result,
            Err(failure) => std::panic::resume_unwind(failure.into_panic()),
        }
    }

    /// Logs `person` in. Returns the secret for the cookie and its expiry.
    pub(crate) fn log_in(&self, person: &str) -> Result<(String, Moment)> {
        let token = secret::token();
        let expires = Moment::now().plus(LOGIN_SECONDS);
        self.store().add_login(&token, &secret::name(), person, expires)?;
        Ok((token, expires))
    }

    /// Extends a login that is used, once a day. Returns the new expiry if it did. Tabs and AIs that are connected with it
    /// stay connected; an AI that connects later, or calls `/slop/renew`, gets the expiry from the store.
    pub(crate) fn extend(&self, login: &Login) -> Result<Option<Moment>> {
        let expires = Moment::now().plus(LOGIN_SECONDS);
        let is_due = login.expires.is_some_and(|before| before.plus(EXTEND_SECONDS) <= expires);
        if !is_due || !self.store().extend_login(&login.id, expires)? {
            return Ok(None);
        }
        let login = Login { expires: Some(expires), ..login.clone() };
        self.engine().update_session(&session_of(&login));
        self.engine().update_session(&person_session_of(&login));
        Ok(Some(expires))
    }

    /// The secret that a login's page shows for the person's AI. It belongs to the same engine session as the cookie, so
    /// that the AI sees the page's tabs, but gives access to nothing but the tree: the cookie stays out of reach of
    /// scripts. It is created when a page first shows it, so there is none where no page does.
    pub(crate) fn agent_token(&self, login: &Login) -> Result<Option<String>> {
        self.store().agent_token(&login.id, &secret::token())
    }

    /// Ends a browser's login and everything that depends on it: its pages, and the AIs that connected with its cookie or
    /// its agent token. A development token does not end.
    pub(crate) fn log_out(&self, login: &Login) -> Result<()> {
        if self.store().end_login(&login.id)? {
            self.announce(Change::LoggedOut { login: login.id.clone() });
        }
        Ok(())
    }

    /// Refreshes everyone's tasks at each midnight. Runs until it is dropped.
    pub async fn refresh_at_midnight(&self) {
        loop {
            tokio::time::sleep(Moment::now().until_midnight()).await;
            self.announce(Change::Date);
        }
    }

    /// Ends the event streams of all open pages, which would delay the shutdown. The pages reconnect by themselves.
    pub fn end_page_streams(&self) {
        self.announce(Change::Closing);
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("pages", &self.inner.changes.receiver_count()).finish_non_exhaustive()
    }
}

/// The first check of every write.
fn may_write(person: &Person) -> Result<()> {
    if person.role.may_write() { Ok(()) } else { Err(DeskError::ViewOnly) }
}

#[cfg(test)]
mod tests {
    use grove_attest::MemoryMembers;
    use grove_engine::testing::TestConsumer;
    use grove_engine::{Descriptor, Session, Source};

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn using_a_login_extends_it_also_for_its_open_connections() {
        let desk = Desk::new(Store::in_memory().expect("a store"), MemoryMembers::new()).expect("a desk");
        let soon = Moment::now().plus(3600);
        desk.store().add_login("token", "login", "alice", soon).expect("a login");
        let login = desk.store().login("token").expect("no error").expect("the login");
        let end = |session: &Session| Descriptor::status().prop("end", format!("{:?}", session.expires_at()));
        let shown = |moment: Moment| format!("{:?}", Some(moment.to_system_time()));
        let mut connected = Vec::new();
        for session in [session_of(&login), person_session_of(&login)] {
            let mut consumer = TestConsumer::connect(desk.engine(), session.clone()).await;
            desk.engine().register_for(session.id(), "end", Source::new(end)).expect("the session is open");
            assert_eq!(consumer.query("/end").await["properties"]["end"], shown(soon));
            connected.push(consumer);
        }

        let later = desk.extend(&login).expect("no error").expect("it is due");
        for consumer in &mut connected {
            assert_eq!(consumer.query("/end").await["properties"]["end"], shown(later));
        }
        let login = desk.store().login("token").expect("no error").expect("the login");
        assert_eq!(login.expires, Some(later));
        assert_eq!(desk.extend(&login).expect("no error"), None, "not on every use");
    }

    #[tokio::test]
    async fn a_login_that_has_ended_is_not_extended() {
        let desk = Desk::new(Store::in_memory().expect("a store"), MemoryMembers::new()).expect("a desk");
        desk.store().add_login("token", "login", "alice", Moment::now().plus(3600)).expect("a login");
        let login = desk.store().login("token").expect("no error").expect("the login");
        desk.log_out(&login).expect("a logout");
        assert_eq!(desk.extend(&login).expect("no error"), None);
    }
}
