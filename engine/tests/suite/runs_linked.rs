//! Agents that run elsewhere, and are linked (rooms 6, S3.17, S3.37).

use std::sync::Arc;

use grove_engine::{Delivery, Event, NewRoom, NewRun, OnTimeout, Queue};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::fixtures::{in_project, user_session};
use crate::linked_fixtures::{Linked, bot, linked_place, place};
use crate::run_fixtures::{code, echo, kinds};
use crate::storage_fixtures::{Failing, start, told_of_storage};

#[tokio::test]
async fn a_run_is_dispatched_to_a_link_and_what_that_says_is_the_run() {
    let (mut place, mut far) = place().await;
    let run = place.start(&NewRun::new(json!({"n": 1})).call_id("c").delivery(Delivery::within_ms(700)));
    let mut dispatch = far.expect("dispatch").await;
    let (trace, history) = (dispatch["trace_id"].take(), dispatch["history"].take());
    assert!(trace.as_str().unwrap().starts_with("tx-"));
    assert_eq!((&history[0]["role"], &history[0]["text"]), (&json!("user"), &json!("{\"n\":1}")));
    assert_eq!(
        dispatch,
        json!({"type": "dispatch", "run": run, "attempt": 1, "agent": "far", "room": place.room.id().as_str(), "project": "",
            "input": {"n": 1}, "actor": {"user": "ann", "name": "ann", "kind": "person", "participant": dispatch["actor"]["participant"],
            "role": "owner"}, "trace_id": null, "call_id": "c", "window_ms": 700, "memory": {}, "history": null})
    );
    far.about(&dispatch, "ack", json!({}));
    far.about(&dispatch, "chunk", json!({"text": "one "}));
    far.about(&dispatch, "chunk", json!({"text": "two"}));
    far.about(&dispatch, "progress", json!({"progress": 0.5, "message": "half"}));
    far.about(&dispatch, "tool_call", json!({"tool_call": "t1", "name": "add", "arguments": {"a": 1}}));
    far.about(&dispatch, "tool_result", json!({"tool_call": "t1", "ok": false, "result": "no"}));
    far.result(&dispatch, &json!([7]));
    assert_eq!(place.expect("run.started").await["attempt"], 1);
    let chunks = place.expect("run.chunk").await;
    assert_eq!((&chunks["text"], &chunks["offset"]), (&json!("one two"), &json!(0)));
    let progress = place.expect("run.progress").await;
    assert_eq!((&progress["progress"], &progress["message"]), (&json!(0.5), &json!("half")));
    let call = place.expect("run.tool_call").await;
    assert_eq!(
        (&call["tool_call"], &call["name"], &call["arguments"]),
        (&json!("t1"), &json!("add"), &json!({"a": 1}))
    );
    let returned = place.expect("run.tool_result").await;
    assert_eq!(
        (&returned["tool_call"], &returned["ok"], &returned["result"]),
        (&json!("t1"), &json!(false), &json!("no"))
    );
    let done = place.expect("run.done").await;
    assert_eq!((&done["result"], &done["attempts"], &done["output_chars"]), (&json!([7]), &json!(1), &json!(7)));
    assert!(far.is_quiet(&place.engine).await, "it is not told what it knows");
}

#[tokio::test]
async fn a_dispatch_has_what_the_room_keeps_and_what_was_said_as_far_as_it_fits() {
    let remembers = |room: NewRoom| room.memory("goal", json!("launch")).memory("n", json!([1, 2]));
    let (place, mut far) = linked_place(remembers, |config| {
        config.sizes.frame_bytes = 700_000;
        config.rooms.memory_bytes = 1 << 20;
    })
    .await;
    place.run(json!("first"));
    let dispatch = far.expect("dispatch").await;
    assert_eq!(dispatch["memory"], json!({"goal": "launch", "n": [1, 2]}));
    far.result(&dispatch, &json!("said"));
    far.takes_effect().await;
    // What is said takes six times as many bytes in JSON.
    let long = "\u{1}".repeat(10_000);
    for _ in 0..20 {
        place.run(json!(long));
        let dispatch = far.expect("dispatch").await;
        assert!(dispatch.to_string().len() <= 700_000);
        assert_eq!(dispatch["history"].as_array().unwrap().last().unwrap()["text"], json!(long));
        far.result(&dispatch, &json!(1));
        far.takes_effect().await;
    }
    place.run(json!("last"));
    let dispatch = far.expect("dispatch").await;
    let history = dispatch["history"].as_array().unwrap();
    assert!((10..30).contains(&history.len()), "the oldest are left out: {}", history.len());
    far.result(&dispatch, &json!(1));
    far.takes_effect().await;
    let memory = place.engine.rooms().memory(&place.ann, place.room.id()).unwrap();
    for n in 0..4 {
        memory.put(&format!("k{n}"), &json!("\u{1}".repeat(30_000))).unwrap();
    }
    let run = place.run(json!("too much"));
    far.takes_effect().await;
    assert_eq!(place.status(&run), "failed", "what the room keeps is not left out without a word");
}

#[tokio::test]
async fn an_error_of_a_link_is_that_of_the_run_and_its_class_decides_what_follows() {
    let (mut place, mut far) = place().await;
    let retried = NewRun::new(json!(1)).delivery(Delivery::default());
    for (run, class) in [(NewRun::new(json!(1)), "permanent"), (retried.clone(), "security")] {
        place.start(&run);
        let dispatch = far.expect("dispatch").await;
        far.about(&dispatch, "error", json!({"code": "full", "message": "no disk", "class": class}));
        place.expect("run.started").await;
        assert_eq!(place.expect("run.failed").await["error"], json!({"code": "full", "message": "no disk"}));
    }
    place.start(&retried);
    let dispatch = far.expect("dispatch").await;
    far.about(&dispatch, "error", json!({"code": "busy", "message": "later", "class": "retryable"}));
    place.expect("run.started").await;
    far.takes_effect().await;
    place.pass(200).await;
    assert_eq!(place.expect("run.redelivered").await["attempt"], 2);
    let again = far.expect("dispatch").await;
    assert_eq!((&again["run"], &again["attempt"]), (&dispatch["run"], &json!(2)));
    far.result(&again, &json!(1));
    assert_eq!(place.expect("run.done").await["attempts"], 2);
}

#[tokio::test]
async fn inputs_and_cancellations_reach_the_link_that_works_on_the_run() {
    let (mut place, mut far) = place().await;
    let run = place.run(json!(null));
    let dispatch = far.expect("dispatch").await;
    place.engine.rooms().send_input(&place.ann, place.room.id(), run.as_str(), json!({"x": 1})).unwrap();
    let input = far.expect("input").await;
    assert_eq!(input, json!({"type": "input", "run": run, "attempt": 1, "data": {"x": 1}}));
    place.engine.rooms().cancel_run(&place.ann, place.room.id(), run.as_str()).unwrap();
    assert_eq!(far.expect("cancel").await, json!({"type": "cancel", "run": run, "attempt": 1}));
    far.result(&dispatch, &json!("too late"));
    assert_eq!(kinds(&place.until_end_of(&run).await), ["run.started", "run.cancelled"]);
}

#[tokio::test]
async fn a_link_that_ignores_a_cancellation_is_told_once_and_its_run_is_abandoned() {
    let (mut place, mut far) = place().await;
    let run = place.run(json!(null));
    let dispatch = far.expect("dispatch").await;
    place.engine.rooms().cancel_run(&place.ann, place.room.id(), run.as_str()).unwrap();
    far.expect("cancel").await;
    place.pass(10_000).await;
    assert_eq!(kinds(&place.until_end_of(&run).await), ["run.started", "run.cancelled"]);
    assert!(far.is_quiet(&place.engine).await);
    far.about(&dispatch, "chunk", json!({"text": "late"}));
    far.about(&dispatch, "chunk", json!({"text": "later"}));
    assert_eq!(far.refused().await, "not_found");
    assert!(far.is_quiet(&place.engine).await, "it is told once");
    assert_eq!(place.rest().await.len(), 0);
    place.run(json!(2));
    assert_eq!(far.expect("dispatch").await["input"], 2, "its place is free");
}

#[tokio::test]
async fn a_run_whose_link_dies_goes_to_another_link_and_ends_once() {
    let (mut place, mut far) = place().await;
    let run = place.run(json!(5));
    let dispatch = far.expect("dispatch").await;
    far.about(&dispatch, "chunk", json!({"text": "half"}));
    let mut other = Linked::far(&place.engine, "far-2").await;
    drop(far);
    let again = other.expect("dispatch").await;
    assert_eq!((&again["run"], &again["attempt"], &again["input"]), (&json!(run), &json!(2), &json!(5)));
    other.result(&again, &json!("done"));
    let events = place.until_end_of(&run).await;
    assert_eq!(kinds(&events), ["run.started", "run.chunk", "run.redelivered", "run.done"]);
    assert_eq!(place.rest().await.len(), 0);
}

#[tokio::test]
async fn a_lost_link_is_an_expired_window() {
    let lose = async |delivery: Delivery, expected: &[&str]| {
        let (mut place, mut far) = place().await;
        place.engine.register_agent(echo("near"));
        let run = place.start(&NewRun::new(json!(5)).delivery(delivery));
        far.expect("dispatch").await;
        let other = Linked::far(&place.engine, "far-2").await;
        drop(far);
        other.takes_effect().await;
        assert_eq!(kinds(&place.rest().await), expected);
        drop(other);
        run
    };
    let window = || Delivery::within_ms(700);
    lose(window().on_timeout(OnTimeout::Fail), &["run.started", "run.timed_out"]).await;
    lose(window().on_timeout(OnTimeout::Rerun), &["run.started", "run.timed_out", "run.started"]).await;
    lose(window().max_attempts(1), &["run.started", "run.timed_out"]).await;
    lose(window(), &["run.started", "run.redelivered"]).await;
    let escalated = ["run.started", "run.escalated", "run.timed_out", "run.started", "run.done"];
    lose(window().on_timeout(OnTimeout::Escalate).fallback("near"), &escalated).await;
}

#[tokio::test]
async fn a_run_whose_only_link_dies_waits_for_another_and_is_dispatched_again() {
    let (mut place, mut far) = place().await;
    let run = place.run(json!(5));
    far.expect("dispatch").await;
    drop(far);
    place.pass(29_999).await;
    assert_eq!(kinds(&place.rest().await), ["run.started"]);
    let mut other = Linked::far(&place.engine, "far-2").await;
    let again = other.expect("dispatch").await;
    assert_eq!(again["attempt"], 2);
    other.result(&again, &json!("done"));
    assert_eq!(kinds(&place.until_end_of(&run).await), ["run.redelivered", "run.done"]);
}

#[tokio::test]
async fn a_run_for_which_no_link_comes_is_handled_like_one_whose_window_expired() {
    let (mut place, mut far) = place().await;
    place.run(json!(5));
    far.expect("dispatch").await;
    drop(far);
    for expected in [&["run.started", "run.redelivered"][..], &["run.redelivered"], &["run.timed_out"]] {
        place.pass(30_000).await;
        assert_eq!(kinds(&place.rest().await), expected);
    }
    let (mut place, mut far) = self::place().await;
    place.start(&NewRun::new(json!(5)).delivery(Delivery::within_ms(700).on_timeout(OnTimeout::Fail)));
    far.expect("dispatch").await;
    drop(far);
    place.pass(699).await;
    assert_eq!(kinds(&place.rest().await), ["run.started"]);
    place.pass(1).await;
    assert_eq!(kinds(&place.rest().await), ["run.timed_out"]);
}

#[tokio::test]
async fn a_run_that_waits_for_a_busy_link_does_not_wait_for_ever_when_that_dies_as_well() {
    let (mut place, mut one) = linked_place(|room| room.queue(Queue::Parallel), |_| {}).await;
    let mut two = Linked::far(&place.engine, "far-2").await;
    for link in [&mut one, &mut two] {
        link.say(&json!({"type": "ready", "agent": "far", "concurrency": 1}));
        link.expect("welcome").await;
    }
    let runs = [1, 2].map(|n| place.run(json!(n)));
    let _ = (one.expect("dispatch").await, two.expect("dispatch").await);
    drop(one);
    place.engine.settle().await;
    drop(two);
    for _ in 0..4 {
        place.pass(30_000).await;
    }
    let rest = place.rest().await;
    assert_eq!(kinds(&rest).iter().filter(|kind| **kind == "run.timed_out").count(), 2, "{:?}", kinds(&rest));
    assert!(runs.iter().all(|run| place.status(run) == "timed_out"));
}

#[tokio::test]
async fn a_run_that_is_started_shortly_after_the_last_link_died_waits_as_well() {
    let (mut place, far) = place().await;
    drop(far);
    place.engine.settle().await;
    let run = place.run(json!(5));
    let mut other = Linked::far(&place.engine, "far-2").await;
    let dispatch = other.expect("dispatch").await;
    assert_eq!(dispatch["attempt"], 1, "nobody had it before");
    other.result(&dispatch, &json!(1));
    assert_eq!(kinds(&place.until_end_of(&run).await), ["run.started", "run.done"]);
    drop(other);
    place.pass(30_000).await;
    let refused = place.engine.rooms().run(&place.ann, place.room.id(), &NewRun::new(json!(1)));
    assert_eq!(code(refused), "unknown_agent");
    assert_eq!(place.engine.rooms().stats().agent_links, 0);
}

#[tokio::test]
async fn a_run_without_a_window_waits_for_a_busy_link_for_as_long_as_it_takes() {
    let (place, mut far) = linked_place(|room| room.queue(Queue::Parallel), |_| {}).await;
    far.say(&json!({"type": "ready", "agent": "far", "concurrency": 1}));
    far.expect("welcome").await;
    let runs = [1, 2].map(|n| place.run(json!(n)));
    let first = far.expect("dispatch").await;
    place.pass(3_600_000).await;
    assert_eq!((place.status(&runs[0]), place.status(&runs[1])), ("running", "queued"));
    far.result(&first, &json!(1));
    assert_eq!(far.expect("dispatch").await["run"], json!(runs[1]));
}

#[tokio::test]
async fn the_least_busy_of_several_links_gets_the_next_run_and_none_more_than_it_takes() {
    let (place, mut one) = linked_place(|room| room.queue(Queue::Parallel), |_| {}).await;
    let mut two = Linked::far(&place.engine, "far-2").await;
    for linked in [&mut one, &mut two] {
        linked.say(&json!({"type": "ready", "agent": "far", "concurrency": 2}));
        linked.expect("welcome").await;
    }
    let runs: Vec<_> = (0..5).map(|n| place.run(json!(n))).collect();
    let (first, second) = (one.expect("dispatch").await, one.expect("dispatch").await);
    let (third, fourth) = (two.expect("dispatch").await, two.expect("dispatch").await);
    let mut inputs: Vec<_> = [&first, &second, &third, &fourth].map(|one| one["input"].clone()).to_vec();
    inputs.sort_by_key(Value::as_u64);
    assert_eq!((json!(inputs), place.status(&runs[4])), (json!([0, 1, 2, 3]), "queued"));
    two.result(&third, &json!(1));
    assert_eq!(two.expect("dispatch").await["input"], 4);
}

#[tokio::test]
async fn a_link_gets_no_more_runs_at_once_than_the_engine_allows() {
    let (place, mut far) =
        linked_place(|room| room.queue(Queue::Parallel), |config| config.runs.runs_per_link = 1).await;
    far.say(&json!({"type": "ready", "agent": "far", "concurrency": 1_000_000}));
    far.expect("welcome").await;
    let runs = [1, 2].map(|n| place.run(json!(n)));
    far.expect("dispatch").await;
    assert!(far.is_quiet(&place.engine).await);
    assert_eq!(place.status(&runs[1]), "queued");
}

#[tokio::test]
async fn a_late_answer_of_a_superseded_attempt_is_dropped() {
    let (mut place, mut far) = place().await;
    let run = place.start(&NewRun::new(json!(5)).delivery(Delivery::within_ms(100)));
    let first = far.expect("dispatch").await;
    place.pass(100).await;
    // The old attempt is called off, and the new one comes, in whichever order.
    let mut told = [far.hear().await, far.hear().await];
    told.sort_by_key(|message| message["type"].to_string());
    let [cancel, second] = told;
    assert_eq!((&cancel["type"], &cancel["attempt"], &second["attempt"]), (&json!("cancel"), &json!(1), &json!(2)));
    far.result(&first, &json!("old"));
    assert_eq!(far.refused().await, "not_found");
    far.result(&second, &json!("new"));
    far.result(&second, &json!("twice"));
    let events = place.until_end_of(&run).await;
    assert_eq!(kinds(&events), ["run.started", "run.redelivered", "run.done"]);
    assert_eq!(events[2]["body"]["result"], "new");
}

#[tokio::test]
async fn a_link_cannot_speak_about_a_run_of_another_link() {
    let (mut place, mut far) = place().await;
    let mut other = Linked::far(&place.engine, "far-2").await;
    place.run(json!(5));
    let dispatch = far.expect("dispatch").await;
    other.result(&dispatch, &json!("stolen"));
    let refusal = other.expect("error").await;
    assert_eq!((&refusal["code"], &refusal["run"]), (&json!("not_found"), &dispatch["run"]));
    far.result(&dispatch, &json!("own"));
    place.expect("run.started").await;
    assert_eq!(place.expect("run.done").await["result"], "own");
}

#[tokio::test]
async fn only_a_session_with_the_permission_is_an_agent() {
    let (place, _far) = place().await;
    let engine = &place.engine;
    for (session, expected) in [
        (user_session("s1", "bot"), "error"),
        (bot("s2", "other"), "error"),
        (bot("s3", "far"), "welcome"),
        (bot("s4", "*"), "welcome"),
    ] {
        let mut linked = Linked::connect(engine, &session);
        linked.say(&json!({"type": "ready", "agent": "far"}));
        let reply = linked.expect(expected).await;
        assert!(expected == "welcome" || reply["code"] == "unauthorized", "{reply}");
        linked.say(&json!({"type": "nonsense"}));
        assert_eq!(linked.refused().await, "bad_request", "the link goes on");
    }
}

#[tokio::test]
async fn a_session_that_loses_the_permission_is_the_agent_no_more() {
    let (mut place, mut far) = place().await;
    place.run(json!(5));
    far.expect("dispatch").await;
    let mut other = Linked::far(&place.engine, "far-2").await;
    assert!(place.engine.update_session(&user_session("far-1", "bot")));
    assert_eq!(far.refused().await, "unauthorized");
    assert_eq!(other.expect("dispatch").await["attempt"], 2);
    assert_eq!(kinds(&place.rest().await), ["run.started", "run.redelivered"]);
    assert_eq!(place.engine.rooms().stats().agent_links, 1);
}

#[tokio::test]
async fn a_link_of_a_session_that_is_revoked_or_expires_is_closed_and_its_runs_go_on_elsewhere() {
    let (place, mut far) = place().await;
    place.run(json!(5));
    far.expect("dispatch").await;
    let mut other = Linked::far(&place.engine, "far-2").await;
    place.engine.revoke(grove_engine::Revocation::session("far-1"));
    assert_eq!(far.closed().await, 1008);
    drop(far);
    assert_eq!(other.expect("dispatch").await["attempt"], 2);
    let expires = grove_engine::Clock::wall(&*place.clock) + std::time::Duration::from_secs(5);
    let mut guest = Linked::connect(&place.engine, &bot("guest", "far").with_expiry(expires));
    guest.say(&json!({"type": "ready", "agent": "far"}));
    guest.expect("welcome").await;
    place.pass(5_000).await;
    assert_eq!(guest.closed().await, 4401);
}

#[tokio::test]
async fn a_link_serves_the_project_of_its_session_and_no_other() {
    let (place, _far) = place().await;
    let engine = &place.engine;
    let mut links = Vec::new();
    for project in ["red", "blue"] {
        let mut linked = Linked::connect(engine, &in_project(project, "bot", project).with_permission("agent:*"));
        linked.say(&json!({"type": "ready", "agent": "namesake"}));
        linked.expect("welcome").await;
        links.push(linked);
    }
    for (at, project) in ["red", "blue"].into_iter().enumerate() {
        let eve = in_project(&format!("eve of {project}"), "eve", project);
        let room = engine.rooms().create(&eve, &NewRoom::new("t").agent("namesake")).unwrap().room;
        engine.rooms().run(&eve, room.id(), &NewRun::new(json!(project))).unwrap();
        let dispatch = links[at].expect("dispatch").await;
        assert_eq!((&dispatch["input"], &dispatch["project"]), (&json!(project), &json!(project)));
    }
    assert!(links[0].is_quiet(engine).await && links[1].is_quiet(engine).await);
    let unknown = engine.rooms().create(&place.ann, &NewRoom::new("t").agent("namesake"));
    assert_eq!(code(unknown), "unknown_agent");
}

#[tokio::test]
async fn a_link_stands_in_front_of_the_agent_of_all_projects_for_as_long_as_there_is_one() {
    let (engine, _) = crate::fixtures::room_engine_with(grove_engine::RoomOptions::new(), |_| {});
    engine.register_agent(echo("far"));
    let mut far = Linked::far(&engine, "far-1").await;
    let ann = user_session("a", "ann");
    let room = engine.rooms().create(&ann, &NewRoom::new("t").agent("far")).unwrap().room;
    let run = engine.rooms().run(&ann, room.id(), &NewRun::new(json!(1))).unwrap();
    let dispatch = far.expect("dispatch").await;
    far.result(&dispatch, &json!("from afar"));
    far.takes_effect().await;
    drop(far);
    assert_eq!(engine.rooms().run_of(&ann, room.id(), &run).unwrap().result, Some(json!("from afar")));
}

#[tokio::test]
async fn what_the_application_registers_for_a_project_stays_and_takes_the_place_of_links() {
    let (place, mut far) = place().await;
    place.engine.register_agent_for("", echo("own"));
    let mut linked = Linked::connect(&place.engine, &bot("s", "*"));
    linked.say(&json!({"type": "ready", "agent": "own"}));
    assert_eq!(linked.refused().await, "conflict");
    let before = place.run(json!(1));
    let dispatch = far.expect("dispatch").await;
    place.engine.register_agent_for("", echo("far"));
    far.result(&dispatch, &json!("old"));
    far.takes_effect().await;
    let after = place.run(json!(2));
    far.takes_effect().await;
    let result = |run: &str| place.engine.rooms().run_of(&place.ann, place.room.id(), run).unwrap().result.unwrap();
    assert_eq!((result(&before), result(&after)), (json!("old"), json!({"echo": 2})));
    drop(far);
    place.pass(30_000).await;
    place.run(json!(3));
}

#[tokio::test]
async fn the_contract_and_the_schema_of_a_link_count_and_the_latest_says_which() {
    let (place, _far) = place().await;
    let mut linked = Linked::connect(&place.engine, &bot("s", "*"));
    let schema = json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "required": ["x"],
        "properties": {"x": {"type": "integer"}}});
    linked.say(&json!({"type": "ready", "agent": "strict", "contract": "v1", "input_schema": schema}));
    linked.expect("welcome").await;
    let create = |contract: &str| {
        let new = NewRoom::new("t").agent("strict").contract(contract);
        place.engine.rooms().create(&place.ann, &new).map(|created| created.room)
    };
    assert_eq!(code(create("v2")), "contract_violation");
    let room = create("v1").unwrap();
    let run = |input: Value| place.engine.rooms().run(&place.ann, room.id(), &NewRun::new(input));
    assert_eq!(code(run(json!({"x": "1"}))), "invalid_params");
    run(json!({"x": 1})).unwrap();
    linked.expect("dispatch").await;
    for schema in [
        json!({"type": "object", "properties": {"x": {"$ref": "#"}}}),
        json!({"type": "object", "required": 5, "properties": {}}),
    ] {
        linked.say(&json!({"type": "ready", "agent": "strict", "contract": "v2", "input_schema": schema}));
        assert_eq!(linked.refused().await, "invalid_params");
    }
    linked.say(&json!({"type": "ready", "agent": "strict", "contract": "v2"}));
    linked.expect("welcome").await;
    create("v2").unwrap();
}

#[tokio::test]
async fn a_link_may_be_several_agents_up_to_a_bound() {
    let (place, _far) = linked_place(|room| room, |config| config.runs.agents_per_link = 2).await;
    let mut linked = Linked::connect(&place.engine, &bot("s", "*"));
    for name in ["one", "two", "two"] {
        linked.say(&json!({"type": "ready", "agent": name}));
        assert_eq!(linked.expect("welcome").await["agent"], name);
    }
    linked.say(&json!({"type": "ready", "agent": "three"}));
    assert_eq!(linked.refused().await, "busy");
    for name in ["one", "two"] {
        let room = place.engine.rooms().create(&place.ann, &NewRoom::new("t").agent(name)).unwrap().room;
        place.engine.rooms().run(&place.ann, room.id(), &NewRun::new(json!(name))).unwrap();
        let dispatch = linked.expect("dispatch").await;
        assert_eq!((&dispatch["agent"], &dispatch["input"]), (&json!(name), &json!(name)));
        linked.result(&dispatch, &json!(1));
    }
    assert_eq!(place.engine.rooms().stats().agent_links, 3);
    drop(linked);
    assert_eq!(place.engine.rooms().stats().agent_links, 1);
}

#[tokio::test]
async fn a_link_that_takes_nothing_is_closed_and_its_runs_go_on_elsewhere() {
    let (mut place, mut far) = linked_place(
        |room| room.queue(Queue::Parallel),
        |config| {
            config.sizes.outbox_bytes = 20_000;
            config.runs.history_bytes = 0;
        },
    )
    .await;
    let runs: Vec<_> = (0..5).map(|_| place.run(json!("x".repeat(6_000)))).collect();
    far.takes_effect().await;
    let mut other = Linked::connect(&place.engine, &bot("far-2", "far"));
    other.say(&json!({"type": "ready", "agent": "far", "concurrency": 1}));
    other.expect("welcome").await;
    // Its runs are elsewhere as soon as too much waits, however long its end takes.
    let first = other.expect("dispatch").await;
    assert_eq!(far.closed().await, 1013);
    drop(far);
    other.result(&first, &json!(1));
    for _ in &runs[1..] {
        let dispatch = other.expect("dispatch").await;
        other.result(&dispatch, &json!(1));
    }
    other.takes_effect().await;
    assert!(runs.iter().all(|run| place.status(run) == "done"));
    let events = place.rest().await;
    assert_eq!(kinds(&events).iter().filter(|kind| **kind == "run.done").count(), 5);
}

#[tokio::test]
async fn a_silent_link_is_pinged_and_then_given_up() {
    let (place, mut far) = place().await;
    place.run(json!(5));
    far.expect("dispatch").await;
    let mut other = Linked::far(&place.engine, "far-2").await;
    for _ in 0..20 {
        place.pass(5_000).await;
        other.connection.heard();
        if far.connection.is_aborted() {
            drop(far);
            assert_eq!(other.expect("dispatch").await["attempt"], 2);
            return;
        }
    }
    panic!("it was never given up");
}

#[tokio::test]
async fn what_a_link_sends_that_cannot_be_used_is_refused_and_the_link_goes_on() {
    let (mut place, mut far) = place().await;
    let run = place.run(json!(5));
    let dispatch = far.expect("dispatch").await;
    for text in ["", "[]", "nonsense", "{\"type\":\"result\"}", "{\"type\":\"ready\",\"agent\":\"\"}"] {
        far.connection.receive(text);
        assert_eq!(far.refused().await, "bad_request", "{text}");
    }
    far.connection.receive_binary(&[0xff, 0xfe]);
    assert_eq!(far.refused().await, "bad_request");
    far.about(&dispatch, "progress", json!({"progress": 7}));
    assert_eq!(far.refused().await, "bad_request");
    far.about(&dispatch, "tool_result", json!({"tool_call": "t", "ok": true}));
    assert_eq!(far.refused().await, "not_found");
    far.about(&dispatch, "tool_call", json!({"tool_call": "t", "name": "n", "arguments": "x".repeat(70_000)}));
    assert_eq!(far.refused().await, "too_large");
    far.about(&dispatch, "tool_call", json!({"tool_call": "t", "name": "n"}));
    far.about(&dispatch, "tool_call", json!({"tool_call": "t", "name": "n"}));
    assert_eq!(far.refused().await, "busy", "the id is taken");
    far.result(&dispatch, &json!("x".repeat(70_000)));
    let events = place.until_end_of(&run).await;
    assert_eq!(kinds(&events), ["run.started", "run.tool_call", "run.failed"]);
    assert_eq!(events[2]["body"]["error"]["code"], "too_large");
    far.connection.receive(&"x".repeat(2 << 20));
    assert_eq!(far.closed().await, 1009);
}

#[tokio::test]
async fn a_link_that_sends_nothing_but_nonsense_is_closed() {
    let (place, far) = place().await;
    (0..256).for_each(|_| far.connection.receive("nonsense"));
    let mut far = far;
    assert_eq!(far.closed().await, 1008);
    assert_eq!(place.engine.rooms().stats().runs, 0);
}

/// Whatever comes, in whatever order: nothing panics, and every run ends once.
#[tokio::test]
async fn hostile_frames_change_nothing_for_the_runs_of_others() {
    let (mut place, mut good) = place().await;
    let hostile = Linked::connect(&place.engine, &bot("hostile", "*"));
    let run = place.run(json!(5));
    let dispatch = good.expect("dispatch").await;
    let kinds_of =
        ["ready", "ack", "working", "chunk", "progress", "tool_call", "tool_result", "result", "error", "dispatch"];
    let odd = [
        json!(null),
        json!(-1),
        json!(1.5e300),
        json!("\u{0}"),
        json!("x".repeat(200)),
        json!([[[[[[]]]]]]),
        json!({"type": "ready"}),
        dispatch["run"].clone(),
        dispatch["attempt"].clone(),
    ];
    let keys = [
        "agent",
        "contract",
        "input_schema",
        "concurrency",
        "run",
        "attempt",
        "text",
        "progress",
        "output",
        "code",
        "tool_call",
        "name",
        "ok",
    ];
    let mut seed = 1_u64;
    let mut below = |bound: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % bound
    };
    for _ in 0..5_000 {
        let mut message = json!({"type": kinds_of[below(kinds_of.len())]});
        for _ in 0..below(6) {
            message[keys[below(keys.len())]] = odd[below(odd.len())].clone();
        }
        let text = message.to_string();
        let cut = if below(4) == 0 { text.floor_char_boundary(below(text.len())) } else { text.len() };
        hostile.connection.receive(&text[..cut]);
        let _taken = hostile.connection.try_next_frame();
    }
    drop(hostile);
    good.result(&dispatch, &json!("done"));
    assert_eq!(kinds(&place.until_end_of(&run).await), ["run.started", "run.done"]);
}

#[tokio::test]
async fn a_shutdown_lets_links_finish_their_runs_and_then_closes_them() {
    let (mut place, mut far) = place().await;
    let run = place.run(json!(5));
    let dispatch = far.expect("dispatch").await;
    let engine = place.engine.clone();
    let shutdown = tokio::spawn(async move { engine.shutdown(std::time::Duration::from_secs(5)).await });
    tokio::task::yield_now().await;
    far.result(&dispatch, &json!("in time"));
    assert_eq!(far.closed().await, 1001);
    drop(far);
    let events = place.until_end_of(&run).await;
    assert_eq!(events.last().unwrap()["body"]["result"], "in time");
    drop(place.events);
    shutdown.await.unwrap();
}

#[tokio::test]
async fn a_shutdown_ends_the_runs_of_links_that_take_too_long() {
    let (mut place, mut far) = place().await;
    let run = place.run(json!(5));
    far.expect("dispatch").await;
    let engine = place.engine.clone();
    let shutdown = tokio::spawn(async move { engine.shutdown(std::time::Duration::from_secs(5)).await });
    while place.status(&run) == "running" {
        place.clock.advance(100);
        tokio::task::yield_now().await;
    }
    assert_eq!(far.closed().await, 1001);
    drop(far);
    let events = place.until_end_of(&run).await;
    assert_eq!(events.last().unwrap()["body"]["error"]["code"], "interrupted");
    drop(place.events);
    shutdown.await.unwrap();
}

#[tokio::test]
async fn observers_learn_of_links() {
    let (place, far) = place().await;
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let noted = Arc::clone(&seen);
    place.engine.observe(move |event| match event {
        Event::AgentLinked { session, agent, links } => noted.lock().push(format!("+{session} {agent} {links}")),
        Event::AgentUnlinked { session, agent, links } => noted.lock().push(format!("-{session} {agent} {links}")),
        _ => {}
    });
    let mut other = Linked::far(&place.engine, "far-2").await;
    other.say(&json!({"type": "ready", "agent": "far", "concurrency": 2}));
    other.expect("welcome").await;
    // It may not be the agent any more, and goes later.
    assert!(place.engine.update_session(&user_session("far-1", "bot")));
    drop((far, other));
    assert_eq!(*seen.lock(), ["+far-2 far 2", "-far-1 far 1", "-far-2 far 0"], "each is told once");
}

#[tokio::test]
async fn the_window_of_a_run_that_waits_for_a_busy_link_begins_when_it_is_dispatched() {
    let (mut place, mut one) = linked_place(|room| room.queue(Queue::Parallel), |_| {}).await;
    let mut two = Linked::far(&place.engine, "far-2").await;
    for link in [&mut one, &mut two] {
        link.say(&json!({"type": "ready", "agent": "far", "concurrency": 1}));
        link.expect("welcome").await;
    }
    let delivery = Delivery::within_ms(700).max_attempts(2);
    let waits = place.start(&NewRun::new(json!(1)).delivery(delivery));
    let busy = place.run(json!(2));
    one.expect("dispatch").await;
    let second = two.expect("dispatch").await;
    // Its link is lost, and the other one works on something without a window.
    drop(one);
    place.pass(3_600_000).await;
    assert_eq!((place.status(&waits), place.status(&busy)), ("running", "running"));
    two.result(&second, &json!(1));
    let dispatch = two.expect("dispatch").await;
    assert_eq!((&dispatch["run"], &dispatch["attempt"]), (&json!(waits), &json!(2)));
    place.pass(699).await;
    assert_eq!(place.status(&waits), "running");
    place.pass(1).await;
    assert_eq!(place.status(&waits), "timed_out");
    let ended = kinds(&place.until_end_of(&waits).await).into_iter().filter(|kind| *kind == "run.redelivered").count();
    assert_eq!(ended, 1);
}

#[tokio::test]
async fn runs_that_have_waited_for_any_link_wait_for_a_place_when_there_is_one() {
    let (mut place, far) = linked_place(|room| room.queue(Queue::Parallel), |_| {}).await;
    let delivery = || Delivery::within_ms(700).max_attempts(1);
    let runs = [1, 2].map(|n| place.start(&NewRun::new(json!(n)).delivery(delivery())));
    far.takes_effect().await;
    drop(far);
    let mut two = Linked::connect(&place.engine, &bot("far-2", "far"));
    two.say(&json!({"type": "ready", "agent": "far", "concurrency": 1}));
    two.expect("welcome").await;
    assert!(two.is_quiet(&place.engine).await, "they had one attempt");
    assert_eq!(runs.each_ref().map(|run| place.status(run)), ["timed_out"; 2]);
    place.rest().await;
    drop(two);
    place.engine.settle().await;
    // Now nobody is there when they are dispatched.
    let runs = [1, 2].map(|n| place.start(&NewRun::new(json!(n)).delivery(delivery())));
    place.pass(600).await;
    let mut three = Linked::connect(&place.engine, &bot("far-3", "far"));
    three.say(&json!({"type": "ready", "agent": "far", "concurrency": 1}));
    three.expect("welcome").await;
    let first = three.expect("dispatch").await;
    for _ in 0..5 {
        place.pass(600).await;
        three.about(&first, "working", json!({}));
    }
    assert!(runs.iter().all(|run| !["timed_out", "failed"].contains(&place.status(run))));
    three.result(&first, &json!(1));
    let second = three.expect("dispatch").await;
    place.pass(700).await;
    assert_eq!(place.status(second["run"].as_str().unwrap()), "timed_out");
}

#[tokio::test]
async fn a_run_that_is_between_its_turn_and_its_dispatch_keeps_its_agent() {
    let store = Failing::after(i64::MAX);
    let (engine, clock) = start(&store, |config| config.rooms.durable_timeout = std::time::Duration::from_secs(600));
    let ann = user_session("ann", "ann");
    let mut far = Linked::far(&engine, "far-1").await;
    let new = NewRoom::new("t").id("board").replayable(true).agent("far");
    engine.rooms().create(&ann, &new).unwrap();
    let [_, waits] = [1, 2].map(|n| engine.rooms().run(&ann, "board", &NewRun::new(json!(n))).unwrap());
    let first = far.expect("dispatch").await;
    engine.rooms().durable("board").await.unwrap();
    let mut storage = told_of_storage(&engine);
    // It is this one's turn, and it is not dispatched before that is durable.
    store.allow(0);
    far.result(&first, &json!(1));
    far.takes_effect().await;
    drop(far);
    assert_eq!(storage.recv().await, Some("failed"));
    for _ in 0..4 {
        clock.advance(30_000);
        engine.settle().await;
    }
    store.allow(i64::MAX);
    clock.advance(500);
    while storage.recv().await != Some("recovered") {}
    let mut other = Linked::far(&engine, "far-2").await;
    let dispatch = other.expect("dispatch").await;
    assert_eq!(dispatch["run"], json!(waits.as_str()));
}

#[tokio::test]
async fn without_rooms_there_are_no_links() {
    let engine = grove_engine::Engine::builder("app", "App").build();
    assert!(engine.rooms().connect_agent(&bot("s", "*")).is_err());
}
