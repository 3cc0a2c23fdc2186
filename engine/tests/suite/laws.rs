//! Laws that hold for every tree, every edit and every view, tried on random ones.
//!
//! The expected trees come from a small model of an application and from a reference projection over plain JSON that is
//! written here, by the letter of the contract (1.4, 2.1, 2.3), and shares no code with the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use grove_engine::testing::TestConsumer;
use grove_engine::{Action, ContentRef, Descriptor, Engine, Invocation, Item, Scope, Session, Source, WindowRequest};
use parking_lot::Mutex;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Map, Value, json};

use crate::apps::{engine, tries};
use crate::reference::{View, children, expect_equal, id_of, set_children};

// ---------------------------------------------------------------- the model of an application

/// A node as the tests know it.
#[derive(Debug, Clone)]
struct Shape {
    kind: &'static str,
    props: Option<Vec<(&'static str, Value)>>,
    summary: Option<&'static str>,
    salience: Option<f64>,
    pinned: Option<bool>,
    extra: Option<Value>,
    /// Which of the fixed actions it offers.
    actions: Vec<usize>,
    content: Option<&'static str>,
    /// Where its items stand in a longer list, and how many there are behind them.
    window: Option<(u64, u64)>,
    items: Vec<(&'static str, Self)>,
    inline: Vec<(&'static str, Self)>,
}

const IDS: [&str; 7] = ["a", "b", "c", "d", "e", "f f", "0"];
const KINDS: [&str; 4] = ["group", "status", "collection", "x"];
const KEYS: [&str; 8] = ["k", "l", "a/b", "~", "~1", "", "properties", "meta"];

/// Actions live as long as the tests: the engine tells them apart by their declaration.
static ACTIONS: LazyLock<[Action; 3]> = LazyLock::new(|| {
    let act = |name: &'static str| Action::new(name, |_: Invocation<()>| ());
    [act("open"), act("close").label("Close"), act("burn").dangerous(true)]
});

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

fn shape(levels: u32) -> BoxedStrategy<Shape> {
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
    let below = if levels == 0 {
        Just((Vec::new(), Vec::new())).boxed()
    } else {
        let some = move || {
            let ids = subsequence(IDS.to_vec(), 0..=4).prop_shuffle();
            ids.prop_flat_map(move |ids| {
                let shapes = prop::collection::vec(shape(levels - 1), ids.len());
                shapes.prop_map(move |shapes| ids.iter().copied().zip(shapes).collect::<Vec<_>>())
            })
        };
        (some(), some()).boxed()
    };
    (select(KINDS.to_vec()), props, meta, actions, (content, window), below)
        .prop_map(|(kind, props, (summary, salience, pinned, extra), actions, (content, window), (items, inline))| {
            // One id stands once among siblings, and a key once among properties.
            let taken: BTreeSet<_> = items.iter().map(|(id, _)| *id).collect();
            let inline = inline.into_iter().filter(|(id, _)| !taken.contains(id)).collect();
            let props = props.map(|props| {
                let mut once: Vec<(&'static str, Value)> = Vec::new();
                for (key, value) in props {
                    match once.iter_mut().find(|(known, _)| *known == key) {
                        Some(entry) => entry.1 = value,
                        None => once.push((key, value)),
                    }
                }
                once
            });
            Shape { kind, props, summary, salience, pinned, extra, actions, content, window, items, inline }
        })
        .boxed()
}

/// Descriptors and items are built by the same words, on types of their own.
macro_rules! built {
    ($shape:expr, $start:expr) => {{
        let mut out = $start;
        if let Some(props) = &$shape.props {
            out = out.props(props.iter().map(|(key, value)| (*key, value.clone())));
        }
        if let Some(summary) = $shape.summary {
            out = out.summary(summary);
        }
        if let Some(salience) = $shape.salience {
            out = out.salience(salience);
        }
        if let Some(pinned) = $shape.pinned {
            out = out.pinned(pinned);
        }
        if let Some(extra) = &$shape.extra {
            out = out.meta("extra", extra.clone());
        }
        if let Some(content) = $shape.content {
            out = out.content_ref(ContentRef::text("text/plain", content).uri("x:y"));
        }
        out = out.actions($shape.actions.iter().map(|at| &ACTIONS[*at]));
        let items = $shape.items.iter().map(|(id, shape)| shape.item(id));
        out = match $shape.window {
            Some((offset, more)) => out.window(offset, offset + $shape.items.len() as u64 + more, items),
            None => out.items(items),
        };
        $shape.inline.iter().fold(out, |out, (id, shape)| out.child(*id, shape.descriptor()))
    }};
}

impl Shape {
    fn descriptor(&self) -> Descriptor {
        built!(self, Descriptor::new(self.kind))
    }

    /// Its type is always `item`.
    fn item(&self, id: &str) -> Item {
        built!(self, Item::new(id))
    }

    /// The whole node as the contract wants it (2.1).
    fn wire(&self, id: &str, kind: &str) -> Value {
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
        let items = self.items.iter().map(|(id, shape)| shape.wire(id, "item"));
        let inline = self.inline.iter().map(|(id, shape)| shape.wire(id, shape.kind));
        set_children(&mut node, items.chain(inline).collect());
        node
    }
}

// ---------------------------------------------------------------- the reference: how shapes become one tree

/// The registered shapes as one tree (2.3).
fn assemble(sources: &BTreeMap<Vec<&str>, Shape>, at: &[&str], inline: Option<Value>) -> Value {
    let id = at.last().copied().unwrap_or("app");
    let mut node = match (sources.get(at), inline) {
        (Some(shape), _) => shape.wire(id, shape.kind),
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

fn view() -> impl Strategy<Value = View> {
    let paths = vec!["/", "", "/a", "/a/b", "/b", "/e", "/e/0", "a/c/", "/app/a", "/app", "/a/f f", "/0"];
    (
        select(paths),
        prop::option::of(select(vec![-1, 0, 1, 2, 3])),
        prop::option::weighted(0.3, subsequence([KINDS.as_slice(), &["item"]].concat(), 0..=5)),
        prop::option::weighted(0.3, select(vec![0.2, 0.5, 0.6, 1.0])),
        prop::option::weighted(0.4, select(vec![-1, 0, 1, 3, 5, 8, 13])),
    )
        .prop_map(|(path, depth, types, min_salience, max_nodes)| View {
            path: path.to_owned(),
            depth,
            types,
            min_salience,
            max_nodes,
        })
}

// ---------------------------------------------------------------- an application that changes

const PATHS: [&str; 9] = ["", "a", "a/b", "a/c/d", "b", "e", "e/0/b", "0", "a/f f"];

/// What an application does between two looks at it.
#[derive(Debug, Clone)]
enum Edit {
    /// Changes what a path shows, and registers it if need be.
    Show(usize, Box<Shape>),
    Unregister(usize),
    /// The children of a path are put in another order, and some go.
    Reorder(usize, Vec<usize>),
}

fn edit() -> impl Strategy<Value = Edit> {
    let path = 0..PATHS.len();
    prop_oneof![
        5 => (path.clone(), shape(2)).prop_map(|(path, shape)| Edit::Show(path, Box::new(shape))),
        1 => path.clone().prop_map(Edit::Unregister),
        3 => (path, prop::collection::vec(0_usize..8, 0..8)).prop_map(|(path, order)| Edit::Reorder(path, order)),
    ]
}

type Content = Arc<Mutex<BTreeMap<Vec<&'static str>, Shape>>>;

/// The model and an engine that shows it.
struct App {
    engine: Engine,
    content: Content,
}

fn segments(path: &'static str) -> Vec<&'static str> {
    path.split('/').filter(|segment| !segment.is_empty()).collect()
}

impl App {
    fn new(first: &[(usize, Shape)]) -> Self {
        let app = Self { engine: engine(), content: Content::default() };
        for (path, shape) in first {
            app.edit(&Edit::Show(*path, Box::new(shape.clone())));
        }
        app
    }

    fn edit(&self, edit: &Edit) {
        match edit {
            Edit::Show(path, shape) => {
                let (path, content) = (PATHS[*path], Arc::clone(&self.content));
                let known = self.content.lock().insert(segments(path), Shape::clone(shape));
                if known.is_none() {
                    let at = segments(path);
                    self.engine.register(path, move |_: &Session| {
                        content.lock().get(&at).map(Shape::descriptor).ok_or("unregistered meanwhile")
                    });
                }
            }
            Edit::Unregister(path) => {
                self.engine.unregister(PATHS[*path]);
                self.content.lock().remove(&segments(PATHS[*path]));
            }
            Edit::Reorder(path, order) => {
                if let Some(shape) = self.content.lock().get_mut(&segments(PATHS[*path])) {
                    for list in [&mut shape.items, &mut shape.inline] {
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

    async fn apply(&self, edits: &[Edit]) {
        edits.iter().for_each(|edit| self.edit(edit));
        self.engine.refresh_now(Scope::all()).await;
    }

    /// What the tree should be now.
    fn tree(&self) -> Value {
        let content = self.content.lock();
        let sources = content.iter().map(|(path, shape)| (path.to_vec(), shape.clone())).collect();
        assemble(&sources, &[], None)
    }
}

/// Enough ids for lists that are kept in several parts.
static MANY_IDS: LazyLock<Vec<String>> = LazyLock::new(|| (0..120).map(|at| format!("n{at}")).collect());

/// A change of one place in a long list.
#[derive(Debug, Clone)]
enum ListEdit {
    Put(usize, usize, Shape),
    Replace(usize, Shape),
    Remove(usize),
    Move(usize, usize),
}

fn list_edit() -> impl Strategy<Value = ListEdit> {
    let at = || 0..120_usize;
    prop_oneof![
        2 => (at(), at(), shape(1)).prop_map(|(at, id, shape)| ListEdit::Put(at, id, shape)),
        3 => (at(), shape(0)).prop_map(|(at, shape)| ListEdit::Replace(at, shape)),
        2 => at().prop_map(ListEdit::Remove),
        2 => (at(), at()).prop_map(|(from, to)| ListEdit::Move(from, to)),
    ]
}

fn edit_list(list: &mut Vec<(&'static str, Shape)>, edit: &ListEdit) {
    let len = list.len();
    match edit {
        ListEdit::Put(at, id, shape) => {
            let id = MANY_IDS[*id].as_str();
            list.retain(|(known, _)| *known != id);
            list.insert(at % (list.len() + 1), (id, shape.clone()));
        }
        _ if len == 0 => {}
        ListEdit::Replace(at, shape) => list[at % len].1 = shape.clone(),
        ListEdit::Remove(at) => drop(list.remove(at % len)),
        ListEdit::Move(from, to) => {
            let moved = list.remove(from % len);
            list.insert(to % len, moved);
        }
    }
}

/// A list at `/a`, and perhaps something that is registered below it.
fn long_list() -> impl Strategy<Value = Vec<(usize, Shape)>> {
    let items = prop::collection::vec(shape(0), 15..110);
    let below = prop::collection::vec((select(vec![2_usize, 3, 8]), shape(1)), 0..2);
    (shape(0), items, any::<bool>(), below).prop_map(|(mut list, items, inline, mut all)| {
        let items = MANY_IDS.iter().map(String::as_str).zip(items).collect();
        *(if inline { &mut list.inline } else { &mut list.items }) = items;
        all.push((1, list));
        all
    })
}

fn first() -> impl Strategy<Value = Vec<(usize, Shape)>> {
    prop::collection::vec((0..PATHS.len(), shape(3)), 0..5)
}

/// A node with nothing but its salience: what a budget decides by. Many are nearly alike.
fn weighed(levels: u32) -> BoxedStrategy<Shape> {
    let salience =
        prop_oneof![2 => Just(None), 3 => select(vec![0.48, 0.49, 0.495, 0.5, 0.503, 0.51, 0.52]).prop_map(Some)];
    let pinned = prop::option::weighted(0.05, Just(true));
    let below = if levels == 0 {
        Just(Vec::new()).boxed()
    } else {
        let ids = subsequence(IDS.to_vec(), 0..=5);
        ids.prop_flat_map(move |ids| {
            let shapes = prop::collection::vec(weighed(levels - 1), ids.len());
            shapes.prop_map(move |shapes| ids.iter().copied().zip(shapes).collect::<Vec<_>>())
        })
        .boxed()
    };
    (salience, pinned, below)
        .prop_map(|(salience, pinned, inline)| Shape {
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

fn run(law: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(law);
}

/// A subscription is started only where there is something: otherwise there is none (contract 1.3).
async fn subscribe_all(consumer: &mut TestConsumer, views: &[View], tree: &Value) -> Vec<(String, View)> {
    let mut subscribed = Vec::new();
    for view in views {
        if !view.of(tree).is_null() {
            let (id, given) = consumer.subscribe_with(view.options()).await;
            expect_equal(&given, &view.of(tree), &format!("the snapshot of {view:?}"));
            subscribed.push((id, view.clone()));
        }
    }
    subscribed
}

/// Each copy is the view of the tree as it is now.
fn expect_copies(consumer: &TestConsumer, subscribed: &[(String, View)], tree: &Value) {
    for (id, view) in subscribed {
        expect_equal(consumer.tree(id), &view.of(tree), &format!("the copy of {view:?}"));
    }
}

proptest! {
    #![proptest_config(tries(64))]

    #[test]
    fn a_query_returns_what_the_contract_specifies(app in first(), views in prop::collection::vec(view(), 1..12)) {
        run(async {
            let app = App::new(&app);
            let mut consumer = TestConsumer::connect(&app.engine, Session::new("s")).await;
            let tree = app.tree();
            expect_equal(&consumer.query("/").await, &tree, "the whole tree");
            for view in &views {
                let answer = consumer.query_with(view.options()).await;
                expect_equal(&answer["tree"], &view.of(&tree), &format!("{view:?}"));
            }
        });
    }

    #[test]
    fn a_budget_collapses_nodes_in_the_order_of_the_contract(
        shape in weighed(4),
        budgets in prop::collection::vec((0_i64..60, select(vec!["/", "/a"]), prop::option::of(0_i64..5)), 1..10),
    ) {
        run(async {
            let app = App::new(&[(1, shape)]);
            let mut consumer = TestConsumer::connect(&app.engine, Session::new("s")).await;
            let tree = app.tree();
            for (nodes, path, depth) in budgets {
                let view = View { path: path.to_owned(), depth, types: None, min_salience: None, max_nodes: Some(nodes) };
                let answer = consumer.query_with(view.options()).await;
                expect_equal(&answer["tree"], &view.of(&tree), &format!("{view:?}"));
            }
        });
    }

    #[test]
    fn patches_bring_every_copy_up_to_date(
        app in first(),
        views in prop::collection::vec(view(), 1..8),
        steps in prop::collection::vec((prop::collection::vec(edit(), 1..4), any::<bool>()), 1..6),
    ) {
        run(async {
            let app = App::new(&app);
            let mut consumer = TestConsumer::connect(&app.engine, Session::new("s")).await;
            let subscribed = subscribe_all(&mut consumer, &views, &app.tree()).await;
            for (edits, reads) in &steps {
                app.apply(edits).await;
                // A consumer may read after each change, or only after some: then it gets one step for all of them.
                if *reads {
                    consumer.settled().await;
                }
            }
            consumer.check_mirrors().await;
            expect_copies(&consumer, &subscribed, &app.tree());
        });
    }

    #[test]
    fn patches_bring_every_copy_of_a_long_list_up_to_date(
        app in long_list(),
        views in prop::collection::vec((view(), select(vec!["/", "/a"]), 0_i64..120), 1..6),
        steps in prop::collection::vec((prop::collection::vec(list_edit(), 0..5), any::<bool>()), 1..6),
    ) {
        let views: Vec<View> = views
            .into_iter()
            .map(|(view, path, nodes)| View { path: path.to_owned(), max_nodes: view.max_nodes.map(|_| nodes), ..view })
            .collect();
        run(async {
            let app = App::new(&app);
            let mut consumer = TestConsumer::connect(&app.engine, Session::new("s")).await;
            let subscribed = subscribe_all(&mut consumer, &views, &app.tree()).await;
            for (edits, reads) in &steps {
                if let Some(list) = app.content.lock().get_mut(&vec!["a"]) {
                    let list = if list.items.is_empty() { &mut list.inline } else { &mut list.items };
                    edits.iter().for_each(|edit| edit_list(list, edit));
                }
                app.apply(&[]).await;
                if *reads {
                    consumer.settled().await;
                }
            }
            consumer.check_mirrors().await;
            expect_copies(&consumer, &subscribed, &app.tree());
        });
    }

    #[test]
    fn a_refresh_that_changes_nothing_sends_no_frame(app in first(), views in prop::collection::vec(view(), 1..6)) {
        run(async {
            let app = App::new(&app);
            let mut consumer = TestConsumer::connect(&app.engine, Session::new("s")).await;
            subscribe_all(&mut consumer, &views, &app.tree()).await;
            app.engine.settle().await;
            let before = app.engine.stats().commits;
            // Every descriptor builds its whole shape anew.
            app.engine.refresh_now(Scope::all()).await;
            assert_eq!(consumer.settled().await, Vec::<Value>::new());
            assert_eq!(app.engine.stats().commits, before);
        });
    }

    #[test]
    fn a_session_with_its_own_paths_sees_them_in_its_tree(
        app in first(),
        own in prop::collection::vec((1..PATHS.len(), prop::option::of(shape(2))), 1..4),
        edits in prop::collection::vec(edit(), 0..3),
    ) {
        run(async {
            let app = App::new(&app);
            let mut mine = TestConsumer::connect(&app.engine, Session::new("mine")).await;
            let mut other = TestConsumer::connect(&app.engine, Session::new("other")).await;
            let (id, _) = mine.subscribe("/").await;
            let mut laid_over = BTreeMap::new();
            for (path, shape) in &own {
                match shape.clone() {
                    Some(shape) => {
                        let source = Source::new(move |_: &Session| shape.descriptor());
                        app.engine.register_for("mine", PATHS[*path], source).unwrap();
                    }
                    None => app.engine.unregister_for("mine", PATHS[*path]).unwrap(),
                }
                laid_over.insert(segments(PATHS[*path]), shape.clone());
            }
            app.apply(&edits).await;
            mine.check_mirrors().await;
            let mut sources: BTreeMap<Vec<&str>, Shape> = app.content.lock().clone();
            for (path, shape) in laid_over {
                match shape {
                    Some(shape) => drop(sources.insert(path, shape)),
                    None => drop(sources.remove(&path)),
                }
            }
            expect_equal(mine.tree(&id), &assemble(&sources, &[], None), "the tree of a session with paths of its own");
            expect_equal(&other.query("/").await, &app.tree(), "everybody else's tree");
            for path in &PATHS[1..] {
                app.engine.restore_for("mine", path).unwrap();
            }
            mine.check_mirrors().await;
            expect_equal(mine.tree(&id), &app.tree(), "everything given back");
        });
    }

    #[test]
    fn a_window_contains_exactly_the_slice_it_reports(
        total in 0_u64..40,
        base in 0_u64..40,
        inline in 0_u64..12,
        loads in any::<bool>(),
        windows in prop::collection::vec((0_u64..50, 0_u64..50), 1..8),
    ) {
        run(async {
            let engine = engine();
            let base = base.min(total);
            let inline = inline.min(total - base);
            let item = |at: u64| Item::new(format!("i{at}")).prop("at", at);
            let source = Source::new(move |_: &Session| Descriptor::collection().window(base, total, (base..base + inline).map(item)));
            let load = move |_: &Session, asked: &WindowRequest| -> Vec<Item> {
                (asked.offset..asked.offset + asked.count).map(item).collect()
            };
            engine.register_source("list", if loads { source.on_window(load) } else { source });
            let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
            for (offset, count) in windows {
                let answer = consumer.query_with(json!({"path": "/list", "window": [offset, count]})).await;
                let tree = &answer["tree"];
                let wanted: Vec<u64> = (offset..offset + count).filter(|at| *at < total).collect();
                let held = |at: &u64| (base..base + inline).contains(at);
                // What the tree holds, or what a loader gives; a window that lies beyond the list is empty.
                let wanted: Vec<u64> =
                    if loads { wanted } else { wanted.into_iter().filter(held).collect() };
                let given: Vec<u64> = children(tree).iter().map(|child| child["properties"]["at"].as_u64().unwrap()).collect();
                assert_eq!(given, wanted, "[{offset}, {count}] of {total}: {tree}");
                assert_eq!(tree["meta"]["total_children"], json!(total));
                let first = given.first().copied().unwrap_or(offset);
                assert_eq!(tree["meta"]["window"], json!([first, given.len()]));
            }
        });
    }
}

proptest! {
    #![proptest_config(tries(24))]

    #[test]
    fn content_shared_by_many_sessions_is_correct_for_each(
        app in first(),
        views in prop::collection::vec(view(), 1..4),
        steps in prop::collection::vec(prop::collection::vec(edit(), 1..3), 1..4),
    ) {
        run(async {
            let app = App::new(&app);
            let mut consumers = Vec::new();
            // Enough of them that texts are kept and shared.
            for number in 0..10 {
                let mut consumer = TestConsumer::connect(&app.engine, Session::new(format!("s{number}"))).await;
                let subscribed = subscribe_all(&mut consumer, &views, &app.tree()).await;
                consumers.push((consumer, subscribed));
            }
            for (step, edits) in steps.iter().enumerate() {
                app.apply(edits).await;
                for (number, (consumer, _)) in consumers.iter_mut().enumerate() {
                    // Not all of them read every time, so their steps differ.
                    if (number + step) % 3 != 0 {
                        consumer.settled().await;
                    }
                }
            }
            let tree = app.tree();
            for (consumer, subscribed) in &mut consumers {
                consumer.settled().await;
                expect_copies(consumer, subscribed, &tree);
            }
        });
    }
}
