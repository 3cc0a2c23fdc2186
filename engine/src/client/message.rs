//! What a provider sends, parsed.

use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use super::message_id::MessageId;
use super::node::Node;
use super::operation::Operation;
use crate::model::Text;

/// One message of a provider.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Message {
    /// The first message of a connection.
    Hello(Hello),
    /// The whole tree of a subscription, or the answer to a query.
    Snapshot(Snapshot),
    /// What changed in the tree of a subscription.
    Patch(Patch),
    /// A subscription goes on from the copy that its consumer has.
    Resumed {
        /// The subscription.
        id: MessageId,
        /// The version of the copy.
        version: u64,
        /// The number after which patches are numbered.
        seq: u64,
    },
    /// The answer to a call.
    Result {
        /// The call.
        id: MessageId,
        /// What came of it.
        outcome: CallOutcome,
    },
    /// Something is wrong with a request, a subscription, or a message without an id.
    Error {
        /// The request or subscription, if it is known.
        id: Option<MessageId>,
        /// What is wrong.
        error: ProviderError,
    },
    /// Something happened that is no state.
    Event {
        /// What happened.
        name: Text,
        /// More about it.
        data: Option<Value>,
    },
    /// Several messages, to be taken in order.
    Batch(Vec<Self>),
    /// A type that this version does not know, to be ignored.
    Unknown(Text),
}

/// Who the provider is, and what it calls this connection.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default)]
pub struct Hello {
    /// The provider's id, which is that of its root node too.
    pub id: Text,
    /// The provider's name.
    pub name: Text,
    /// The version of the protocol.
    pub slop_version: Text,
    /// What the provider can do.
    pub capabilities: Vec<Text>,
    /// What the provider tells about the session.
    pub session: Option<Value>,
    /// By whose versions copies are known. Absent if copies cannot be resumed.
    pub epoch: Option<Text>,
    /// The connection's name, for a later one that takes its place.
    pub connection: Option<Text>,
}

/// A tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The subscription or query.
    pub id: MessageId,
    /// The version of the tree.
    pub version: u64,
    /// 0 if patches follow; absent from the answer to a query.
    pub seq: Option<u64>,
    /// The tree.
    pub tree: Node,
}

/// Operations that lead from one tree of a subscription to the next.
#[derive(Debug, Clone, PartialEq)]
pub struct Patch {
    /// The subscription.
    pub subscription: MessageId,
    /// The version of the tree to which it leads.
    pub version: u64,
    /// Its number since the last snapshot; absent if the provider does not count.
    pub seq: Option<u64>,
    /// The operations in order.
    pub operations: Vec<Operation>,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum CallOutcome {
    /// It is done.
    Done(Option<Value>),
    /// It goes on; the data say where.
    Accepted(Option<Value>),
    /// It failed.
    Failed(ProviderError),
}

/// A code and a sentence.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default)]
pub struct ProviderError {
    /// One of the protocol's codes, or an application's own.
    pub code: Text,
    /// A sentence.
    pub message: Text,
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code)
    }
}

impl std::error::Error for ProviderError {}

/// Why something is not a message of the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageError(String);

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a message of the protocol: {}", self.0)
    }
}

impl std::error::Error for MessageError {}

impl Message {
    /// Parses one text frame.
    ///
    /// # Errors
    /// If it is not JSON, or not shaped as its type must be.
    pub fn parse(text: &str) -> Result<Self, MessageError> {
        let fields: Fields = serde_json::from_str(text).map_err(|error| MessageError(error.to_string()))?;
        fields.into_message()
    }

    /// The message that a JSON value is.
    ///
    /// # Errors
    /// If it is not shaped as its type must be.
    pub fn from_json(json: &Value) -> Result<Self, MessageError> {
        let fields = Fields::deserialize(json).map_err(|error| MessageError(error.to_string()))?;
        fields.into_message()
    }
}

/// The fields of all messages, so that one is parsed in a single pass wherever its type stands.
#[derive(Debug, Deserialize)]
struct Fields {
    r#type: Text,
    id: Option<MessageId>,
    subscription: Option<MessageId>,
    version: Option<u64>,
    seq: Option<u64>,
    tree: Option<Node>,
    ops: Option<Vec<Operation>>,
    provider: Option<Hello>,
    status: Option<Text>,
    data: Option<Value>,
    error: Option<ProviderError>,
    name: Option<Text>,
    messages: Option<Vec<Self>>,
}

impl Fields {
    fn into_message(self) -> Result<Message, MessageError> {
        match self.r#type.as_str() {
            "hello" => Ok(Message::Hello(needed(self.provider, "hello", "provider")?)),
            "snapshot" => self.into_snapshot(),
            "patch" => self.into_patch(),
            "resumed" => self.into_resumed(),
            "result" => self.into_result(),
            "error" => Ok(Message::Error { id: self.id, error: needed(self.error, "error", "error")? }),
            "event" => Ok(Message::Event { name: needed(self.name, "event", "name")?, data: self.data }),
            "batch" => {
                let messages = needed(self.messages, "batch", "messages")?.into_iter();
                Ok(Message::Batch(messages.map(Self::into_message).collect::<Result<_, _>>()?))
            }
            _ => Ok(Message::Unknown(self.r#type)),
        }
    }

    fn into_snapshot(self) -> Result<Message, MessageError> {
        Ok(Message::Snapshot(Snapshot {
            id: needed(self.id, "snapshot", "id")?,
            version: needed(self.version, "snapshot", "version")?,
            seq: self.seq,
            tree: needed(self.tree, "snapshot", "tree")?,
        }))
    }

    fn into_patch(self) -> Result<Message, MessageError> {
        Ok(Message::Patch(Patch {
            subscription: needed(self.subscription, "patch", "subscription")?,
            version: needed(self.version, "patch", "version")?,
            seq: self.seq,
            operations: needed(self.ops, "patch", "ops")?,
        }))
    }

    fn into_resumed(self) -> Result<Message, MessageError> {
        Ok(Message::Resumed {
            id: needed(self.id, "resumed", "id")?,
            version: needed(self.version, "resumed", "version")?,
            seq: needed(self.seq, "resumed", "seq")?,
        })
    }

    fn into_result(self) -> Result<Message, MessageError> {
        let id = needed(self.id, "result", "id")?;
        let outcome = match needed(self.status, "result", "status")?.as_str() {
            "ok" => CallOutcome::Done(self.data),
            "accepted" => CallOutcome::Accepted(self.data),
            "error" => CallOutcome::Failed(self.error.unwrap_or_default()),
            other => return Err(MessageError(format!("a result cannot have the status `{other}`"))),
        };
        Ok(Message::Result { id, outcome })
    }
}

fn needed<T>(field: Option<T>, kind: &str, name: &str) -> Result<T, MessageError> {
    field.ok_or_else(|| MessageError(format!("a message of type `{kind}` must have the field `{name}`")))
}
