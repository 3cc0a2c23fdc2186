//! Whether a call or a query that takes time may begin: bounds, and ids that were used before.

use super::dispatch::Peer;
use crate::core::in_flight::Working;
use crate::deliver::calls::Unbegun;
use crate::deliver::link::Request;
use crate::error::ActionError;
use crate::protocol::code::error;
use crate::protocol::message::RequestId;

/// Begins a call. What is returned counts as work until it is dropped.
pub(super) fn begin(peer: &Peer, id: &RequestId, kind: Request) -> Result<Working, ActionError> {
    let working = peer.core.begin_work(&peer.slot.context()).map_err(|full| busy(peer, full.limit, full.words))?;
    match peer.link.begin_call(id, kind, &peer.core.config) {
        Ok(()) => Ok(working),
        Err(Unbegun::TooMany) => Err(busy(peer, "max_calls", "too many requests of this connection are running")),
        Err(Unbegun::Leaving) => Err(ActionError::new(error::BUSY, "the provider is shutting down")),
        Err(Unbegun::Repeated) => Err(ActionError::conflict("a call with this id was made already: use each id once")),
    }
}

fn busy(peer: &Peer, limit: &'static str, words: &'static str) -> ActionError {
    peer.core.limit_reached(limit, &peer.slot);
    ActionError::new(error::BUSY, words)
}
