//! Opens sessions, and gives open ones new claims.

use std::sync::Arc;

use super::evictor::Evictor;
use super::expiry::Expiry;
use super::providers::Providers;
use crate::background::Background;
use crate::cluster::bus::Bus;
use crate::config::Limit;
use crate::error::ConnectError;
use crate::event::{Event, Observers};
use crate::model::session::{Context, Session};
use crate::protocol::close_reason::CloseReason;
use crate::refresh::refresher::{Refresher, Urgency};
use crate::rooms::service::RoomService;
use crate::sessions::evidence::Authority;
use crate::sessions::idle_tracker::IdleTracker;
use crate::sessions::paths::Paths;
use crate::sessions::revocations::{Access, Revocations};
use crate::sessions::slot::Slot;
use crate::sessions::table::{OpenStep, Opened, Table};

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
    pub(crate) rooms: Option<Arc<RoomService>>,
    pub(crate) bus: Arc<Bus>,
    pub(crate) background: Arc<Background>,
    pub(crate) observers: Arc<Observers>,
}

impl Opener {
    /// Finds or makes the slot of a session. The claims hold from now on, unless it has newer ones.
    pub(crate) fn open(&self, session: &Session) -> Result<Arc<Slot>, ConnectError> {
        let context = session.context();
        context.belongs_to(&self.observers.owner());
        self.check_access(context)?;
        let opened = self.evictor.find_or_make(context, self.expiry.now(), self.providers.are_per_session())?;
        self.admit(session, opened)
    }

    /// Makes a session show the claims that it was just given.
    fn admit(&self, session: &Session, opened: Opened) -> Result<Arc<Slot>, ConnectError> {
        let (slot, context) = (opened.slot, session.context());
        self.ask_for_notices(context, &opened.step);
        if let OpenStep::Changed(before) = &opened.step {
            // Whatever fails from here on closes the session, whose claims do not name the rooms of another viewer any more.
            self.update_rooms(&slot, context, before);
        }
        // Revocations are kept before it is looked who is there: one that came meanwhile is seen here.
        self.check_revocations(context, !matches!(opened.step, OpenStep::New)).inspect_err(|_| {
            if matches!(opened.step, OpenStep::New | OpenStep::Changed(_)) {
                self.closer.close(&slot, CloseReason::Revoked);
            }
        })?;
        match opened.step {
            OpenStep::New => {
                self.providers.make(&slot, session)?;
                self.rooms.iter().for_each(|rooms| rooms.opened(&slot));
                self.observers.emit(|| Event::SessionOpened { session: context.id().clone() });
                self.idle.session_idle(&slot);
                self.expiry.watch(&slot);
            }
            OpenStep::Changed(before) => self.change_claims(&slot, session, &before)?,
            OpenStep::Kept | OpenStep::Foreign => {}
        }
        Ok(slot)
    }

    /// What other instances say of the session's project concerns it.
    fn ask_for_notices(&self, context: &Context, step: &OpenStep) {
        match step {
            OpenStep::New => self.bus.opened(context.project()),
            OpenStep::Changed(before) if before.project() != context.project() => {
                self.bus.opened(context.project());
                self.bus.closed(before.project());
            }
            _ => {}
        }
    }

    fn update_rooms(&self, slot: &Arc<Slot>, context: &Context, before: &Context) {
        if let Some(rooms) = self.rooms.as_ref().filter(|_| !before.same_claims(context)) {
            rooms.claims_changed(slot, before);
        }
    }

    fn change_claims(&self, slot: &Arc<Slot>, session: &Session, before: &Context) -> Result<(), ConnectError> {
        let context = session.context();
        if !before.same_claims(context) {
            self.providers.make(slot, session)?;
            self.show_new_claims(slot);
        }
        self.expiry.watch(slot);
        if before.expires_at() != context.expires_at() {
            // A short extension may end within the time of the warning.
            self.expiry.warn(slot);
        }
        Ok(())
    }

    fn show_new_claims(&self, slot: &Arc<Slot>) {
        // If nobody is connected, whoever comes next must not see what the old claims allowed, not even for a moment.
        self.evictor.discard_tree(slot);
        self.refresher.request_session(slot, &Paths::All, Urgency::Debounced);
    }

    /// Gives an open session what a new credential says (SEC13), unless it has newer claims. `None` if no session is open
    /// that it could be for.
    pub(crate) fn renew(&self, session: &Session) -> Result<Option<Arc<Slot>>, ConnectError> {
        self.change(session, Authority::Credential)
    }

    /// Gives an open session new claims, on the word of the application: only what is issued later replaces them. False
    /// if no session has that id, or if it is refused.
    pub(crate) fn update(&self, session: &Session) -> bool {
        let now = self.expiry.now();
        let issued = session.context().issued_at().unwrap_or(now);
        let session = session.clone().with_issued_at(issued);
        self.change(&session, Authority::Application).is_ok_and(|changed| changed.is_some())
    }

    fn change(&self, session: &Session, from: Authority) -> Result<Option<Arc<Slot>>, ConnectError> {
        let context = session.context();
        context.belongs_to(&self.observers.owner());
        self.check_access(context)?;
        let Some(changed) = self.evictor.change(context, (from, self.expiry.now()))? else { return Ok(None) };
        if matches!(changed.step, OpenStep::Foreign) {
            self.evictor.report_conflict(context);
            return Ok(None);
        }
        self.admit(session, changed).map(Some)
    }

    /// Makes a session's provider anew. False if no session has that id.
    pub(crate) fn restart(&self, id: &str) -> Result<bool, ConnectError> {
        let Some(slot) = self.table.get(id) else { return Ok(false) };
        self.providers.make(&slot, &slot.session())?;
        self.refresher.request_session(&slot, &Paths::All, Urgency::Debounced);
        Ok(true)
    }

    /// # Errors
    /// That the runtime is gone, or the authentication is over or was revoked.
    pub(crate) fn check_access(&self, context: &Context) -> Result<(), ConnectError> {
        if !self.background.is_alive() {
            return Err(ConnectError::RuntimeEnded);
        }
        if self.expiry.is_expired(context.expires_at()) {
            return Err(ConnectError::Expired);
        }
        self.check_revocations(context, self.table.get(context.id()).is_some())
    }

    /// # Errors
    /// That it was revoked, or that it is not open yet and nobody can tell whether it was.
    fn check_revocations(&self, context: &Context, open: bool) -> Result<(), ConnectError> {
        match self.revocations.access(context, self.expiry.now()) {
            Access::Revoked => Err(ConnectError::Revoked),
            Access::Unknown if !open => {
                let limit = Limit::Revocations;
                self.observers.warn(&Event::LimitReached { limit, session: context.id().clone() });
                Err(ConnectError::LimitReached(limit))
            }
            Access::Unknown | Access::Allowed => Ok(()),
        }
    }
}
