//! Random spellings of paths.

use grove_engine::{Action, Descriptor, Invocation, Session};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::app::{App, fuzz};
use crate::json::word;

const IDS: [&str; 12] =
    ["app", "inbox", "a b", "é", "%2F", "..", ".", "0", "__adapter", "constructor", "a.b", "\u{1f600}"];

/// Random spellings of paths.
fn spelling() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        8 => prop::sample::select(IDS.to_vec()).prop_map(str::to_owned),
        1 => word(),
        1 => prop::sample::select(IDS.to_vec()).prop_map(|id| id.to_uppercase()),
    ];
    (prop::collection::vec((segment, "/{1,3}"), 0..5), "/{0,2}", any::<bool>()).prop_map(|(segments, first, cut)| {
        let mut path = segments.iter().fold(first, |path, (id, slashes)| path + id + slashes);
        if cut {
            path.truncate(path.trim_end_matches('/').len());
        }
        path
    })
}

/// The rule of contract 1.3 on the JSON of the whole tree: literally from the root, otherwise without the root's id.
fn resolve<'t>(tree: &'t Value, path: &str) -> Option<&'t Value> {
    let ids: Vec<&str> = path.split('/').filter(|id| !id.is_empty()).collect();
    let walk = |ids: &[&str]| {
        ids.iter().try_fold(tree, |node, id| node.get("children")?.as_array()?.iter().find(|child| child["id"] == *id))
    };
    walk(&ids).or_else(|| if ids.first() == Some(&"app") { walk(&ids[1..]) } else { None })
}

#[test]
fn any_spelling_of_a_path_resolves_as_the_contract_says() {
    let app = App::new(|_| {});
    let open = Action::new("open", |call: Invocation<()>| Value::from(call.path));
    let group = |open: &Action| {
        IDS.iter().fold(Descriptor::group(), |node, id| node.child(*id, Descriptor::new("item").action(open)))
    };
    for id in IDS.iter().step_by(2) {
        let descriptor = group(&open).action(&open);
        app.engine.register(id, move |_: &Session| descriptor.clone());
    }
    let descriptor = group(&open);
    app.engine.register("app/app", move |_: &Session| descriptor.clone());
    let mut consumer = app.consumer("s");
    let whole = app.runtime.block_on(consumer.query("/"));
    let consumer = std::cell::RefCell::new(consumer);
    fuzz(&spelling(), |path| {
        let mut consumer = consumer.borrow_mut();
        let expected = resolve(&whole, &path);
        let reply = app.runtime.block_on(consumer.query_with(json!({"path": path})));
        match expected {
            Some(node) => assert_eq!(&reply["tree"], node, "{path:?}"),
            None => assert_eq!(reply["error"]["code"], "not_found", "{path:?}: {reply}"),
        }
        let is_callable = expected.is_some_and(|node| node["affordances"].is_array());
        let result = app.runtime.block_on(consumer.invoke(&path, "open", json!({})));
        match is_callable {
            true => {
                let at = result["data"].as_str().unwrap_or_else(|| panic!("{path:?}: {result}"));
                assert_eq!(resolve(&whole, at), expected, "{path:?} is called as {at:?}");
            }
            false => assert_eq!(result["error"]["code"], "not_found", "{path:?}: {result}"),
        }
        app.check_faults();
    });
}
