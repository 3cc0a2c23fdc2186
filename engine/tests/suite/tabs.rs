//! Browser tabs that provide their own subtree (contract 3), driven by a scripted tab.

use grove_engine::testing::{ManualClock, TestConsumer};
use grove_engine::{
    Action, Config, Connection, Descriptor, Engine, Event, Frame, Invocation, Item, Limit, Session, Source,
};
use serde_json::{Value, json};

use crate::fixtures::{EventLog, FOREVER, engine_with, engine_with_clock};

fn engine() -> Engine {
    let engine = Engine::builder("app", "App").config(Config::immediate()).build();
    let add = Action::new("add", |_: Invocation<()>| ());
    engine.register("todos", move |_: &Session| Descriptor::collection().item(Item::new("t1")).action(&add));
    engine
}

fn alice() -> Session {
    Session::new("s1").with_user("alice")
}

/// A tab that behaves like the unmodified browser client.
struct Tab {
    connection: Connection,
}

impl Tab {
    fn open(engine: &Engine) -> Self {
        Self { connection: engine.connect_tab(&alice()).unwrap() }
    }

    async fn next(&self) -> Value {
        match self.connection.next_frame().await {
            Frame::Text(text) => serde_json::from_str(&text).unwrap(),
            other => panic!("not a message: {other:?}"),
        }
    }

    fn send(&self, message: &Value) {
        self.connection.receive(&message.to_string());
    }

    /// Connects, sends hello, and provides a route.
    async fn mounted(engine: &Engine, route: &str) -> Self {
        let tab = Self::open(engine);
        assert_eq!(tab.next().await, json!({"type": "connect"}));
        tab.send(&json!({"type": "hello", "provider": {"id": "ui", "name": "UI", "slop_version": "0.1", "capabilities": []}}));
        let subscribe = tab.next().await;
        assert_eq!(subscribe["type"], "subscribe");
        assert_eq!((subscribe["path"].as_str(), subscribe["depth"].as_i64()), (Some("/"), Some(-1)));
        tab.send(&json!({"type": "snapshot", "id": subscribe["id"], "version": 1, "tree": {
            "id": "ui", "type": "root", "properties": {"label": "UI"}, "children": [
                {"id": "__adapter", "type": "context", "affordances": [{"action": "refresh"}]},
                {"id": "route", "type": "status", "properties": {"path": route}, "affordances": [
                    {"action": "navigate", "params": {"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]}},
                ]},
            ]}}));
        engine.settle().await;
        tab
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tab_is_part_of_its_sessions_tree_until_it_closes() {
    let engine = engine();
    let mut consumer = TestConsumer::connect(&engine, alice()).await;
    let mut bob = TestConsumer::connect(&engine, Session::new("s2")).await;
    let (all, _) = consumer.subscribe("/").await;
    bob.subscribe("/").await;
    let tab = Tab::mounted(&engine, "/inbox").await;
    consumer.check_mirrors().await;
    let route = consumer.query("/ui/tab-1/route").await;
    assert_eq!(route["properties"]["path"], "/inbox");
    assert_eq!(route["affordances"][0]["origin"], "ui");
    assert_eq!(engine.stats().tabs, 1);
    drop(tab);
    consumer.check_mirrors().await;
    let ids: Vec<_> =
        consumer.tree(&all)["children"].as_array().unwrap().iter().map(|child| child["id"].clone()).collect();
    assert_eq!(ids, ["todos"]);
    assert_eq!(consumer.invoke("/todos", "add", json!({})).await["status"], "ok");
    assert!(bob.settled().await.is_empty(), "another session gets nothing from a tab");
    assert_eq!(engine.stats().tabs, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_reaches_the_tab_and_its_patch_precedes_the_result() {
    let engine = engine();
    let mut consumer = TestConsumer::connect(&engine, alice()).await;
    consumer.subscribe("/").await;
    let tab = Tab::mounted(&engine, "/inbox").await;
    consumer.settled().await;
    let id = consumer.start_invoke("/app/ui/tab-1/route", "navigate", json!({"to": "/settings"}));
    let call = tab.next().await;
    assert_eq!((call["path"].as_str(), call["action"].as_str()), (Some("/ui/route"), Some("navigate")));
    assert_eq!(call["params"], json!({"to": "/settings"}));
    tab.send(&json!({"type": "patch", "subscription": "ui-mount", "version": 2, "ops": [
        {"op": "replace", "path": "/route/properties/path", "value": "/settings"}]}));
    tab.send(&json!({"type": "result", "id": call["id"], "status": "ok", "data": {"changed": true}}));
    let patch = consumer.next().await;
    assert_eq!(patch["ops"][0]["path"], "/ui/tab-1/route/properties/path");
    let result = consumer.answer(&id).await;
    assert_eq!((result["status"].as_str(), &result["data"]), (Some("ok"), &json!({"changed": true})));
    consumer.check_mirrors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_are_checked_against_the_tabs_own_schema_before_they_are_sent() {
    let engine = engine();
    let mut consumer = TestConsumer::connect(&engine, alice()).await;
    let _tab = Tab::mounted(&engine, "/").await;
    let result = consumer.invoke("/ui/tab-1/route", "navigate", json!({})).await;
    assert_eq!(result["error"], json!({"code": "invalid_params", "message": "params.to is required"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tabs_are_mounted_side_by_side_and_close_independently() {
    let engine = engine();
    let mut consumer = TestConsumer::connect(&engine, alice()).await;
    consumer.subscribe("/").await;
    let first = Tab::mounted(&engine, "/inbox").await;
    let _second = Tab::mounted(&engine, "/settings").await;
    assert_eq!(consumer.query("/ui/tab-2/route").await["properties"]["path"], "/settings");
    consumer.settled().await;
    drop(first);
    let messages = consumer.settled().await;
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0]["ops"], json!([{"op": "remove", "path": "/ui/tab-1"}]));
    consumer.check_mirrors().await;
    assert_eq!(consumer.query("/ui/tab-2/route").await["properties"]["path"], "/settings");
    assert_eq!(consumer.invoke("/todos", "add", json!({})).await["status"], "ok", "the consumer is not affected");
    let _third = Tab::mounted(&engine, "/back").await;
    assert_eq!(consumer.query("/ui/tab-1/route").await["properties"]["path"], "/back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_waits_for_a_tab_fails_when_the_tab_closes() {
    let engine = engine();
    let mut consumer = TestConsumer::connect(&engine, alice()).await;
    let tab = Tab::mounted(&engine, "/").await;
    let id = consumer.start_invoke("/ui/tab-1/route", "navigate", json!({"to": "/x"}));
    tab.next().await;
    drop(tab);
    let result = consumer.answer(&id).await;
    assert_eq!(result["error"], json!({"code": "internal", "message": "the browser tab is gone"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_result_of_a_tab_must_name_its_task() {
    let engine = engine();
    let mut consumer = TestConsumer::connect(&engine, alice()).await;
    let tab = Tab::mounted(&engine, "/").await;
    for (data, status) in [(json!({"taskId": "task-9"}), "accepted"), (json!({}), "error")] {
        let id = consumer.start_invoke("/ui/tab-1/route", "navigate", json!({"to": "/x"}));
        let call = tab.next().await;
        tab.send(&json!({"type": "result", "id": call["id"], "status": "accepted", "data": data}));
        let result = consumer.answer(&id).await;
        assert_eq!(result["status"], status);
        if status == "accepted" {
            assert_eq!(result["data"], json!({"taskId": "task-9", "path": "/ui/tab-1/tasks/task-9"}));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tab_is_refreshed_after_a_server_side_call_and_bursts_are_coalesced() {
    let engine = engine();
    let mut consumer = TestConsumer::connect(&engine, alice()).await;
    let tab = Tab::mounted(&engine, "/").await;
    for _ in 0..3 {
        consumer.invoke("/todos", "add", json!({})).await;
    }
    let refresh = tab.next().await;
    assert_eq!((refresh["path"].as_str(), refresh["action"].as_str()), (Some("/ui/__adapter"), Some("refresh")));
    engine.settle().await;
    assert_eq!(tab.connection.try_next_frame(), None, "one refresh at a time");
    tab.send(&json!({"type": "result", "id": refresh["id"], "status": "ok"}));
    assert_eq!(tab.next().await["action"], "refresh");
}

#[tokio::test(flavor = "multi_thread")]
async fn patches_for_an_earlier_connection_are_ignored() {
    let engine = engine();
    let mut consumer = TestConsumer::connect(&engine, alice()).await;
    let tab = Tab::open(&engine);
    tab.send(&json!({"type": "patch", "subscription": "ui-mount", "version": 9, "ops": [
        {"op": "add", "path": "/ghost", "value": {"id": "ghost", "type": "item"}}]}));
    engine.settle().await;
    assert_eq!(consumer.query("/ui").await, Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tab_that_never_sends_hello_changes_nothing() {
    let engine = engine();
    let mut consumer = TestConsumer::connect(&engine, alice()).await;
    let _mounted = Tab::mounted(&engine, "/").await;
    let _silent = Tab::open(&engine);
    engine.settle().await;
    assert_eq!(consumer.query("/ui").await["children"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tab_whose_tree_has_too_many_nodes_is_closed_and_the_session_continues() {
    let engine = engine_with(|config| config.sizes.tab_nodes = 5);
    let log = EventLog::of(&engine);
    let mut consumer = TestConsumer::connect(&engine, alice()).await;
    let tab = Tab::mounted(&engine, "/").await;
    let children: Vec<_> = (0..9).map(|n| leaf(&format!("n{n}"), "")).collect();
    tab.send(&snapshot(&children));
    assert_eq!((close_code(&tab).await, log.limit_count(Limit::TabNodes)), (1008, 1));
    assert_eq!(consumer.query("/").await["id"], "app");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_that_cannot_be_applied_requests_the_tabs_tree_again() {
    let engine = engine();
    let tab = Tab::mounted(&engine, "/").await;
    tab.send(&json!({"type": "patch", "subscription": "ui-mount", "version": 2, "ops": [{"op": "remove", "path": "/missing"}]}));
    let request = tab.next().await;
    assert_eq!((request["type"].as_str(), request["id"].as_str()), (Some("subscribe"), Some("ui-mount")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patch_with_more_operations_than_the_limit_requests_the_tabs_tree_instead() {
    let engine = engine();
    let mut consumer = TestConsumer::connect(&engine, alice()).await;
    let tab = Tab::mounted(&engine, "/").await;
    let children: Vec<_> = (0..1_990).map(|n| leaf(&format!("n{n}"), "")).collect();
    tab.send(&snapshot(&children));
    let patch = |count: usize| {
        let change = |n: usize| json!({"op": "replace", "path": "/n1989/properties/text", "value": n.to_string()});
        json!({"type": "patch", "subscription": "ui-mount", "version": 3, "ops": (1..=count).map(change).collect::<Vec<_>>()})
    };
    tab.send(&patch(1_000));
    engine.settle().await;
    assert_eq!(consumer.query("/ui/tab-1/n1989").await["properties"]["text"], "1000");
    assert_eq!(tab.connection.try_next_frame(), None);
    tab.send(&patch(1_001));
    assert_eq!(tab.next().await["type"], "subscribe");
    assert_eq!(consumer.query("/ui/tab-1/n1989").await["properties"]["text"], "1000");
    assert_eq!(Config::default().sizes.tab_operations, 1_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_in_a_tabs_patches_requests_its_tree_again() {
    let engine = engine();
    let tab = Tab::mounted(&engine, "/").await;
    let patch = |seq: u64| {
        json!({"type": "patch", "subscription": "ui-mount", "version": 2, "seq": seq, "ops": [
            {"op": "replace", "path": "/route/properties/path", "value": "/x"}]})
    };
    tab.send(&patch(1));
    engine.settle().await;
    assert_eq!(tab.connection.try_next_frame(), None);
    tab.send(&patch(3));
    assert_eq!(tab.next().await["type"], "subscribe");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_fails_if_its_tab_does_not_reply_in_time() {
    let clock = ManualClock::new();
    let mut config = Config::immediate();
    crate::fixtures::without_pings(&mut config);
    let engine = Engine::builder("app", "App").config(config).clock(clock.clone()).build();
    let mut consumer = TestConsumer::connect(&engine, alice()).await;
    let tab = Tab::mounted(&engine, "/").await;
    let id = consumer.start_invoke("/ui/tab-1/route", "navigate", json!({"to": "/x"}));
    let call = tab.next().await;
    clock.advance(20_000);
    let result = consumer.answer(&id).await;
    assert_eq!(result["error"], json!({"code": "internal", "message": "the browser tab did not answer in time"}));
    tab.send(&json!({"type": "result", "id": call["id"], "status": "ok"}));
    assert!(consumer.settled().await.is_empty(), "a late result is ignored");
}

/// Reads until a tab is closed, and returns the close code.
async fn close_code(tab: &Tab) -> u16 {
    loop {
        if let Frame::Close { code, .. } = tab.connection.next_frame().await {
            return code.as_u16();
        }
    }
}

fn snapshot(children: &[Value]) -> Value {
    json!({"type": "snapshot", "id": "ui-mount", "version": 2, "tree": {"id": "ui", "type": "root", "children": children}})
}

fn leaf(id: &str, text: &str) -> Value {
    json!({"id": id, "type": "item", "properties": {"text": text}})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tab_whose_tree_is_too_deep_is_closed_and_the_session_continues() {
    let engine = engine_with(|config| config.sizes.tab_depth = 3);
    let log = EventLog::of(&engine);
    let mut consumer = TestConsumer::connect(&engine, alice()).await;
    let tab = Tab::mounted(&engine, "/").await;
    let nested = |depth: usize| {
        (1..depth).fold(leaf("x", ""), |below, _| json!({"id": "x", "type": "view", "children": [below]}))
    };
    tab.send(&snapshot(&[nested(2)]));
    engine.settle().await;
    assert_eq!(consumer.query("/ui/tab-1/x/x").await["id"], "x");
    tab.send(&snapshot(&[nested(3)]));
    assert_eq!((close_code(&tab).await, log.limit_count(Limit::TabDepth)), (1008, 1));
    assert_eq!(consumer.query("/").await["id"], "app");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tab_whose_tree_has_too_many_bytes_is_closed_and_the_session_continues() {
    let engine = engine_with(|config| config.sizes.tab_bytes = 2_000);
    let log = EventLog::of(&engine);
    let mut consumer = TestConsumer::connect(&engine, alice()).await;
    for by_patch in [false, true] {
        let tab = Tab::mounted(&engine, "/").await;
        // Each message is below the limit, but the tree that they add up to is not.
        tab.send(&snapshot(&[leaf("a", &"x".repeat(900))]));
        engine.settle().await;
        assert_eq!(consumer.query("/ui/tab-1/a").await["id"], "a");
        if by_patch {
            let more = json!({"op": "add", "path": "/b", "value": leaf("b", &"x".repeat(1_200))});
            tab.send(&json!({"type": "patch", "subscription": "ui-mount", "version": 3, "ops": [more]}));
        } else {
            tab.send(&snapshot(&[leaf("a", &"x".repeat(2_000))]));
        }
        assert_eq!(close_code(&tab).await, 1008);
        drop(tab);
        engine.settle().await;
        assert_eq!(consumer.query("/ui").await, Value::Null);
    }
    assert_eq!(log.limit_count(Limit::TabBytes), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tab_that_floods_its_connection_is_closed_and_the_session_continues() {
    let engine = engine_with(|config| config.limits.messages_per_second = std::num::NonZeroU32::new(10));
    let mut consumer = TestConsumer::connect(&engine, alice()).await;
    let tab = Tab::mounted(&engine, "/").await;
    let patch = json!({"type": "patch", "subscription": "ui-mount", "version": 2, "ops": [
        {"op": "replace", "path": "/route/properties/path", "value": "/x"}]});
    for _ in 0..3_000 {
        tab.send(&patch);
    }
    assert_eq!(close_code(&tab).await, 1008);
    drop(tab);
    assert_eq!(consumer.query("/").await["id"], "app");
    assert_eq!(consumer.invoke("/missing", "x", json!({})).await["error"]["code"], "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_catastrophic_pattern_in_a_tabs_schema_blocks_nobody() {
    let engine = engine();
    let mut consumer = TestConsumer::connect(&engine, alice()).await;
    let tab = Tab::mounted(&engine, "/").await;
    let action = |name: &str, pattern: &str| {
        let text = json!({"type": "string", "pattern": pattern});
        json!({"action": name, "params": {"type": "object", "properties": {"text": text}, "required": ["text"]}})
    };
    let affordances = [action("explode", "^(a+)+$"), action("grow", "((a{100}){100}){100}"), action("look", "(?<=x)y")];
    tab.send(&snapshot(&[json!({"id": "x", "type": "view", "affordances": affordances})]));
    engine.settle().await;
    let node = consumer.query("/ui/tab-1/x").await;
    assert_eq!(
        node["affordances"][0]["params"]["properties"]["text"]["pattern"], "^(a+)+$",
        "the pattern is passed on unchanged"
    );
    let text = format!("{}!", "a".repeat(50_000));
    let refused = consumer.invoke("/ui/tab-1/x", "explode", json!({"text": text})).await;
    assert_eq!(refused["error"]["code"], "invalid_params");
    // What cannot be checked here is left to the tab.
    for name in ["grow", "look"] {
        let id = consumer.start_invoke("/ui/tab-1/x", name, json!({"text": "b"}));
        let call = tab.next().await;
        assert_eq!(call["action"], name);
        tab.send(&json!({"type": "result", "id": call["id"], "status": "ok"}));
        assert_eq!(consumer.answer(&id).await["status"], "ok");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tabs_nodes_stay_below_its_mount_whatever_their_ids() {
    let engine = engine();
    let mut consumer = TestConsumer::connect(&engine, alice()).await;
    let (all, before) = consumer.subscribe("/").await;
    let tab = Tab::mounted(&engine, "/").await;
    let unusual = ["todos", "ui", "app", "tab-2", "..", "%2e%2e", "a/b", "a~b", "properties", ""];
    let children: Vec<Value> = unusual.iter().map(|id| leaf(id, "from the tab")).collect();
    tab.send(&snapshot(&children));
    tab.send(&json!({"type": "patch", "subscription": "ui-mount", "version": 3, "ops": [
        {"op": "replace", "path": "/../todos", "value": leaf("todos", "from the tab")}]}));
    consumer.check_mirrors().await;
    let tree = consumer.tree(&all);
    let ids = |node: &Value| -> Vec<Value> {
        node["children"].as_array().into_iter().flatten().map(|child| child["id"].clone()).collect()
    };
    assert_eq!(ids(tree), ["todos", "ui"]);
    assert_eq!(tree["children"][0], before["children"][0], "server data is unchanged");
    let ui = &tree["children"][1];
    assert_eq!(ids(ui), ["tab-1"]);
    assert_eq!(ids(&ui["children"][0]), ["todos", "ui", "app", "tab-2", "..", "%2e%2e"], "invalid ids are dropped");
}

#[tokio::test(flavor = "multi_thread")]
async fn problems_of_a_tabs_tree_are_reported_up_to_a_bound_and_counted_beyond_it() {
    let (engine, clock) = engine_with_clock(|config| config.times.silence_timeout = FOREVER);
    let log = EventLog::of(&engine);
    let mut consumer = TestConsumer::connect(&engine, alice()).await;
    consumer.subscribe("/").await;
    let tab = Tab::mounted(&engine, "/").await;
    let mut children: Vec<_> = (0..199).map(|n| leaf(&format!("a/{n}"), "")).collect();
    children.insert(0, leaf(&"x/".repeat(100_000), ""));
    let mut change = async |n: usize| {
        children[1]["properties"]["text"] = n.into();
        tab.send(&snapshot(&children));
        engine.settle().await;
    };
    for n in 0..20 {
        change(n).await;
    }
    let reported = log.sanitised();
    assert_eq!(reported.len(), 33, "{reported:?}");
    assert!(reported.iter().all(|report| report.len() < 600), "what is quoted is cut");
    assert_eq!(reported[32], "/ui/tab-1: 168 more problems were found; for a minute such problems are only counted");
    log.clear();
    clock.advance(60_000);
    change(20).await;
    assert_eq!(log.sanitised()[0], "/ui/tab-1: 3800 more problems were counted and not reported");
    let counts = |event: &Event| if let Event::Sanitised { problems, .. } = event { *problems } else { 0 };
    assert_eq!(log.all().iter().map(counts).sum::<u64>(), 3_800 + 200, "none is lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_of_a_tab_do_not_fill_the_dictionary_for_others() {
    let engine = engine_with(|config| config.memory.dictionary_bytes = 256 << 10);
    let item = |n: usize| Item::new(format!("entry-{n}")).prop("state", format!("state-{}", n % 7));
    engine.register("list", move |session: &Session| {
        Descriptor::collection().prop("owner", session.id()).items((0..20).map(item))
    });
    let mut consumer = TestConsumer::connect(&engine, alice()).await;
    consumer.subscribe("/").await;
    let tab = Tab::mounted(&engine, "/").await;
    let mut before = 0;
    for round in 0..10 {
        if round == 5 {
            // The application's own nodes were rendered often enough.
            before = engine.stats().dictionary_bytes;
        }
        let text = |n: usize| format!("r{}-{n}", round / 5);
        let child = |n: usize| json!({"id": text(n), "type": text(n), "properties": {text(n): text(n)}});
        tab.send(&snapshot(&(0..1_500).map(child).collect::<Vec<_>>()));
        consumer.check_mirrors().await;
    }
    assert_eq!(engine.stats().dictionary_bytes, before, "a tab's texts are used as they are");
    for n in 0..10 {
        TestConsumer::connect(&engine, Session::new(format!("late-{n}"))).await.query("/").await;
    }
    assert!(engine.stats().dictionary_bytes > before, "what the application repeats is still taken up");
}

#[tokio::test]
async fn an_application_cannot_register_a_path_that_is_reserved_for_tabs() {
    let engine = engine();
    let source = || Source::new(|_: &Session| Descriptor::group());
    for path in ["ui/tab-1", "/ui/tab-7/", "ui/tab-1/route"] {
        let refused = engine.try_register(path, source()).unwrap_err();
        assert_eq!(refused.to_string(), format!("cannot register `{path}`: `ui/tab-N` is where browser tabs stand"));
    }
    for path in ["ui", "ui/tabs", "ui/help"] {
        engine.try_register(path, source()).unwrap();
    }
    let mut consumer = TestConsumer::connect(&engine, alice()).await;
    let _tab = Tab::mounted(&engine, "/").await;
    assert_eq!(
        consumer.query("/ui").await["children"].as_array().unwrap().len(),
        3,
        "tabs are mounted beside registered paths"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn server_actions_still_work_after_a_tab_has_closed() {
    let engine = engine();
    drop(Tab::mounted(&engine, "/").await);
    let mut late = TestConsumer::connect(&engine, alice()).await;
    let (_, tree) = late.subscribe("/").await;
    assert_eq!(tree["children"].as_array().unwrap().len(), 1);
    assert_eq!(late.invoke("/todos", "add", json!({})).await["status"], "ok");
    assert_eq!(late.invoke("/ui/tab-1/route", "navigate", json!({"to": "/x"})).await["error"]["code"], "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn server_data_and_tabs_form_one_tree_in_one_snapshot() {
    let engine = engine();
    engine.register("settings", |_: &Session| Descriptor::view().prop("theme", "dark"));
    let _tab = Tab::mounted(&engine, "/inbox").await;
    let mut consumer = TestConsumer::connect(&engine, alice()).await;
    let (_, tree) = consumer.subscribe("/").await;
    let ids: Vec<_> = tree["children"].as_array().unwrap().iter().map(|child| child["id"].clone()).collect();
    assert_eq!(ids, ["settings", "todos", "ui"]);
    assert_eq!(tree["children"][2]["children"][0]["id"], "tab-1");
}

#[tokio::test]
async fn an_unreadable_value_from_a_tab_affects_only_that_value() {
    let engine = engine();
    let mut consumer = TestConsumer::connect(&engine, alice()).await;
    let tab = Tab::mounted(&engine, "/inbox").await;
    let patch = |seq: u64, value: &str| {
        format!(
            r#"{{"type":"patch","subscription":"ui-mount","version":{seq},"seq":{seq},"ops":[{{"op":"replace","path":"/route/properties/path","value":{value}}}]}}"#
        )
    };
    let mut values = Vec::new();
    for (seq, value) in [(1, r#""cut \ud83d""#), (2, "1e400"), (3, r#""/done""#)] {
        tab.connection.receive(&patch(seq, value));
        engine.settle().await;
        values.push(consumer.query("/ui/tab-1/route").await["properties"]["path"].clone());
    }
    assert_eq!(values, [json!("cut \u{fffd}"), Value::Null, json!("/done")]);
    assert!(tab.connection.try_next_frame().is_none(), "no other snapshot is requested");
    let snapshot = r#"{"type":"snapshot","id":"ui-mount","version":4,"tree":{"id":"ui","type":"root","properties":{"label":"half \ude00","n":-1e400}}}"#;
    tab.connection.receive(snapshot);
    engine.settle().await;
    let mounted = consumer.query("/ui/tab-1").await;
    assert_eq!(mounted["properties"], json!({"label": "half \u{fffd}", "n": null}));
}
