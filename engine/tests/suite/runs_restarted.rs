//! Runs, and what was said in them, after the process was killed (rooms 8, 10, S3.2).

use std::sync::Arc;
use std::time::Duration;

use grove_engine::testing::ManualClock;
use grove_engine::{
    Agent, Config, Delivery, EndReason, Engine, NewRoom, NewRun, OnEnd, OnTimeout, RunContext, RunStatus, RunView,
    Session, Text,
};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::fixtures::user_session;
use crate::run_fixtures::{ask, code, echo, is_terminal, kinds, silent};
use crate::storage_fixtures::{Failing, start};

/// A process that can be killed, and started again with what it has kept.
struct Process {
    store: Arc<Failing>,
    engine: Engine,
    clock: Arc<ManualClock>,
    ann: Session,
}

impl Process {
    fn new() -> Self {
        let store = Failing::after(i64::MAX);
        let (engine, clock) = start(&store, |_| {});
        Self { store, engine, clock, ann: user_session("ann", "ann") }
    }

    /// Creates the room `board`.
    fn room(&self, change: impl FnOnce(NewRoom) -> NewRoom) {
        let new = NewRoom::new("Board").id("board").replayable(true).agent("a");
        self.engine.rooms().create(&self.ann, &change(new)).unwrap();
    }

    /// Everything that has happened is durable, and then the process is killed and started again.
    async fn killed(self) -> Self {
        self.killed_and(|_| {}).await
    }

    async fn killed_and(self, change: impl FnOnce(&mut Config)) -> Self {
        self.rest().await;
        self.engine.rooms().durable("board").await.unwrap();
        let Self { store, engine, clock, ann } = self;
        store.allow(0);
        drop((engine, clock));
        store.allow(i64::MAX);
        let (engine, clock) = start(&store, change);
        Self { store, engine, clock, ann }
    }

    fn start(&self, new: &NewRun) -> Text {
        self.engine.rooms().run(&self.ann, "board", new).unwrap()
    }

    fn view(&self, run: &str) -> RunView {
        self.engine.rooms().run_of(&self.ann, "board", run).unwrap()
    }

    fn status(&self, run: &str) -> RunStatus {
        self.view(run).status
    }

    /// Waits until a run is this far.
    async fn reaches(&self, run: &str, status: RunStatus) {
        for _ in 0..1_000_000 {
            if self.status(run) == status {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("the run is {}", self.status(run));
    }

    /// Waits until all runs have ended whose agents return.
    async fn rest(&self) {
        self.engine.settle().await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    /// The events about runs, from the first on.
    async fn log(&self) -> Vec<Value> {
        self.rest().await;
        self.engine.rooms().durable("board").await.unwrap();
        let replay = self.engine.rooms().replay(&self.ann, "board", 0, Some(1_000)).await.unwrap();
        let of_run = |event: &Value| event["kind"].as_str().is_some_and(|kind| kind.starts_with("run."));
        replay.events.into_iter().filter(of_run).collect()
    }

    async fn pass(&self, ms: u64) {
        self.clock.advance(ms);
        self.engine.settle().await;
    }

    fn history(&self) -> Vec<String> {
        let history = self.engine.rooms().history(&self.ann, "board").unwrap();
        history.iter().map(|entry| format!("{:?} {}", entry.role, entry.text)).collect()
    }
}

fn delivered(delivery: Delivery) -> NewRun {
    NewRun::new(json!("work")).delivery(delivery)
}

/// An agent that answers at its second attempt.
fn answers_later(name: &'static str) -> Agent {
    Agent::new(name, |run: RunContext, _: Value| async move {
        if run.attempt() < 2 { std::future::pending().await } else { Ok(json!({"attempt": run.attempt()})) }
    })
}

#[tokio::test]
async fn a_run_in_progress_is_redelivered_when_its_agent_is_there_again() {
    let process = Process::new();
    process.engine.register_agent(answers_later("a"));
    process.room(|new| new);
    let run = process.start(&delivered(Delivery::within_ms(60_000)).call_id("c"));
    let process = process.killed().await;
    assert_eq!((process.status(&run), process.view(&run).attempt), (RunStatus::Queued, 2));
    assert_eq!(kinds(&process.log().await), ["run.started"]);
    process.engine.register_agent(echo("another"));
    assert_eq!(process.status(&run), RunStatus::Queued);
    process.clock.advance(1_000);
    process.engine.register_agent(answers_later("a"));
    process.engine.settle().await;
    let log = process.log().await;
    assert_eq!(kinds(&log), ["run.started", "run.redelivered", "run.done"]);
    assert_eq!(log[1]["body"], json!({"run": run.as_str(), "by": "ann", "attempt": 2}));
    assert_eq!((&log[2]["body"]["attempts"], &log[2]["body"]["duration_ms"]), (&json!(2), &json!(1_000)));
    assert_eq!(log[2]["call_id"], "c");
    assert_eq!(process.history(), ["User work", r#"Agent {"attempt":2}"#], "the work was asked for once");
}

#[tokio::test]
async fn a_run_without_a_delivery_has_failed_once_and_one_that_waited_begins() {
    let process = Process::new();
    process.engine.register_agent(silent("a"));
    process.room(|new| new);
    let [run, waits] = [1, 2].map(|input| process.start(&NewRun::new(json!(input))));
    let process = process.killed().await;
    assert_eq!((process.status(&run), process.status(&waits)), (RunStatus::Failed, RunStatus::Queued));
    let process = process.killed().await;
    process.engine.register_agent(echo("a"));
    process.reaches(&waits, RunStatus::Done).await;
    let log = process.log().await;
    assert_eq!(kinds(&log), ["run.started", "run.queued", "run.failed", "run.started", "run.done"]);
    assert_eq!(
        (&log[2]["body"]["run"], &log[2]["body"]["error"]["code"]),
        (&json!(run.as_str()), &json!("interrupted"))
    );
    assert_eq!((&log[4]["body"]["run"], &log[4]["body"]["result"]), (&json!(waits.as_str()), &json!({"echo": 2})));
}

#[tokio::test]
async fn what_follows_for_an_interrupted_run_is_what_its_delivery_says() {
    let to_b = |on_timeout| Delivery::default().on_timeout(on_timeout).fallback("b");
    // It waits until its agent is registered.
    let waited = ["run.queued", "run.started", "run.done"];
    for (delivery, expected) in [
        (Delivery::default().max_attempts(1), vec!["run.failed"]),
        (to_b(OnTimeout::Fail), vec!["run.failed"]),
        (to_b(OnTimeout::Rerun), [&["run.failed"], &waited[..]].concat()),
        (to_b(OnTimeout::Escalate), [&["run.escalated", "run.timed_out"], &waited[..]].concat()),
        (to_b(OnTimeout::Replay).max_attempts(1), [&["run.escalated", "run.timed_out"], &waited[..]].concat()),
    ] {
        let process = Process::new();
        [silent("a"), echo("b")].into_iter().for_each(|agent| process.engine.register_agent(agent));
        process.room(|new| new);
        process.start(&delivered(delivery.clone()));
        let process = process.killed().await;
        [echo("a"), echo("b")].into_iter().for_each(|agent| process.engine.register_agent(agent));
        // A run that waited begins some time after it is durable that it does.
        let mut log = process.log().await;
        for _ in 0..1_000 {
            if log.len() > expected.len() {
                break;
            }
            log = process.log().await;
        }
        assert_eq!(kinds(&log)[1..], expected, "{delivery:?}");
        let ends = log.iter().filter(|event| is_terminal(event)).count();
        let runs = process.engine.rooms().get(&process.ann, "board").unwrap().runs().len();
        assert_eq!(ends, runs, "each has one end: {delivery:?}");
    }
}

#[tokio::test]
async fn a_process_that_is_killed_again_and_again_uses_up_the_attempts() {
    let mut process = Process::new();
    process.engine.register_agent(silent("a"));
    process.room(|new| new);
    let run = process.start(&delivered(Delivery::default()));
    for attempt in [2, 3] {
        // That nobody was there is no attempt.
        process = process.killed().await.killed().await;
        process.engine.register_agent(silent("a"));
        assert_eq!((process.status(&run), process.view(&run).attempt), (RunStatus::Running, attempt));
    }
    let process = process.killed().await;
    let log = process.log().await;
    assert_eq!(kinds(&log), ["run.started", "run.redelivered", "run.redelivered", "run.failed"]);
    assert_eq!(log[3]["body"]["attempts"], 3);
}

#[tokio::test]
async fn an_agent_that_does_not_come_back_is_waited_for_only_for_a_while() {
    let escalated = ["run.escalated", "run.timed_out", "run.started"];
    let window = |ms| Delivery::within_ms(ms);
    // Attempts are those after the first, which was in progress: each is a window.
    for (delivery, attempts, expected) in [
        (window(40_000), 2, &["run.timed_out"][..]),
        (window(700), 2, &["run.timed_out"]),
        (window(700).fallback("b"), 2, &escalated),
        (window(700).max_attempts(2), 1, &["run.timed_out"]),
        (Delivery { window_ms: None, ..window(700) }.fallback("b"), 2, &escalated),
    ] {
        let process = Process::new();
        [silent("a"), silent("b")].into_iter().for_each(|agent| process.engine.register_agent(agent));
        process.room(|new| new);
        let run = process.start(&delivered(delivery.clone()));
        let process = process.killed_and(|config| config.runs.absent_agent_timeout = Duration::from_secs(20)).await;
        process.engine.register_agent(silent("b"));
        for _ in 0..attempts {
            assert_eq!(process.status(&run), RunStatus::Queued, "{delivery:?}");
            process.pass(delivery.window_ms.unwrap_or(20_000) - 1).await;
            // That another agent is registered meanwhile changes nothing.
            process.engine.register_agent(silent("c"));
            assert_eq!(process.status(&run), RunStatus::Queued, "{delivery:?}");
            process.pass(1).await;
        }
        let log = process.log().await;
        assert_eq!(kinds(&log)[1..], *expected, "{delivery:?}");
        let end = log.iter().find(|event| is_terminal(event)).unwrap();
        assert_eq!(end["body"]["attempts"], attempts + 1, "{delivery:?}");
    }
}

#[tokio::test]
async fn a_run_whose_agent_comes_back_within_its_window_goes_on_from_there() {
    let process = Process::new();
    process.engine.register_agent(silent("a"));
    process.room(|new| new);
    let run = process.start(&delivered(Delivery::within_ms(700)));
    let process = process.killed().await;
    process.pass(1_300).await;
    process.engine.register_agent(silent("a"));
    assert_eq!((process.status(&run), process.view(&run).attempt), (RunStatus::Running, 3));
    process.pass(699).await;
    assert_eq!(process.status(&run), RunStatus::Running, "its window began when it was dispatched");
    process.pass(1).await;
    let log = process.log().await;
    assert_eq!(kinds(&log), ["run.started", "run.redelivered", "run.timed_out"]);
    assert_eq!(log[1]["body"]["attempt"], 3);
}

#[tokio::test]
async fn a_run_that_waited_and_whose_agent_does_not_come_back_is_handled_as_its_delivery_says() {
    for (second, passes, expected) in [
        (NewRun::new(json!(2)), 30_000, ("run.failed", json!("unknown_agent"))),
        (delivered(Delivery::within_ms(700).on_timeout(OnTimeout::Fail)), 700, ("run.timed_out", json!("timed_out"))),
    ] {
        let process = Process::new();
        process.engine.register_agent(silent("a"));
        process.room(|new| new);
        process.start(&NewRun::new(json!(1)));
        process.start(&second);
        let process = process.killed().await;
        process.pass(passes - 1).await;
        assert_eq!(kinds(&process.log().await), ["run.started", "run.queued", "run.failed"]);
        process.pass(1).await;
        let log = process.log().await;
        assert_eq!((log[3]["kind"].as_str().unwrap(), log[3]["body"]["error"]["code"].clone()), expected);
    }
}

#[tokio::test]
async fn a_rerun_that_waits_for_its_agent_or_cannot_begin_is_known_before_its_end() {
    let process = Process::new();
    process.engine.register_agent(silent("a"));
    process.room(|new| new);
    let run = process.start(&delivered(Delivery::within_ms(700).on_timeout(OnTimeout::Rerun)));
    let process = process.killed().await;
    let log = process.log().await;
    assert_eq!(kinds(&log), ["run.started", "run.failed", "run.queued"]);
    assert_eq!(log[2]["body"]["rerun_of"], run.as_str());
    // It is as durable as the end of the one before, and nobody is told again.
    let process = process.killed().await;
    process.pass(700).await;
    let log = process.log().await;
    let rest = ["run.timed_out", "run.queued"];
    assert_eq!(kinds(&log), [&["run.started", "run.failed", "run.queued"][..], &rest].concat());
    process.pass(700).await;
    let log = process.log().await;
    assert_eq!(kinds(&log).last(), Some(&"run.timed_out"), "it was the last attempt");
    let known = |run: &Value| {
        let mut of = log.iter().filter(|event| event["body"]["run"] == *run);
        of.next().is_some_and(|first| ["run.queued", "run.started"].contains(&first["kind"].as_str().unwrap()))
    };
    assert!(log.iter().filter(|event| is_terminal(event)).all(|end| known(&end["body"]["run"])));
}

#[tokio::test]
async fn a_run_that_was_about_to_be_cancelled_is_and_a_room_for_one_run_ends() {
    let process = Process::new();
    process.engine.register_agent(silent("a"));
    process.room(|new| new);
    let run = process.start(&delivered(Delivery::default()));
    process.engine.rooms().cancel_run(&process.ann, "board", &*run).unwrap();
    let once = NewRoom::new("t").id("once").replayable(true).one_shot(true).agent("a");
    process.engine.rooms().create(&process.ann, &once).unwrap();
    process.engine.rooms().run(&process.ann, "once", &NewRun::new(json!(1))).unwrap();
    let process = process.killed().await;
    assert_eq!(process.status(&run), RunStatus::Cancelled);
    let room = process.engine.rooms().get(&process.ann, "once").unwrap();
    assert_eq!(room.end_reason(), Some(EndReason::Failed));
}

#[tokio::test]
async fn a_room_whose_end_was_accepted_ends_with_its_runs_when_the_process_starts_again() {
    for archives in [false, true] {
        let process = Process::new();
        process.engine.register_agent(silent("a"));
        let on_end = if archives { OnEnd::Archive } else { OnEnd::Drop };
        process.room(|new| new.on_end(on_end));
        let [run, waits] = [1, 2].map(|n| process.start(&delivered(Delivery::default()).call_id(n.to_string())));
        drop(process.engine.rooms().close(&process.ann, "board", Some("enough")));
        let refused = process.engine.rooms().run(&process.ann, "board", &NewRun::new(json!(1)));
        assert_eq!(code(refused), "conflict");
        let mut process = process.killed().await;
        let room = process.engine.rooms().get(&process.ann, "board").unwrap();
        assert_eq!(room.end_reason(), Some(EndReason::Close));
        assert_eq!([&run, &waits].map(|run| process.status(run)), [RunStatus::Cancelled; 2]);
        if let Some(id) = room.cold_context_id() {
            let archived = crate::rooms_archive::lines(&process.engine, &process.ann, &id).await;
            let [.., before, last] = archived.as_slice() else { panic!("{archived:?}") };
            assert_eq!((&before["kind"], &last["kind"]), (&json!("run.cancelled"), &json!("room.ended")));
            assert_eq!((&last["body"]["note"], &last["actor"]["user"]), (&json!("enough"), &json!("ann")));
        }
        assert_eq!(room.cold_context_id().is_some(), archives);
        process = process.killed().await;
        let room = process.engine.rooms().get(&process.ann, "board").unwrap();
        assert_eq!(room.end_reason(), Some(EndReason::Close), "it is shown for a while");
        if let Some(id) = room.cold_context_id() {
            let archived = crate::rooms_archive::lines(&process.engine, &process.ann, &id).await;
            let ends = archived.iter().filter(|line| line["kind"] == "room.ended").count();
            assert_eq!(ends, 1, "it has ended once");
        }
    }
}

#[tokio::test]
async fn a_call_that_is_repeated_after_a_restart_starts_nothing_again() {
    let process = Process::new();
    process.engine.register_agent(echo("a"));
    process.room(|new| new);
    let call = NewRun::new(json!(1)).call_id("c");
    let run = process.start(&call);
    let process = process.killed().await;
    process.engine.register_agent(echo("a"));
    assert_eq!(process.start(&call), run);
    let again = NewRun::new(json!(1)).call_id("d");
    assert_ne!(process.start(&again), run);
}

#[tokio::test]
async fn an_engine_that_shuts_down_leaves_the_runs_that_go_on_later() {
    let process = Process::new();
    process.engine.register_agent(answers_later("a"));
    process.room(|new| new.queue(grove_engine::Queue::Parallel));
    let lasting = process.start(&delivered(Delivery::default()));
    let failing = process.start(&NewRun::new(json!(1)));
    process.engine.shutdown(Duration::ZERO).await;
    let process = process.killed().await;
    assert_eq!((process.status(&lasting), process.status(&failing)), (RunStatus::Queued, RunStatus::Failed));
    process.engine.register_agent(answers_later("a"));
    process.reaches(&lasting, RunStatus::Done).await;
    assert_eq!(process.log().await.iter().filter(|event| is_terminal(event)).count(), 2);
}

#[tokio::test]
async fn a_run_that_waits_does_not_begin_in_the_place_of_one_that_fails_at_a_shutdown() {
    for _ in 0..8 {
        let process = Process::new();
        process.engine.register_agent(answers_later("a"));
        process.room(|new| new);
        let [failing, waits] = [1, 2].map(|n| process.start(&NewRun::new(json!(n))));
        process.engine.shutdown(Duration::ZERO).await;
        let process = process.killed().await;
        assert_eq!((process.status(&failing), process.status(&waits)), (RunStatus::Failed, RunStatus::Queued));
    }
}

#[tokio::test]
async fn runs_that_have_ended_and_the_history_are_there_again() {
    let mut process = Process::new();
    let agent = || {
        Agent::new("a", |run: RunContext, input: Value| async move {
            run.chunk(format!("on {input}"));
            run.progress(0.5, "half");
            Ok(json!({"float": 0.1, "of": input}))
        })
    };
    process.engine.register_agent(agent());
    process.room(|new| new);
    let run = process.start(&NewRun::new(json!({"n": 1})));
    process.reaches(&run, RunStatus::Done).await;
    process.clock.advance(5_000);
    let (view, history) = (process.view(&run), process.history());
    let output = process.engine.rooms().output(&process.ann, "board", &run, 0, 100).unwrap();
    let properties = process.engine.rooms().get(&process.ann, "board").unwrap();
    for number in 0..3 {
        process = process.killed().await;
        assert_eq!((process.view(&run), process.history()), (view.clone(), history.clone()), "{number}");
        assert_eq!(process.engine.rooms().output(&process.ann, "board", &run, 0, 100).unwrap(), output);
        let room = process.engine.rooms().get(&process.ann, "board").unwrap();
        assert_eq!(room.last_outcome(), properties.last_outcome());
    }
    assert_eq!(output.text, r#"on {"n":1}"#);
    process.engine.rooms().clear_history(&process.ann, "board").unwrap();
    let process = process.killed().await;
    assert!(process.history().is_empty());
}

#[tokio::test]
async fn of_ended_runs_and_the_history_as_much_is_kept_as_may_be_and_each_change_is_small() {
    let process = Process::new();
    process.engine.register_agent(echo("a"));
    process.room(|new| new.queue(grove_engine::Queue::Parallel));
    let runs: Vec<_> = (0..150).map(|number| process.start(&NewRun::new(json!(number)))).collect();
    for run in &runs[140..] {
        process.reaches(run, RunStatus::Done).await;
    }
    process.engine.rooms().durable("board").await.unwrap();
    let count = |kind| process.store.parts_of("board", kind);
    assert_eq!(count(grove_engine::PartKind::EndedRun), 32);
    assert_eq!(count(grove_engine::PartKind::History), 200);
    assert_eq!(count(grove_engine::PartKind::Run), 0);
    let (before, history) = (process.store.written(), process.history());
    let run = process.start(&NewRun::new(json!("one more")));
    process.reaches(&run, RunStatus::Done).await;
    process.engine.rooms().durable("board").await.unwrap();
    let written = process.store.written() - before;
    assert!(written < 3_000, "{written} bytes");
    let process = process.killed().await;
    assert_eq!(process.history()[..198], history[2..]);
    let shown: Vec<_> = process.engine.rooms().get(&process.ann, "board").unwrap().runs();
    assert_eq!(shown.len(), 32);
    assert!(shown.iter().take(31).map(|run| &run.id).eq(&runs[119..]));
}

#[tokio::test]
async fn what_was_sent_to_a_run_that_is_dispatched_again_is_not_sent_again() {
    let process = Process::new();
    process.engine.register_agent(ask("a"));
    process.room(|new| new);
    let run = process.start(&delivered(Delivery::default()));
    process.engine.settle().await;
    let process = process.killed().await;
    process.engine.register_agent(ask("a"));
    process.engine.rooms().send_input(&process.ann, "board", &*run, json!("hello")).unwrap();
    process.reaches(&run, RunStatus::Done).await;
    assert_eq!(process.view(&run).result, Some(json!({"got": "hello"})));
}

/// What an agent does twice is done twice: so without a delivery it is not dispatched before it is durable that it was.
#[tokio::test]
async fn a_run_that_waited_begins_when_it_is_durable_that_it_does() {
    let process = Process::new();
    let begun: Arc<Mutex<Vec<i64>>> = Arc::default();
    let held = Arc::clone(&begun);
    let agent = Agent::new("a", move |run: RunContext, input: Value| {
        held.lock().push(input.as_i64().unwrap_or_default());
        async move { Ok(json!(run.next_input().await)) }
    });
    process.engine.register_agent(agent);
    process.room(|new| new);
    let [first, second] = [1, 2].map(|input| process.start(&NewRun::new(json!(input))));
    process.engine.settle().await;
    process.engine.rooms().durable("board").await.unwrap();
    process.store.allow(0);
    process.engine.rooms().send_input(&process.ann, "board", &*first, json!(0)).unwrap();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!((process.status(&second), begun.lock().clone()), (RunStatus::Running, vec![1]));
    process.store.allow(i64::MAX);
    while begun.lock().len() < 2 {
        process.clock.advance(500);
        tokio::task::yield_now().await;
    }
}

/// An agent that takes an input in each attempt, and then waits in the first and returns it in the second.
fn takes_one(name: &'static str) -> Agent {
    Agent::new(name, |run: RunContext, _: Value| async move {
        let input = run.next_input().await;
        if run.attempt() < 2 { std::future::pending().await } else { Ok(json!({"input": input})) }
    })
}

#[tokio::test]
async fn an_input_that_no_attempt_has_taken_is_there_for_the_next_one() {
    let process = Process::new();
    process.engine.register_agent(takes_one("a"));
    process.room(|new| new);
    let run = process.start(&delivered(Delivery::within_ms(60_000)));
    let send = |process: &Process, number: u64| {
        process.engine.rooms().send_input(&process.ann, "board", run.as_str(), json!(number)).unwrap();
    };
    send(&process, 1);
    process.rest().await;
    send(&process, 2);
    send(&process, 3);
    let process = process.killed().await;
    send(&process, 4);
    process.engine.register_agent(takes_one("a"));
    process.reaches(&run, RunStatus::Done).await;
    let view = serde_json::to_value(process.view(&run)).unwrap();
    assert_eq!(view["result"], json!({"input": 2}), "the first was taken: {view}");
}

#[tokio::test]
async fn what_was_put_into_a_room_reaches_its_next_run_also_after_a_restart() {
    let reads = || {
        Agent::new("a", |run: RunContext, key: Value| async move {
            Ok(run.memory().get(key.as_str().unwrap_or_default()).map_or(Value::Null, |entry| entry.value))
        })
    };
    let mut process = Process::new();
    process.engine.register_agent(reads());
    process.room(|new| new.memory("goal", json!("launch")));
    let memory = process.engine.rooms().memory(&process.ann, "board").unwrap();
    memory.put("team", &json!(["ann", "bob"])).unwrap();
    for _ in 0..2 {
        for (key, value) in [("goal", json!("launch")), ("team", json!(["ann", "bob"])), ("none", json!(null))] {
            let run = process.start(&NewRun::new(json!(key)));
            process.reaches(&run, RunStatus::Done).await;
            assert_eq!(process.view(&run).result, Some(value));
        }
        process = process.killed().await;
        process.engine.register_agent(reads());
    }
}
