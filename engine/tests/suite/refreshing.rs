//! Which trees a refresh updates, when it runs, and what it does not touch.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use grove_engine::testing::TestConsumer;
use grove_engine::{Action, Descriptor, Engine, Event, Invocation, Scope, Session};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::fixtures::{
    EventLog, Gate, SharedNumber, SlowRead, connect_and_subscribe, engine, engine_with, engine_with_clock, evaluations,
    message_types, node_at, user_session,
};

/// Three sessions of alice and one of bob, with organisations. Each is subscribed to a number that is the same for all but
/// evaluated for every session.
struct People {
    engine: Engine,
    number: SharedNumber,
    consumers: Vec<(&'static str, TestConsumer)>,
}

impl People {
    async fn connected() -> Self {
        let engine = engine();
        let number = SharedNumber::default();
        let read = number.clone();
        engine.register("n", move |session: &Session| {
            Descriptor::status().prop("n", read.get()).prop("for", session.id())
        });
        engine.register("other", |session: &Session| Descriptor::status().prop("for", session.id()));
        let mut consumers = Vec::new();
        for (id, user, org) in
            [("a1", "alice", "acme"), ("a2", "alice", "globex"), ("a3", "alice", "acme"), ("b", "bob", "acme")]
        {
            consumers
                .push((id, connect_and_subscribe(&engine, user_session(id, user).with_attribute("org", org)).await.0));
        }
        Self { engine, number, consumers }
    }

    /// Changes the number, refreshes a scope, and returns which sessions got a frame. The others must have caused no work.
    async fn reached(&mut self, scope: Scope) -> Vec<&'static str> {
        self.number.set(self.number.get() + 1);
        let log = EventLog::of(&self.engine);
        let matched = self.engine.refresh_now(scope).await;
        let mut reached = Vec::new();
        for (id, consumer) in &mut self.consumers {
            let messages = consumer.settled().await;
            if messages.is_empty() {
                assert_eq!(log.work_for(id), 0, "{id} got nothing and caused no work");
            } else {
                assert_eq!(message_types(&messages), ["patch"], "{id}");
                reached.push(*id);
            }
        }
        assert_eq!(reached.len(), matched);
        reached
    }
}

#[tokio::test]
async fn a_refresh_reaches_the_sessions_in_its_scope_and_causes_no_work_for_others() {
    let mut people = People::connected().await;
    assert_eq!(people.reached(Scope::session("a2")).await, ["a2"]);
    assert_eq!(people.reached(Scope::user("alice")).await, ["a1", "a2", "a3"]);
    assert_eq!(people.reached(Scope::attribute("org", "acme")).await, ["a1", "a3", "b"]);
    assert_eq!(people.reached(Scope::all()).await, ["a1", "a2", "a3", "b"]);
    let globex = |session: &Session| session.attribute("org") == Some("globex");
    assert_eq!(people.reached(Scope::matching(globex)).await, ["a2"]);
    assert_eq!(people.reached(Scope::attribute("org", "globex")).await, ["a2"], "the same set by attribute");
    assert_eq!(people.reached(Scope::session("nobody")).await, Vec::<&str>::new());
    assert_eq!(people.reached(Scope::user("nobody")).await, Vec::<&str>::new());
    assert_eq!(people.reached(Scope::attribute("org", "nowhere")).await, Vec::<&str>::new());
    assert_eq!(people.reached(Scope::matching(|_| false)).await, Vec::<&str>::new());
}

#[tokio::test]
async fn a_session_outside_the_scope_keeps_its_version() {
    let mut people = People::connected().await;
    let (_, bob) = &mut people.consumers[3];
    let before = bob.query_with(json!({"path": "/"})).await["version"].clone();
    people.reached(Scope::user("alice")).await;
    let (_, bob) = &mut people.consumers[3];
    assert_eq!(bob.query_with(json!({"path": "/"})).await["version"], before);
}

#[tokio::test]
async fn a_refresh_of_all_sessions_evaluates_each_source_once_per_session() {
    let people = People::connected().await;
    let before = people.engine.stats().evaluations;
    people.engine.refresh_now(Scope::all()).await;
    let after = people.engine.stats().evaluations;
    assert_eq!((after["/n"] - before["/n"], after["/other"] - before["/other"]), (4, 4));
}

#[tokio::test]
async fn a_refresh_limited_to_paths_includes_their_ancestors_and_descendants() {
    let engine = engine();
    for path in ["/", "a", "a/b", "a/b/c", "ab", "d"] {
        engine.register(path, |_: &Session| Descriptor::group());
    }
    let (_consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    let before = engine.stats().evaluations;
    engine.refresh_now(Scope::all().paths(["/a/b/"])).await;
    let after = engine.stats().evaluations;
    let ran: Vec<&str> = after.keys().filter(|path| after[*path] > before[*path]).map(String::as_str).collect();
    assert_eq!(ran, ["/", "/a", "/a/b", "/a/b/c"]);
}

#[tokio::test]
async fn a_change_without_a_refresh_changes_no_tree() {
    let mut people = People::connected().await;
    people.number.set(99);
    for (_, consumer) in &mut people.consumers {
        assert_eq!(consumer.settled().await, Vec::<Value>::new());
        assert_eq!(consumer.query("/n").await["properties"]["n"], 0);
    }
}

#[tokio::test]
async fn a_refresh_that_changes_nothing_creates_no_version_and_sends_no_frame() {
    let mut people = People::connected().await;
    let before = people.engine.stats();
    people.engine.refresh_now(Scope::all()).await;
    let after = people.engine.stats();
    assert_eq!(after.commits, before.commits);
    assert_eq!(after.diffs, before.diffs);
    for (id, consumer) in &mut people.consumers {
        assert_eq!(consumer.settled().await, Vec::<Value>::new(), "{id}");
    }
}

#[tokio::test]
async fn what_is_refreshed_at_once_does_not_wait_for_the_debounce_any_more() {
    let (engine, clock) = engine_with_clock(|config| config.times.debounce = Duration::from_millis(50));
    let number = SharedNumber::serve(&engine, "n");
    let (mut consumer, _) = connect_and_subscribe(&engine, user_session("s", "alice")).await;
    clock.advance(100);
    consumer.settled().await;
    let before = evaluations(&engine, "/n");
    number.set(1);
    for scope in [Scope::all(), Scope::user("alice"), Scope::session("s")] {
        engine.refresh(scope.clone());
        assert_eq!(engine.stats().waiting_sessions, 1);
        engine.refresh_now(scope).await;
        assert_eq!(engine.stats().waiting_sessions, 0);
    }
    clock.advance(100);
    assert_eq!(message_types(&consumer.settled().await), ["patch"]);
    assert_eq!(evaluations(&engine, "/n") - before, 3);
}

#[tokio::test]
async fn a_hundred_changes_within_the_debounce_cost_one_evaluation_and_one_patch() {
    let (engine, clock) = engine_with_clock(|config| config.times.debounce = Duration::from_millis(50));
    let number = SharedNumber::serve(&engine, "n");
    let (mut consumer, subscription) = connect_and_subscribe(&engine, Session::new("s")).await;
    // Lets the debounce of the registration itself pass.
    clock.advance(100);
    consumer.settled().await;
    let before = evaluations(&engine, "/n");
    for value in 1..=100 {
        number.set(value);
        engine.refresh(Scope::all());
        if value == 50 {
            clock.advance(40);
            assert_eq!(consumer.settled().await, Vec::<Value>::new(), "changes are coalesced");
        }
    }
    clock.advance(9);
    assert_eq!(consumer.settled().await, Vec::<Value>::new());
    clock.advance(1);
    let messages = consumer.settled().await;
    assert_eq!(message_types(&messages), ["patch"], "the debounce starts with the first change");
    assert_eq!(evaluations(&engine, "/n") - before, 1);
    assert_eq!(node_at(consumer.tree(&subscription), "n")["properties"]["n"], 100);
    clock.advance(1000);
    assert_eq!(consumer.settled().await, Vec::<Value>::new(), "there is nothing else");
}

#[tokio::test]
async fn a_refresh_of_everything_and_one_of_single_paths_within_one_debounce_lose_nothing_of_either() {
    for everything_first in [true, false] {
        let (engine, clock) = engine_with_clock(|config| config.times.debounce = Duration::from_millis(50));
        let (number, other) = (SharedNumber::serve(&engine, "n"), SharedNumber::serve(&engine, "other"));
        let (mut consumer, subscription) = connect_and_subscribe(&engine, Session::new("s")).await;
        clock.advance(100);
        consumer.settled().await;
        number.set(1);
        other.set(1);
        for everything in [everything_first, !everything_first] {
            engine.refresh(if everything { Scope::all() } else { Scope::all().paths(["n"]) });
        }
        clock.advance(50);
        consumer.settled().await;
        let shown = ["n", "other"].map(|path| &node_at(consumer.tree(&subscription), path)["properties"]["n"]);
        assert_eq!(shown, [&json!(1); 2], "everything first: {everything_first}");
    }
}

#[tokio::test]
async fn without_a_debounce_a_change_is_sent_immediately() {
    let (engine, _clock) = engine_with_clock(|_| {});
    let number = SharedNumber::serve(&engine, "n");
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    number.set(1);
    engine.refresh(Scope::all());
    assert_eq!(message_types(&consumer.settled().await), ["patch"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_reaches_a_thousand_sessions_in_one_pass_with_one_patch_each() {
    let engine = engine();
    let number = SharedNumber::serve(&engine, "n");
    let mut consumers = Vec::new();
    for id in 0..1000 {
        consumers.push(connect_and_subscribe(&engine, user_session(&format!("s{id}"), &format!("u{id}"))).await);
    }
    let log = EventLog::of(&engine);
    number.set(7);
    assert_eq!(engine.refresh(Scope::all()), 1000);
    for (consumer, subscription) in &mut consumers {
        assert_eq!(message_types(&consumer.settled().await), ["patch"]);
        assert_eq!(node_at(consumer.tree(subscription), "n")["properties"]["n"], 7);
    }
    assert_eq!(log.count(|event| matches!(event, Event::PassFinished { .. })), 1);
    assert_eq!(log.count(|event| matches!(event, Event::PassFinished { sessions: 1000, committed: 1000, .. })), 1);
}

#[tokio::test]
async fn the_sessions_of_a_user_are_found_without_visiting_others() {
    let engine = engine();
    let number = SharedNumber::serve(&engine, "n");
    for id in 0..5000 {
        engine.open_session(&user_session(&format!("s{id}"), &format!("u{id}"))).unwrap();
    }
    let (_one, _) = connect_and_subscribe(&engine, user_session("a1", "alice")).await;
    let (_two, _) = connect_and_subscribe(&engine, user_session("a2", "alice")).await;
    let log = EventLog::of(&engine);
    number.set(1);
    assert_eq!(engine.refresh_now(Scope::user("alice")).await, 2);
    assert_eq!(
        log.count(|event| matches!(event, Event::PassFinished { sessions: 2, evaluated: 2, shared: 2, .. })),
        1,
        "{:?}",
        log.all()
    );
    // A predicate has to be called for every session.
    let called = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&called);
    let alices = Scope::matching(move |session| {
        count.fetch_add(1, Ordering::Relaxed);
        session.user() == Some("alice")
    });
    assert_eq!(engine.refresh_now(alices).await, 2);
    assert_eq!(called.load(Ordering::Relaxed), 5002);
}

#[tokio::test]
async fn indexes_are_updated_when_claims_change() {
    let engine = engine();
    let (_consumer, _) = connect_and_subscribe(&engine, user_session("s", "alice").with_attribute("org", "acme")).await;
    assert!(engine.update_session(&user_session("s", "amir").with_attribute("org", "globex")));
    let of = |scope| engine.refresh(scope);
    assert_eq!((of(Scope::user("alice")), of(Scope::user("amir"))), (0, 1));
    assert_eq!((of(Scope::attribute("org", "acme")), of(Scope::attribute("org", "globex"))), (0, 1));
    assert!(!engine.update_session(&user_session("nobody", "alice")), "there is no such session");
    engine.close_session("s");
    assert_eq!((of(Scope::user("amir")), of(Scope::attribute("org", "globex"))), (0, 0));
}

/// On a single-threaded runtime nothing else could run if a descriptor function occupied that thread.
#[tokio::test(flavor = "current_thread")]
async fn a_blocking_descriptor_blocks_neither_the_runtime_nor_other_sessions() {
    let engine = engine();
    let gate = Gate::default();
    let handler_gate = gate.clone();
    let ping = Action::new("ping", |_: Invocation<()>| grove_engine::Outcome::data("pong"));
    engine.register("slow", move |session: &Session| {
        if session.can("wait") {
            handler_gate.wait();
        }
        Descriptor::group().action(&ping)
    });
    let mut others = Vec::new();
    for id in 0..200 {
        others.push(connect_and_subscribe(&engine, Session::new(format!("s{id}"))).await);
    }
    let mut slow = TestConsumer::connect(&engine, Session::new("slow").with_permission("wait")).await;
    let id = slow.start_subscription(json!({"path": "/", "depth": -1}));
    gate.wait_for_arrivals(1).await;
    let pass = tokio::spawn({
        let engine = engine.clone();
        async move { engine.refresh_now(Scope::all()).await }
    });
    // The pass cannot end, but everyone else is served.
    for (other, _) in &mut others {
        assert_eq!(other.invoke("/slow", "ping", Value::Null).await["data"], "pong");
    }
    assert!(!pass.is_finished());
    gate.open();
    assert_eq!(pass.await.unwrap(), 201);
    slow.settled().await;
    assert!(slow.tree(&id).is_object());
}

#[tokio::test(flavor = "current_thread")]
async fn a_pass_over_many_sessions_runs_on_several_threads() {
    let engine = engine_with(|config| config.execution.pass_threads = 4);
    let inside = Arc::new((Mutex::new(0_usize), parking_lot::Condvar::new()));
    let most = Arc::new(AtomicUsize::new(0));
    let maximum = Arc::clone(&most);
    engine.register("each", move |session: &Session| {
        if session.can("meet") {
            let (inside, changed) = &*inside;
            let mut inside = inside.lock();
            *inside += 1;
            maximum.fetch_max(*inside, Ordering::SeqCst);
            changed.notify_all();
            // Waits until four workers are here together; otherwise the test fails after a timeout.
            let timeout = std::time::Duration::from_secs(20);
            changed.wait_while_for(&mut inside, |inside| *inside < 4, timeout);
        }
        Descriptor::status().prop("for", session.id())
    });
    let mut consumers = Vec::new();
    for id in 0..128 {
        consumers.push(connect_and_subscribe(&engine, Session::new(format!("s{id}"))).await);
    }
    for id in 0..128 {
        engine.update_session(&Session::new(format!("s{id}")).with_permission("meet"));
    }
    engine.settle().await;
    engine.refresh_now(Scope::all()).await;
    assert!(most.load(Ordering::SeqCst) >= 4);
}

#[tokio::test]
async fn changes_during_a_pass_are_not_lost_and_cost_one_more_evaluation() {
    let (engine, clock) = engine_with_clock(|config| config.times.debounce = Duration::from_millis(50));
    let (number, gate) = (SharedNumber::default(), Gate::default());
    let (read, handler_gate) = (number.clone(), gate.clone());
    engine.register("n", move |_: &Session| {
        let seen = read.get();
        if seen == 1 {
            handler_gate.wait();
        }
        Descriptor::status().prop("n", seen)
    });
    let (mut consumer, subscription) = connect_and_subscribe(&engine, Session::new("s")).await;
    clock.advance(50);
    engine.settle().await;
    let before = evaluations(&engine, "/n");
    number.set(1);
    engine.refresh(Scope::all());
    clock.advance(50);
    gate.wait_for_arrivals(1).await;
    number.set(2);
    for _ in 0..10 {
        engine.refresh(Scope::all());
    }
    clock.advance(50);
    gate.open();
    let messages = consumer.settled().await;
    assert_eq!(node_at(consumer.tree(&subscription), "n")["properties"]["n"], 2, "{messages:?}");
    assert_eq!(evaluations(&engine, "/n") - before, 2);
}

#[tokio::test]
async fn a_change_while_an_async_source_renders_the_first_tree_is_not_lost() {
    let engine = engine();
    let slow = SlowRead::serve(&engine, "slow");
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let id = consumer.start_subscription(json!({"path": "/", "depth": -1}));
    slow.has_read().await;
    slow.number.set(1);
    engine.refresh(Scope::all());
    slow.release.add_permits(100);
    consumer.settled().await;
    assert_eq!(node_at(consumer.tree(&id), "slow")["properties"]["n"], 1);
}

#[tokio::test]
async fn a_change_while_many_first_trees_are_rendered_is_not_lost() {
    let (engine, clock) = engine_with_clock(|config| config.times.debounce = Duration::from_millis(50));
    let (number, gate) = (SharedNumber::default(), Gate::default());
    let (read, handler_gate) = (number.clone(), gate.clone());
    engine.register("n", move |_: &Session| Descriptor::status().prop("n", read.get()));
    engine.register("slow", move |session: &Session| {
        if session.can("wait") {
            handler_gate.wait();
        }
        Descriptor::status()
    });
    let (_first, _) = connect_and_subscribe(&engine, Session::new("first")).await;
    // All of these share the next pass, which stops halfway, after it has read the number.
    let mut consumers = Vec::new();
    for id in 0..40 {
        let session = Session::new(format!("s{id}"));
        let session = if id % 2 == 0 { session.with_permission("wait") } else { session };
        let mut consumer = TestConsumer::connect(&engine, session).await;
        let id = consumer.start_subscription(json!({"path": "/", "depth": -1}));
        consumers.push((consumer, id));
    }
    clock.advance(50);
    gate.wait_for_arrivals(1).await;
    number.set(1);
    engine.refresh(Scope::all());
    gate.open();
    engine.settle().await;
    clock.advance(50);
    for (consumer, id) in &mut consumers {
        consumer.settled().await;
        assert_eq!(node_at(consumer.tree(id), "n")["properties"]["n"], 1);
    }
}

#[tokio::test]
async fn new_claims_while_an_async_source_renders_the_first_tree_are_not_lost() {
    let engine = engine();
    let slow = SlowRead::serve(&engine, "slow");
    let mut consumer = TestConsumer::connect(&engine, Session::new("s").with_permission("admin")).await;
    let id = consumer.start_subscription(json!({"path": "/", "depth": -1}));
    slow.has_read().await;
    engine.update_session(&Session::new("s").with_permission("guest"));
    slow.release.add_permits(100);
    consumer.settled().await;
    assert_eq!(node_at(consumer.tree(&id), "slow")["properties"]["permissions"], "guest");
}

#[tokio::test]
async fn a_slow_async_result_does_not_replace_a_newer_one() {
    let engine = engine();
    let slow = SlowRead::serve(&engine, "slow");
    slow.release.add_permits(1);
    let (mut consumer, subscription) = connect_and_subscribe(&engine, Session::new("s")).await;
    slow.has_read().await;
    slow.number.set(1);
    engine.refresh(Scope::all());
    slow.has_read().await;
    // The first pass has read 1 and waits; a second one reads 2.
    slow.number.set(2);
    engine.refresh(Scope::all());
    slow.release.add_permits(100);
    consumer.settled().await;
    assert_eq!(node_at(consumer.tree(&subscription), "slow")["properties"]["n"], 2);
}

#[tokio::test]
async fn an_async_source_can_be_registered_for_one_session() {
    let engine = engine();
    let (mut consumer, subscription) = connect_and_subscribe(&engine, Session::new("s")).await;
    let source = grove_engine::Source::new_async(|session: Session| async move {
        tokio::task::yield_now().await;
        Descriptor::status().prop("for", session.id())
    });
    engine.register_for("s", "mine", source).unwrap();
    consumer.settled().await;
    assert_eq!(node_at(consumer.tree(&subscription), "mine")["properties"]["for"], "s");
}
