//! The app's own model of a node: plain data that driver actions change.

use grove_engine::ContentRef;
use serde_json::{Map, Value};

/// A node with all its descendants.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) kind: String,
    /// In the order in which they were set; `None` if the node has no `properties` at all.
    pub(crate) props: Option<Map<String, Value>>,
    pub(crate) meta: Map<String, Value>,
    pub(crate) offers: Vec<Offer>,
    pub(crate) content: Option<ContentRef>,
    pub(crate) children: Vec<Self>,
    /// How many of the children the tree shows; `None` if it shows all.
    pub(crate) shown: Option<usize>,
}

/// An action that a node offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Offer {
    /// `todos.add`
    Add,
    /// `todos.clear`
    Clear,
    /// `toggle` of one todo.
    Toggle,
    /// `toggle` of one todo, with an estimate that the protocol does not define.
    ToggleSomeday,
    /// `delete` of one todo.
    Delete,
    /// `doc.read_content`
    ReadContent,
    /// All driver actions.
    Driver,
    /// Any name, without parameters and flags.
    Plain(String),
}

impl Node {
    pub(crate) fn new(id: &str, kind: &str) -> Self {
        Self {
            id: id.to_owned(),
            kind: kind.to_owned(),
            props: None,
            meta: Map::new(),
            offers: Vec::new(),
            content: None,
            children: Vec::new(),
            shown: None,
        }
    }

    pub(crate) fn item(id: &str) -> Self {
        Self::new(id, "item")
    }

    pub(crate) fn prop(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.set(key, value.into());
        self
    }

    pub(crate) fn meta(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.meta.insert(key.to_owned(), value.into());
        self
    }

    pub(crate) fn offer(mut self, offers: impl IntoIterator<Item = Offer>) -> Self {
        self.offers.extend(offers);
        self
    }

    pub(crate) fn plain(self, action: &str) -> Self {
        self.offer([Offer::Plain(action.to_owned())])
    }

    pub(crate) fn content(mut self, content: ContentRef) -> Self {
        self.content = Some(content);
        self
    }

    pub(crate) fn with(mut self, children: impl IntoIterator<Item = Self>) -> Self {
        self.children.extend(children);
        self
    }

    pub(crate) fn showing(mut self, count: usize) -> Self {
        self.shown = Some(count);
        self
    }

    /// Sets a property in place, or after the others if it is new.
    pub(crate) fn set(&mut self, key: &str, value: Value) {
        self.props.get_or_insert_default().insert(key.to_owned(), value);
    }

    /// Removes a property; the others keep their order.
    pub(crate) fn unset(&mut self, key: &str) {
        if let Some(props) = &mut self.props {
            props.shift_remove(key);
        }
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Value> {
        self.props.as_ref()?.get(key)
    }

    pub(crate) fn position(&self, child: &str) -> Option<usize> {
        self.children.iter().position(|known| known.id == child)
    }

    /// Returns the descendant that these ids lead to.
    pub(crate) fn below<'p>(&mut self, ids: impl IntoIterator<Item = &'p str>) -> Option<&mut Self> {
        let mut node = self;
        for id in ids {
            let at = node.position(id)?;
            node = &mut node.children[at];
        }
        Some(node)
    }
}
