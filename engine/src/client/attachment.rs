//! What a client in this process holds of the engine.

use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, select};

use super::node::Node;
use crate::connection::Connection;
use crate::connection::services::ConnectionServices;
use crate::deliver::link::Link;
use crate::deliver::versioned::Versioned;
use crate::error::ActionError;
use crate::protocol::close_reason::CloseReason;
use crate::render::tree::Tree;
use crate::render::view::{KnownOrders, View};
use crate::sessions::slot::Slot;

/// One connection, shared by the handles of a client and its watches.
#[derive(Debug, Clone)]
pub(super) struct Attachment(Arc<Connection>);

impl Attachment {
    pub(super) fn new(connection: Connection) -> Self {
        Self(Arc::new(connection))
    }

    pub(super) fn services(&self) -> &ConnectionServices {
        self.0.services()
    }

    pub(super) fn slot(&self) -> &Arc<Slot> {
        &self.0.peer().slot
    }

    pub(super) fn link(&self) -> &Arc<Link> {
        &self.0.peer().link
    }

    /// Why the connection ended; `None` while it goes on.
    pub(super) fn closed(&self) -> Option<CloseReason> {
        let link = self.link();
        link.with_outbox(|outbox, _| outbox.is_ending()).then(|| link.close_reason())
    }

    /// The session's tree once it is not the one of this version any more; `None` if the session ends.
    pub(super) async fn next_tree(&self, seen: Option<u64>) -> Option<Versioned> {
        let next = async {
            match seen {
                Some(_) => self.slot().wait_for_tree(seen).await,
                None => self.services().inbound.queries.refresher.current_tree(self.slot()).await,
            }
        };
        self.until_end(next).await.ok().flatten()
    }

    /// Waits for something, or for the end of the connection, of which it returns the reason.
    pub(super) async fn until_end<T>(&self, wanted: impl Future<Output = T>) -> Result<T, CloseReason> {
        match select(pin!(self.end()), pin!(wanted)).await {
            Either::Left((reason, _)) => Err(reason),
            Either::Right((done, _)) => Ok(done),
        }
    }

    /// For views that show nothing but a part of this tree.
    pub(super) fn known_orders<'a>(&'a self, tree: &'a Arc<Tree>) -> KnownOrders<'a> {
        let outbound = &self.services().outbound;
        outbound.cache.schedule();
        outbound.delivery.known_orders(tree)
    }

    async fn end(&self) -> CloseReason {
        loop {
            let listener = self.link().listen_for_end();
            match self.link().ending() {
                Some(reason) => return reason,
                None => listener.await,
            }
        }
    }

    /// The reply to a request; an error if the connection ends first, so that nobody waits for ever.
    pub(super) async fn reply<T>(
        &self,
        request: impl Future<Output = Result<T, ActionError>>,
    ) -> Result<T, ActionError> {
        self.until_end(request).await.unwrap_or_else(|reason| Err(ActionError::internal(reason.message())))
    }
}

/// A view as nodes.
pub(super) fn node(view: &View<'_>) -> Node {
    let shown = serde_json::to_value(view.root()).unwrap_or_default();
    Node::try_from(shown).unwrap_or_else(|_| Node::new("", ""))
}
