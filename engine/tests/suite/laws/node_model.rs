//! A model of a node: random ones, the descriptor that builds it, and the JSON that it must become.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use grove_engine::{Action, ContentRef, Descriptor, Invocation, Item};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Map, Value, json};

use crate::reference::set_children;

/// A node of the model.
#[derive(Debug, Clone)]
pub(super) struct NodeModel {
    pub(super) kind: &'static str,
    props: Option<Vec<(&'static str, Value)>>,
    summary: Option<&'static str>,
    salience: Option<f64>,
    pinned: Option<bool>,
    extra: Option<Value>,
    /// The indexes of its actions in `ACTIONS`.
    actions: Vec<usize>,
    content: Option<&'static str>,
    /// The offset of its items in a longer list, and the number of items after them.
    window: Option<(u64, u64)>,
    pub(super) items: Vec<(&'static str, Self)>,
    pub(super) inline: Vec<(&'static str, Self)>,
}

const IDS: [&str; 7] = ["a", "b", "c", "d", "e", "f f", "0"];
pub(super) const KINDS: [&str; 4] = ["group", "status", "collection", "x"];
const KEYS: [&str; 8] = ["k", "l", "a/b", "~", "~1", "", "properties", "meta"];

/// Actions are declared once, because the engine identifies them by their declaration.
static ACTIONS: LazyLock<[Action; 3]> = LazyLock::new(|| {
    let act = |name: &'static str| Action::new(name, |_: Invocation<()>| ());
    [act("open"), act("close").label("Close"), act("burn").dangerous(true)]
});

/// The action on the wire.
fn wire_action(at: usize) -> Value {
    [
        json!({"action": "open"}),
        json!({"action": "close", "label": "Close"}),
        json!({"action": "burn", "dangerous": true}),
    ][at]
        .clone()
}

fn value() -> impl Strategy<Value = Value> {
    select(vec![
        Value::Null,
        json!(0),
        json!(1),
        json!(-7),
        json!(0.5),
        json!(true),
        json!(false),
        json!(""),
        json!("text"),
        json!("<ü\"\\\n>"),
        json!([]),
        json!({}),
        json!([1, null, {"k": null}]),
        json!({"k": {"l": 1, "a/b": [true]}}),
        json!(u64::MAX),
    ])
}

/// Random nodes with this many levels below them.
pub(super) fn node_model(levels: u32) -> BoxedStrategy<NodeModel> {
    let props = prop::option::weighted(0.8, prop::collection::vec((select(KEYS.to_vec()), value()), 0..4));
    let meta = (
        prop::option::of(select(vec!["s", "another"])),
        prop::option::of(select(vec![0.0, 0.2, 0.5, 0.7, 1.0])),
        prop::option::weighted(0.2, any::<bool>()),
        prop::option::weighted(0.2, value().prop_filter("null is absent", |value| !value.is_null())),
    );
    let actions = prop_oneof![3 => Just(Vec::new()), 2 => subsequence(vec![0, 1, 2], 1..=3).prop_shuffle()];
    let content = prop::option::weighted(0.2, select(vec!["c", "d"]));
    let window = prop::option::weighted(0.2, (0_u64..3, 0_u64..3));
    let children = if levels == 0 {
        Just((Vec::new(), Vec::new())).boxed()
    } else {
        let siblings = move || {
            let ids = subsequence(IDS.to_vec(), 0..=4).prop_shuffle();
            ids.prop_flat_map(move |ids| {
                let nodes = prop::collection::vec(node_model(levels - 1), ids.len());
                nodes.prop_map(move |nodes| ids.iter().copied().zip(nodes).collect::<Vec<_>>())
            })
        };
        (siblings(), siblings()).boxed()
    };
    (select(KINDS.to_vec()), props, meta, actions, (content, window), children)
        .prop_map(|(kind, props, (summary, salience, pinned, extra), actions, (content, window), (items, inline))| {
            // Ids are unique among siblings, and keys among properties.
            let used: BTreeSet<_> = items.iter().map(|(id, _)| *id).collect();
            let inline = inline.into_iter().filter(|(id, _)| !used.contains(id)).collect();
            let props = props.map(|props| {
                let mut unique: Vec<(&'static str, Value)> = Vec::new();
                for (key, value) in props {
                    match unique.iter_mut().find(|(known, _)| *known == key) {
                        Some(entry) => entry.1 = value,
                        None => unique.push((key, value)),
                    }
                }
                unique
            });
            NodeModel { kind, props, summary, salience, pinned, extra, actions, content, window, items, inline }
        })
        .boxed()
}

/// Builds a `Descriptor` or an `Item`, whose builder methods have the same names.
macro_rules! build {
    ($node:expr, $start:expr) => {{
        let mut out = $start;
        if let Some(props) = &$node.props {
            out = out.props(props.iter().map(|(key, value)| (*key, value.clone())));
        }
        if let Some(summary) = $node.summary {
            out = out.summary(summary);
        }
        if let Some(salience) = $node.salience {
            out = out.salience(salience);
        }
        if let Some(pinned) = $node.pinned {
            out = out.pinned(pinned);
        }
        if let Some(extra) = &$node.extra {
            out = out.meta("extra", extra.clone());
        }
        if let Some(content) = $node.content {
            out = out.content_ref(ContentRef::text("text/plain", content).uri("x:y"));
        }
        out = out.actions($node.actions.iter().map(|at| &ACTIONS[*at]));
        let items = $node.items.iter().map(|(id, node)| node.item(id));
        out = match $node.window {
            Some((offset, more)) => out.window(offset, offset + $node.items.len() as u64 + more, items),
            None => out.items(items),
        };
        $node.inline.iter().fold(out, |out, (id, node)| out.child(*id, node.descriptor()))
    }};
}

impl NodeModel {
    pub(super) fn descriptor(&self) -> Descriptor {
        build!(self, Descriptor::new(self.kind))
    }

    /// The type of an item is always `item`.
    fn item(&self, id: &str) -> Item {
        build!(self, Item::new(id))
    }

    /// The whole node on the wire, as the contract specifies it (2.1).
    pub(super) fn wire(&self, id: &str, kind: &str) -> Value {
        let mut node = json!({"id": id, "type": kind});
        if let Some(props) = &self.props {
            node["properties"] = props.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        }
        let mut meta = Map::new();
        if let Some(summary) = self.summary {
            meta.insert("summary".to_owned(), json!(summary));
        }
        if let Some(salience) = self.salience {
            meta.insert("salience".to_owned(), json!(salience));
        }
        if let Some(pinned) = self.pinned {
            meta.insert("pinned".to_owned(), json!(pinned));
        }
        if let Some(extra) = &self.extra {
            meta.insert("extra".to_owned(), extra.clone());
        }
        if let Some((offset, more)) = self.window {
            let inline = self.items.len() as u64;
            meta.insert("total_children".to_owned(), json!(offset + inline + more));
            if inline > 0 {
                meta.insert("window".to_owned(), json!([offset, inline]));
            }
        }
        if !meta.is_empty() {
            node["meta"] = Value::Object(meta);
        }
        if !self.actions.is_empty() {
            node["affordances"] = self.actions.iter().map(|at| wire_action(*at)).collect();
        }
        if let Some(content) = self.content {
            node["content_ref"] = json!({"type": "text", "mime": "text/plain", "uri": "x:y", "summary": content});
        }
        let items = self.items.iter().map(|(id, node)| node.wire(id, "item"));
        let inline = self.inline.iter().map(|(id, node)| node.wire(id, node.kind));
        set_children(&mut node, items.chain(inline).collect());
        node
    }
}

/// Random nodes that have only a salience, by which a budget decides. Many have similar values.
pub(super) fn nodes_with_salience(levels: u32) -> BoxedStrategy<NodeModel> {
    let salience =
        prop_oneof![2 => Just(None), 3 => select(vec![0.48, 0.49, 0.495, 0.5, 0.503, 0.51, 0.52]).prop_map(Some)];
    let pinned = prop::option::weighted(0.05, Just(true));
    let children = if levels == 0 {
        Just(Vec::new()).boxed()
    } else {
        let ids = subsequence(IDS.to_vec(), 0..=5);
        ids.prop_flat_map(move |ids| {
            let nodes = prop::collection::vec(nodes_with_salience(levels - 1), ids.len());
            nodes.prop_map(move |nodes| ids.iter().copied().zip(nodes).collect::<Vec<_>>())
        })
        .boxed()
    };
    (salience, pinned, children)
        .prop_map(|(salience, pinned, inline)| NodeModel {
            kind: "x",
            props: None,
            summary: None,
            salience,
            pinned,
            extra: None,
            actions: Vec::new(),
            content: None,
            window: None,
            items: Vec::new(),
            inline,
        })
        .boxed()
}
