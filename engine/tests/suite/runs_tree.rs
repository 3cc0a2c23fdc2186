//! Runs in the trees of those who are in the room (rooms 3).

use grove_engine::testing::TestConsumer;
use grove_engine::{Agent, NewRun, RunContext};
use serde_json::{Value, json};

use crate::fixtures::{EventLog, action_names, child_ids, error_code, node_at, user_session};
use crate::run_fixtures::{Workplace, ask, echo};

/// A consumer of this user's that shows the room.
async fn in_the_room(place: &Workplace, user: &str) -> (TestConsumer, String) {
    let mut consumer = TestConsumer::connect(&place.engine, user_session(user, user)).await;
    let path = format!("/rooms/{}", place.room.id());
    let (subscription, _) = consumer.subscribe_with(json!({"path": path, "depth": -1})).await;
    (consumer, subscription)
}

#[tokio::test]
async fn a_run_is_accepted_and_shown_to_all_and_as_a_task_to_who_started_it() {
    let mut place = Workplace::of([ask("ask")]);
    let path = format!("/rooms/{}", place.room.id());
    let (mut bob, of_bob) = in_the_room(&place, "bob").await;
    let (mut cid, of_cid) = in_the_room(&place, "cid").await;
    let result = bob.invoke(&path, "run", json!({"input": 1, "call_id": "c"})).await;
    let run = result["data"]["taskId"].as_str().unwrap().to_owned();
    assert_eq!((&result["status"], &result["data"]), (&json!("accepted"), &json!({ "taskId": run })));
    place.expect("run.started").await;
    let (tasks, _) = bob.subscribe("/tasks").await;
    let created_at = "2026-01-01T00:00:00.000Z";
    let expected = json!({
        "agent": "ask", "status": "running", "by": "bob", "attempt": 1, "created_at": created_at, "started_at": created_at,
    });
    for consumer in [&mut bob, &mut cid] {
        consumer.settled().await;
    }
    let shown = |consumer: &TestConsumer, subscription: &str| {
        node_at(consumer.tree(subscription), &format!("runs/{run}")).clone()
    };
    assert_eq!(shown(&bob, &of_bob)["properties"], expected);
    assert_eq!(action_names(&shown(&bob, &of_bob)), ["cancel", "send", "output"]);
    assert_eq!(action_names(&shown(&cid, &of_cid)), ["send", "output"]);
    assert_eq!(bob.tree(&of_bob)["properties"]["state"], "running");
    let task = node_at(bob.tree(&tasks), &run);
    assert_eq!((&task["properties"]["title"], &task["properties"]["status"]), (&json!("ask"), &json!("running")));
    assert_eq!(action_names(task), ["cancel"]);
    cid.invoke(&format!("{path}/runs/{run}"), "send", json!({"data": "go"})).await;
    place.expect("run.done").await;
    for consumer in [&mut bob, &mut cid] {
        consumer.settled().await;
        consumer.check_mirrors().await;
    }
    let properties = shown(&cid, &of_cid)["properties"].clone();
    assert_eq!((&properties["status"], &properties["output_chars"]), (&json!("done"), &json!(0)));
    assert_eq!(action_names(&shown(&bob, &of_bob)), ["output"]);
    let task = node_at(bob.tree(&tasks), &run)["properties"].clone();
    assert_eq!((&task["status"], &task["result"]), (&json!("done"), &json!({"got": "go"})));
    let room = bob.tree(&of_bob)["properties"].clone();
    assert_eq!((&room["state"], &room["last_outcome"]), (&json!("active"), &json!("done")));
    let output = bob.invoke(&format!("{path}/runs/{run}"), "output", json!({})).await;
    assert_eq!(output["data"], json!({"text": "", "next": null, "result": {"got": "go"}}));
}

#[tokio::test]
async fn the_cancel_of_a_task_cancels_its_run() {
    let mut place = Workplace::of([ask("ask")]);
    let (mut bob, _) = in_the_room(&place, "bob").await;
    let result = bob.invoke(&format!("/rooms/{}", place.room.id()), "run", json!({"input": 1})).await;
    place.expect("run.started").await;
    let run = result["data"]["taskId"].as_str().unwrap().to_owned();
    bob.invoke(&format!("/tasks/{run}"), "cancel", json!({})).await;
    assert_eq!(place.expect("run.cancelled").await["run"], run);
}

/// The clock stands still, and with it what a tree waits for before it shows something new.
#[tokio::test]
async fn what_an_event_is_about_can_be_acted_on_at_once() {
    let slow = |config: &mut grove_engine::Config| config.times.debounce = std::time::Duration::from_secs(5);
    let mut place = Workplace::with([ask("ask")], |room| room.access(grove_engine::Access::Invited), slow);
    place.engine.rooms().admit(&place.ann, place.room.id(), "bob", grove_engine::RoomRole::Member).unwrap();
    let mut bob = TestConsumer::connect(&place.engine, user_session("bob", "bob")).await;
    let mut cid = TestConsumer::connect(&place.engine, user_session("cid", "cid")).await;
    place.engine.rooms().admit(&place.ann, place.room.id(), "cid", grove_engine::RoomRole::Member).unwrap();
    let path = format!("/rooms/{}", place.room.id());
    for consumer in [&mut bob, &mut cid] {
        consumer.start_invoke(&path, "join", json!({}));
        // Before the result, which waits until the tree shows it.
        while consumer.next().await["name"] != "participant.joined" {}
        let memory = format!("{path}/memory");
        assert_eq!(consumer.invoke(&memory, "put", json!({"key": "k", "value": 1})).await["status"], "ok");
    }
    let run = place.run(json!(1));
    place.expect("run.started").await;
    let at = format!("{path}/runs/{run}");
    assert_eq!(error_code(&bob.invoke(&at, "cancel", json!({})).await), "not_found", "it is ann's");
    assert_eq!(error_code(&bob.invoke(&at, "restart", json!({})).await), "not_found");
    assert_eq!(error_code(&bob.invoke(&format!("{path}/runs/r_unknown"), "output", json!({})).await), "not_found");
    assert_eq!(bob.invoke(&at, "output", json!({})).await["data"]["result"], json!(null));
    assert_eq!(bob.invoke(&at, "send", json!({"data": "go"})).await["status"], "ok");
    assert_eq!(place.expect("run.done").await["result"], json!({"got": "go"}));
    assert_eq!(bob.invoke(&at, "output", json!({})).await["data"]["result"], json!({"got": "go"}));
    assert_eq!(bob.invoke(&path, "leave", json!({})).await["status"], "ok");
}

#[tokio::test]
async fn the_event_of_a_call_precedes_its_result() {
    let mut place = Workplace::of([ask("ask")]);
    let (mut bob, _) = in_the_room(&place, "bob").await;
    let id = bob.start_invoke(&format!("/rooms/{}", place.room.id()), "run", json!({"input": 1}));
    let mut seen = Vec::new();
    loop {
        let message = bob.next().await;
        let is_result = message["id"] == id.as_str();
        seen.push(message["name"].as_str().unwrap_or("result").to_owned());
        if is_result {
            break;
        }
    }
    assert_eq!(seen.iter().filter(|name| *name == "run.started").count(), 1, "{seen:?}");
    place.expect("run.started").await;
}

#[tokio::test]
async fn observers_and_those_who_have_not_joined_start_nothing() {
    let place = Workplace::with([echo("echo")], |room| room.access(grove_engine::Access::Observe), |_| {});
    let (mut bob, of_bob) = in_the_room(&place, "bob").await;
    let path = format!("/rooms/{}", place.room.id());
    assert_eq!(error_code(&bob.invoke(&path, "run", json!({"input": 1})).await), "unauthorized");
    assert_eq!(action_names(bob.tree(&of_bob)), ["leave"]);
    place.engine.rooms().admit(&place.ann, place.room.id(), "cid", grove_engine::RoomRole::Member).unwrap();
    let mut cid = TestConsumer::connect(&place.engine, user_session("cid", "cid")).await;
    assert_eq!(error_code(&cid.invoke(&path, "run", json!({"input": 1})).await), "unauthorized");
    let (mut cid, of_cid) = in_the_room(&place, "cid").await;
    assert_eq!(action_names(cid.tree(&of_cid)), ["leave", "say", "run", "clear_history"]);
    assert_eq!(error_code(&cid.invoke(&path, "run", json!({})).await), "invalid_params");
}

#[tokio::test]
async fn progress_is_shown_and_chunks_change_no_tree() {
    let agent = Agent::new("a", |run: RunContext, input: Value| async move {
        if input == "chunk" {
            run.chunk("text");
        } else {
            run.progress(0.25, "a quarter");
        }
        run.next_input().await;
        Ok(json!(null))
    });
    let mut place = Workplace::with([agent], |room| room.queue(grove_engine::Queue::Parallel), |_| {});
    let (mut bob, of_bob) = in_the_room(&place, "bob").await;
    let first = place.run(json!("chunk"));
    place.expect("run.started").await;
    bob.settled().await;
    let log = EventLog::of(&place.engine);
    place.expect("run.chunk").await;
    bob.settled().await;
    assert_eq!(log.work_for("bob"), 0);
    let second = place.run(json!("progress"));
    place.expect("run.started").await;
    place.expect("run.progress").await;
    bob.settled().await;
    let properties = node_at(bob.tree(&of_bob), &format!("runs/{second}"))["properties"].clone();
    assert_eq!((&properties["progress"], &properties["message"]), (&json!(0.25), &json!("a quarter")));
    assert_eq!(child_ids(node_at(bob.tree(&of_bob), "runs")), [first.as_str(), second.as_str()]);
    bob.check_mirrors().await;
}

#[tokio::test]
async fn a_session_that_ends_leaves_its_run_to_the_room() {
    let mut place = Workplace::of([ask("ask")]);
    let (bob, _) = in_the_room(&place, "bob").await;
    let run = place.engine.rooms().run(&user_session("bob", "bob"), place.room.id(), &NewRun::new(json!(1))).unwrap();
    place.expect("run.started").await;
    drop(bob);
    assert!(place.engine.close_session("bob"));
    place.engine.settle().await;
    assert_eq!(place.status(&run), "running");
    place.engine.rooms().send_input(&place.ann, place.room.id(), run, json!(2)).unwrap();
    place.expect("run.done").await;
}
