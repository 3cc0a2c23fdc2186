//! New claims of sessions that are open on other instances as well.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::background::Background;
use crate::clock::Clock;
use crate::cluster::envelope::{Refusal, raw};
use crate::cluster::handlers::RequestHandler;
use crate::cluster::instance::Instance;
use crate::cluster::requests::Requests;
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

/// How often another instance is asked, and how long it may take each time.
const TRIES: usize = 8;
const TRY: Duration = Duration::from_millis(500);

/// What one instance asks another.
#[derive(Debug, Serialize, Deserialize)]
struct Wanted {
    session: Text,
}

/// Gives sessions the claims that the application has given them elsewhere. Claims go to nobody but an instance on which
/// the session is open, and only when it asks. If they cannot be had, the session ends: whoever comes back is authenticated
/// anew.
pub(crate) struct Renewals {
    table: Arc<Table>,
    opener: Arc<Opener>,
    closer: Arc<Closer>,
    requests: Arc<Requests>,
    background: Arc<Background>,
    clock: Arc<dyn Clock>,
    /// What was given here lately, and when.
    given: Mutex<HashMap<Text, (u64, Claims)>>,
}

impl Renewals {
    pub(crate) fn new(
        table: Arc<Table>,
        opener: Arc<Opener>,
        closer: Arc<Closer>,
        requests: Arc<Requests>,
        background: Arc<Background>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { table, opener, closer, requests, background, clock, given: Mutex::default() }
    }

    /// Gives a session new claims here. `None` if it is open and must not have them; otherwise whether it is open.
    pub(super) fn update(&self, session: &Session) -> Option<bool> {
        let is_open = self.table.get(session.context().id()).is_some();
        let is_updated = self.opener.update(session);
        (is_updated || !is_open).then_some(is_updated)
    }

    /// Keeps what was given to a session for those who will ask.
    pub(super) fn keep(&self, session: &Session) {
        let (now_ms, claims) = (self.clock.now_ms(), Claims::of(session.context(), self.clock.wall()));
        let mut given = self.given.lock();
        if given.len() >= KEPT {
            given.retain(|_, (at_ms, _)| now_ms < at_ms.saturating_add(KEPT_MS));
        }
        if given.len() < KEPT {
            given.insert(session.context().id().clone(), (now_ms, claims));
        }
    }

    /// A session was given new claims elsewhere; they are asked for if it is open here.
    pub(super) fn follow(self: &Arc<Self>, id: &Text, from: Option<Instance>) {
        if self.table.get(id).is_none() {
            return;
        }
        let (this, id) = (Arc::clone(self), id.clone());
        // Not counted as work: it waits for another process.
        self.background.run(async move {
            let is_given = if let Some(from) = from { this.ask(&from, &id).await } else { false };
            if !is_given {
                this.closer.close_session(&id, CloseReason::Closed);
            }
        });
    }

    /// Whether the session has the claims now, or need not have them.
    async fn ask(&self, from: &Instance, id: &Text) -> bool {
        for _ in 0..TRIES {
            let wanted = Wanted { session: id.clone() };
            let Ok(claims) = self.requests.ask::<Option<Claims>>(from, KIND, &wanted, TRY).await else { continue };
            let (Some(claims), Some(slot)) = (claims, self.table.get(id)) else { return self.table.get(id).is_none() };
            return self.opener.update(&claims.given_to(&slot.session()));
        }
        false
    }

    fn given(&self, id: &str) -> Option<Claims> {
        let now_ms = self.clock.now_ms();
        let given = self.given.lock();
        given.get(id).filter(|(at_ms, _)| now_ms < at_ms.saturating_add(KEPT_MS)).map(|(_, claims)| claims.clone())
    }
}

impl RequestHandler for Renewals {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn handle(&self, _: Instance, body: Box<RawValue>) -> BoxFuture<'static, Result<Box<RawValue>, Refusal>> {
        let wanted: Result<Wanted, _> = serde_json::from_str(body.get());
        let reply = wanted.map(|wanted| raw(&self.given(&wanted.session))).map_err(|_| Refusal::Malformed);
        ready(reply).boxed()
    }
}

impl fmt::Debug for Renewals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewals").finish_non_exhaustive()
    }
}
