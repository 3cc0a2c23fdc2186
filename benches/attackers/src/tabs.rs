//! Hostile browser tabs. In each session a consumer watches, so that what the tab provides is rendered and sent.

use serde_json::{Value, json};

use crate::attacker::{Attacker, Strike};
use crate::stage::Stage;

/// All of them.
pub(crate) fn all() -> Vec<Attacker> {
    vec![
        Attacker::new("a tab with 20,000 properties on one node", many_properties),
        Attacker::new("a tab with ids that are not legal", illegal_ids),
        Attacker::new("a tab that changes the last of 1,990 children 5,000 times in one message", long_patches),
        Attacker::new("a tab that changes the last of 1,990 children as often as one patch may", |stage| {
            changes_to_the_last_child(stage, 1_000)
        }),
        Attacker::new("a tab whose texts are all new", new_texts),
        Attacker::new("a tab whose tree is over every limit", |stage| {
            let children: Vec<Value> = (0..3_000).map(|n| node(&format!("n{n}"), &json!({}))).collect();
            tab(stage, &children, |_| vec![json!({"op": "remove", "path": "/nobody"})])
        }),
        Attacker::new("a tab that sends one small patch after another", |stage| {
            let mut one = tab(stage, &[node("x", &json!({}))], change_of_x);
            Box::new(move |strike| (0..100).for_each(|n| one(strike * 100 + n)))
        }),
        Attacker::new("a tab with patterns that take exponential time", slow_patterns),
    ]
}

fn many_properties(stage: &Stage) -> Strike {
    let properties: Value = (0..20_000).map(|n| (format!("p{n}"), Value::from(1))).collect();
    tab(stage, &[node("x", &json!({"properties": properties}))], |strike| {
        vec![json!({"op": "replace", "path": "/x/properties/p0", "value": strike})]
    })
}

fn illegal_ids(stage: &Stage) -> Strike {
    let mut ids: Vec<String> = (0..1_500).map(|n| format!("a/{n}")).collect();
    ids.push("x/".repeat(50_000));
    let children: Vec<Value> = ids.iter().map(|id| node(id, &json!({}))).collect();
    tab(stage, &children, |strike| vec![json!({"op": "add", "path": "/properties/n", "value": strike})])
}

fn long_patches(stage: &Stage) -> Strike {
    changes_to_the_last_child(stage, 5_000)
}

fn changes_to_the_last_child(stage: &Stage, operations: usize) -> Strike {
    let children: Vec<Value> = (0..1_990).map(|n| node(&format!("n{n}"), &json!({}))).collect();
    tab(stage, &children, move |strike| {
        let change = |n: usize| json!({"op": "add", "path": "/n1989/properties/n", "value": strike + n});
        (0..operations).map(change).collect()
    })
}

fn new_texts(stage: &Stage) -> Strike {
    let (mut watcher, mut tab) = (stage.watcher("t"), stage.tab("t"));
    Box::new(move |strike| {
        let text = |n: usize| format!("t{strike}-{n}");
        let child = |n: usize| json!({"id": text(n), "type": text(n), "properties": {text(n): text(n)}});
        tab.provide(tree(&(0..500).map(child).collect::<Vec<_>>()));
        tab.read();
        watcher.read();
    })
}

fn slow_patterns(stage: &Stage) -> Strike {
    let action = |name: &str, pattern: &str| {
        let text = json!({"type": "string", "pattern": pattern});
        json!({"action": name, "params": {"type": "object", "properties": {"text": text}}})
    };
    let affordances = [action("explode", "^(a+)+$"), action("grow", "((a{100}){100}){100}")];
    let mut caller = stage.consumer("t");
    let mut patch = tab(stage, &[node("x", &json!({"affordances": affordances}))], change_of_x);
    Box::new(move |strike| {
        let params = json!({"text": format!("{}!", "a".repeat(50_000))});
        let path = "/ui/tab-1/x";
        caller.send(&json!({"type": "invoke", "id": strike, "path": path, "action": "explode", "params": params}));
        caller.read();
        patch(strike);
    })
}

fn change_of_x(strike: usize) -> Vec<Value> {
    vec![json!({"op": "add", "path": "/x/properties/n", "value": strike})]
}

fn node(id: &str, fields: &Value) -> Value {
    let mut node = json!({"id": id, "type": "item"});
    node.as_object_mut().into_iter().for_each(|keys| keys.extend(fields.as_object().cloned().unwrap_or_default()));
    node
}

fn tree(children: &[Value]) -> Value {
    json!({"id": "ui", "type": "root", "properties": {}, "children": children})
}

/// One tab with these children, which it changes at each strike.
fn tab(stage: &Stage, children: &[Value], operations: impl Fn(usize) -> Vec<Value> + Send + 'static) -> Strike {
    let (mut watcher, mut tab) = (stage.watcher("t"), stage.tab("t"));
    tab.provide(tree(children));
    Box::new(move |strike| {
        tab.patch(&operations(strike));
        tab.read();
        watcher.read();
    })
}
