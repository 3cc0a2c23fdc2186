//! What is reused from before is what would be packed anew.

use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use super::*;
use crate::model::Text;
use crate::model::content_ref::ContentRef;
use crate::model::meta::Urgency;
use crate::model::value::Value;
use crate::render::action::{Action, Invocation};

const LIMITS: PackLimits = PackLimits { nodes: 150, depth: 4, properties: 4 };

/// The last one has the name of the first.
static ACTIONS: LazyLock<[Action; 4]> = LazyLock::new(|| {
    ["open", "close", "burn", "open"].map(|name| Action::new(name.to_owned(), |_: Invocation<()>| ()))
});

fn value() -> impl Strategy<Value = Value> {
    select(vec![
        Value::Null,
        Value::Bool(true),
        Value::Int(1),
        Value::Uint(1),
        Value::Float(1.0),
        Value::Float(0.0),
        Value::Float(-0.0),
        Value::Float(f64::NAN),
        "1".into(),
        "a text that is too long for the dictionary".into(),
        vec![1].into(),
    ])
}

/// One more field of a node.
const SAYINGS: [fn(Descriptor) -> Descriptor; 23] = [
    |shape| shape,
    |shape| shape.props::<Text, Value>([]),
    |shape| shape.summary("s"),
    |shape| shape.salience(0.7),
    |shape| shape.salience(f64::NAN),
    |shape| shape.pinned(true),
    |shape| shape.pinned(false),
    |shape| shape.focus(false),
    |shape| shape.changed(true),
    |shape| shape.urgency(Urgency::Low),
    |shape| shape.reason("r"),
    |shape| shape.meta("extra", json!({"a": [1]})),
    |shape| shape.meta("urgency", "never"),
    |shape| shape.meta("total_children", 7),
    |shape| shape.content_ref(ContentRef::text("text/plain", "c")),
    |shape| shape.lazy(9),
    |shape| shape.window(2, 9, [Item::new("w")]),
    |shape| shape.action(&ACTIONS[0]),
    |shape| shape.action(&ACTIONS[1]),
    |shape| shape.action(&ACTIONS[2]),
    |shape| shape.action(&ACTIONS[3]),
    |shape| shape.child("x", Descriptor::status()).item(Item::new("x")),
    |shape| shape.child("deep", Descriptor::group().child("deeper", Descriptor::group().item(Item::new("d")))),
];

fn body() -> impl Strategy<Value = Descriptor> {
    let props = prop::collection::vec((select(vec!["k", "l", "m"]), value()), 0..3);
    (select(vec!["", "status"]), props, prop::collection::vec(select(SAYINGS.to_vec()), 0..3)).prop_map(
        |(kind, props, says)| {
            let shape = props.into_iter().fold(Descriptor::new(kind), |shape, (key, value)| shape.prop(key, value));
            says.into_iter().fold(shape, |shape, say| say(shape))
        },
    )
}

#[derive(Debug, Clone)]
enum Edit {
    Replace(usize, Descriptor),
    Insert(usize, usize, Descriptor),
    Remove(usize),
    Move(usize, usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (0..80_usize, body()).prop_map(|(at, body)| Edit::Replace(at, body)),
        (0..80_usize, 0..90_usize, body()).prop_map(|(at, id, body)| Edit::Insert(at, id, body)),
        (0..80_usize).prop_map(Edit::Remove),
        (0..80_usize, 0..80_usize).prop_map(|(from, to)| Edit::Move(from, to)),
    ]
}

type Listed = Vec<(usize, Descriptor)>;

fn apply(list: &mut Listed, edit: Edit) {
    let len = list.len();
    match edit {
        Edit::Insert(at, id, body) => list.insert(at % (len + 1), (id, body)),
        _ if len == 0 => {}
        Edit::Replace(at, body) => list[at % len].1 = body,
        Edit::Remove(at) => drop(list.remove(at % len)),
        Edit::Move(from, to) => {
            let moved = list.remove(from % len);
            list.insert(to % len, moved);
        }
    }
}

/// The first `items` are items, the others are inline. Some ids are not legal.
fn listed(own: &Descriptor, list: &Listed, items: usize) -> Descriptor {
    let id = |id: usize| if id == 50 { "not/legal".to_owned() } else { format!("n{id}") };
    let items_end = items.min(list.len());
    let items = list[..items_end].iter().map(|(at, body)| {
        let mut item = Item::new(id(*at));
        item.body = body.clone();
        item.body.kind = "item".into();
        item
    });
    let shape = own.clone().items(items);
    list[items_end..].iter().fold(shape, |shape, (at, body)| shape.child(id(*at), body.clone()))
}

fn packed(store: &Store, shape: &Descriptor, prior: Option<&Fragment>) -> PackedResult {
    node(store.pack(false), LIMITS, "at/list", "list", shape, prior)
}

/// All fields of a node, to the bit.
fn write(node: NodeRef<'_>, out: &mut String) {
    let fields = node.fields();
    let props = fields.props.map(|props| props.iter().collect::<Vec<_>>());
    let actions: Vec<_> = fields.actions.iter().map(Action::address).collect();
    let (id, kind, content) = (fields.id, fields.kind, fields.content_ref);
    out.push_str(&format!("{id} {kind} {props:?} {:?} {actions:?} {content:?} (", fields.read_meta()));
    fields.children.for_each(|child| write(child, out));
    out.push(')');
}

fn text(fragment: &Fragment) -> String {
    let mut out = String::new();
    write(NodeRef::root_of(fragment), &mut out);
    out
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_reused_from_before_is_what_would_be_packed_anew(
        own in body(),
        first in prop::collection::vec((0..80_usize, body()), 0..70),
        items in prop_oneof![0..70_usize, Just(1000)],
        steps in prop::collection::vec((prop::collection::vec(edit(), 0..4), prop::option::weighted(0.1, body())), 1..4),
        warm in 1..5,
        dictionary_bytes in prop_oneof![Just(1 << 20), 0..4_000_usize],
    ) {
        // A small dictionary is replaced several times.
        let store = Store::new(dictionary_bytes);
        let (mut own, mut list) = (own, first);
        let mut prior = packed(&store, &listed(&own, &list, items), None).fragment;
        for (edits, new_own) in steps {
            for _ in 0..warm {
                // What is met a few times takes fewer bytes.
                prior = packed(&store, &listed(&own, &list, items), Some(&prior)).fragment;
            }
            own = new_own.unwrap_or(own);
            edits.into_iter().for_each(|edit| apply(&mut list, edit));
            let shape = listed(&own, &list, items);
            store.renew_dictionary();
            let after = packed(&store, &shape, Some(&prior));
            let anew = packed(&Store::new(1 << 20), &shape, None);
            prop_assert_eq!(&after.violations, &anew.violations);
            prop_assert_eq!(text(&after.fragment), text(&anew.fragment));
            prop_assert_eq!(after.fragment.nodes(), anew.fragment.nodes());
            prop_assert!(packed(&store, &shape, None).fragment.is(&after.fragment), "equal content is one fragment");
            prop_assert_eq!(after.fragment.is(&prior), text(&after.fragment) == text(&prior));
            prior = after.fragment;
        }
    }
}
