//! How runs of agents begin, stream, and end (rooms 6).

use std::panic::panic_any;
use std::sync::Arc;

use futures_util::FutureExt;
use grove_engine::{
    Agent, EndReason, Event, Limit, NewRun, PanicSite, RoomState, RunContext, RunError, RunStatus, Tool,
};
use serde_json::{Value, json};

use crate::fixtures::{EventLog, in_project, user_session};
use crate::run_fixtures::{Workplace, ask, code, echo, kinds, patient, silent};

#[tokio::test]
async fn a_run_streams_what_it_does_and_returns_one_result() {
    let agent = Agent::new("writer", |run: RunContext, input: Value| async move {
        run.chunk("äb");
        run.chunk("");
        run.chunk("cd");
        run.progress(0.5, "half");
        Ok(json!({"n": input["n"]}))
    });
    let mut place = Workplace::of([agent]);
    let trace = "tx-123e4567-e89b-12d3-a456-426614174000";
    let run = place.start(&NewRun::new(json!({"n": 1})).call_id("c1").trace_id(trace));
    assert!(run.starts_with("r_") && run.len() == 24);
    place.clock.advance(40);
    let events = place.until_end_of(&run).await;
    assert_eq!(kinds(&events), ["run.started", "run.chunk", "run.progress", "run.done"]);
    let common = |event: &Value| {
        let actor = json!({"name": "writer", "kind": "agent"});
        event["actor"] == actor
            && event["trace_id"] == trace
            && event["call_id"] == "c1"
            && event["body"]["by"] == "ann"
    };
    assert!(events.iter().all(common), "{events:?}");
    let bodies: Vec<_> = events.iter().map(|event| &event["body"]).collect();
    assert_eq!(bodies[0], &json!({"run": run, "by": "ann", "agent": "writer", "attempt": 1}));
    assert_eq!(bodies[1], &json!({"run": run, "by": "ann", "offset": 0, "text": "äbcd"}));
    assert_eq!(bodies[2], &json!({"run": run, "by": "ann", "progress": 0.5, "message": "half"}));
    assert_eq!(
        bodies[3],
        &json!({"run": run, "by": "ann", "result": {"n": 1}, "duration_ms": 40, "attempts": 1, "output_chars": 4})
    );
    let view = place.engine.rooms().run_of(&place.ann, place.room.id(), &run).unwrap();
    assert_eq!((view.status, view.result, view.output_chars), (RunStatus::Done, Some(json!({"n": 1})), 4));
    assert_eq!((place.room.state(), place.room.last_outcome()), (RoomState::Active, Some(RunStatus::Done)));
}

#[tokio::test]
async fn a_panic_fails_the_run_and_reveals_nothing() {
    let before = Agent::new("early", |_: RunContext, input: Value| {
        assert!(input != "early", "secret-panic-text");
        async move { if input == "late" { panic!("secret-panic-text") } else { panic_any(7) } }
    });
    let mut place = Workplace::of([before]);
    let log = EventLog::of(&place.engine);
    for input in ["early", "late", "any"] {
        let run = place.run(json!(input));
        let events = place.until_end_of(&run).await;
        assert_eq!(kinds(&events), ["run.started", "run.failed"]);
        let error = &events[1]["body"]["error"];
        assert_eq!(error, &json!({"code": "internal", "message": "the agent failed"}));
    }
    assert_eq!(log.count(|event| matches!(event, Event::Panicked { what: PanicSite::Agent, .. })), 3);
    assert_eq!((place.rest().await, place.room.state()), (vec![], RoomState::Active));
}

#[tokio::test]
async fn an_error_fails_the_run_and_the_room_goes_on() {
    let agent =
        Agent::new("fails", |_: RunContext, _: Value| async { Err(RunError::new("no_ink", "there is no ink")) });
    let mut place = Workplace::of([agent]);
    for _ in 0..2 {
        let run = place.run(json!(null));
        let events = place.until_end_of(&run).await;
        assert_eq!(events[1]["body"]["error"], json!({"code": "no_ink", "message": "there is no ink"}));
    }
    assert_eq!((place.room.state(), place.room.last_outcome()), (RoomState::Active, Some(RunStatus::Failed)));
}

#[tokio::test]
async fn a_room_with_a_run_in_progress_is_running() {
    let mut place = Workplace::of([ask("ask")]);
    let run = place.run(json!(null));
    place.expect("run.started").await;
    assert_eq!((place.room.state(), place.room.running(), place.status(&run)), (RoomState::Running, 1, "running"));
    place.engine.rooms().send_input(&place.ann, place.room.id(), run.as_str(), json!("x")).unwrap();
    assert_eq!(place.expect("run.done").await["result"], json!({"got": "x"}));
    assert_eq!(place.room.state(), RoomState::Active);
}

#[tokio::test]
async fn long_chunks_are_split_and_the_excess_of_an_output_is_cut_off_and_counted() {
    let agent = Agent::new("big", |run: RunContext, _: Value| async move {
        run.chunk("é".repeat(10));
        run.chunk("x".repeat(20));
        run.chunk("y");
        Ok(json!(null))
    });
    let bounds = |config: &mut grove_engine::Config| {
        (config.runs.chunk_bytes, config.runs.output_bytes) = (8, 30);
    };
    let mut place = Workplace::with([agent], |room| room, bounds);
    let log = EventLog::of(&place.engine);
    let run = place.run(json!(null));
    let events = place.until_end_of(&run).await;
    let text: String = events.iter().filter_map(|event| event["body"]["text"].as_str()).collect();
    assert_eq!(text, "é".repeat(10) + &"x".repeat(10));
    let end = &events.last().unwrap()["body"];
    assert_eq!((&end["output_chars"], &end["truncated"]), (&json!(31), &json!(true)));
    assert_eq!(log.limit_count(Limit::RunOutputBytes), 1);
    let output = |offset, limit| {
        let output = place.engine.rooms().output(&place.ann, place.room.id(), &run, offset, limit).unwrap();
        (output.text, output.next)
    };
    assert_eq!(output(8, 4), ("ééxx".to_owned(), Some(12)));
    assert_eq!(output(18, 100), ("xx".to_owned(), None));
}

#[tokio::test]
async fn every_chunk_that_is_sent_is_short_enough_and_has_its_offset() {
    let agent = Agent::new("big", |run: RunContext, _: Value| async move {
        run.chunk("é".repeat(10));
        Ok(json!(null))
    });
    let mut place = Workplace::with([agent], |room| room, |config| config.runs.chunk_bytes = 8);
    let mut consumer = grove_engine::testing::TestConsumer::connect(&place.engine, user_session("b", "bob")).await;
    place.engine.rooms().join(&user_session("b", "bob"), place.room.id()).unwrap();
    let run = place.run(json!(null));
    place.until_end_of(&run).await;
    let mut chunks = Vec::new();
    for message in consumer.settled().await {
        if message["name"] == "run.chunk" {
            chunks.push((message["data"]["from_seq"].clone(), message["data"]["body"]["text"].as_str().unwrap().len()));
        }
    }
    // They waited for the connection, and so are one.
    assert_eq!(chunks, [(json!(5), 20)]);
}

#[tokio::test]
async fn what_does_not_stream_tells_only_of_the_end() {
    let agent = Agent::new("writer", |run: RunContext, _: Value| async move {
        run.chunk("abc");
        run.progress(None, "working");
        run.iteration()?;
        run.tool("none", json!({})).await;
        Ok(json!("result"))
    });
    let mut place = Workplace::with([agent], |room| room.streaming(false), |_| {});
    let before = place.room.seq();
    let run = place.run(json!(null));
    let events = place.until_end_of(&run).await;
    assert_eq!(kinds(&events), ["run.done"]);
    assert_eq!((events[0]["seq"].as_u64(), &events[0]["body"]["output_chars"]), (Some(before + 1), &json!(3)));
}

#[tokio::test]
async fn tools_return_data_whatever_happens() {
    let tools = || {
        [
            Tool::new("add", |_, args: Value| async move { Ok(json!(args["a"].as_i64().unwrap_or(0) + 2)) }),
            Tool::new("broken", |_, _| async { Err(grove_engine::ActionError::conflict("it is broken")) }),
            Tool::new("panics", |_, _| async { panic!("secret-panic-text") }),
        ]
    };
    let agent = Agent::new("tool", |run: RunContext, _: Value| async move {
        let mut results = Vec::new();
        for name in ["add", "broken", "panics", "absent"] {
            let returned = run.tool(name, json!({"a": 1})).await;
            results.push(json!([returned.ok, returned.result]));
        }
        Ok(json!(results))
    });
    let mut place = Workplace::of([agent.tools(tools())]);
    let run = place.run(json!(null));
    let events = place.until_end_of(&run).await;
    let pair = ["run.tool_call", "run.tool_result"];
    let expected: Vec<_> =
        ["run.started"].into_iter().chain(pair.into_iter().cycle().take(8)).chain(["run.done"]).collect();
    assert_eq!(kinds(&events), expected);
    let (call, result) = (&events[1]["body"], &events[2]["body"]);
    let id = &call["tool_call"];
    assert_eq!(call, &json!({"run": run, "by": "ann", "tool_call": id, "name": "add", "arguments": {"a": 1}}));
    assert_eq!(result, &json!({"run": run, "by": "ann", "tool_call": id, "ok": true, "result": 3}));
    let failure = |code: &str, message: &str| json!([false, {"code": code, "message": message}]);
    let returned = json!([
        [true, 3],
        failure("conflict", "it is broken"),
        failure("internal", "the tool failed"),
        failure("not_found", "the agent has no such tool"),
    ]);
    assert_eq!(events.last().unwrap()["body"]["result"], returned);
    let roles: Vec<_> = place.engine.rooms().history(&place.ann, place.room.id()).unwrap();
    assert_eq!(roles.iter().filter(|entry| entry.text == "3").count(), 1);
}

#[tokio::test]
async fn a_run_beyond_its_iterations_has_failed_whatever_the_agent_does_then() {
    let agent = Agent::new("loop", |run: RunContext, _: Value| async move {
        loop {
            if run.iteration().is_err() {
                return std::future::pending().await;
            }
        }
    });
    let mut place = Workplace::of([agent.max_iterations(3)]);
    let run = place.run(json!(null));
    let events = place.until_end_of(&run).await;
    assert_eq!(kinds(&events), ["run.started", "run.iteration", "run.iteration", "run.iteration", "run.failed"]);
    assert_eq!(events[3]["body"], json!({"run": run, "by": "ann", "iteration": 3}));
    assert_eq!(events[4]["body"]["error"]["code"], "iteration_limit");
}

#[tokio::test]
async fn an_agent_that_is_told_of_a_cancellation_returns_and_the_run_is_cancelled() {
    let mut place = Workplace::of([patient("patient")]);
    let run = place.run(json!(null));
    place.expect("run.started").await;
    place.engine.rooms().cancel_run(&place.ann, place.room.id(), run.as_str()).unwrap();
    let body = place.expect("run.cancelled").await;
    assert_eq!((&body["result"], &body["error"]), (&Value::Null, &Value::Null), "what it returned does not count");
    assert_eq!(code(place.engine.rooms().cancel_run(&place.ann, place.room.id(), run.as_str())), "conflict");
    assert_eq!(place.room.last_outcome(), Some(RunStatus::Cancelled));
}

/// Notes when it is dropped.
struct Dropped(Arc<parking_lot::Mutex<bool>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        *self.0.lock() = true;
    }
}

#[tokio::test]
async fn an_agent_that_ignores_a_cancellation_for_10_s_is_abandoned() {
    let dropped = Arc::new(parking_lot::Mutex::new(false));
    let held = Arc::clone(&dropped);
    let agent = Agent::new("stubborn", move |_: RunContext, _: Value| {
        let held = Dropped(Arc::clone(&held));
        async move {
            let _held = held;
            std::future::pending().await
        }
    });
    let mut place = Workplace::of([agent]);
    let run = place.run(json!(null));
    place.expect("run.started").await;
    place.engine.rooms().cancel_run(&place.ann, place.room.id(), run.as_str()).unwrap();
    place.pass(9_999).await;
    assert_eq!((place.rest().await.len(), place.status(&run), *dropped.lock()), (0, "running", false));
    place.clock.advance(1);
    assert_eq!(place.expect("run.cancelled").await["duration_ms"], 10_000);
    while !*dropped.lock() {
        tokio::task::yield_now().await;
    }
    assert_eq!(place.rest().await, Vec::<Value>::new());
}

#[tokio::test]
async fn who_started_a_run_and_the_owner_may_cancel_it_and_nobody_else() {
    let mut place = Workplace::of([patient("patient")]);
    let [bob, bob_too, cid] = [("b1", "bob"), ("b2", "bob"), ("c", "cid")].map(|(id, user)| user_session(id, user));
    let rooms = place.engine.rooms();
    for canceller in [&bob_too, &place.ann.clone()] {
        let run = rooms.run(&bob, place.room.id(), &NewRun::new(json!(null))).unwrap();
        place.expect("run.started").await;
        assert_eq!(code(rooms.cancel_run(&cid, place.room.id(), run.clone())), "unauthorized");
        rooms.cancel_run(canceller, place.room.id(), run).unwrap();
        place.expect("run.cancelled").await;
    }
    assert_eq!(code(rooms.cancel_run(&place.ann, place.room.id(), "r_unknown")), "not_found");
}

#[tokio::test]
async fn a_call_id_acts_once_and_returns_the_first_run() {
    let mut place = Workplace::of([echo("echo")]);
    let again = NewRun::new(json!(1)).call_id("once");
    let run = place.start(&again);
    place.until_end_of(&run).await;
    assert_eq!(place.start(&again), run);
    assert_eq!(place.rest().await, Vec::<Value>::new());
    let other = user_session("b", "bob");
    assert_ne!(place.engine.rooms().run(&other, place.room.id(), &again).unwrap(), run.as_str());
    place.pass(600_000).await;
    assert_ne!(place.start(&again), run);
}

#[tokio::test]
async fn who_may_not_run_is_refused_with_the_code_of_the_contract() {
    let schema = json!({"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]});
    let place =
        Workplace::with([echo("echo").input_schema(schema)], |room| room, |config| config.runs.value_bytes = 64);
    let rooms = place.engine.rooms();
    let observed =
        rooms.create(&place.ann, &grove_engine::NewRoom::new("t").agent("echo").access(grove_engine::Access::Observe));
    let (bob, eve) = (user_session("b", "bob"), in_project("e", "eve", "other"));
    let good = || NewRun::new(json!({"x": 1}));
    assert_eq!(code(rooms.run(&bob, observed.unwrap().room.id(), &good())), "unauthorized");
    assert_eq!(code(rooms.run(&eve, place.room.id(), &good())), "not_found");
    let escalates = grove_engine::Delivery::default().on_timeout(grove_engine::OnTimeout::Escalate);
    for (new, expected) in [
        (NewRun::new(json!({"x": "a"})), "invalid_params"),
        (NewRun::new(json!({"x": 1, "y": "a".repeat(64)})), "invalid_params"),
        (good().call_id(""), "invalid_params"),
        (good().delivery(grove_engine::Delivery::within_ms(99)), "invalid_params"),
        (good().delivery(escalates.clone()), "invalid_params"),
        (good().delivery(escalates.fallback("nobody")), "unknown_agent"),
    ] {
        assert_eq!(code(rooms.run(&place.ann, place.room.id(), &new)), expected, "{new:?}");
    }
    let without = rooms.create(&place.ann, &grove_engine::NewRoom::new("t")).unwrap().room;
    assert_eq!(code(rooms.run(&place.ann, without.id(), &good())), "unknown_agent");
    place.engine.unregister_agent("echo");
    assert_eq!(code(rooms.run(&place.ann, place.room.id(), &good())), "unknown_agent");
}

#[derive(serde::Deserialize, schemars::JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Sum {
    a: i64,
}

#[tokio::test]
async fn what_does_not_fit_a_schema_is_named_as_who_sent_it_knows_it() {
    let add = Tool::new("add", |_: RunContext, _: Value| async { Ok(json!(null)) }).input::<Sum>();
    let agent =
        Agent::new(
            "sums",
            |run: RunContext, _: Value| async move { Ok(run.tool("add", json!({"a": "1"})).await.result) },
        );
    let mut place = Workplace::of([agent.input::<Sum>().tools([add])]);
    for (input, expected) in [
        (json!({"a": "1"}), "input.a must be an integer"),
        (json!({}), "input.a is required"),
        (json!("1"), "input must be an object"),
    ] {
        let refused = place.engine.rooms().run(&place.ann, place.room.id(), &NewRun::new(input)).unwrap_err();
        assert_eq!((refused.code(), refused.message()), ("invalid_params", expected));
    }
    let run = place.run(json!({"a": 1}));
    let events = place.until_end_of(&run).await;
    let refused = json!({"code": "invalid_params", "message": "arguments.a must be an integer"});
    assert_eq!(events.last().unwrap()["body"]["result"], refused);
}

#[tokio::test]
async fn a_result_that_cannot_be_shown_fails_the_run() {
    let agent = Agent::new("long", |_: RunContext, _: Value| async { Ok(json!("x".repeat(100))) });
    let mut place = Workplace::with([agent], |room| room, |config| config.runs.value_bytes = 64);
    place.run(json!(null));
    place.expect("run.started").await;
    assert_eq!(place.expect("run.failed").await["error"]["code"], "too_large");
}

#[tokio::test]
async fn inputs_wait_for_the_agent_in_order_and_up_to_a_bound() {
    let agent = Agent::new("adder", |run: RunContext, _: Value| async move {
        let mut got = Vec::new();
        while got.len() < 3 {
            got.extend(run.next_input().await);
        }
        Ok(json!(got))
    });
    let mut place = Workplace::with([agent], |room| room, |config| config.runs.inputs_per_run = 2);
    let run = place.run(json!(null));
    let (rooms, room) = (place.engine.rooms(), place.room.clone());
    let send = |data: Value| rooms.send_input(&user_session("b", "bob"), room.id(), run.as_str(), data);
    assert_eq!([1, 2, 3].map(|data| code(send(json!(data)))), ["", "", "busy"]);
    place.engine.settle().await;
    tokio::task::yield_now().await;
    send(json!(4)).unwrap();
    place.until_end_of(&run).await;
    let view = place.engine.rooms().run_of(&place.ann, place.room.id(), &run).unwrap();
    assert_eq!(view.result, Some(json!([1, 2, 4])));
    assert_eq!(code(send(json!(5))), "conflict");
}

#[tokio::test]
async fn a_room_that_ends_cancels_its_runs_first() {
    let mut place = Workplace::with([patient("patient")], |room| room.queue(grove_engine::Queue::Parallel), |_| {});
    place.engine.register_agent(silent("silent"));
    let first = place.run(json!(null));
    let second = place.run(json!(null));
    let rooms = place.engine.rooms();
    let closing = rooms.close(&place.ann, place.room.id(), None);
    assert_eq!(code(rooms.run(&place.ann, place.room.id(), &NewRun::new(json!(null)))), "conflict");
    assert_eq!(code(rooms.say(&place.ann, place.room.id(), &grove_engine::Message::text("x"))), "conflict");
    assert_eq!(code(rooms.close(&place.ann, place.room.id(), None).await), "conflict");
    assert_eq!(closing.await.unwrap().reason, EndReason::Close);
    let mut kinds = Vec::new();
    while let Some(event) = place.events.next().await {
        kinds.push(event.kind.to_string());
    }
    assert_eq!(kinds[kinds.len() - 3..], ["run.cancelled", "run.cancelled", "room.ended"]);
    assert_eq!([first, second].map(|run| place.status(&run)), ["cancelled"; 2], "runs stay readable for a while");
}

#[tokio::test]
async fn a_close_waits_10_s_for_runs_that_do_not_end_and_cancels_those_that_wait() {
    let mut place = Workplace::of([silent("silent")]);
    place.run(json!(null));
    place.run(json!(null));
    place.expect("run.started").await;
    place.expect("run.queued").await;
    let mut closing = Box::pin(place.engine.rooms().close(&place.ann, place.room.id(), None));
    assert!(closing.as_mut().now_or_never().is_none());
    place.expect("run.cancelled").await;
    place.pass(9_999).await;
    assert!(closing.as_mut().now_or_never().is_none() && place.room.state() == RoomState::Running);
    place.clock.advance(1);
    assert_eq!(closing.await.unwrap().duration_ms, 10_000);
    place.expect("run.cancelled").await;
    assert_eq!(place.events.next().await.map(|event| event.kind.to_string()), Some("room.ended".to_owned()));
}

#[tokio::test]
async fn the_first_run_of_a_one_shot_room_ends_it() {
    for (agent, reason) in [
        (echo("a"), EndReason::Completed),
        (Agent::new("a", |_: RunContext, _: Value| async { Err(RunError::new("x", "y")) }), EndReason::Failed),
    ] {
        let mut place = Workplace::with([agent], |room| room.one_shot(true), |_| {});
        let run = place.run(json!(null));
        place.until_end_of(&run).await;
        let last = place.events.next().await.unwrap();
        assert_eq!((last.kind.as_str(), &last.data["body"]["reason"]), ("room.ended", &json!(reason.as_str())));
        assert_eq!(place.room.end_reason(), Some(reason));
    }
}

#[tokio::test]
async fn observers_are_told_of_each_part_of_a_run_in_order() {
    let agent = Agent::new("a", |run: RunContext, input: Value| async move {
        run.iteration()?;
        run.tool("t", json!({})).await;
        if input == 1 { Ok(json!(1)) } else { Err(RunError::new("bad", "")) }
    });
    let mut place = Workplace::of([agent.tools([Tool::new("t", |_, _| async { Ok(json!(1)) })])]);
    let log = EventLog::of(&place.engine);
    for (input, told) in [(1, "response"), (2, "error")] {
        log.clear();
        let run = place.run(json!(input));
        place.until_end_of(&run).await;
        let names: Vec<_> = log.all().iter().filter_map(observed).collect();
        let expected = ["run.start", "iteration.start", "tool.call", "tool.complete", told, "run.complete"];
        assert_eq!(names, expected);
    }
}

fn observed(event: &Event) -> Option<&'static str> {
    Some(match event {
        Event::RunStarted { .. } => "run.start",
        Event::RunIteration { .. } => "iteration.start",
        Event::RunToolCalled { .. } => "tool.call",
        Event::RunToolReturned { .. } => "tool.complete",
        Event::RunResponded { error: None, .. } => "response",
        Event::RunResponded { error: Some(_), .. } => "error",
        Event::RunEnded { .. } => "run.complete",
        _ => return None,
    })
}

#[tokio::test]
async fn history_is_what_was_said_between_the_room_and_its_agents() {
    let agent = Agent::new("a", |run: RunContext, input: Value| async move {
        let texts: Vec<_> = run.history().iter().map(|entry| entry.text.to_string()).collect();
        Ok(json!([input, texts]))
    });
    let mut place = Workplace::of([agent]);
    let run = place.run(json!("one"));
    place.until_end_of(&run).await;
    place.engine.rooms().say(&place.ann, place.room.id(), &grove_engine::Message::text("aside")).unwrap();
    let run = place.run(json!({"two": 2}));
    let events = place.until_end_of(&run).await;
    let seen = &events.last().unwrap()["body"]["result"][1];
    assert_eq!(seen, &json!(["one", r#"["one",["one"]]"#, r#"{"two":2}"#]));
    place.engine.rooms().clear_history(&place.ann, place.room.id()).unwrap();
    assert!(place.engine.rooms().history(&place.ann, place.room.id()).unwrap().is_empty());
    assert_eq!(place.status(&run), "done");
}

#[tokio::test]
async fn an_engine_that_shuts_down_waits_for_runs_and_ends_those_that_take_too_long() {
    let mut place = Workplace::of([silent("silent")]);
    let run = place.run(json!(null));
    place.expect("run.started").await;
    let (clock, engine) = (Arc::clone(&place.clock), place.engine.clone());
    let shutting_down = engine.shutdown(std::time::Duration::from_secs(5));
    let seen = async {
        assert_eq!(place.status(&run), "running");
        clock.advance(5_000);
        assert_eq!(place.expect("run.failed").await["error"]["code"], "interrupted");
        drop(place);
        clock.advance(10_000);
    };
    tokio::join!(shutting_down, seen);
}
