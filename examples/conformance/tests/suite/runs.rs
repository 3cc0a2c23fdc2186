//! The scripted agents, over HTTP.

use serde_json::{Value, json};

use crate::rooms::start;
use crate::running::Running;

/// A room of alice's with this agent.
async fn room_with(app: &Running, agent: &str) -> String {
    let created = app.post("/v1/rooms?token=alice-1", &json!({ "agent": agent }).to_string()).await;
    assert_eq!((created.status, &created.json["contract"]), (201, &json!("base_node_contract_v1")), "{}", created.json);
    format!("/v1/rooms/{}", created.json["room"]["id"].as_str().unwrap())
}

/// Starts a run in a room. Returns where it is shown.
async fn begin(app: &Running, room: &str, body: Value) -> String {
    let started = app.post(&format!("{room}/runs?token=alice-1"), &body.to_string()).await;
    assert_eq!(started.status, 202, "{}", started.json);
    format!("{room}/runs/{}", started.json["run"].as_str().unwrap())
}

/// A run when it has ended.
async fn ended(app: &Running, run: &str) -> Value {
    loop {
        let mut shown = app.get(&format!("{run}?token=alice-1")).await.json;
        if shown["run"]["ended_at"].is_string() {
            return shown["run"].take();
        }
    }
}

/// What an agent makes of an input.
async fn outcome(app: &Running, agent: &str, input: Value) -> Value {
    let room = room_with(app, agent).await;
    let run = begin(app, &room, json!({ "input": input })).await;
    if agent == "ask" {
        assert_eq!(app.post(&format!("{run}/input?token=alice-1"), r#"{"data": 7}"#).await.status, 202);
    }
    ended(app, &run).await
}

#[tokio::test]
async fn each_scripted_agent_does_what_it_is_to_do() {
    let app = start(&[]).await;
    for (agent, input, result) in [
        ("echo", json!({"a": 1}), json!({"echo": {"a": 1}})),
        ("count", json!({"n": 3, "ms": 1}), json!({"n": 3})),
        ("tool", json!(null), json!({"sum": 3, "broken": true})),
        ("silent", json!({"answer_at_attempt": 1}), json!({"attempt": 1})),
        ("big", json!({"bytes": 100_000, "chunk": 1_000}), json!({"bytes": 100_000})),
        ("strict", json!({"x": 4}), json!({"x2": 8})),
        ("once", json!({"key": "k"}), json!({"count": 1})),
        ("store", json!({"key": "k", "value": {"a": 1}}), json!({"ok": true})),
        ("remember", json!("what?"), json!({"memory": {}, "history": ["what?"]})),
        ("ask", json!(null), json!({"got": 7})),
        ("serial", json!({"ms": 1}), json!({"began": 1, "ended": 2})),
    ] {
        let run = outcome(&app, agent, input).await;
        assert_eq!((&run["status"], &run["result"]), (&json!("done"), &result), "{agent}: {run}");
    }
    for (agent, input, code) in [
        ("fail", json!({"code": "no_ink", "message": "there is none"}), "no_ink"),
        ("panic", json!(null), "internal"),
        ("loop", json!(null), "iteration_limit"),
        ("store", json!({"key": "a/b", "value": 1}), "invalid_params"),
    ] {
        let run = outcome(&app, agent, input).await;
        assert_eq!((&run["status"], &run["error"]["code"]), (&json!("failed"), &json!(code)), "{agent}: {run}");
        assert!(!run.to_string().contains("secret"), "{run}");
    }
    let counts = app.get("/control/rooms").await.json;
    assert_eq!((&counts["runs"], &counts["queued"]), (&json!(0), &json!(0)));
}

#[tokio::test]
async fn agents_remember_what_was_kept_and_said_in_their_room() {
    let app = start(&[]).await;
    let new = json!({"agent": "store", "memory": {"first": 1}, "replayable": true});
    let parent = app.post("/v1/rooms?token=alice-1", &new.to_string()).await.json["room"]["id"].clone();
    let run = begin(&app, &at(&parent), json!({"input": {"key": "second", "value": [2]}})).await;
    assert_eq!(ended(&app, &run).await["result"], json!({"ok": true}));
    let kept = app.get(&format!("{}/memory/second?token=alice-1", at(&parent))).await.json;
    assert_eq!((&kept["value"], &kept["key"]), (&json!([2]), &json!("second")));
    let child = json!({"agent": "remember", "parent": parent, "inherit": ["memory"], "memory": {"first": "own"}});
    let child = app.post("/v1/rooms?token=alice-1", &child.to_string()).await.json["room"]["id"].clone();
    for input in ["a", "b"] {
        begin(&app, &at(&child), json!({ "input": input })).await;
    }
    let run = begin(&app, &at(&child), json!({"input": "c"})).await;
    let result = ended(&app, &run).await["result"].take();
    assert_eq!(result["memory"], json!({"first": "own", "second": [2]}));
    let said: Vec<_> = result["history"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
    // What the runs before returned stands between.
    assert_eq!((said.len(), said[0], said[2], said[4]), (5, "a", "b", "c"));
}

fn at(room: &Value) -> String {
    format!("/v1/rooms/{}", room.as_str().unwrap())
}

#[tokio::test]
async fn what_is_noted_once_is_noted_in_the_storage_whichever_process_is_asked() {
    let directory = std::env::temp_dir().join(format!("grove-once-{}", std::process::id()));
    let options = ["--storage", directory.to_str().unwrap()];
    for (call, counted) in [("first", 1), ("again", 2), ("first", 2)] {
        let app = start(&options).await;
        let room = room_with(&app, "once").await;
        let run = begin(&app, &room, json!({"input": {"key": "k"}, "call_id": call})).await;
        assert_eq!(ended(&app, &run).await["result"], json!({ "count": counted }), "{call}");
        app.app.stop().await.unwrap();
    }
    std::fs::remove_dir_all(&directory).unwrap();
}

#[tokio::test]
async fn an_agent_that_answers_late_is_asked_again_and_its_first_answer_does_not_count() {
    let app = start(&[]).await;
    let room = room_with(&app, "late").await;
    let run = begin(&app, &room, json!({"input": null, "delivery": {"window_ms": 100}})).await;
    let run = ended(&app, &run).await;
    assert_eq!((&run["attempt"], &run["result"]), (&json!(2), &json!({"attempt": 2})));
}

#[tokio::test]
async fn a_run_knows_who_started_it() {
    let app = start(&[]).await;
    let room = room_with(&app, "whoami").await;
    let run = begin(&app, &room, json!({"input": null, "call_id": "c"})).await;
    let mut result = ended(&app, &run).await["result"].clone();
    assert!(result["trace_id"].take().as_str().is_some_and(|id| id.starts_with("tx-")));
    let expected = json!({"user": "alice", "participant": null, "kind": "person", "role": "owner", "origin": "http",
        "trust": "verified", "mode": "production", "trace_id": null, "call_id": "c"});
    assert_eq!(result, expected);
}

#[tokio::test]
async fn an_agent_is_replaced_while_its_runs_finish_on_the_old_one() {
    let app = start(&[]).await;
    let room = room_with(&app, "ask").await;
    let first = begin(&app, &room, json!({"input": null})).await;
    assert_eq!(app.post("/control/agent", r#"{"name": "ask", "reply": 7}"#).await.status, 200);
    let second = begin(&app, &room, json!({"input": null})).await;
    assert_eq!(app.post(&format!("{first}/input?token=alice-1"), r#"{"data": 1}"#).await.status, 202);
    assert_eq!(ended(&app, &first).await["result"], json!({"got": 1}));
    assert_eq!(ended(&app, &second).await["result"], json!({"reply": 7}));
}
