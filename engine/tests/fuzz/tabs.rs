//! Random trees and patches of a browser tab.

use grove_engine::Session;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::app::{App, fuzz, serve};
use crate::json::{json_value, scalar, word};
use crate::mutation::{mutated, mutation};
use crate::node_rules::check_node;

fn tab_node() -> impl Strategy<Value = Value> {
    let id = prop::sample::select(vec!["a", "b", "c", "route", "meta", "", "x/y", "__adapter", "0", "tasks"]);
    let leaf = (id.clone(), scalar(), json_value()).prop_map(|(id, value, params)| {
        json!({"id": id, "type": "status", "properties": {"v": value, "a/b": 1},
               "meta": {"salience": 0.4, "urgency": "low"},
               "affordances": [{"action": "go", "params": {"type": "object", "properties": params}}]})
    });
    leaf.prop_recursive(3, 12, 4, move |inner| {
        (id.clone(), prop::collection::vec(inner, 0..4))
            .prop_map(|(id, children)| json!({"id": id, "type": "group", "children": children}))
    })
}

fn tab_tree() -> impl Strategy<Value = Value> {
    (prop::collection::vec(tab_node(), 0..4), prop::collection::vec(mutation(), 0..4)).prop_map(
        |(children, mutations)| {
            mutated(
                json!({"id": "ui", "type": "root", "properties": {"label": "UI"}, "children": children}),
                &mutations,
            )
        },
    )
}

fn tab_op() -> impl Strategy<Value = Value> {
    let segment = prop_oneof![
        4 => prop::sample::select(vec!["a", "b", "c", "route", "properties", "children", "affordances", "meta", "content_ref", "v", "0"])
            .prop_map(str::to_owned),
        1 => word(),
    ];
    let kind = prop::sample::select(vec!["add", "remove", "replace", "move", "copy"]);
    let value = prop_oneof![tab_node(), json_value()];
    let op = (kind, prop::collection::vec(segment, 0..5), value, prop::option::of(any::<u8>()));
    (op, prop::collection::vec(mutation(), 0..2)).prop_map(|((kind, path, value, index), mutations)| {
        let mut op = json!({"op": kind, "path": format!("/{}", path.join("/")), "value": value});
        if let Some(index) = index {
            op["index"] = json!(index);
        }
        if index.is_some_and(|index| index % 8 == 0) { mutated(op, &mutations) } else { op }
    })
}

#[derive(Debug, Clone)]
enum TabMessage {
    Snapshot(Value),
    Patch(Vec<Value>),
    Anything(Value),
}

fn tab_message() -> impl Strategy<Value = TabMessage> {
    let patch = json!({"type": "patch", "subscription": "ui-mount", "version": 2, "seq": 1, "ops": [{"op": "remove", "path": "/a"}]});
    let anything = (
        prop::sample::select(vec![
            json!({"type": "hello", "provider": {"id": "ui", "name": "UI"}}),
            json!({"type": "result", "id": "ui-mount-invoke-1", "status": "ok", "data": {}}),
            patch,
        ]),
        prop::collection::vec(mutation(), 0..3),
    );
    prop_oneof![
        1 => tab_tree().prop_map(TabMessage::Snapshot),
        4 => prop::collection::vec(tab_op(), 0..6).prop_map(TabMessage::Patch),
        1 => anything.prop_map(|(message, mutations)| TabMessage::Anything(mutated(message, &mutations))),
    ]
}

#[test]
fn any_tab_leaves_every_mirror_exact_and_every_node_valid() {
    let app = App::new(|config| config.sizes.tab_nodes = 60);
    serve(&app.engine);
    let input = (tab_tree(), prop::collection::vec(tab_message(), 0..12));
    fuzz(&input, |(tree, messages)| {
        let mut consumer = app.consumer("s");
        let mut witness = app.consumer("witness");
        let (all, _) = app.runtime.block_on(consumer.subscribe("/"));
        app.runtime.block_on(witness.subscribe("/"));
        let _guard = app.runtime.enter();
        let tab = app.engine.connect_tab(&Session::new("s")).unwrap();
        tab.receive(r#"{"type":"hello","provider":{"id":"ui","name":"UI"}}"#);
        for message in std::iter::once(TabMessage::Snapshot(tree)).chain(messages) {
            let message = match message {
                TabMessage::Snapshot(tree) => json!({"type": "snapshot", "id": "ui-mount", "version": 1, "tree": tree}),
                TabMessage::Patch(ops) => {
                    json!({"type": "patch", "subscription": "ui-mount", "version": 2, "ops": ops})
                }
                TabMessage::Anything(message) => message,
            };
            tab.receive(&message.to_string());
            app.take_messages(&tab);
            app.runtime.block_on(consumer.settled());
            check_node(consumer.tree(&all), "");
        }
        app.runtime.block_on(consumer.check_mirrors());
        drop(tab);
        app.runtime.block_on(consumer.check_mirrors());
        let remaining: Vec<&Value> =
            consumer.tree(&all)["children"].as_array().unwrap().iter().map(|n| &n["id"]).collect();
        assert_eq!(remaining, ["deep", "todos"], "the tab is removed completely, and server data is kept");
        assert!(app.runtime.block_on(witness.settled()).is_empty(), "a tab reached another session");
        app.check_faults();
    });
}
