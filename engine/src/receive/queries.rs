//! Answers queries from the tree, and from what a source loads for them.

use std::sync::Arc;

use super::admission::Admission;
use super::loader::{Loader, missing};
use super::peer::Peer;
use crate::background::Background;
use crate::deliver::call_log::CallKind;
use crate::deliver::query::{Loaded, PendingQuery};
use crate::protocol::code::ErrorCode;
use crate::protocol::encode;
use crate::protocol::message::RequestId;
use crate::refresh::refresher::Refresher;
use crate::render::view::ViewOptions;
use crate::sessions::call_quota::CallPermit;

/// Serves the queries of all sessions.
#[derive(Debug)]
pub(crate) struct Queries {
    pub(crate) admission: Arc<Admission>,
    pub(crate) refresher: Arc<Refresher>,
    pub(crate) loader: Arc<Loader>,
    pub(crate) background: Arc<Background>,
    pub(crate) max_nodes: usize,
}

impl Queries {
    /// Queues the query at once if the tree holds everything; otherwise when it has been rendered or loaded.
    pub(crate) fn start(self: &Arc<Self>, peer: &Peer, id: RequestId, view: ViewOptions) {
        let query = PendingQuery { id, view: Arc::new(view), loaded: Loaded::Nothing };
        if self.tree_holds(peer, &query) {
            peer.link.query(query);
            return;
        }
        match self.admission.admit(peer, &query.id, CallKind::Query) {
            Ok(permit) => {
                let (queries, peer) = (Arc::clone(self), peer.clone());
                self.background.spawn(async move { queries.complete(peer, query, permit).await });
            }
            Err(refused) => peer.link.reply(encode::error(Some(&query.id), refused.code(), refused.message())),
        }
    }

    fn tree_holds(&self, peer: &Peer, query: &PendingQuery) -> bool {
        let tree = if peer.slot.is_outdated() { None } else { peer.slot.tree() };
        tree.is_some_and(|now| missing(&now.tree, &query.view, self.max_nodes).is_none())
    }

    /// Renders or loads what is missing, then queues the query.
    async fn complete(&self, peer: Peer, mut query: PendingQuery, _permit: CallPermit) {
        let now = self.refresher.current_tree(&peer.slot).await;
        let missing = now.as_ref().and_then(|now| missing(&now.tree, &query.view, self.max_nodes));
        if let Some(missing) = missing {
            query.loaded = self.loader.load(&peer.slot, missing).await;
        }
        if !peer.link.end_call(&query.id, CallKind::Query) {
            return;
        }
        match now {
            Some(_) => peer.link.query(query),
            None => peer.link.reply(encode::error(Some(&query.id), ErrorCode::Internal, "the session has ended")),
        }
    }
}
