//! What a message meant to its consumer.

use serde_json::Value;

use super::message::{CallOutcome, ProviderError};
use super::message_id::MessageId;
use super::node::Node;
use crate::model::Text;

/// What a message meant.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Received {
    /// The provider has said who it is.
    Hello,
    /// The copy of a subscription starts, or starts anew.
    Snapshot(MessageId),
    /// The copy of a subscription has changed.
    Patched(MessageId),
    /// A subscription goes on from its copy.
    Resumed(MessageId),
    /// A subscription has nothing to show until a snapshot comes.
    Absent(MessageId, ProviderError),
    /// A subscription was refused. One under the same id that was there before goes on.
    Refused(MessageId, ProviderError),
    /// The answer to a query or call.
    Answer(MessageId, Answer),
    /// Something is wrong, and it is not known with what.
    Error(ProviderError),
    /// Something happened that is no state.
    Event {
        /// What happened.
        name: Text,
        /// More about it.
        data: Option<Value>,
    },
    /// What each message of a batch meant.
    Batch(Vec<Self>),
    /// Nothing: the message is of an unknown type, or about a subscription that has been ended.
    Ignored,
}

/// The answer to a query or call.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Answer {
    /// The tree that a query asked for, and its version.
    Tree(Node, u64),
    /// What came of a call.
    Outcome(CallOutcome),
    /// The request was refused.
    Error(ProviderError),
}
