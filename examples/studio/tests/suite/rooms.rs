//! Rooms and runs, for the published consumer and over HTTP, with what is to be seen written by hand.

use serde_json::{Value, json};
use slop_ai::{SlopConsumer, SlopNode, WsClientTransport};

use crate::studio::{Studio, within_deadline};

async fn consumer(studio: &Studio, name: &str) -> SlopConsumer {
    let consumer = SlopConsumer::new();
    let url = format!("ws://{}/slop?token={name}", studio.address);
    consumer.connect(&WsClientTransport::new(&url)).await.expect("a connection");
    consumer
}

fn child<'n>(node: &'n SlopNode, id: &str) -> &'n SlopNode {
    let mut children = node.children.iter().flatten();
    children.find(|child| child.id == id).unwrap_or_else(|| panic!("{} has no {id}", node.id))
}

fn property(node: &SlopNode, name: &str) -> Value {
    node.properties.as_ref().and_then(|properties| properties.get(name)).cloned().unwrap_or_default()
}

fn may(node: &SlopNode, action: &str) -> bool {
    node.affordances.iter().flatten().any(|affordance| affordance.action == action)
}

#[tokio::test]
async fn two_consumers_see_a_run_and_each_what_they_may_do_with_it() {
    within_deadline(see_a_run()).await;
}

async fn see_a_run() {
    let studio = Studio::start(&["--pace-ms", "0"]).await;
    let (ann, bob) = (consumer(&studio, "ann").await, consumer(&studio, "bob").await);
    let (at_ann, _) = ann.subscribe("/rooms/research", -1).await.expect("a subscription");
    let (at_bob, room) = bob.subscribe("/rooms/research", -1).await.expect("a subscription");
    let here: Vec<_> =
        child(&room, "participants").children.iter().flatten().map(|who| property(who, "user")).collect();
    assert_eq!(here, ["ann", "bob"]);

    let accepted = ann.invoke("/rooms/research", "run", Some(json!({"input": {"customers": ["Acme"]}}))).await;
    let accepted = serde_json::to_value(accepted.expect("a result")).expect("JSON");
    assert_eq!(accepted["status"], "accepted", "{accepted}");
    let id = accepted["data"]["taskId"].as_str().expect("a run").to_owned();
    let path = format!("/rooms/research/runs/{id}");
    let run = |tree: &SlopNode| child(child(tree, "runs"), &id).clone();
    // What a call has changed is in the caller's copy before its result; others see it soon.
    let of_ann = run(&ann.tree(&at_ann).await.expect("a tree"));
    loop {
        let theirs = bob.tree(&at_bob).await.expect("a tree");
        if child(&theirs, "runs").children.iter().flatten().all(|run| run.id != id) {
            tokio::task::yield_now().await;
            continue;
        }
        let of_bob = run(&theirs);
        assert!(may(&of_ann, "cancel") && may(&of_ann, "send") && may(&of_bob, "send") && !may(&of_bob, "cancel"));
        if property(&of_bob, "message") == "Who else? Send a name, or “done”" {
            break;
        }
        tokio::task::yield_now().await;
    }
    bob.invoke(&path, "cancel", None).await.expect_err("it is not bob's");
    for name in ["Globex", "done"] {
        bob.invoke(&path, "send", Some(json!({"data": name}))).await.expect("it is taken");
    }
    while property(&run(&ann.tree(&at_ann).await.expect("a tree")), "status") != "done" {
        tokio::task::yield_now().await;
    }
    let output = ann.invoke(&path, "output", None).await.expect("a result");
    let output = serde_json::to_value(output).expect("JSON");
    let text = "Acme in Lyon has been a customer since 2019, and wrote 32 words.\n\
                Globex in Porto has been a customer since 2023, and wrote 20 words.\n";
    assert_eq!(output["data"], json!({"text": text, "next": null, "result": {"found": 2}}));
}

#[tokio::test]
async fn tools_are_seen_and_one_that_fails_does_not_fail_the_run() {
    let studio = Studio::start(&["--pace-ms", "0"]).await;
    let customers = ["Umbrella", "A", "B", "C", "D", "E"];
    let events = studio.run("research", &json!({"input": {"customers": customers}})).await;
    // Of the reports of progress, only the newest waits for a slow reader.
    let events = events.iter().filter(|event| event["kind"] != "run.progress");
    let told: Vec<_> = events.map(|event| (event["kind"].as_str().expect("a kind"), &event["body"])).collect();
    let kinds: Vec<_> = told[..5].iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, ["run.started", "run.iteration", "run.tool_call", "run.tool_result", "run.chunk"]);
    assert_eq!((&told[2].1["name"], &told[2].1["arguments"]), (&json!("find_customer"), &json!({"name": "Umbrella"})));
    let failed = json!({"code": "not_found", "message": "there is no such customer"});
    assert_eq!((&told[3].1["ok"], &told[3].1["result"]), (&json!(false), &failed));
    assert_eq!(told[4].1["text"], "Nobody here knows Umbrella.\n");
    let (kind, body) = told.last().expect("an event");
    assert_eq!((*kind, &body["error"]["code"]), ("run.failed", &json!("iteration_limit")));
}

#[tokio::test]
async fn only_who_says_who_they_are_may_come_in() {
    let studio = Studio::start(&[]).await;
    for (name, expected) in [("ann", 200), ("bob", 200), ("eve", 401), ("", 401)] {
        assert_eq!(studio.ask(name, "GET /v1/rooms", &Value::Null).await.0, expected, "{name}");
    }
    let agents: Vec<_> = studio.get("bob", "/v1/rooms").await["rooms"]
        .as_array()
        .expect("rooms")
        .iter()
        .map(|room| room["agent"].clone())
        .collect();
    assert_eq!(agents, ["summarize", "research"]);
    let (status, refused) = studio.ask("ann", "POST /v1/rooms/summarize/runs", &json!({"input": {"text": 1}})).await;
    assert_eq!((status, &refused["error"]["code"]), (400, &json!("invalid_params")), "{refused}");
}

#[tokio::test]
async fn what_runs_at_a_stop_has_failed_as_interrupted_when_it_starts_again() {
    let directory = std::env::temp_dir().join(format!("studio-restart-{}", std::process::id()));
    let storage = ["--storage", directory.to_str().expect("a path")];
    let studio = Studio::start(&storage).await;
    let (_, started) = studio.ask("ann", "POST /v1/rooms/research/runs", &json!({"input": {"customers": []}})).await;
    studio.stop().await;

    let studio = Studio::start(&storage).await;
    assert_eq!(studio.get("ann", "/v1/rooms/research").await["room"]["last_outcome"], "failed");
    let reader = consumer(&studio, "ann").await;
    reader.subscribe("/rooms/research", 0).await.expect("a subscription");
    let past = reader.invoke("/rooms/research", "replay", Some(json!({"since": 0}))).await.expect("a result");
    let past = serde_json::to_value(past).expect("JSON")["data"]["events"].clone();
    let ended = past.as_array().expect("events").iter().find(|event| event["kind"] == "run.failed").expect("an end");
    assert_eq!((&ended["body"]["run"], &ended["body"]["error"]["code"]), (&started["run"], &json!("interrupted")));
    studio.stop().await;
    std::fs::remove_dir_all(&directory).expect("the directory");
}
