//! Answers queries from the tree, and from what a source loads for them.

use std::sync::Arc;

use super::admission::{Admission, session_ended};
use super::loader::{Loader, missing};
use super::peer::Peer;
use crate::background::Background;
use crate::deliver::call_log::CallKind;
use crate::deliver::query::{Loaded, PendingQuery};
use crate::deliver::versioned::Versioned;
use crate::error::ActionError;
use crate::protocol::code::ErrorCode;
use crate::protocol::encode;
use crate::protocol::message::RequestId;
use crate::refresh::refresher::Refresher;
use crate::render::view::ViewOptions;
use crate::sessions::call_quota::CallPermit;
use crate::sessions::slot::Slot;

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

    /// The tree of a session, and what is loaded for a view of it.
    pub(crate) async fn load(&self, slot: &Arc<Slot>, view: &ViewOptions) -> Result<(Versioned, Loaded), ActionError> {
        let _permit = self.admission.admit_session(slot)?;
        self.admission.check_session(slot)?;
        let now = self.refresher.current_tree(slot).await.ok_or_else(session_ended)?;
        let loaded = match missing(&now.tree, view, self.max_nodes) {
            Some(missing) => self.loader.load(slot, missing).await,
            None => Loaded::Nothing,
        };
        Ok((now, loaded))
    }

    /// Renders or loads what is missing, then queues the query.
    async fn complete(&self, peer: Peer, mut query: PendingQuery, _permit: CallPermit) {
        let now = self.refresher.current_tree(&peer.slot).await;
        let missing = now.as_ref().and_then(|now| missing(&now.tree, &query.view, self.max_nodes));
        if let Some(missing) = missing {
            query.loaded = self.loader.load(&peer.slot, missing).await;
        }
        let id = query.id.clone();
        if now.is_some() {
            peer.link.answer_call(&id, CallKind::Query, |outbox, released| outbox.loaded_query(query, released));
        } else {
            let error = encode::error(Some(&id), ErrorCode::Internal, "the session has ended");
            peer.link.answer_call(&id, CallKind::Query, |outbox, _| outbox.reply(error));
        }
    }
}
