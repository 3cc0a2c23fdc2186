//! A model of an application: its registered nodes, the tree that they must become, and random changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use grove_engine::{Engine, Scope, Session};
use parking_lot::Mutex;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::node_model::{NodeModel, node_model};
use crate::fixtures::engine;
use crate::reference::{children, id_of, set_children};

/// Assembles the registered nodes into one tree (2.3).
pub(super) fn assemble(sources: &BTreeMap<Vec<&str>, NodeModel>, at: &[&str], inline: Option<Value>) -> Value {
    let id = at.last().copied().unwrap_or("app");
    let mut node = match (sources.get(at), inline) {
        (Some(model), _) => model.wire(id, model.kind),
        (None, Some(inline)) => inline,
        (None, None) => json!({"id": id, "type": "group"}),
    };
    if at.is_empty() {
        // The root keeps its id, type and label, whatever is registered for it.
        node["type"] = json!("root");
        let mut props = Map::from_iter([("label".to_owned(), json!("App"))]);
        props.extend(node["properties"].as_object().cloned().unwrap_or_default());
        node["properties"] = Value::Object(props);
    }
    let longer = sources.keys().filter(|path| path.len() > at.len() && path.starts_with(at));
    let below: BTreeSet<&str> = longer.map(|path| path[at.len()]).collect();
    let step = |id: &str| at.iter().copied().chain(below.get(id).copied()).collect::<Vec<_>>();
    let own: Vec<Value> = children(&node).to_vec();
    let known: BTreeSet<String> = own.iter().map(|child| id_of(child).to_owned()).collect();
    let own = own.into_iter().map(|child| {
        let id = id_of(&child).to_owned();
        if below.contains(id.as_str()) { assemble(sources, &step(&id), Some(child)) } else { child }
    });
    let registered = below.iter().filter(|id| !known.contains(**id)).map(|id| assemble(sources, &step(id), None));
    let all = own.chain(registered).collect();
    set_children(&mut node, all);
    node
}

pub(super) const PATHS: [&str; 9] = ["", "a", "a/b", "a/c/d", "b", "e", "e/0/b", "0", "a/f f"];

/// A change of the application.
#[derive(Debug, Clone)]
pub(super) enum Edit {
    /// Changes the content of a path, and registers it if needed.
    Show(usize, Box<NodeModel>),
    Unregister(usize),
    /// Reorders the children of a path and removes some.
    Reorder(usize, Vec<usize>),
}

pub(super) fn edit() -> impl Strategy<Value = Edit> {
    let path = 0..PATHS.len();
    prop_oneof![
        5 => (path.clone(), node_model(2)).prop_map(|(path, node)| Edit::Show(path, Box::new(node))),
        1 => path.clone().prop_map(Edit::Unregister),
        3 => (path, prop::collection::vec(0_usize..8, 0..8)).prop_map(|(path, order)| Edit::Reorder(path, order)),
    ]
}

/// The registered nodes by the segments of their paths.
type Content = Arc<Mutex<BTreeMap<Vec<&'static str>, NodeModel>>>;

/// The model of an application, and an engine that serves it.
pub(super) struct App {
    pub(super) engine: Engine,
    pub(super) content: Content,
}

pub(super) fn segments(path: &'static str) -> Vec<&'static str> {
    path.split('/').filter(|segment| !segment.is_empty()).collect()
}

impl App {
    pub(super) fn new(initial: &[(usize, NodeModel)]) -> Self {
        let app = Self { engine: engine(), content: Content::default() };
        for (path, node) in initial {
            app.edit(&Edit::Show(*path, Box::new(node.clone())));
        }
        app
    }

    fn edit(&self, edit: &Edit) {
        match edit {
            Edit::Show(path, node) => {
                let (path, content) = (PATHS[*path], Arc::clone(&self.content));
                let known = self.content.lock().insert(segments(path), NodeModel::clone(node));
                if known.is_none() {
                    let at = segments(path);
                    self.engine.register(path, move |_: &Session| {
                        content.lock().get(&at).map(NodeModel::descriptor).ok_or("it has been unregistered")
                    });
                }
            }
            Edit::Unregister(path) => {
                self.engine.unregister(PATHS[*path]);
                self.content.lock().remove(&segments(PATHS[*path]));
            }
            Edit::Reorder(path, order) => {
                if let Some(node) = self.content.lock().get_mut(&segments(PATHS[*path])) {
                    for list in [&mut node.items, &mut node.inline] {
                        for at in order {
                            if !list.is_empty() {
                                let moved = list.remove(at % list.len());
                                let to = (at * 3) % (list.len() + 1);
                                list.insert(to, moved);
                            }
                        }
                        list.truncate(8 - order.len() / 2);
                    }
                }
            }
        }
    }

    pub(super) async fn apply(&self, edits: &[Edit]) {
        edits.iter().for_each(|edit| self.edit(edit));
        self.engine.refresh_now(Scope::all()).await;
    }

    /// The expected tree.
    pub(super) fn tree(&self) -> Value {
        let content = self.content.lock();
        let sources = content.iter().map(|(path, node)| (path.to_vec(), node.clone())).collect();
        assemble(&sources, &[], None)
    }
}

/// Random initial contents of an application.
pub(super) fn initial() -> impl Strategy<Value = Vec<(usize, NodeModel)>> {
    prop::collection::vec((0..PATHS.len(), node_model(3)), 0..5)
}
