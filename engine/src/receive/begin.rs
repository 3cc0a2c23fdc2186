//! Whether a call or a query that takes time may begin: bounds, and ids that were used before.

use super::dispatch::Peer;
use crate::config::Limit;
use crate::core::call_quota::CallPermit;
use crate::deliver::call_log::CallRejected;
use crate::deliver::link::CallKind;
use crate::error::ActionError;
use crate::protocol::code::ErrorCode;
use crate::protocol::message::RequestId;

/// Begins a call. What is returned counts as work until it is dropped.
pub(super) fn begin(peer: &Peer, id: &RequestId, kind: CallKind) -> Result<CallPermit, ActionError> {
    let permit = peer.core.admit_call(&peer.slot.context()).map_err(|full| busy(peer, full.limit, full.words))?;
    match peer.link.begin_call(id, kind, &peer.core.config) {
        Ok(()) => Ok(permit),
        Err(CallRejected::TooMany) => {
            Err(busy(peer, Limit::CallsPerConnection, "too many requests of this connection are running"))
        }
        Err(CallRejected::Leaving) => Err(ActionError::new(ErrorCode::Busy, "the provider is shutting down")),
        Err(CallRejected::Repeated) => {
            Err(ActionError::conflict("a call with this id was made already: use each id once"))
        }
    }
}

fn busy(peer: &Peer, limit: Limit, words: &'static str) -> ActionError {
    peer.core.limit_reached(limit, &peer.slot);
    ActionError::new(ErrorCode::Busy, words)
}
