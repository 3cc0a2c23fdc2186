//! A consumer in the engine's own process.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use serde_json::Value;

use super::attachment::{Attachment, node};
use super::node::action::NodeAction;
use super::query::Query;
use super::view::View;
use super::watch::Watch;
use crate::connection::Connection;
use crate::error::ActionError;
use crate::model::Text;
use crate::model::session::Session;
use crate::protocol::close_reason::CloseReason;
use crate::receive::calls::Call;
use crate::render::action::Outcome;
use crate::render::view::View as RenderedView;
use crate::sessions::slot::Slot;

/// A consumer of one session in the engine's own process: the basis of adapters and tests.
///
/// It sees and may do what the session may, and counts as one of its connections; there is no socket, no delay and no
/// rate limit. A cheap handle; all clones are one connection, which ends with the last of them.
///
/// ```
/// use grove_engine::client::{Change, Query};
/// use grove_engine::{Action, Descriptor, Engine, Invocation, Session};
/// use serde_json::json;
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let engine = Engine::builder("app", "App").build();
/// let add = Action::new("add", |_: Invocation<()>| json!({"id": "t1"}));
/// engine.register("todos", move |_: &Session| Descriptor::collection().prop("count", 1).action(&add));
/// let client = engine.client(&Session::new("s1").with_user("alice"))?;
/// let view = client.query(&Query::at("/todos")).await?;
/// assert_eq!(view.root().property("count"), Some(&json!(1)));
/// assert_eq!(view.root().actions()[0].name(), "add");
/// let outcome = client.invoke("/todos", "add", json!({})).await?;
/// assert_eq!(outcome.value(), Some(&json!({"id": "t1"})));
/// let mut watch = client.watch(Query::at("/todos"));
/// assert!(matches!(watch.next().await, Some(Change::Snapshot(_))));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    attachment: Attachment,
}

/// An event of the application, or about the connection.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientEvent {
    /// The name.
    pub name: Text,
    /// What came with it.
    pub data: Option<Value>,
}

impl Client {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { attachment: Attachment::new(connection) }
    }

    /// The session, with its claims of now.
    #[must_use]
    pub fn session(&self) -> Session {
        self.slot().session()
    }

    /// Why the connection ended; `None` while it goes on.
    #[must_use]
    pub fn closed(&self) -> Option<CloseReason> {
        self.attachment.closed()
    }

    /// What the session sees at a path; parts that the tree does not hold are loaded, as for any consumer.
    ///
    /// # Errors
    /// `not_found` if there is no such path, `internal` if something could not be loaded or the session has ended,
    /// `busy` if too many requests of the session are running.
    pub async fn query(&self, query: &Query) -> Result<View, ActionError> {
        let load = self.attachment.services().inbound.queries.load(self.slot(), query.options());
        let (now, loaded) = self.attachment.reply(load).await?;
        let (located, children) = loaded.locate(&now, query.options())?;
        let max_nodes = self.attachment.services().config.sizes.nodes;
        let bound = (now.tree.nodes() > max_nodes).then_some(max_nodes);
        let known = loaded.is_nothing().then(|| self.attachment.known_orders(&now.tree));
        let view = RenderedView::new(query.options(), located, children).within(bound, known);
        Ok(View { version: now.version, root: node(&view) })
    }

    /// What can be done with the node at a path.
    ///
    /// # Errors
    /// See [`Client::query`].
    pub async fn actions(&self, path: &str) -> Result<Vec<NodeAction>, ActionError> {
        Ok(self.query(&Query::at(path)).await?.root().actions().to_vec())
    }

    /// Calls an action. When it returns, the session's tree shows what the call changed.
    ///
    /// # Errors
    /// What the handler returned, or why it did not run: see the codes of [`ErrorCode`](crate::ErrorCode). `internal` if the
    /// connection ends first; then a handler that awaits is dropped.
    pub async fn invoke(&self, path: &str, action: &str, params: Value) -> Result<Outcome, ActionError> {
        let params = match params {
            Value::Null => Value::Object(serde_json::Map::new()),
            Value::Object(params) => Value::Object(params),
            _ => return Err(ActionError::invalid_params("params must be an object")),
        };
        let call = Call { path: path.to_owned(), action: action.to_owned(), params, trace_id: None };
        self.attachment.reply(self.attachment.services().inbound.calls.run(self.slot(), call)).await
    }

    /// Follows a part of the tree. At a room, or below it, that joins the session (rooms 3); it leaves by the action
    /// `leave`, or when the client ends.
    #[must_use]
    pub fn watch(&self, query: Query) -> Watch {
        if let Some(rooms) = &self.attachment.services().inbound.rooms {
            rooms.subscribing(self.slot(), &query.options().path);
        }
        Watch::new(self.attachment.clone(), query)
    }

    /// The next event; `None` once the connection has ended. One task at a time may wait for events. Too many that nobody
    /// takes are dropped, the oldest first, and `events.dropped` says how many.
    pub async fn next_event(&self) -> Option<ClientEvent> {
        poll_fn(|context| self.poll_event(context)).await
    }

    fn poll_event(&self, context: &mut Context<'_>) -> Poll<Option<ClientEvent>> {
        let link = self.attachment.link();
        link.wait(context.waker());
        match link.with_outbox(|outbox, _| (outbox.take_event(), outbox.is_ending())) {
            (Some(event), _) => Poll::Ready(Some(ClientEvent { name: event.name.clone(), data: event.data() })),
            (None, true) => Poll::Ready(None),
            (None, false) => Poll::Pending,
        }
    }

    fn slot(&self) -> &Arc<Slot> {
        self.attachment.slot()
    }
}
