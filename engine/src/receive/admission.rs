//! Whether a call, or a query that takes time, may begin: limits, ids that were used before, and the end of a session.

use std::sync::Arc;

use super::peer::Peer;
use crate::config::{Limit, Limits};
use crate::deliver::call_log::{CallKind, CallRejected};
use crate::error::ActionError;
use crate::event::{Event, Observers};
use crate::lifecycle::expiry::Expiry;
use crate::protocol::close_reason::CloseReason;
use crate::protocol::code::ErrorCode;
use crate::protocol::message::RequestId;
use crate::sessions::call_quota::{CallPermit, CallQuota};
use crate::sessions::quota::QuotaExceeded;
use crate::sessions::slot::Slot;

/// Admits calls.
#[derive(Debug)]
pub(crate) struct Admission {
    quota: Arc<CallQuota>,
    expiry: Arc<Expiry>,
    limits: Limits,
    observers: Arc<Observers>,
}

impl Admission {
    pub(crate) fn new(
        quota: Arc<CallQuota>,
        expiry: Arc<Expiry>,
        limits: Limits,
        observers: Arc<Observers>,
    ) -> Arc<Self> {
        Arc::new(Self { quota, expiry, limits, observers })
    }

    /// Begins a call of a connection. It counts until the permit is dropped.
    pub(super) fn admit(&self, peer: &Peer, id: &RequestId, kind: CallKind) -> Result<CallPermit, ActionError> {
        let permit = self.admit_session(&peer.slot)?;
        match peer.link.begin_call(id, kind, &self.limits) {
            Ok(()) => Ok(permit),
            Err(CallRejected::TooMany) => Err(self.busy(&peer.slot, QuotaExceeded(Limit::CallsPerConnection))),
            Err(CallRejected::Closing(reason)) => Err(ActionError::new(ErrorCode::Busy, reason.message())),
            Err(CallRejected::Repeated) => {
                Err(ActionError::conflict("a call with this id was made already: use each id once"))
            }
        }
    }

    /// Begins a call of a session.
    pub(crate) fn admit_session(&self, slot: &Slot) -> Result<CallPermit, ActionError> {
        self.quota.admit(&slot.context()).map_err(|exceeded| self.busy(slot, exceeded))
    }

    fn busy(&self, slot: &Slot, exceeded: QuotaExceeded) -> ActionError {
        self.observers.warn(&Event::LimitReached { limit: exceeded.0, session: slot.id() });
        ActionError::new(ErrorCode::Busy, exceeded.message())
    }

    /// When the authentication is over nothing begins any more, whether the end of the connection is on its way or not
    /// (SEC13).
    pub(super) fn check_session(&self, slot: &Slot) -> Result<(), ActionError> {
        if self.expiry.is_expired(slot.context().expires_at()) {
            return Err(ActionError::unauthorized(CloseReason::Expired.message()));
        }
        if slot.is_closed() { Err(session_ended()) } else { Ok(()) }
    }
}

pub(super) fn session_ended() -> ActionError {
    ActionError::internal("the session has ended")
}
