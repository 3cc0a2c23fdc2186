//! One node of a copied tree.

pub(crate) mod action;
pub(crate) mod children;
pub(crate) mod content;
pub(crate) mod meta;
mod wire;

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};

use self::action::NodeAction;
use self::children::Identified;
use self::content::NodeContent;
use self::meta::NodeMeta;
use crate::model::Text;

/// A node's children.
pub(crate) type Children = children::Children<Node>;

impl Identified for Node {
    fn id(&self) -> &str {
        &self.id
    }
}

/// The fields of a node that the path of an operation can name. They are found before children of the same name.
pub(super) const FIELDS: [&str; 5] = ["properties", "children", "affordances", "meta", "content_ref"];

/// A node with all that is below it, as a provider sent it, fields that the protocol does not name included.
///
/// A clone shares the children, which are copied only when they change: a tree may be kept while its mirror goes on.
/// Two nodes are equal if their content is. No children and an empty list of them are the same; the order of keys does
/// not count.
#[derive(Debug, Clone)]
pub struct Node {
    id: Text,
    kind: Text,
    pub(crate) properties: Option<Map<String, Value>>,
    pub(crate) children: Option<Children>,
    pub(crate) actions: Option<Vec<NodeAction>>,
    pub(crate) extras: Option<Box<Extras>>,
}

/// What most nodes do not have.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Extras {
    pub(crate) meta: Option<NodeMeta>,
    /// Empty if a patch replaced it with null, which says the same as leaving it out.
    pub(crate) content: Option<NodeContent>,
    /// Fields that the protocol does not name.
    pub(crate) unknown: Map<String, Value>,
}

impl Node {
    /// A node with nothing but its id and type.
    pub fn new(id: impl Into<Text>, kind: impl Into<Text>) -> Self {
        Self { id: id.into(), kind: kind.into(), properties: None, children: None, actions: None, extras: None }
    }

    /// The id, unique among the children of one node.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The type, such as `collection` or `item`.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The properties in the order in which they came; `None` if the node was sent without any.
    #[must_use]
    pub const fn properties(&self) -> Option<&Map<String, Value>> {
        self.properties.as_ref()
    }

    /// One property.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&Value> {
        self.properties.as_ref()?.get(name)
    }

    /// The children in order.
    pub fn children(&self) -> impl DoubleEndedIterator<Item = &Self> + ExactSizeIterator {
        self.children.as_ref().map_or(&[][..], Children::as_slice).iter().map(Arc::as_ref)
    }

    /// The child of this id.
    #[must_use]
    pub fn child(&self, id: &str) -> Option<&Self> {
        self.children.as_ref()?.get(id)
    }

    /// The node at a path from here. Empty segments do not count, so `/` is this node (contract 1.3).
    #[must_use]
    pub fn at(&self, path: &str) -> Option<&Self> {
        path.split('/').filter(|id| !id.is_empty()).try_fold(self, |node, id| node.child(id))
    }

    /// What can be done with the node.
    #[must_use]
    pub fn actions(&self) -> &[NodeAction] {
        self.actions.as_deref().unwrap_or_default()
    }

    /// The action of this name.
    #[must_use]
    pub fn action(&self, name: &str) -> Option<&NodeAction> {
        self.actions().iter().find(|action| action.name() == name)
    }

    /// What the node says about itself.
    #[must_use]
    pub fn meta(&self) -> Option<&NodeMeta> {
        self.extras.as_ref()?.meta.as_ref()
    }

    /// A reference to content that is too large to be inline.
    #[must_use]
    pub fn content_ref(&self) -> Option<&NodeContent> {
        self.extras.as_ref()?.content.as_ref().filter(|content| !content.is_empty())
    }

    /// Fields that the protocol does not name.
    #[must_use]
    pub fn unknown_fields(&self) -> Option<&Map<String, Value>> {
        self.extras.as_ref().map(|extras| &extras.unknown).filter(|unknown| !unknown.is_empty())
    }

    /// How many nodes there are from here down, this one included.
    #[must_use]
    pub fn count(&self) -> usize {
        1 + self.children().map(Self::count).sum::<usize>()
    }

    /// How many levels there are from here down, this one included.
    #[must_use]
    pub fn levels(&self) -> usize {
        1 + self.children().map(Self::levels).max().unwrap_or_default()
    }

    /// The node as JSON, as it would be on the wire.
    #[must_use]
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        let children = |node: &Self| node.children.as_ref().is_none_or(|children| children.len() == 0);
        self.id == other.id
            && self.kind == other.kind
            && self.properties == other.properties
            && self.actions == other.actions
            && self.meta() == other.meta()
            && self.content_ref() == other.content_ref()
            && self.unknown_fields() == other.unknown_fields()
            && (self.children == other.children || children(self) && children(other))
    }
}

impl TryFrom<Value> for Node {
    type Error = NodeError;

    fn try_from(json: Value) -> Result<Self, NodeError> {
        Self::deserialize(json).map_err(|error| NodeError(error.to_string()))
    }
}

impl TryFrom<&Value> for Node {
    type Error = NodeError;

    fn try_from(json: &Value) -> Result<Self, NodeError> {
        Self::deserialize(json).map_err(|error| NodeError(error.to_string()))
    }
}

impl From<&Node> for Value {
    fn from(node: &Node) -> Self {
        node.to_json()
    }
}

/// Why JSON is no node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeError(String);

impl fmt::Display for NodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the JSON is not a node: {}", self.0)
    }
}

impl std::error::Error for NodeError {}
