//! Answers a query from the tree, and from what a source loads for it.

use std::sync::Arc;

use super::dispatch::Peer;
use super::load::missing;
use crate::deliver::answer::{Loaded, Question};
use crate::deliver::link::Request;
use crate::protocol::code::error;
use crate::protocol::encode;
use crate::protocol::message::RequestId;
use crate::render::view::ViewOptions;

/// Queues the question at once if the tree holds everything; otherwise when it has been rendered or loaded.
pub(crate) fn query(peer: &Peer, id: RequestId, view: ViewOptions) {
    let question = Question { id, view: Arc::new(view), loaded: Loaded::Nothing };
    let max_nodes = peer.core.config.max_nodes;
    if let Some(now) = peer.slot.tree()
        && missing(&now.tree, &question.view, max_nodes).is_none()
    {
        peer.link.ask(question);
        return;
    }
    if let Err(why) = peer.begin_call(&question.id, Request::Query) {
        peer.link.reply(encode::error(Some(&question.id), error::BUSY, why));
        return;
    }
    let peer = peer.clone();
    peer.core.clone().spawn(async move { ask_later(&peer, question).await });
}

async fn ask_later(peer: &Peer, mut question: Question) {
    let now = peer.core.tree(&peer.slot).await;
    let missing = now.as_ref().and_then(|now| missing(&now.tree, &question.view, peer.core.config.max_nodes));
    if let Some(missing) = missing {
        question.loaded = peer.core.load(&peer.slot, missing).await;
    }
    if !peer.link.end_call(&question.id) {
        return;
    }
    match now {
        Some(_) => peer.link.ask(question),
        None => peer.link.reply(encode::error(Some(&question.id), error::INTERNAL, "the session has ended")),
    }
}
