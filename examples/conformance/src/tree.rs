//! Descriptor functions: from the app's data to what a session sees.

use std::sync::Arc;

use grove_engine::{Descriptor, Engine, Item, Session, SessionProvider, Source, WindowRequest};
use serde_json::json;

use crate::catalog::Catalog;
use crate::node::Node;
use crate::state::State;
use crate::tokens::ORG;

/// The registered paths at which each session has nodes of its own.
const OWN: [&str; 9] = ["ctl", "deep/a/leaf", "doc", "inbox", "mix", "mix/a1", "prio", "todos", "tree"];

/// The registered paths whose nodes are computed.
const COMPUTED: [&str; 4] = ["board", "me", "org", "stamp"];

/// All of them except the one that comes and goes.
fn paths() -> impl Iterator<Item = &'static str> {
    OWN.into_iter().chain(COMPUTED)
}

/// What the descriptor functions share.
#[derive(Debug)]
pub(crate) struct Tree {
    state: Arc<State>,
    catalog: Catalog,
}

/// Whether this path is registered for everyone.
pub(crate) fn is_registered(path: &str) -> bool {
    paths().any(|registered| registered == path)
}

impl Tree {
    pub(crate) fn new(state: Arc<State>, catalog: Catalog) -> Self {
        Self { state, catalog }
    }

    /// Registers everything with an engine that serves all sessions from one registry.
    pub(crate) fn register(self: &Arc<Self>, engine: &Engine) {
        for path in paths() {
            engine.register_source(path, self.source(path));
        }
    }

    /// The provider of one session, with the same in it.
    pub(crate) fn instance(self: &Arc<Self>) -> SessionProvider {
        paths().fold(SessionProvider::new(), |instance, path| instance.register_source(path, self.source(path)))
    }

    /// The source of a registered path. Where each session has nodes of its own, it reads the session's id; elsewhere it
    /// reads only what it shows.
    pub(crate) fn source(self: &Arc<Self>, path: &'static str) -> Source {
        let tree = Arc::clone(self);
        let source = Source::new(move |session: &Session| {
            tree.state.panic_if_broken(session, path);
            if COMPUTED.contains(&path) { Ok(tree.computed(session, path)) } else { tree.own(session, path) }
        });
        if path == "inbox" { self.with_messages(source) } else { source }
    }

    fn own(&self, session: &Session, path: &str) -> Result<Descriptor, &'static str> {
        let own = self.state.own(session.id());
        let own = own.lock();
        own.registered(path).map(|node| self.descriptor(node)).ok_or("the node no longer exists")
    }

    fn with_messages(self: &Arc<Self>, source: Source) -> Source {
        let tree = Arc::clone(self);
        source.on_window(move |session: &Session, request: &WindowRequest| {
            let own = tree.state.own(session.id());
            let own = own.lock();
            let list = own.registered("inbox").filter(|_| request.path.is_empty());
            let messages = list.map_or(&[][..], |list| &list.children);
            let bounds = [request.offset, request.offset.saturating_add(request.count)];
            let [from, to] = bounds.map(|at| usize::try_from(at).unwrap_or(usize::MAX).min(messages.len()));
            messages[from..to].iter().map(|message| tree.item(message)).collect::<Vec<_>>()
        })
    }

    fn computed(&self, session: &Session, path: &str) -> Descriptor {
        match path {
            "board" => self.board(),
            "me" => me(session),
            "org" => org(session),
            _ => Descriptor::status().prop("n", json!(*self.state.stamp.lock())),
        }
    }

    fn board(&self) -> Descriptor {
        let board = self.state.board.lock().clone();
        Descriptor::collection()
            .prop("label", "Board")
            .prop("rev", board.rev)
            .item(Item::new("b1").prop("text", board.text))
    }

    /// Children are inline children even where they are items, which is the same on the wire: then `retype` can make
    /// them something else.
    fn descriptor(&self, node: &Node) -> Descriptor {
        let mut shape = Descriptor::new(&node.kind).actions(&self.catalog.offered(&node.offers));
        if let Some(props) = &node.props {
            shape = shape.props(props.iter().map(|(key, value)| (key, value.clone())));
        }
        for (key, value) in &node.meta {
            shape = shape.meta(key, value.clone());
        }
        if let Some(content) = &node.content {
            shape = shape.content_ref(content.clone());
        }
        let total = node.children.len();
        let shown = node.shown.map_or(total, |shown| shown.min(total));
        if shown < total {
            shape = shape.meta("total_children", total).meta("window", json!([0, shown]));
        }
        node.children[..shown].iter().fold(shape, |shape, child| shape.child(&child.id, self.descriptor(child)))
    }

    fn item(&self, node: &Node) -> Item {
        let mut item = Item::new(&node.id).actions(&self.catalog.offered(&node.offers));
        if let Some(props) = &node.props {
            item = item.props(props.iter().map(|(key, value)| (key, value.clone())));
        }
        for (key, value) in &node.meta {
            item = item.meta(key, value.clone());
        }
        if let Some(content) = &node.content {
            item = item.content_ref(content.clone());
        }
        node.children.iter().fold(item, |item, child| item.child(&child.id, self.descriptor(child)))
    }
}

fn me(session: &Session) -> Descriptor {
    Descriptor::context()
        .prop("user", session.user().unwrap_or_default())
        .prop("org", session.attribute(ORG).unwrap_or_default())
        .prop("session", session.id())
}

fn org(session: &Session) -> Descriptor {
    let org = session.attribute(ORG).unwrap_or_default();
    let members = if org == "acme" { "users from a to m" } else { "all other users" };
    Descriptor::status().prop("org", org).prop("members", members)
}
