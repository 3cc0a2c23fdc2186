//! The consumer's side of the protocol, without a transport: parsed messages, an exact copy of each subscribed tree, and
//! the state of one consumer's connection.
//!
//! A [`ConsumerState`] is handed what arrives and says what to send. It keeps a [`Mirror`] for each subscription, which
//! checks every message by the wire contract (1.4 to 1.6), and whose tree is made of [`Node`]s. Nothing here shares code
//! with what the engine renders, compares and encodes, so that each can be tested against the other.
//!
//! ```
//! use grove_engine::client::{ConsumerState, Message, Received};
//! use serde_json::json;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut state = ConsumerState::new();
//! let subscription = state.subscribe(json!({"path": "/", "depth": -1}));
//! while let Some(message) = state.next_message() {
//!     println!("to the socket: {message}");
//! }
//! let text = r#"{"type": "snapshot", "id": "sub-1", "version": 4, "seq": 0,
//!                "tree": {"id": "app", "type": "root", "children": [{"id": "n", "type": "status"}]}}"#;
//! assert_eq!(state.receive(Message::parse(text)?)?, Received::Snapshot(subscription.clone()));
//! let tree = state.tree(&subscription).ok_or("there is a tree now")?;
//! assert_eq!(tree.at("/n").map(|node| node.kind()), Some("status"));
//! # Ok(())
//! # }
//! ```

mod message_id;
mod node;
mod operation;
mod message;
mod mirror_error;
mod consumer_error;
mod received;
mod strict;
mod apply;
mod mirror;
mod subscription;
mod consumer_state;
mod query;
mod view;
mod change;
mod attachment;
mod watch;
mod in_process;

pub use change::Change;
pub use consumer_error::ConsumerError;
pub use consumer_state::ConsumerState;
pub use in_process::{Client, ClientEvent};
pub use message::{CallOutcome, Hello, Message, MessageError, Patch, ProviderError, Snapshot};
pub use message_id::MessageId;
pub use mirror::Mirror;
pub use mirror_error::{InvalidNode, MirrorError, OperationError};
pub use node::action::NodeAction;
pub use node::content::NodeContent;
pub use node::meta::NodeMeta;
pub use node::{Node, NodeError};
pub use operation::{Operation, OperationKind};
pub use query::Query;
pub use received::{Answer, Received};
pub use subscription::Subscription;
pub use view::View;
pub use watch::Watch;
