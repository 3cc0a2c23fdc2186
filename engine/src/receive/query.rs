//! Answers a query from the tree, and from what a source loads for it.

use super::dispatch::Peer;
use super::load::{Loaded, missing};
use crate::deliver::subscription::{Answer, Versioned, answer};
use crate::event::Event;
use crate::protocol::code::error;
use crate::protocol::encode;
use crate::protocol::message::RequestId;
use crate::render::view::ViewOptions;

/// Answers at once if the tree holds everything; otherwise when it has been rendered or loaded.
pub(crate) fn query(peer: &Peer, id: RequestId, view: ViewOptions) {
    let max_nodes = peer.core.config.max_nodes;
    if let Some(now) = peer.slot.tree()
        && missing(&now.tree, &view, max_nodes).is_none()
    {
        peer.link.reply(answer_with(peer, &id, &view, &now, &Loaded::Nothing));
        return;
    }
    if !peer.link.begin_call(&id, peer.core.config.max_calls) {
        peer.core.limit_reached("max_calls", &peer.slot);
        peer.link.reply(encode::error(Some(&id), error::BUSY, "too many requests of this connection are running"));
        return;
    }
    let peer = peer.clone();
    peer.core.clone().spawn(async move {
        let text = answer_later(&peer, &id, &view).await;
        if peer.link.end_call(&id) {
            peer.link.reply(text);
        }
    });
}

async fn answer_later(peer: &Peer, id: &RequestId, view: &ViewOptions) -> String {
    let Some(now) = peer.core.tree(&peer.slot).await else {
        return encode::error(Some(id), error::INTERNAL, "the session has ended");
    };
    let loaded = match missing(&now.tree, view, peer.core.config.max_nodes) {
        Some(missing) => peer.core.load(&peer.slot, missing).await,
        None => Loaded::Nothing,
    };
    answer_with(peer, id, view, &now, &loaded)
}

fn answer_with(peer: &Peer, id: &RequestId, view: &ViewOptions, now: &Versioned, loaded: &Loaded) -> String {
    let delivery = &peer.core.delivery;
    let located = now.tree.resolve(&view.path).map(|located| located.node);
    let (node, children) = match (located, loaded) {
        (_, Loaded::Failed) => {
            return encode::error(Some(id), error::INTERNAL, "what was asked for could not be loaded");
        }
        (Some(node), Loaded::Window(offset, run)) => (node, Some((*offset, run))),
        (Some(node), _) => (node, None),
        (None, Loaded::Item(item)) => (now.tree.root().foreign(item.root()), None),
        (None, _) => return encode::error(Some(id), error::NOT_FOUND, "there is no such path"),
    };
    let Answer { text, compacted } = answer(id, view, node, children, now, delivery);
    if let Some(nodes) = compacted {
        peer.core.observers.warn(&Event::Compacted { session: peer.slot.context().id().clone(), nodes });
    }
    text
}
