//! The ends of runs against cancellations, inputs, windows, other agents under their names, and the ends of their rooms.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use shuttle::future::block_on;
use shuttle::thread::JoinHandle;

use super::consumer::Consumer;
use super::{App, alice, check, join};
use crate::model::room::handle::Room;
use crate::model::room::new_run::NewRun;
use crate::model::room::policy::{Access, NewRoom, Queue};
use crate::model::room::run::delivery::Delivery;
use crate::model::session::Session;
use crate::runs::agent::Agent;
use crate::runs::run_context::RunContext;

/// How an event ends that is the last one of a run.
const ENDS: [&str; 4] = ["run.done", "run.failed", "run.cancelled", "run.timed_out"];

/// Alice in a room of hers, in which an agent runs that returns what it is sent.
struct Stage {
    app: App,
    room: Room,
    of_alice: Consumer,
}

/// An agent that remembers what it is sent, and returns it.
fn ask(name: &'static str) -> Agent {
    Agent::new(name, |run: RunContext, _: Value| async move {
        run.chunk("?");
        let input = run.next_input().await;
        // It may have been cancelled, and its room may be about to end.
        let _ = run.memory().put("got", &json!(input)).await;
        Ok(json!(input))
    })
}

/// One that returns at once.
fn quick(name: &'static str, reply: u64) -> Agent {
    Agent::new(name, move |_: RunContext, _: Value| async move { Ok(json!(reply)) })
}

impl Stage {
    fn new(agent: Agent, queue: Queue) -> Self {
        let app = App::with_rooms();
        let new = NewRoom::new("t").access(Access::Project).agent(agent.name().clone()).queue(queue);
        app.engine.register_agent(agent);
        let room = app.engine.rooms().create(&alice(), &new).unwrap().room;
        let of_alice = app.consumer(&alice());
        app.engine.rooms().join(&alice(), room.id()).unwrap();
        Self { app, room, of_alice }
    }

    fn act(&self, act: impl FnOnce(&App, &Room) + Send + 'static) -> JoinHandle<()> {
        let room = self.room.clone();
        self.app.spawn(move |app| act(app, &room))
    }

    fn start(&self, new: &NewRun) -> String {
        self.app.engine.rooms().run(&alice(), self.room.id(), new).unwrap().to_string()
    }

    /// Waits until all runs have ended: each did so once, and nothing of it follows. Nobody is left at a gate.
    fn check(&mut self) {
        while self.app.engine.rooms().stats().runs > 0 {
            shuttle::thread::yield_now();
        }
        block_on(self.app.engine.settle());
        self.of_alice.receive_ready();
        let mut ended: BTreeMap<String, bool> = BTreeMap::new();
        for event in self.of_alice.events() {
            let name = event["name"].as_str().unwrap();
            if let Some(run) = event["data"]["body"]["run"].as_str() {
                let has_ended = ended.entry(run.to_owned()).or_insert(false);
                assert!(!*has_ended, "it has ended already: {event}");
                *has_ended = ENDS.contains(&name);
            }
        }
        assert!(ended.values().all(|has_ended| *has_ended), "{:#?}", self.of_alice.events());
        assert_eq!((self.room.running(), self.app.engine.rooms().stats().queued), (0, 0));
    }

    fn kinds(&self) -> Vec<String> {
        self.of_alice.events().iter().filter_map(|event| event["name"].as_str()).map(str::to_owned).collect()
    }

    fn count(&self, wanted: &str) -> usize {
        self.kinds().iter().filter(|kind| *kind == wanted).count()
    }
}

/// Each may come too late.
fn cancel(app: &App, room: &Room, run: &str) {
    let _ = app.engine.rooms().cancel_run(&alice(), room.id(), run);
}

fn send(app: &App, room: &Room, run: &str) {
    let _ = app.engine.rooms().send_input(&alice(), room.id(), run, json!(1));
}

fn begin(app: &App, room: &Room) {
    let _ = app.engine.rooms().run(&alice(), room.id(), &NewRun::new(json!(null)));
}

fn close(app: &App, room: &Room) {
    drop(block_on(app.engine.rooms().close(&alice(), room.id(), None)));
}

#[test]
fn a_result_against_a_cancellation_is_one_end() {
    check(|| {
        let mut stage = Stage::new(ask("ask"), Queue::Serial);
        let run = stage.start(&NewRun::new(json!(null)));
        let (sent, cancelled) = (run.clone(), run.clone());
        join([
            stage.act(move |app, room| send(app, room, &sent)),
            stage.act(move |app, room| cancel(app, room, &cancelled)),
            stage.act(move |app, room| cancel(app, room, &run)),
        ]);
        stage.check();
        assert_eq!(stage.count("run.done") + stage.count("run.cancelled"), 1);
    });
}

#[test]
fn runs_that_begin_while_their_room_ends_end_before_it_or_do_not_begin() {
    check(|| {
        let mut stage = Stage::new(ask("ask"), Queue::Serial);
        let run = stage.start(&NewRun::new(json!(null)));
        join([stage.act(begin), stage.act(move |app, room| send(app, room, &run)), stage.act(close), stage.act(begin)]);
        stage.check();
        let kinds = stage.kinds();
        assert_eq!(kinds.iter().filter(|kind| *kind == "room.ended").count(), 1);
        assert_eq!(kinds.last().map(String::as_str), Some("room.ended"), "{kinds:?}");
        assert_eq!(stage.app.engine.rooms().stats().memory_bytes, 0);
    });
}

#[test]
fn a_window_that_expires_against_a_result_is_another_attempt_or_the_end() {
    check(|| {
        let mut stage = Stage::new(ask("ask"), Queue::Serial);
        let run = stage.start(&NewRun::new(json!(null)).delivery(Delivery::within_ms(100).max_attempts(2)));
        let sent = run.clone();
        join([
            stage.act(move |app, room| send(app, room, &sent)),
            stage.act(|app, _| app.clock.advance(100)),
            stage.act(move |app, room| send(app, room, &run)),
        ]);
        // An attempt that took an input and counted no more has lost it.
        stage.app.clock.advance(100);
        block_on(stage.app.engine.settle());
        stage.app.clock.advance(100);
        stage.check();
        assert_eq!(stage.count("run.done") + stage.count("run.timed_out"), 1);
        assert!(stage.count("run.redelivered") <= 1);
    });
}

#[test]
fn whoever_waits_at_a_gate_gets_through_whatever_is_registered_meanwhile() {
    check(|| {
        let mut stage = Stage::new(quick("a", 1).concurrency(1), Queue::Parallel);
        join([
            stage.act(begin),
            stage.act(begin),
            stage.act(|app, _| app.engine.register_agent(quick("a", 2).concurrency(2))),
            stage.act(|app, _| {
                app.engine.register_agent_for("", quick("a", 3).concurrency(1));
            }),
        ]);
        stage.check();
        assert_eq!(stage.count("run.done"), 2);
        begin(&stage.app, &stage.room);
        stage.check();
        assert_eq!(stage.count("run.done"), 3, "every place is free again");
    });
}

#[test]
fn a_run_whose_agent_goes_has_an_end() {
    check(|| {
        let mut stage = Stage::new(quick("a", 1).concurrency(1), Queue::Serial);
        join([
            stage.act(begin),
            stage.act(begin),
            stage.act(|app, _| {
                app.engine.unregister_agent("a");
                app.engine.register_agent(quick("a", 2));
            }),
        ]);
        stage.check();
        begin(&stage.app, &stage.room);
        stage.check();
    });
}

#[test]
fn the_runs_of_a_serial_room_follow_each_other_while_some_are_cancelled() {
    check(|| {
        let mut stage = Stage::new(quick("a", 1), Queue::Serial);
        let runs = [(); 3].map(|()| stage.start(&NewRun::new(json!(null))));
        let [first, second, _] = runs;
        join([
            stage.act(move |app, room| cancel(app, room, &second)),
            stage.act(move |app, room| cancel(app, room, &first)),
            stage.act(begin),
        ]);
        stage.check();
        assert!(stage.count("run.done") >= 2);
    });
}

#[test]
fn the_same_call_on_two_threads_is_one_run() {
    check(|| {
        let mut stage = Stage::new(quick("a", 1), Queue::Serial);
        let call = |app: &App, room: &Room| {
            app.engine.rooms().run(&alice(), room.id(), &NewRun::new(json!(null)).call_id("c")).unwrap();
        };
        join([stage.act(call), stage.act(call)]);
        stage.check();
        assert_eq!(stage.count("run.done"), 1);
    });
}

#[test]
fn an_engine_that_goes_leaves_no_agent_behind() {
    check(|| {
        let Stage { app, room, of_alice } = Stage::new(ask("ask"), Queue::Parallel);
        let held = room.clone();
        let starting = app.spawn(move |app| (0..2).for_each(|_| begin(app, &held)));
        drop(of_alice);
        join([starting]);
        block_on(app.engine.settle());
        drop((app, room));
        // What is left of them would be a deadlock: nobody sends an input.
    });
}

#[test]
fn a_session_that_ends_leaves_its_run_to_the_room() {
    check(|| {
        let bob = || Session::new("b").with_user("bob");
        let mut stage = Stage::new(ask("ask"), Queue::Parallel);
        stage.app.engine.open_session(&bob()).unwrap();
        join([
            stage.act(move |app, room| {
                let run = app.engine.rooms().run(&bob(), room.id(), &NewRun::new(json!(null)));
                run.iter().for_each(|run| send(app, room, run));
            }),
            stage.act(|app, _| {
                app.engine.close_session("b");
            }),
        ]);
        stage.check();
        assert_eq!(stage.count("run.done"), 1);
    });
}
