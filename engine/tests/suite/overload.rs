//! What happens if more is to be rendered than can be, and if functions of the application block.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use grove_engine::testing::{ManualClock, TestConsumer};
use grove_engine::{Action, Config, Descriptor, Engine, Invocation, Outcome, Scope, Session, Sharing, Source};
use serde_json::Value;

use crate::fixtures::{
    Gate, SharedNumber, connect_and_subscribe, engine_with_clock, evaluations, node_at, user_session,
};

/// How long a descriptor function may occupy a thread before another one takes its place, in ms.
const SLOW_MS: u64 = 100;

/// Sessions whose `/own` waits at a gate once it is shut, and counts how many evaluations run at once.
struct Crowd {
    engine: Engine,
    clock: Arc<ManualClock>,
    consumers: Vec<TestConsumer>,
    gate: Gate,
    most: Arc<AtomicUsize>,
}

impl Crowd {
    async fn of(count: usize, change: impl FnOnce(&mut Config)) -> Self {
        let (engine, clock) = engine_with_clock(|config| {
            config.execution.pass_threads = 2;
            change(config);
        });
        let gate = Gate::default();
        let (most, running) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (maximum, shut) = (Arc::clone(&most), gate.clone());
        let ping = Action::new("ping", |_: Invocation<()>| Outcome::data("pong"));
        let own = Source::new(move |session: &Session| {
            if session.can("wait") {
                let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                maximum.fetch_max(now, Ordering::SeqCst);
                shut.wait();
                running.fetch_sub(1, Ordering::SeqCst);
            }
            Descriptor::status().action(&ping)
        });
        engine.register_source("own", own.sharing(Sharing::Never));
        let mut consumers = Vec::new();
        for id in 0..count {
            consumers.push(connect_and_subscribe(&engine, user_session(&format!("s{id}"), "u")).await.0);
        }
        Self { engine, clock, consumers, gate, most }
    }

    /// From now on the functions of these sessions wait.
    fn block(&self, sessions: std::ops::Range<usize>) {
        for id in sessions {
            self.engine.update_session(&user_session(&format!("s{id}"), "u").with_permission("wait"));
        }
    }
}

#[tokio::test]
async fn passes_do_not_pile_up_and_each_session_waits_for_one_more_at_most() {
    let crowd = Crowd::of(50, |_| {}).await;
    let before = evaluations(&crowd.engine, "/own");
    crowd.block(0..50);
    crowd.gate.wait_for_arrivals(2).await;
    for _ in 0..100 {
        crowd.engine.refresh(Scope::all());
    }
    let stats = crowd.engine.stats();
    assert_eq!(stats.running_evaluations, 2);
    assert!((50..=150).contains(&stats.waiting_sessions), "{} sessions wait", stats.waiting_sessions);
    crowd.gate.open();
    crowd.engine.settle().await;
    assert_eq!(crowd.most.load(Ordering::SeqCst), 2, "as many as there are threads");
    let ran = evaluations(&crowd.engine, "/own") - before;
    assert!(ran <= 150, "{ran} evaluations: for the new claims, and once or twice for all the refreshes");
    assert_eq!(crowd.engine.stats().waiting_sessions, 0);
}

#[tokio::test]
async fn callers_who_wait_for_many_sessions_share_the_next_pass() {
    let crowd = Crowd::of(50, |_| {}).await;
    let before = evaluations(&crowd.engine, "/own");
    crowd.block(0..50);
    crowd.gate.wait_for_arrivals(2).await;
    let callers: Vec<_> = (0..20).map(|_| crowd.engine.clone()).collect();
    let callers = callers.into_iter().map(|engine| tokio::spawn(async move { engine.refresh_now(Scope::all()).await }));
    let callers: Vec<_> = callers.collect();
    tokio::task::yield_now().await;
    crowd.gate.open();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), 50);
    }
    crowd.engine.settle().await;
    let ran = evaluations(&crowd.engine, "/own") - before;
    assert!(ran <= 200, "{ran} evaluations");
}

#[tokio::test]
async fn a_call_goes_ahead_of_a_pass_over_many_sessions() {
    let mut crowd = Crowd::of(60, |_| {}).await;
    // One thread is left.
    crowd.block(0..1);
    crowd.gate.wait_for_arrivals(1).await;
    crowd.engine.refresh(Scope::all());
    let result = crowd.consumers[59].invoke("/own", "ping", Value::Null).await;
    assert_eq!(result["data"], "pong");
    crowd.gate.open();
}

#[tokio::test]
async fn functions_that_block_as_many_threads_as_there_are_delay_only_their_own_sessions() {
    let mut crowd = Crowd::of(20, |_| {}).await;
    crowd.block(0..8);
    crowd.gate.wait_for_arrivals(2).await;
    crowd.engine.refresh(Scope::all());
    let (mut arrived, id) = (2, crowd.consumers[19].start_invoke("/own", "ping", Value::Null));
    while arrived < 8 {
        crowd.clock.advance(SLOW_MS);
        // Each slow one makes room for the next, which blocks as well.
        arrived = (arrived + 2).min(8);
        crowd.gate.wait_for_arrivals(arrived).await;
    }
    crowd.clock.advance(SLOW_MS);
    assert_eq!(crowd.consumers[19].answer(&id).await["data"], "pong");
    crowd.gate.open();
    crowd.engine.settle().await;
    assert_eq!(crowd.engine.stats().running_evaluations, 0);
}

#[tokio::test]
async fn slow_functions_get_no_more_threads_than_are_configured() {
    let crowd = Crowd::of(20, |config| config.execution.slow_evaluations = 3).await;
    crowd.block(0..20);
    crowd.gate.wait_for_arrivals(2).await;
    for arrived in [4, 5, 5, 5] {
        crowd.clock.advance(SLOW_MS);
        crowd.gate.wait_for_arrivals(arrived).await;
    }
    assert_eq!(crowd.engine.stats().running_evaluations, 5);
    crowd.gate.open();
    crowd.engine.settle().await;
}

/// An async function that hangs for one session is not started again and again.
#[tokio::test]
async fn an_async_function_that_hangs_does_not_pile_up_and_delays_nobody_else() {
    let (engine, clock) = engine_with_clock(|config| config.times.evaluation_timeout = Duration::from_secs(10));
    engine.register_async("n", |session: Session| async move {
        if session.can("hang") {
            std::future::pending::<()>().await;
        }
        Descriptor::status().prop("n", 1)
    });
    let (_alice, _) = connect_and_subscribe(&engine, user_session("a", "alice")).await;
    let (_bob, _) = connect_and_subscribe(&engine, user_session("b", "bob")).await;
    engine.update_session(&user_session("a", "alice").with_permission("hang"));
    let before = evaluations(&engine, "/n");
    for _ in 0..50 {
        engine.refresh(Scope::all());
        // Bob's refresh is over whenever it is asked for.
        assert_eq!(engine.refresh_now(Scope::session("b")).await, 1);
    }
    let ran = evaluations(&engine, "/n") - before;
    assert!(ran <= 2 + 100, "{ran} evaluations");
    let settled = tokio::spawn(async move { engine.settle().await });
    while !settled.is_finished() {
        clock.advance(1_000);
        tokio::task::yield_now().await;
    }
}

/// Handlers may have taken all threads of a runtime on which code may block.
#[test]
fn handlers_that_wait_for_a_refresh_on_every_blocking_thread_of_the_runtime_are_answered() {
    const THREADS: usize = 4;
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).max_blocking_threads(THREADS).enable_all().build().unwrap();
    runtime.block_on(async {
        let engine = Engine::builder("app", "App").config(Config::immediate()).build();
        let (inner, together) = (engine.clone(), Arc::new(std::sync::Barrier::new(THREADS)));
        let wait = Action::new("wait", move |call: Invocation<()>| {
            together.wait();
            let all = inner.refresh_now(Scope::user(call.session.user().unwrap_or_default()));
            tokio::runtime::Handle::current().block_on(all);
        });
        engine.register("n", move |session: &Session| Descriptor::status().prop("for", session.id()).action(&wait));
        let mut consumers = Vec::new();
        for id in 0..THREADS {
            consumers.push(connect_and_subscribe(&engine, user_session(&format!("s{id}"), "u")).await.0);
        }
        let ids: Vec<_> = consumers.iter_mut().map(|one| one.start_invoke("/n", "wait", Value::Null)).collect();
        for (consumer, id) in consumers.iter_mut().zip(ids) {
            assert_eq!(consumer.answer(&id).await["status"], "ok");
        }
    });
    runtime.shutdown_background();
}

/// A number that is shown to everybody, by a function that reads the user first and then waits for alice.
struct SlowForAlice {
    engine: Engine,
    number: SharedNumber,
    gate: Gate,
    consumers: Vec<(TestConsumer, String)>,
}

impl SlowForAlice {
    async fn new(users: [&str; 8]) -> Self {
        let (engine, _clock) = engine_with_clock(|config| config.execution.pass_threads = 2);
        let (number, gate) = (SharedNumber::default(), Gate::default());
        let (read, shut) = (number.clone(), gate.clone());
        engine.register("n", move |session: &Session| {
            let number = read.get();
            if session.user() == Some("alice") && number > 0 {
                shut.wait();
            }
            Descriptor::status().prop("n", number)
        });
        engine.register("other", |session: &Session| Descriptor::status().prop("for", session.id()));
        let mut consumers = Vec::new();
        for (at, user) in users.into_iter().enumerate() {
            consumers.push(connect_and_subscribe(&engine, user_session(&format!("s{at}"), user)).await);
        }
        Self { engine, number, gate, consumers }
    }
}

#[tokio::test]
async fn nobody_waits_for_a_slow_function_whose_result_would_not_be_his() {
    let mut world = SlowForAlice::new(["alice", "b", "c", "d", "e", "f", "g", "h"]).await;
    world.number.set(1);
    world.engine.refresh(Scope::all());
    world.gate.wait_for_arrivals(1).await;
    for (consumer, subscription) in &mut world.consumers[1..] {
        assert_eq!(consumer.next().await["type"], "patch");
        assert_eq!(node_at(consumer.tree(subscription), "n")["properties"]["n"], 1);
    }
    world.gate.open();
    world.engine.settle().await;
    let (alice, subscription) = &mut world.consumers[0];
    alice.settled().await;
    assert_eq!(node_at(alice.tree(subscription), "n")["properties"]["n"], 1);
}

#[tokio::test]
async fn who_waits_for_a_slow_function_occupies_neither_a_thread_nor_his_session() {
    let mut world = SlowForAlice::new(["alice", "alice", "alice", "alice", "alice", "alice", "alice", "bob"]).await;
    let before = evaluations(&world.engine, "/n");
    world.number.set(1);
    world.engine.refresh(Scope::all());
    world.gate.wait_for_arrivals(1).await;
    let (bob, _) = &mut world.consumers[7];
    assert_eq!(bob.next().await["type"], "patch");
    // Those of alice's sessions that wait can be rendered where they do not need the result.
    let mut free = Vec::new();
    for id in 0..7 {
        let engine = world.engine.clone();
        let other = Scope::session(format!("s{id}")).paths(["other"]);
        free.push(tokio::spawn(async move { engine.refresh_now(other).await }));
    }
    while free.iter().filter(|refresh| refresh.is_finished()).count() < 6 {
        tokio::task::yield_now().await;
    }
    world.gate.open();
    world.engine.settle().await;
    for (consumer, subscription) in &mut world.consumers {
        consumer.settled().await;
        assert_eq!(node_at(consumer.tree(subscription), "n")["properties"]["n"], 1);
    }
    assert!(evaluations(&world.engine, "/n") - before <= 9, "the others took the result, unless they were overtaken");
}

#[tokio::test]
async fn nobody_waits_for_an_async_function_that_hangs_for_another_user() {
    let (engine, clock) = engine_with_clock(|config| config.times.evaluation_timeout = Duration::from_secs(10));
    let number = SharedNumber::default();
    let read = number.clone();
    engine.register_async("n", move |session: Session| {
        let number = read.get();
        async move {
            if session.user() == Some("alice") && number > 0 {
                std::future::pending::<()>().await;
            }
            Descriptor::status().prop("n", number)
        }
    });
    let mut consumers = Vec::new();
    for user in ["alice", "bob", "carol"] {
        consumers.push(connect_and_subscribe(&engine, user_session(user, user)).await);
    }
    number.set(1);
    engine.refresh(Scope::all());
    for (consumer, subscription) in &mut consumers[1..] {
        assert_eq!(consumer.next().await["type"], "patch");
        assert_eq!(node_at(consumer.tree(subscription), "n")["properties"]["n"], 1);
    }
    let settled = tokio::spawn(async move { engine.settle().await });
    while !settled.is_finished() {
        clock.advance(1_000);
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn paths_that_are_refreshed_one_by_one_are_rendered_together() {
    let (engine, clock) = engine_with_clock(|config| config.times.debounce = Duration::from_millis(50));
    let mut paths: Vec<_> = (0..300).map(|n| format!("p{n}")).collect();
    for path in &paths {
        engine.register(path, |_: &Session| Descriptor::status());
    }
    let (_consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    clock.advance(50);
    engine.settle().await;
    let before = engine.stats().evaluations;
    let omitted = paths.pop().unwrap();
    for path in &paths {
        assert_eq!(engine.refresh(Scope::all().paths([path])), 1);
    }
    clock.advance(50);
    engine.settle().await;
    let after = engine.stats().evaluations;
    let ran = |path: &str| after[&format!("/{path}")] - before[&format!("/{path}")];
    assert!(paths.iter().all(|path| ran(path) == 1));
    assert_eq!(ran(&omitted), 0);
}
