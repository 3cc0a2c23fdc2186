//! Which runs wait for which others: in a room, and at an agent across rooms (rooms 6).

use std::sync::Arc;

use grove_engine::{Access, Agent, Engine, Limit, NewRoom, NewRun, Queue, RunContext, Session};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::fixtures::{EventLog, in_project, room_engine, user_session};
use crate::run_fixtures::{Workplace, ask, code, echo, is_terminal, kinds};

impl Workplace {
    fn answer(&self, run: &str) {
        self.engine.rooms().send_input(&self.ann, self.room.id(), run, json!(run)).unwrap();
    }
}

#[tokio::test]
async fn a_serial_room_runs_one_at_a_time_and_lets_16_wait() {
    let mut place = Workplace::of([ask("ask")]);
    let log = EventLog::of(&place.engine);
    let runs: Vec<_> = (0..17).map(|number| place.run(json!(number))).collect();
    let one_more = place.engine.rooms().run(&place.ann, place.room.id(), &NewRun::new(json!(17)));
    assert_eq!((code(one_more), log.limit_count(Limit::WaitingRunsPerRoom)), ("busy".to_owned(), 1));
    assert_eq!(place.expect("run.started").await["run"], runs[0]);
    for run in &runs[1..] {
        assert_eq!(place.expect("run.queued").await["run"], *run);
    }
    assert_eq!((place.room.running(), place.engine.rooms().stats().runs), (1, 17));
    for (at, run) in runs.iter().enumerate() {
        place.answer(run);
        assert_eq!(place.expect("run.done").await["run"], *run);
        if let Some(next) = runs.get(at + 1) {
            assert_eq!(place.expect("run.started").await["run"], *next);
        }
    }
    assert_eq!((place.rest().await, place.engine.rooms().stats().runs), (vec![], 0));
}

#[tokio::test]
async fn a_run_that_waits_can_be_cancelled_at_once() {
    let mut place = Workplace::of([ask("ask")]);
    let [first, second, third] = [1, 2, 3].map(|number| place.run(json!(number)));
    for kind in ["run.started", "run.queued", "run.queued"] {
        place.expect(kind).await;
    }
    place.engine.rooms().cancel_run(&place.ann, place.room.id(), second.as_str()).unwrap();
    let body = place.expect("run.cancelled").await;
    assert_eq!((&body["run"], &body["duration_ms"]), (&json!(second), &json!(0)));
    place.answer(&first);
    assert_eq!(place.expect("run.done").await["run"], first);
    assert_eq!(place.expect("run.started").await["run"], third);
}

#[tokio::test]
async fn a_room_that_rejects_refuses_a_second_run_with_conflict() {
    let mut place = Workplace::with([ask("ask")], |room| room.queue(Queue::Reject), |_| {});
    let run = place.run(json!(null));
    place.expect("run.started").await;
    assert_eq!(code(place.engine.rooms().run(&place.ann, place.room.id(), &NewRun::new(json!(null)))), "conflict");
    place.answer(&run);
    place.expect("run.done").await;
    place.run(json!(null));
    place.expect("run.started").await;
}

#[tokio::test]
async fn the_runs_of_a_parallel_room_overlap_and_their_answers_do_not_mix() {
    let mut place = Workplace::with([ask("ask")], |room| room.queue(Queue::Parallel), |_| {});
    let runs = [1, 2, 3].map(|number| place.run(json!(number)));
    for run in &runs {
        assert_eq!(place.expect("run.started").await["run"], *run);
    }
    assert_eq!(place.room.running(), 3);
    for run in runs.iter().rev() {
        place.answer(run);
        assert_eq!(
            place.expect("run.done").await,
            json!({
                "run": run, "by": "ann", "result": {"got": run}, "duration_ms": 0, "attempts": 1, "output_chars": 0,
            })
        );
    }
}

/// Rooms of one user, each with one run of an agent.
fn rooms_with_runs(engine: &Engine, owner: &Session, agent: &str, rooms: usize) -> Vec<(String, String)> {
    let start = |number: usize| {
        let room = engine.rooms().create(owner, &NewRoom::new(number.to_string()).agent(agent)).unwrap().room;
        let run = engine.rooms().run(owner, room.id(), &NewRun::new(json!(number))).unwrap();
        (room.id().to_string(), run.to_string())
    };
    (0..rooms).map(start).collect()
}

#[tokio::test]
async fn an_agent_without_concurrency_runs_in_order_of_arrival_across_all_rooms() {
    let (engine, _clock) = room_engine();
    let log = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&log);
    let agent = Agent::new("serial", move |run: RunContext, input: Value| {
        let seen = Arc::clone(&seen);
        async move {
            seen.lock().push((input.clone(), true));
            run.next_input().await;
            seen.lock().push((input, false));
            Ok(json!(null))
        }
    });
    engine.register_agent(agent.concurrency(1));
    let ann = user_session("a", "ann");
    let runs = rooms_with_runs(&engine, &ann, "serial", 5);
    // Of the first room another one, which arrives last.
    let last = engine.rooms().run(&ann, &runs[0].0, &NewRun::new(json!(5))).unwrap().to_string();
    let all: Vec<_> = runs.iter().cloned().chain([(runs[0].0.clone(), last)]).collect();
    for (room, run) in &all {
        engine.rooms().send_input(&ann, room, run.as_str(), json!(null)).unwrap();
    }
    while engine.rooms().stats().runs > 0 {
        tokio::task::yield_now().await;
    }
    let expected: Vec<_> = (0..6).flat_map(|number| [(json!(number), true), (json!(number), false)]).collect();
    assert_eq!(*log.lock(), expected);
}

#[tokio::test]
async fn a_run_that_waits_for_its_agent_is_queued_and_may_be_cancelled() {
    let (engine, _clock) = room_engine();
    engine.register_agent(ask("ask").concurrency(1));
    let ann = user_session("a", "ann");
    let runs = rooms_with_runs(&engine, &ann, "ask", 3);
    let status = |at: usize| engine.rooms().run_of(&ann, &runs[at].0, &runs[at].1).unwrap().status.as_str();
    assert_eq!([0, 1, 2].map(status), ["running", "queued", "queued"]);
    engine.rooms().cancel_run(&ann, &runs[1].0, runs[1].1.as_str()).unwrap();
    engine.rooms().send_input(&ann, &runs[0].0, runs[0].1.as_str(), json!(1)).unwrap();
    while status(2) == "queued" {
        tokio::task::yield_now().await;
    }
    assert_eq!([0, 1, 2].map(status), ["done", "cancelled", "running"]);
    engine.register_agent(ask("ask").concurrency(2));
    let more = rooms_with_runs(&engine, &ann, "ask", 2);
    let status = |at: usize| engine.rooms().run_of(&ann, &more[at].0, &more[at].1).unwrap().status.as_str();
    assert_eq!([0, 1].map(status), ["running", "queued"]);
    engine.register_agent(ask("ask").concurrency(3));
    assert_eq!([0, 1].map(status), ["running", "running"], "more may run at once now");
}

#[tokio::test]
async fn a_hundred_rooms_take_as_long_as_one() {
    let (engine, clock) = room_engine();
    let time = Arc::clone(&clock);
    engine.register_agent(Agent::new("slow", move |_: RunContext, input: Value| {
        let slept = grove_engine::Clock::sleep_until(&*time, 1_000);
        async move {
            slept.await;
            Ok(input)
        }
    }));
    let ann = user_session("a", "ann");
    let runs = rooms_with_runs(&engine, &ann, "slow", 100);
    assert_eq!(engine.rooms().stats().runs, 100);
    // One run's time, once.
    clock.advance(1_000);
    while engine.rooms().stats().runs > 0 {
        tokio::task::yield_now().await;
    }
    for (number, (room, run)) in runs.iter().enumerate() {
        let view = engine.rooms().run_of(&ann, room, run).unwrap();
        assert_eq!(view.result, Some(json!(number)), "answers do not mix");
    }
}

#[tokio::test]
async fn a_later_agent_serves_new_runs_and_those_in_progress_finish_on_the_old_one() {
    let versioned = |version: u64| {
        Agent::new("kernel", move |run: RunContext, _: Value| async move {
            run.next_input().await;
            Ok(json!(version))
        })
    };
    let mut place = Workplace::with([versioned(0)], |room| room.queue(Queue::Parallel), |_| {});
    let mut started = Vec::new();
    for version in 0..20 {
        place.engine.register_agent(versioned(version));
        started.push(place.run(json!(null)));
        place.expect("run.started").await;
    }
    for (version, run) in started.iter().enumerate().rev() {
        place.answer(run);
        assert_eq!(place.expect("run.done").await["result"], version);
    }
}

#[tokio::test]
async fn two_engines_share_no_agents() {
    let (one, _) = room_engine();
    let (two, _) = room_engine();
    one.register_agent(echo("echo"));
    let ann = user_session("a", "ann");
    assert!(one.rooms().create(&ann, &NewRoom::new("t").agent("echo")).is_ok());
    assert_eq!(code(two.rooms().create(&ann, &NewRoom::new("t").agent("echo"))), "unknown_agent");
}

#[tokio::test]
async fn the_agent_of_a_project_stands_in_front_of_that_of_all_and_projects_do_not_mix() {
    let (engine, _clock) = room_engine();
    let named =
        |text: &'static str| Agent::new("kernel", move |_: RunContext, _: Value| async move { Ok(json!(text)) });
    engine.register_agent(named("all").contract("c1"));
    engine.register_agent_for("red", named("red"));
    engine.register_agent_for("red", echo("only-red"));
    let session = |project: &str| in_project(project, "ann", project);
    let contracts = ["red", "blue"].map(|project| {
        let created = engine.rooms().create(&session(project), &NewRoom::new("t").id(project).agent("kernel")).unwrap();
        created.contract.map(|contract| contract.to_string())
    });
    assert_eq!(contracts, [None, Some("c1".to_owned())]);
    let of_blue = |name: &str| code(engine.rooms().create(&session("blue"), &NewRoom::new("t").agent(name)));
    assert_eq!(of_blue("only-red"), "unknown_agent");
    let needs = NewRoom::new("t").agent("kernel").contract("c1");
    assert_eq!(code(engine.rooms().create(&session("red"), &needs)), "contract_violation");
    assert_eq!(code(engine.rooms().create(&session("blue"), &needs)), "");
    for (project, expected) in [("red", "red"), ("blue", "all")] {
        let run = engine.rooms().run(&session(project), project, &NewRun::new(json!(null))).unwrap();
        while engine.rooms().stats().runs > 0 {
            tokio::task::yield_now().await;
        }
        let view = engine.rooms().run_of(&session(project), project, &run).unwrap();
        assert_eq!(view.result, Some(json!(expected)));
    }
    assert!(engine.unregister_agent_for("red", "kernel") && !engine.unregister_agent_for("red", "kernel"));
    let run = engine.rooms().run(&session("red"), "red", &NewRun::new(json!(null))).unwrap();
    while engine.rooms().stats().runs > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(engine.rooms().run_of(&session("red"), "red", &run).unwrap().result, Some(json!("all")));
}

#[tokio::test]
async fn runs_that_wait_for_an_agent_that_is_gone_fail() {
    let mut place = Workplace::with([ask("ask").concurrency(1)], |room| room.queue(Queue::Parallel), |_| {});
    let [first, second] = [1, 2].map(|number| place.run(json!(number)));
    place.expect("run.started").await;
    place.expect("run.queued").await;
    assert!(place.engine.unregister_agent("ask"));
    let body = place.expect("run.failed").await;
    assert_eq!((&body["run"], &body["error"]["code"]), (&json!(second), &json!("unknown_agent")));
    place.answer(&first);
    place.expect("run.done").await;
}

#[tokio::test]
async fn a_room_shows_all_runs_that_have_not_ended_and_the_last_32_that_have() {
    let mut place = Workplace::of([echo("echo")]);
    let mut runs = Vec::new();
    for number in 0..40 {
        let run = place.run(json!(number));
        let events = place.until_end_of(&run).await;
        assert_eq!(kinds(&events), ["run.started", "run.done"]);
        assert!(is_terminal(&events[1]));
        runs.push(run);
    }
    let shown: Vec<_> = place.room.runs().into_iter().map(|run| run.id.to_string()).collect();
    assert_eq!(shown, runs[8..]);
    assert_eq!(code(place.engine.rooms().run_of(&place.ann, place.room.id(), &runs[7])), "not_found");
}

#[tokio::test]
async fn rooms_without_runs_have_none() {
    let (engine, _clock) = room_engine();
    let ann = user_session("a", "ann");
    let room = engine.rooms().create(&ann, &NewRoom::new("t").access(Access::Project)).unwrap().room;
    assert!(room.runs().is_empty() && room.last_outcome().is_none());
    assert_eq!(engine.rooms().stats().runs, 0);
}
