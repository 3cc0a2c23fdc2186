//! Answers a query from the tree, and from what a source loads for it.

use std::sync::Arc;

use super::begin::begin;
use super::dispatch::Peer;
use super::load::missing;
use crate::core::call_quota::CallPermit;
use crate::deliver::link::CallKind;
use crate::deliver::query::{Loaded, PendingQuery};
use crate::protocol::code::ErrorCode;
use crate::protocol::encode;
use crate::protocol::message::RequestId;
use crate::render::view::ViewOptions;

/// Queues the question at once if the tree holds everything; otherwise when it has been rendered or loaded.
pub(crate) fn query(peer: &Peer, id: RequestId, view: ViewOptions) {
    let question = PendingQuery { id, view: Arc::new(view), loaded: Loaded::Nothing };
    let max_nodes = peer.core.config.sizes.nodes;
    if !peer.slot.is_outdated()
        && let Some(now) = peer.slot.tree()
        && missing(&now.tree, &question.view, max_nodes).is_none()
    {
        peer.link.ask(question);
        return;
    }
    let permit = match begin(peer, &question.id, CallKind::Query) {
        Ok(permit) => permit,
        Err(refused) => {
            peer.link.reply(encode::error(Some(&question.id), refused.code(), refused.message()));
            return;
        }
    };
    peer.core.spawn(ask_later(peer.clone(), question, permit));
}

async fn ask_later(peer: Peer, mut question: PendingQuery, _permit: CallPermit) {
    let now = peer.core.tree_of_now(&peer.slot).await;
    let missing = now.as_ref().and_then(|now| missing(&now.tree, &question.view, peer.core.config.sizes.nodes));
    if let Some(missing) = missing {
        question.loaded = peer.core.load(&peer.slot, missing).await;
    }
    if !peer.link.end_call(&question.id, CallKind::Query) {
        return;
    }
    match now {
        Some(_) => peer.link.ask(question),
        None => peer.link.reply(encode::error(Some(&question.id), ErrorCode::Internal, "the session has ended")),
    }
}
