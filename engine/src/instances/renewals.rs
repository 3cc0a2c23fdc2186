//! New claims of sessions that are open on other instances as well.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::clock::Clock;
use crate::cluster::envelope::{Refusal, raw};
use crate::cluster::handlers::RequestHandler;
use crate::cluster::instance::Instance;
use crate::cluster::requests::{AskError, Requests};
use crate::lifecycle::closer::Closer;
use crate::lifecycle::opener::Opener;
use crate::model::Text;
use crate::model::claims::Claims;
use crate::model::session::Session;
use crate::protocol::close_reason::CloseReason;
use crate::sessions::table::Table;
use crate::sync::Mutex;

/// How the request for claims is named on the wire.
const KIND: &str = "claims";

/// For how long others may ask for the claims that were given to a session, in ms.
const KEPT_MS: u64 = 60_000;

/// For how many sessions they are kept.
const KEPT: usize = 10_000;

/// For how long another instance is asked, in ms.
const ASKED_MS: u64 = 4_000;

/// How long it may take each time.
const TRY: Duration = Duration::from_millis(500);

/// How long it is left alone before it is asked again, in ms: what fails at once would fail again at once.
const PAUSE_MS: u64 = 100;

/// What one instance asks another.
#[derive(Debug, Serialize, Deserialize)]
struct Wanted {
    session: Text,
}

/// Claims that were given to a session, and when.
pub(super) struct Given {
    at_ms: u64,
    claims: Claims,
}

impl Given {
    const fn is_fresh(&self, now_ms: u64) -> bool {
        now_ms < self.at_ms.saturating_add(KEPT_MS)
    }
}

/// Gives sessions the claims that the application has given them elsewhere. Claims go to nobody but an instance on which
/// the session is open, and only when it asks. If they cannot be had, the session ends: whoever comes back is authenticated
/// anew.
pub(crate) struct Renewals {
    table: Arc<Table>,
    opener: Arc<Opener>,
    closer: Arc<Closer>,
    requests: Arc<Requests>,
    clock: Arc<dyn Clock>,
    /// What was given here lately.
    given: Mutex<HashMap<Text, Given>>,
}

impl Renewals {
    pub(crate) fn new(
        table: Arc<Table>,
        opener: Arc<Opener>,
        closer: Arc<Closer>,
        requests: Arc<Requests>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { table, opener, closer, requests, clock, given: Mutex::default() }
    }

    /// Gives a session new claims here. `None` if it is open and must not have them; otherwise whether it is open.
    pub(super) fn update(&self, session: &Session) -> Option<bool> {
        let is_open = self.table.get(session.context().id()).is_some();
        let is_updated = self.opener.update(session);
        (is_updated || !is_open).then_some(is_updated)
    }

    /// What is given to a session now.
    pub(super) fn giving(&self, session: &Session) -> Given {
        let claims = Claims::of(session.context(), self.clock.wall());
        Given { at_ms: self.clock.now_ms(), claims }
    }

    /// Keeps what was given to a session for those who will ask.
    pub(super) fn keep(&self, id: &Text, new: Given) {
        let (now_ms, mut given) = (new.at_ms, self.given.lock());
        if given.len() >= KEPT && !given.contains_key(id) {
            given.retain(|_, given| given.is_fresh(now_ms));
        }
        // Those that it got before must not be told any more; if there is no place, none are told.
        if given.len() < KEPT || given.contains_key(id) {
            given.insert(id.clone(), new);
        }
    }

    pub(super) fn is_open(&self, id: &str) -> bool {
        self.table.get(id).is_some()
    }

    /// Asks for the claims that were given to a session elsewhere: whom, is asked each time, since who is there changes.
    /// `None` if they cannot be had in time.
    pub(super) async fn ask(&self, id: &Text, whom: impl Fn() -> Option<Instance>) -> Option<Claims> {
        let until_ms = self.clock.now_ms().saturating_add(ASKED_MS);
        while self.is_open(id) {
            if let Some(from) = whom() {
                let wanted = Wanted { session: id.clone() };
                let asked = self.requests.ask_in_turn(&from, (KIND, &wanted), TRY, until_ms);
                match asked.await {
                    Ok(claims) => return Some(claims),
                    // It has none.
                    Err(AskError::Refused(Refusal::Failed)) => return None,
                    Err(_) => {}
                }
            }
            let now_ms = self.clock.now_ms();
            if now_ms >= until_ms {
                break;
            }
            self.clock.sleep_until(until_ms.min(now_ms.saturating_add(PAUSE_MS))).await;
        }
        None
    }

    /// Gives a session claims that were given to it elsewhere, if it is open. Without any, or if it must not have them, it
    /// ends.
    pub(super) fn give(&self, id: &Text, claims: Option<Claims>) {
        let Some(slot) = self.table.get(id) else { return };
        if !claims.is_some_and(|claims| self.opener.update(&claims.given_to(&slot.session()))) {
            self.closer.close_session(id, CloseReason::Closed);
        }
    }

    /// What was given here to a session lately.
    pub(super) fn given(&self, id: &str) -> Option<Claims> {
        let now_ms = self.clock.now_ms();
        let given = self.given.lock();
        given.get(id).filter(|given| given.is_fresh(now_ms)).map(|given| given.claims.clone())
    }
}

impl RequestHandler for Renewals {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn handle(&self, _: Instance, body: Box<RawValue>) -> BoxFuture<'static, Result<Box<RawValue>, Refusal>> {
        let wanted: Result<Wanted, _> = serde_json::from_str(body.get());
        let given = wanted.map(|wanted| self.given(&wanted.session)).map_err(|_| Refusal::Malformed);
        ready(given.and_then(|given| given.as_ref().map(raw).ok_or(Refusal::Failed))).boxed()
    }
}

impl fmt::Debug for Renewals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewals").finish_non_exhaustive()
    }
}
