//! Laws that hold for every tree, every edit and every view, as property tests.
//!
//! The expected trees come from a small model of an application and from a reference implementation of views over plain
//! JSON. Both follow the letter of the contract (1.4, 2.1, 2.3) and share no code with the engine.

mod app_model;
mod long_list;
mod node_model;

use std::collections::BTreeMap;

use grove_engine::testing::TestConsumer;
use grove_engine::{Descriptor, Item, Scope, Session, Source, WindowRequest};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::{Value, json};

use crate::fixtures::{cases, engine};
use crate::reference::{View, children, expect_equal};
use app_model::{App, PATHS, assemble, edit, initial, segments};
use long_list::{edit_list, list_edit, long_list};
use node_model::{KINDS, NodeModel, node_model, nodes_with_salience};

/// Random views, of paths that exist and of paths that may not.
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

/// Runs one case of a law.
fn run(law: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(law);
}

/// Subscribes to each view whose path exists; for the others there would be no subscription (contract 1.3).
async fn subscribe_all(consumer: &mut TestConsumer, views: &[View], tree: &Value) -> Vec<(String, View)> {
    let mut subscribed = Vec::new();
    for view in views {
        if !view.of(tree).is_null() {
            let (id, snapshot) = consumer.subscribe_with(view.options()).await;
            expect_equal(&snapshot, &view.of(tree), &format!("the snapshot of {view:?}"));
            subscribed.push((id, view.clone()));
        }
    }
    subscribed
}

/// Asserts that each copy is the view of the current tree.
fn expect_copies(consumer: &TestConsumer, subscribed: &[(String, View)], tree: &Value) {
    for (id, view) in subscribed {
        expect_equal(consumer.tree(id), &view.of(tree), &format!("the copy of {view:?}"));
    }
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn a_query_returns_what_the_contract_specifies(app in initial(), views in prop::collection::vec(view(), 1..12)) {
        run(async {
            let app = App::new(&app);
            let mut consumer = TestConsumer::connect(&app.engine, Session::new("s")).await;
            let tree = app.tree();
            expect_equal(&consumer.query("/").await, &tree, "the whole tree");
            for view in &views {
                let reply = consumer.query_with(view.options()).await;
                expect_equal(&reply["tree"], &view.of(&tree), &format!("{view:?}"));
            }
        });
    }

    #[test]
    fn a_budget_collapses_nodes_in_the_order_of_the_contract(
        node in nodes_with_salience(4),
        budgets in prop::collection::vec((0_i64..60, select(vec!["/", "/a"]), prop::option::of(0_i64..5)), 1..10),
    ) {
        run(async {
            let app = App::new(&[(1, node)]);
            let mut consumer = TestConsumer::connect(&app.engine, Session::new("s")).await;
            let tree = app.tree();
            for (nodes, path, depth) in budgets {
                let view = View { path: path.to_owned(), depth, types: None, min_salience: None, max_nodes: Some(nodes) };
                let reply = consumer.query_with(view.options()).await;
                expect_equal(&reply["tree"], &view.of(&tree), &format!("{view:?}"));
            }
        });
    }

    #[test]
    fn patches_keep_every_budget_of_one_view(
        node in nodes_with_salience(4),
        view in view(),
        budgets in prop::collection::vec(0_i64..40, 2..10),
        steps in prop::collection::vec(prop::collection::vec(edit(), 1..4), 1..4),
    ) {
        run(async {
            let app = App::new(&[(1, node)]);
            let mut consumer = TestConsumer::connect(&app.engine, Session::new("s")).await;
            let views: Vec<View> =
                budgets.iter().map(|nodes| View { max_nodes: Some(*nodes), ..view.clone() }).collect();
            let subscribed = subscribe_all(&mut consumer, &views, &app.tree()).await;
            for edits in &steps {
                app.apply(edits).await;
                consumer.check_mirrors().await;
            }
            expect_copies(&consumer, &subscribed, &app.tree());
        });
    }

    #[test]
    fn patches_bring_every_copy_up_to_date(
        app in initial(),
        views in prop::collection::vec(view(), 1..8),
        steps in prop::collection::vec((prop::collection::vec(edit(), 1..4), any::<bool>()), 1..6),
    ) {
        run(async {
            let app = App::new(&app);
            let mut consumer = TestConsumer::connect(&app.engine, Session::new("s")).await;
            let subscribed = subscribe_all(&mut consumer, &views, &app.tree()).await;
            for (edits, reads) in &steps {
                app.apply(edits).await;
                // A consumer may read after each change or only after some, and then gets one patch for all of them.
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
    fn a_refresh_that_changes_nothing_sends_no_frame(app in initial(), views in prop::collection::vec(view(), 1..6)) {
        run(async {
            let app = App::new(&app);
            let mut consumer = TestConsumer::connect(&app.engine, Session::new("s")).await;
            subscribe_all(&mut consumer, &views, &app.tree()).await;
            app.engine.settle().await;
            let before = app.engine.stats().commits;
            // Every descriptor function builds its whole descriptor again.
            app.engine.refresh_now(Scope::all()).await;
            assert_eq!(consumer.settled().await, Vec::<Value>::new());
            assert_eq!(app.engine.stats().commits, before);
        });
    }

    #[test]
    fn a_session_with_its_own_paths_sees_them_in_its_tree(
        app in initial(),
        own in prop::collection::vec((1..PATHS.len(), prop::option::of(node_model(2))), 1..4),
        edits in prop::collection::vec(edit(), 0..3),
    ) {
        run(async {
            let app = App::new(&app);
            let mut consumer = TestConsumer::connect(&app.engine, Session::new("mine")).await;
            let mut other = TestConsumer::connect(&app.engine, Session::new("other")).await;
            let (id, _) = consumer.subscribe("/").await;
            let mut overlay = BTreeMap::new();
            for (path, node) in &own {
                match node.clone() {
                    Some(node) => {
                        let source = Source::new(move |_: &Session| node.descriptor());
                        app.engine.register_for("mine", PATHS[*path], source).unwrap();
                    }
                    None => app.engine.unregister_for("mine", PATHS[*path]).unwrap(),
                }
                overlay.insert(segments(PATHS[*path]), node.clone());
            }
            app.apply(&edits).await;
            consumer.check_mirrors().await;
            let mut sources: BTreeMap<Vec<&str>, NodeModel> = app.content.lock().clone();
            for (path, node) in overlay {
                match node {
                    Some(node) => drop(sources.insert(path, node)),
                    None => drop(sources.remove(&path)),
                }
            }
            expect_equal(consumer.tree(&id), &assemble(&sources, &[], None), "the tree of a session with its own paths");
            expect_equal(&other.query("/").await, &app.tree(), "the tree of other sessions");
            for path in &PATHS[1..] {
                app.engine.restore_for("mine", path).unwrap();
            }
            consumer.check_mirrors().await;
            expect_equal(consumer.tree(&id), &app.tree(), "the tree after all paths were restored");
        });
    }

    #[test]
    fn a_window_contains_exactly_the_slice_it_reports(
        total in 0_u64..40,
        base in 0_u64..40,
        inline in 0_u64..12,
        has_loader in any::<bool>(),
        windows in prop::collection::vec((0_u64..50, 0_u64..50), 1..8),
    ) {
        run(async {
            let engine = engine();
            let base = base.min(total);
            let inline = inline.min(total - base);
            let item = |at: u64| Item::new(format!("i{at}")).prop("at", at);
            let source = Source::new(move |_: &Session| Descriptor::collection().window(base, total, (base..base + inline).map(item)));
            let load = move |_: &Session, request: &WindowRequest| -> Vec<Item> {
                (request.offset..request.offset + request.count).map(item).collect()
            };
            engine.register_source("list", if has_loader { source.on_window(load) } else { source });
            let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
            for (offset, count) in windows {
                let reply = consumer.query_with(json!({"path": "/list", "window": [offset, count]})).await;
                let tree = &reply["tree"];
                let requested: Vec<u64> = (offset..offset + count).filter(|at| *at < total).collect();
                let is_inline = |at: &u64| (base..base + inline).contains(at);
                // The inline items, or what a loader returns; a window beyond the end of the list is empty.
                let expected: Vec<u64> =
                    if has_loader { requested } else { requested.into_iter().filter(is_inline).collect() };
                let actual: Vec<u64> = children(tree).iter().map(|child| child["properties"]["at"].as_u64().unwrap()).collect();
                assert_eq!(actual, expected, "[{offset}, {count}] of {total}: {tree}");
                assert_eq!(tree["meta"]["total_children"], json!(total));
                let first = actual.first().copied().unwrap_or(offset);
                assert_eq!(tree["meta"]["window"], json!([first, actual.len()]));
            }
        });
    }
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn content_shared_by_many_sessions_is_correct_for_each(
        app in initial(),
        views in prop::collection::vec(view(), 1..4),
        steps in prop::collection::vec(prop::collection::vec(edit(), 1..3), 1..4),
    ) {
        run(async {
            let app = App::new(&app);
            let mut consumers = Vec::new();
            // Enough sessions that texts are cached and shared.
            for number in 0..10 {
                let mut consumer = TestConsumer::connect(&app.engine, Session::new(format!("s{number}"))).await;
                let subscribed = subscribe_all(&mut consumer, &views, &app.tree()).await;
                consumers.push((consumer, subscribed));
            }
            for (step, edits) in steps.iter().enumerate() {
                app.apply(edits).await;
                for (number, (consumer, _)) in consumers.iter_mut().enumerate() {
                    // Not all of them read every time, so their patches differ.
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
