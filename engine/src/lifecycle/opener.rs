//! Opens sessions, and gives open ones new claims.

use std::sync::Arc;

use super::evictor::Evictor;
use super::expiry::Expiry;
use super::providers::Providers;
use crate::error::ConnectError;
use crate::event::{Event, Observers};
use crate::model::Text;
use crate::model::session::{Context, Session};
use crate::protocol::close_reason::CloseReason;
use crate::refresh::refresher::{Refresher, Urgency};
use crate::sessions::idle_tracker::IdleTracker;
use crate::sessions::paths::Paths;
use crate::sessions::revocations::Revocations;
use crate::sessions::slot::Slot;
use crate::sessions::table::Table;

use super::closer::Closer;

/// Opens and renews sessions.
#[derive(Debug)]
pub(crate) struct Opener {
    pub(crate) table: Arc<Table>,
    pub(crate) revocations: Arc<Revocations>,
    pub(crate) providers: Providers,
    pub(crate) evictor: Arc<Evictor>,
    pub(crate) expiry: Arc<Expiry>,
    pub(crate) closer: Arc<Closer>,
    pub(crate) idle: Arc<IdleTracker>,
    pub(crate) refresher: Arc<Refresher>,
    pub(crate) observers: Arc<Observers>,
}

impl Opener {
    /// Finds or makes the slot of a session, with the claims that hold from now on.
    pub(crate) fn open(&self, session: &Session) -> Result<Arc<Slot>, ConnectError> {
        let context = session.context();
        context.belongs_to(&self.observers.owner());
        self.check_access(context)?;
        let opened = self.evictor.find_or_make(context, self.providers.are_per_session())?;
        let slot = opened.slot;
        if self.revocations.contains(context) {
            self.closer.close(&slot, CloseReason::Revoked);
            return Err(ConnectError::Revoked);
        }
        let changed = opened.before.as_ref().is_some_and(|before| !before.same_claims(context));
        if opened.new || changed {
            self.providers.make(&slot, session)?;
        }
        if opened.new {
            self.observers.emit(|| Event::SessionOpened { session: context.id().clone() });
            self.idle.session_idle(&slot);
        }
        if changed {
            self.show_new_claims(&slot);
        }
        self.expiry.watch(&slot, context);
        if opened.before.is_some_and(|before| before.expires_at() != context.expires_at()) {
            // A short extension may end within the time of the warning.
            self.expiry.warn(&slot);
        }
        Ok(slot)
    }

    fn show_new_claims(&self, slot: &Arc<Slot>) {
        // If nobody is connected, whoever comes next must not see what the old claims allowed, not even for a moment.
        self.evictor.discard_tree(slot);
        self.refresher.request_session(slot, &Paths::All, Urgency::Debounced);
    }

    /// Gives an open session what a new credential says (SEC13). False if no session is open that it could be for.
    pub(crate) fn renew(&self, session: &Session) -> Result<bool, ConnectError> {
        let context = session.context();
        self.check_access(context)?;
        let open = self.table.get(context.id()).is_some_and(|slot| continues(&slot.context(), context));
        if open { self.open(session).map(|_| true) } else { Ok(false) }
    }

    /// Gives an open session new claims. False if no session has that id, or if it is refused.
    pub(crate) fn update(&self, session: &Session) -> bool {
        self.table.get(session.context().id()).is_some() && self.open(session).is_ok()
    }

    /// Makes a session's provider anew. False if no session has that id.
    pub(crate) fn restart(&self, id: &str) -> Result<bool, ConnectError> {
        let Some(slot) = self.table.get(id) else { return Ok(false) };
        self.providers.make(&slot, &slot.session())?;
        self.refresher.request_session(&slot, &Paths::All, Urgency::Debounced);
        Ok(true)
    }

    /// # Errors
    /// That the authentication is over, or was revoked.
    fn check_access(&self, context: &Context) -> Result<(), ConnectError> {
        if self.expiry.is_expired(context.expires_at()) {
            return Err(ConnectError::Expired);
        }
        if self.revocations.contains(context) { Err(ConnectError::Revoked) } else { Ok(()) }
    }
}

/// Whether a credential is for the same session as before: an anonymous session can log in by renewing, but nobody
/// becomes somebody else (SEC2).
fn continues(before: &Context, now: &Context) -> bool {
    let same = |before: Option<&Text>, now: Option<&Text>| before.is_none() || before == now;
    same(before.user(), now.user()) && same(before.project(), now.project())
}
