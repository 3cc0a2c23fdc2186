//! Provider-per-session mode: each session has its own registry.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use grove_engine::testing::{ManualClock, TestConsumer};
use grove_engine::{
    Clock, Config, ConnectError, Descriptor, Engine, Event, Item, PerSession, Provider, Role, Scope, Session,
    SessionProvider, Source,
};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::fixtures::{EventLog, child_ids, message_types};

fn session(user: &str) -> Session {
    Session::new(format!("session-of-{user}")).with_user(user)
}

fn notes(user: &str) -> Descriptor {
    Descriptor::collection().prop("owner", user)
}

fn engine() -> Engine {
    let factory = |session: &Session| {
        let user = session.user().unwrap_or_default().to_owned();
        SessionProvider::new().register("notes", move || notes(&user))
    };
    PerSession::with_options(Engine::builder("app", "App").config(Config::immediate()), factory).engine().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn descriptor_functions_without_arguments_capture_their_session() {
    let engine = engine();
    for user in ["alice", "bob"] {
        let mut consumer = TestConsumer::connect(&engine, session(user)).await;
        assert_eq!(consumer.query("/notes").await["properties"]["owner"], user);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_registered_in_one_session_provider_is_in_no_other() {
    let engine = engine();
    let mut alice = TestConsumer::connect(&engine, session("alice")).await;
    let mut bob = TestConsumer::connect(&engine, session("bob")).await;
    alice.subscribe("/").await;
    bob.subscribe("/").await;
    engine.register_for("session-of-alice", "extra", Source::new(|_: &Session| Descriptor::status())).unwrap();
    alice.settled().await;
    assert_eq!(alice.query("/extra").await["type"], "status");
    assert!(bob.settled().await.is_empty());
    assert_eq!(bob.query("/extra").await, Value::Null);
    alice.check_mirrors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_factory_runs_once_for_two_connections_of_one_session() {
    let created = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&created);
    let engine =
        PerSession::with_options(Engine::builder("app", "App").config(Config::immediate()), move |_: &Session| {
            count.fetch_add(1, Ordering::SeqCst);
            SessionProvider::new().register("notes", Descriptor::collection)
        })
        .engine()
        .clone();
    let mut first = TestConsumer::connect(&engine, session("alice")).await;
    let mut second = TestConsumer::connect(&engine, session("alice")).await;
    assert_eq!(first.subscribe("/").await.1, second.subscribe("/").await.1);
    assert_eq!(created.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_in_one_session_provider_affects_no_other() {
    let engine =
        PerSession::with_options(Engine::builder("app", "App").config(Config::immediate()), |session: &Session| {
            let user = session.user().unwrap_or_default().to_owned();
            assert_ne!(user, "mallory", "no provider for mallory");
            SessionProvider::new().register("notes", move || {
                assert_ne!(user, "alice", "alice's notes are broken");
                notes(&user)
            })
        })
        .engine()
        .clone();
    let refused = engine.connect(&session("mallory")).unwrap_err();
    assert_eq!(refused, ConnectError::ProviderFailed);
    let mut alice = TestConsumer::connect(&engine, session("alice")).await;
    let mut bob = TestConsumer::connect(&engine, session("bob")).await;
    assert_eq!(alice.query("/notes").await["properties"]["error"], "unavailable");
    assert_eq!(bob.query("/notes").await["properties"]["owner"], "bob");
    assert_eq!(engine.stats().sessions, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_reaches_exactly_the_sessions_in_its_scope() {
    let engine = engine();
    let mut alice = TestConsumer::connect(&engine, session("alice")).await;
    let mut bob = TestConsumer::connect(&engine, session("bob")).await;
    alice.subscribe("/").await;
    bob.subscribe("/").await;
    let before = engine.stats().evaluations["/notes"];
    assert_eq!(engine.refresh_now(Scope::user("alice")).await, 1);
    assert_eq!(engine.stats().evaluations["/notes"], before + 1);
    assert_eq!(engine.refresh_now(Scope::all()).await, 2);
    assert_eq!(engine.stats().evaluations["/notes"], before + 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_provider_is_dropped_when_its_session_closes_or_stays_idle() {
    let clock = ManualClock::new();
    let held = Arc::new(());
    let data = Arc::clone(&held);
    let mut config = Config::immediate();
    (config.times.idle_tree, config.times.idle_session) = (Duration::from_millis(1_000), Duration::from_millis(5_000));
    let engine = PerSession::with_options(
        Engine::builder("app", "App").config(config).clock(clock.clone()),
        move |_: &Session| {
            let data = Arc::clone(&data);
            SessionProvider::new()
                .register("notes", move || Descriptor::collection().prop("count", Arc::strong_count(&data)))
        },
    )
    .engine()
    .clone();
    let mut consumer = TestConsumer::connect(&engine, session("alice")).await;
    consumer.subscribe("/").await;
    assert_eq!(Arc::strong_count(&held), 3);
    engine.close_session("session-of-alice");
    assert_eq!(consumer.next().await["type"], "closed");
    drop(consumer);
    engine.settle().await;
    assert_eq!(Arc::strong_count(&held), 2, "the provider and all it held are dropped");
    let mut consumer = TestConsumer::connect(&engine, session("alice")).await;
    consumer.query("/").await;
    assert_eq!(Arc::strong_count(&held), 3);
    drop(consumer);
    for _ in 0..2 {
        clock.advance(5_000);
        engine.settle().await;
    }
    assert_eq!(Arc::strong_count(&held), 2);
    assert_eq!(engine.stats().sessions, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn new_claims_create_a_new_session_provider() {
    let engine = engine();
    let mut consumer = TestConsumer::connect(&engine, session("alice")).await;
    consumer.subscribe("/").await;
    assert!(engine.update_session(&Session::new("session-of-alice").with_user("alina")));
    consumer.settled().await;
    assert_eq!(consumer.query("/notes").await["properties"]["owner"], "alina");
    consumer.check_mirrors().await;
}

/// A provider for each session, on a clock that only the test advances.
fn providers_with_clock(
    change: impl FnOnce(&mut Config),
    factory: impl Fn(&Session) -> SessionProvider + Send + Sync + 'static,
) -> (PerSession, Arc<ManualClock>) {
    let mut config = Config::immediate();
    change(&mut config);
    let clock = ManualClock::new();
    let options = Engine::builder("app", "App").config(config).clock(Arc::clone(&clock) as Arc<dyn Clock>);
    (PerSession::with_options(options, factory), clock)
}

/// A provider for each session, for tests in which time does not matter.
fn providers(factory: impl Fn(&Session) -> SessionProvider + Send + Sync + 'static) -> PerSession {
    PerSession::with_options(Engine::builder("app", "App").config(Config::immediate()), factory)
}

async fn connect_and_subscribe(providers: &PerSession, user: &str) -> TestConsumer {
    let mut consumer = TestConsumer::connect(providers.engine(), session(user)).await;
    consumer.subscribe("/").await;
    consumer
}

/// Some kilobytes of content that no other session has.
fn bulky(user: &str) -> SessionProvider {
    let user = user.to_owned();
    SessionProvider::new().register("notes", move || {
        let item = |at| {
            Item::new(format!("n{at}")).prop("text", format!("note {at} of {user}, with some more text to fill it"))
        };
        Descriptor::collection().items((0..100).map(item))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_per_session_is_set_up_with_one_call() {
    let providers = PerSession::new("desk", "Desk", |session: &Session| {
        let user = session.user().unwrap_or_default().to_owned();
        SessionProvider::new().register("notes", move || notes(&user))
    });
    assert_eq!((providers.discovery().id, providers.discovery().name), ("desk".to_owned(), "Desk".to_owned()));
    let mut alice = connect_and_subscribe(&providers, "alice").await;
    assert_eq!(alice.query("/notes").await["properties"]["owner"], "alice");
    assert_eq!(providers.stats().sessions, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_session_provider_can_be_restarted_and_others_are_unaffected() {
    let broken = Arc::new(AtomicBool::new(false));
    let (seen, count) = (Arc::clone(&broken), Arc::new(Mutex::new(0)));
    let read = Arc::clone(&count);
    let providers = providers(move |session: &Session| {
        // A provider that is created while `broken` is set stays broken.
        let fails = session.user() == Some("alice") && seen.load(Ordering::SeqCst);
        let count = Arc::clone(&read);
        SessionProvider::new().register("notes", move || {
            assert!(!fails, "alice's notes are broken");
            Descriptor::collection().prop("count", *count.lock())
        })
    });
    let log = EventLog::of(providers.engine());
    broken.store(true, Ordering::SeqCst);
    let (mut alice, mut bob) =
        (connect_and_subscribe(&providers, "alice").await, connect_and_subscribe(&providers, "bob").await);
    assert_eq!(alice.query("/notes").await["properties"]["error"], "unavailable");
    let failed = |event: &Event| matches!(event, Event::SourceFailed { session, .. } if session == "session-of-alice");
    assert_eq!(log.count(failed), 1);
    for n in 1..=2 {
        *count.lock() = n;
        providers.refresh_now(Scope::all()).await;
        assert_eq!(message_types(&bob.settled().await), ["patch"]);
        assert_eq!(bob.query("/notes").await["properties"]["count"], n);
    }
    broken.store(false, Ordering::SeqCst);
    assert_eq!(providers.restart("session-of-alice"), Ok(true));
    assert_eq!(message_types(&alice.settled().await), ["patch"], "the connection stays open");
    assert_eq!(alice.query("/notes").await["properties"]["count"], 2);
    assert!(bob.settled().await.is_empty());
    assert_eq!(providers.restart("session-of-nobody"), Ok(false));
    alice.check_mirrors().await;
    bob.check_mirrors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_restart_closes_only_that_session() {
    let broken = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&broken);
    let providers = providers(move |session: &Session| {
        assert!(session.user() != Some("alice") || !seen.load(Ordering::SeqCst), "no provider for alice");
        bulky(session.user().unwrap_or_default())
    });
    let (mut alice, mut bob) =
        (connect_and_subscribe(&providers, "alice").await, connect_and_subscribe(&providers, "bob").await);
    broken.store(true, Ordering::SeqCst);
    assert_eq!(providers.restart("session-of-alice"), Err(ConnectError::ProviderFailed));
    assert_eq!(alice.next().await["code"], 1013);
    providers.refresh_now(Scope::all()).await;
    bob.check_mirrors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_a_session_provider_frees_its_memory_and_leaves_others_untouched() {
    let providers = providers(|session: &Session| bulky(session.user().unwrap_or_default()));
    let mut bob = connect_and_subscribe(&providers, "bob").await;
    let before = providers.stats();
    let mut alice = connect_and_subscribe(&providers, "alice").await;
    let with_alice = providers.stats();
    assert!(with_alice.tree_bytes > before.tree_bytes + 4_000, "{with_alice:?}");
    assert!(providers.close("session-of-alice"));
    assert_eq!(alice.next().await["type"], "closed");
    drop(alice);
    // A pass keeps what it rendered until it ends.
    providers.engine().settle().await;
    let after = providers.stats();
    let counts = |stats: &grove_engine::Stats| {
        (stats.sessions, stats.trees, stats.tree_bytes, stats.connections, stats.subscriptions)
    };
    assert_eq!(counts(&after), counts(&before));
    assert!(!providers.close("session-of-alice"), "it is closed already");
    assert!(bob.settled().await.is_empty());
    bob.check_mirrors().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_stops_all_session_providers_and_drops_what_they_hold() {
    let held = Arc::new(());
    let data = Arc::clone(&held);
    let providers = providers(move |_: &Session| {
        let data = Arc::clone(&data);
        SessionProvider::new()
            .register("notes", move || Descriptor::collection().prop("holders", Arc::strong_count(&data)))
    });
    let consumers = [connect_and_subscribe(&providers, "alice").await, connect_and_subscribe(&providers, "bob").await];
    let leaving = consumers.map(|mut consumer| tokio::spawn(async move { consumer.next().await["code"].clone() }));
    providers.stop(Duration::from_secs(5)).await;
    for code in leaving {
        assert_eq!(code.await.unwrap(), 1001);
    }
    assert!(providers.is_closing());
    assert_eq!(providers.connect(session("alice"), Role::Consumer).unwrap_err(), ConnectError::Closing);
    // Work that still runs, such as the pass for a first tree, keeps what it created until it ends.
    providers.engine().settle().await;
    let stats = providers.stats();
    assert_eq!((stats.sessions, stats.trees, stats.tree_bytes, stats.connections), (0, 0, 0, 0));
    assert_eq!(Arc::strong_count(&held), 2, "the test and the factory");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_provider_outlives_its_tab_and_is_dropped_some_time_after_its_consumer_left() {
    let created = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&created);
    let (providers, clock) = providers_with_clock(
        |config| {
            (config.times.idle_tree, config.times.idle_session) =
                (Duration::from_millis(1_000), Duration::from_millis(5_000))
        },
        move |session: &Session| {
            count.fetch_add(1, Ordering::SeqCst);
            bulky(session.user().unwrap_or_default())
        },
    );
    let mut alice = connect_and_subscribe(&providers, "alice").await;
    let tab = providers.connect(session("alice"), Role::Tab { mount: "ui".to_owned() }).unwrap();
    drop(tab);
    for _ in 0..3 {
        clock.advance(5_000);
        providers.engine().settle().await;
    }
    alice.check_mirrors().await;
    assert_eq!((providers.stats().sessions, created.load(Ordering::SeqCst)), (1, 1), "a consumer is connected");
    drop(alice);
    clock.advance(1_000);
    providers.engine().settle().await;
    let stats = providers.stats();
    assert_eq!((stats.sessions, stats.trees, stats.tree_bytes), (1, 0, 0), "the tree is evicted first");
    clock.advance(4_000);
    providers.engine().settle().await;
    assert_eq!(providers.stats().sessions, 0, "then the provider is dropped");
    connect_and_subscribe(&providers, "alice").await;
    assert_eq!(created.load(Ordering::SeqCst), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn reconnecting_after_the_tree_was_evicted_evaluates_again_and_starts_with_a_snapshot() {
    let (providers, clock) = providers_with_clock(
        |config| config.times.idle_tree = Duration::from_millis(1_000),
        |session: &Session| bulky(session.user().unwrap_or_default()),
    );
    drop(connect_and_subscribe(&providers, "alice").await);
    clock.advance(1_000);
    providers.engine().settle().await;
    let stats = providers.stats();
    assert_eq!((stats.sessions, stats.trees, stats.tree_bytes), (1, 0, 0));
    let runs = stats.evaluations["/notes"];
    let mut alice = TestConsumer::connect(providers.engine(), session("alice")).await;
    alice.start_subscription(json!({"path": "/", "depth": -1}));
    assert_eq!(alice.next().await["type"], "snapshot");
    assert_eq!(providers.stats().evaluations["/notes"], runs + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_session_drops_its_session_provider() {
    let (providers, clock) =
        providers_with_clock(|_| {}, |session: &Session| bulky(session.user().unwrap_or_default()));
    let until = clock.wall() + Duration::from_secs(600);
    let mut alice = TestConsumer::connect(providers.engine(), session("alice").with_expiry(until)).await;
    alice.subscribe("/").await;
    // The expiry is checked a minute before, for the warning, and again at the expiry.
    for _ in 0..2 {
        clock.advance(300_000);
        providers.engine().settle().await;
    }
    let closed = alice.settled().await;
    assert_eq!(closed.last().unwrap()["code"], 4401);
    drop(alice);
    let stats = providers.stats();
    assert_eq!((stats.sessions, stats.tree_bytes), (0, 0));
}

/// Two of three users share an item of a board; deleting it changes the trees of those two.
#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_shared_resource_patches_exactly_the_sessions_of_its_users() {
    let items = Arc::new(Mutex::new(BTreeMap::from([("plan", ["alice", "bob"].as_slice()), ("own", &["zoe"])])));
    let shared = Arc::clone(&items);
    let providers = providers(move |session: &Session| {
        let (user, items) = (session.user().unwrap_or_default().to_owned(), Arc::clone(&shared));
        SessionProvider::new().register("board", move || {
            let items = items.lock();
            let mine = items.iter().filter(|(_, users)| users.contains(&user.as_str()));
            Descriptor::collection().items(mine.map(|(id, _)| Item::new(*id)))
        })
    });
    let mut consumers = Vec::new();
    for user in ["alice", "bob", "zoe"] {
        consumers.push(connect_and_subscribe(&providers, user).await);
    }
    let users = items.lock().remove("plan").unwrap();
    let affected = providers
        .refresh_now(Scope::matching(move |session: &Session| session.user().is_some_and(|user| users.contains(&user))))
        .await;
    assert_eq!(affected, 2);
    let mut frames = Vec::new();
    for consumer in &mut consumers {
        frames.push(message_types(&consumer.settled().await).len());
        consumer.check_mirrors().await;
    }
    assert_eq!(frames, [1, 1, 0]);
    assert_eq!(child_ids(&consumers[2].query("/board").await), ["own"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_matches_the_same_sessions_in_both_modes() {
    let shared = crate::fixtures::engine();
    shared.register("notes", |session: &Session| notes(session.user().unwrap_or_default()));
    let per_session = engine();
    let sessions = || {
        let session = |(id, user, org)| Session::new(id).with_user(user).with_attribute("org", org);
        [("a1", "alice", "acme"), ("a2", "alice", "acme"), ("b1", "bob", "acme"), ("z1", "zoe", "globex")].map(session)
    };
    let scopes: [fn() -> Scope; 6] = [
        Scope::all,
        || Scope::session("a1"),
        || Scope::user("alice"),
        || Scope::attribute("org", "acme"),
        || Scope::matching(|session: &Session| session.id().ends_with('1')),
        || Scope::user("nobody"),
    ];
    let mut counts = Vec::new();
    for engine in [&shared, &per_session] {
        let mut consumers = Vec::new();
        for session in sessions() {
            consumers.push(crate::fixtures::connect_and_subscribe(engine, session).await);
        }
        let mut matched = Vec::new();
        for scope in scopes {
            matched.push((engine.refresh(scope()), engine.refresh_now(scope()).await));
        }
        counts.push(matched);
    }
    assert_eq!(counts[0], counts[1]);
    assert_eq!(counts[0], [4, 1, 2, 3, 3, 0].map(|count| (count, count)));
}
