//! What a descriptor function returns: the wanted shape of one path.

use super::action::Action;
use crate::model::Text;
use crate::model::content_ref::ContentRef;
use crate::model::meta::{Meta, Urgency};
use crate::model::session::Session;
use crate::model::value::Value;

/// The wanted shape of a node: type, properties, children, actions and `meta`.
///
/// ```
/// use grove_engine::{Descriptor, Item};
///
/// let shape = Descriptor::collection()
///     .prop("label", "Tasks")
///     .summary("1 task")
///     .item(Item::new("t1").prop("title", "water the plants").salience(0.9));
/// # let _ = shape;
/// ```
#[derive(Debug, Clone, Default)]
pub struct Descriptor {
    pub(crate) kind: Text,
    pub(crate) props: Option<Vec<(Text, Value)>>,
    pub(crate) meta: Meta,
    pub(crate) actions: Vec<Action>,
    pub(crate) content_ref: Option<Box<ContentRef>>,
    /// Apart, since each builder method moves the whole descriptor, and most nodes are leaves.
    extras: Option<Box<Extras>>,
}

/// What most nodes do not have.
#[derive(Debug, Clone, Default)]
struct Extras {
    raw_meta: Vec<(Text, serde_json::Value)>,
    items: Vec<Item>,
    children: Vec<(Text, Descriptor)>,
    window: Option<Window>,
}

/// A slice of a longer list.
#[derive(Debug, Clone)]
pub(crate) struct Window {
    pub(crate) offset: u64,
    pub(crate) total: u64,
}

/// A child of type `item`, with an id that stays the same as long as the thing is the same.
#[derive(Debug, Clone)]
pub struct Item {
    pub(crate) id: Text,
    pub(crate) body: Descriptor,
}

/// The builder methods that a descriptor and an item share; `$body` leads from `self` to the descriptor.
macro_rules! node_builder {
    ($($body:ident)?) => {
        /// Sets a property.
        #[must_use]
        pub fn prop(mut self, key: impl Into<Text>, value: impl Into<Value>) -> Self {
            self$(.$body)?.props.get_or_insert_with(|| Vec::with_capacity(6)).push((key.into(), value.into()));
            self
        }

        /// Sets several properties. With an empty list the node still has `"properties": {}`.
        #[must_use]
        pub fn props<K: Into<Text>, V: Into<Value>>(mut self, props: impl IntoIterator<Item = (K, V)>) -> Self {
            let known = self$(.$body)?.props.get_or_insert_default();
            known.extend(props.into_iter().map(|(key, value)| (key.into(), value.into())));
            self
        }

        /// One line about what is inside. An empty one is not sent.
        #[must_use]
        pub fn summary(mut self, summary: impl Into<Text>) -> Self {
            self$(.$body)?.meta.summary = Some(summary.into()).filter(|summary: &Text| !summary.is_empty());
            self
        }

        /// How much the node matters, from 0 to 1; without it consumers read 0.5.
        #[must_use]
        pub fn salience(mut self, salience: f64) -> Self {
            self$(.$body)?.meta.salience = Some(salience);
            self
        }

        /// Keeps the node from being compacted away under a budget.
        #[must_use]
        pub fn pinned(mut self, pinned: bool) -> Self {
            self$(.$body)?.meta.pinned = Some(pinned);
            self
        }

        /// Whether the user looks at it now.
        #[must_use]
        pub fn focus(mut self, focus: bool) -> Self {
            self$(.$body)?.meta.focus = Some(focus);
            self
        }

        /// Whether it changed lately.
        #[must_use]
        pub fn changed(mut self, changed: bool) -> Self {
            self$(.$body)?.meta.changed = Some(changed);
            self
        }

        /// How soon it wants attention.
        #[must_use]
        pub fn urgency(mut self, urgency: Urgency) -> Self {
            self$(.$body)?.meta.urgency = Some(urgency);
            self
        }

        /// Why salience or urgency are what they are.
        #[must_use]
        pub fn reason(mut self, reason: impl Into<Text>) -> Self {
            self$(.$body)?.meta.reason = Some(reason.into());
            self
        }

        /// A field of `meta` by its wire name. Known fields are checked, others pass through; a value that consumers
        /// reject is dropped and reported as an event.
        #[must_use]
        pub fn meta(mut self, name: impl Into<Text>, value: impl Into<serde_json::Value>) -> Self {
            self$(.$body)?.extras.get_or_insert_default().raw_meta.push((name.into(), value.into()));
            self
        }

        /// Offers an action.
        #[must_use]
        pub fn action(mut self, action: &Action) -> Self {
            self$(.$body)?.actions.push(action.clone());
            self
        }

        /// Offers several actions, in this order.
        #[must_use]
        pub fn actions<'a>(mut self, actions: impl IntoIterator<Item = &'a Action>) -> Self {
            self$(.$body)?.actions.extend(actions.into_iter().cloned());
            self
        }

        /// Points to content that is too large to be inline.
        #[must_use]
        pub fn content_ref(mut self, content: ContentRef) -> Self {
            self$(.$body)?.content_ref = Some(Box::new(content));
            self
        }

        /// Adds a child of type `item`.
        #[must_use]
        pub fn item(mut self, item: Item) -> Self {
            self$(.$body)?.extras.get_or_insert_default().items.push(item);
            self
        }

        /// Adds children of type `item`.
        #[must_use]
        pub fn items(mut self, items: impl IntoIterator<Item = Item>) -> Self {
            self$(.$body)?.extras.get_or_insert_default().items.extend(items);
            self
        }

        /// Adds an inline child of any type; inline children come after the items.
        #[must_use]
        pub fn child(mut self, id: impl Into<Text>, child: Descriptor) -> Self {
            self$(.$body)?.extras.get_or_insert_default().children.push((id.into(), child));
            self
        }

        /// Shows `items` as the slice that starts at `offset` of a list that has `total`. Replaces the items.
        #[must_use]
        pub fn window(mut self, offset: u64, total: u64, items: impl IntoIterator<Item = Item>) -> Self {
            let extras = self$(.$body)?.extras.get_or_insert_default();
            extras.items = items.into_iter().collect();
            extras.window = Some(Window { offset, total });
            self
        }

        /// Shows only how many children there are; a query on the path loads them
        /// (see [`Source::on_window`](crate::Source::on_window)).
        #[must_use]
        pub fn lazy(self, total: u64) -> Self {
            self.window(0, total, [])
        }
    };
}

impl Descriptor {
    /// A descriptor of any type.
    pub fn new(kind: impl Into<Text>) -> Self {
        Self { kind: kind.into(), ..Self::default() }
    }

    /// Things of one kind.
    #[must_use]
    pub fn collection() -> Self {
        Self::new("collection")
    }

    /// Things that belong together.
    #[must_use]
    pub fn group() -> Self {
        Self::new("group")
    }

    /// Who the user is, and where.
    #[must_use]
    pub fn context() -> Self {
        Self::new("context")
    }

    /// The state of something.
    #[must_use]
    pub fn status() -> Self {
        Self::new("status")
    }

    /// A screen or page. One that is not open now is described by its summary alone.
    #[must_use]
    pub fn view() -> Self {
        Self::new("view")
    }

    /// Something to read.
    #[must_use]
    pub fn document() -> Self {
        Self::new("document")
    }

    /// A `context` node that says whose session this is: user, role (the attribute of that name) and permissions.
    #[must_use]
    pub fn context_of(session: &Session) -> Self {
        let mut shape = Self::context().prop("user", session.user().map(Text::from));
        if let Some(role) = session.attribute("role") {
            shape = shape.prop("role", role);
        }
        shape.prop("permissions", session.permissions())
    }

    node_builder!();
}

impl Descriptor {
    /// The children of type `item`; they come before all others.
    pub(crate) fn item_list(&self) -> &[Item] {
        self.extras.as_ref().map_or(&[], |extras| &extras.items)
    }

    /// The children of any type.
    pub(crate) fn inline_children(&self) -> &[(Text, Self)] {
        self.extras.as_ref().map_or(&[], |extras| &extras.children)
    }

    /// The child with this id, the first if there are several: that is the one that is shown.
    pub(crate) fn child_with(&self, id: &str) -> Option<&Self> {
        let item = self.item_list().iter().find(|item| item.id == id).map(|item| &item.body);
        item.or_else(|| self.inline_children().iter().find(|(known, _)| known == id).map(|(_, child)| child))
    }

    /// Which slice of a longer list the items are.
    pub(crate) fn shown_window(&self) -> Option<&Window> {
        self.extras.as_ref()?.window.as_ref()
    }

    /// Fields of `meta` by their wire names, not checked yet.
    pub(crate) fn raw_meta(&self) -> &[(Text, serde_json::Value)] {
        self.extras.as_ref().map_or(&[], |extras| &extras.raw_meta)
    }

    /// Whether it has no children, no window, and nothing in `meta` that has to be checked by name.
    pub(crate) const fn is_plain(&self) -> bool {
        self.extras.is_none()
    }

    /// All children.
    pub(crate) fn children_mut(&mut self) -> impl Iterator<Item = &mut Self> {
        self.extras.iter_mut().flat_map(|extras| extras.children_mut())
    }
}

impl Extras {
    fn children_mut(&mut self) -> impl Iterator<Item = &mut Descriptor> {
        let items = self.items.iter_mut().map(|item| &mut item.body);
        items.chain(self.children.iter_mut().map(|(_, child)| child))
    }

    /// Takes what is below the children.
    fn take_inner(&mut self) -> impl Iterator<Item = Box<Self>> {
        self.children_mut().filter_map(|child| child.extras.take())
    }
}

/// Without recursion: how deep an application nests nodes is not known before they are sanitised.
impl Drop for Extras {
    fn drop(&mut self) {
        let mut inner: Vec<_> = self.take_inner().collect();
        while let Some(mut extras) = inner.pop() {
            inner.extend(extras.take_inner());
        }
    }
}

impl Item {
    /// An item; the id must be unique among its siblings.
    pub fn new(id: impl Into<Text>) -> Self {
        Self { id: id.into(), body: Descriptor::new("item") }
    }

    node_builder!(body);
}
