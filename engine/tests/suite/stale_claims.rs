//! What old claims allowed is never shown under new ones, whatever is rendered while they change.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use grove_engine::testing::TestConsumer;
use grove_engine::{Config, Descriptor, Engine, PerSession, Scope, Session, SessionProvider};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::fixtures::{
    SharedNumber, connect_and_subscribe, engine, engine_with_clock, message_types, node_at, user_session,
};

/// An async source that shows a text of its session, and waits until the test releases it.
struct Awaited {
    engine: Engine,
    started: Arc<Semaphore>,
    release: Arc<Semaphore>,
}

impl Awaited {
    fn new(text: impl Fn(&Session) -> String + Send + Sync + 'static) -> Self {
        let new = || Arc::new(Semaphore::new(0));
        let awaited = Self { engine: engine(), started: new(), release: new() };
        let (started, release) = (Arc::clone(&awaited.started), Arc::clone(&awaited.release));
        awaited.engine.register_async("slow", move |session: Session| {
            let text = text(&session);
            drop(session);
            let (started, release) = (Arc::clone(&started), Arc::clone(&release));
            async move {
                started.add_permits(1);
                release.acquire().await.expect("the semaphore is never closed").forget();
                Descriptor::status().prop("text", text)
            }
        });
        awaited
    }

    async fn has_started(&self) {
        self.started.acquire().await.expect("the semaphore is never closed").forget();
    }

    /// Subscribes as one session and gives it other claims while the source is awaited. Returns what is sent when the
    /// evaluation for the old claims alone has ended, and afterwards.
    async fn change(&self, old: Session, new: Session) -> Vec<Value> {
        let mut consumer = TestConsumer::connect(&self.engine, old).await;
        consumer.start_subscription(json!({"path": "/", "depth": -1}));
        self.has_started().await;
        assert!(self.engine.update_session(&new));
        self.has_started().await;
        self.release.add_permits(1);
        let mut messages = Vec::new();
        // Either its result is shown, or the source is run once more.
        tokio::select! {
            message = consumer.next() => messages.push(message),
            () = self.has_started() => {}
        }
        consumer.send(&json!({"type": "query", "id": "q", "path": "/slow"}));
        messages.extend(consumer.ready());
        self.release.add_permits(100);
        messages.extend(consumer.settled().await);
        messages
    }
}

fn check_shows_only_new(messages: &[Value]) {
    assert!(message_types(messages).iter().filter(|kind| **kind == "snapshot").count() >= 2, "{messages:?}");
    for message in messages {
        assert!(!message.to_string().contains("old"), "what the old claims allowed is shown: {message}");
    }
    assert!(messages.iter().any(|message| message.to_string().contains("new")), "{messages:?}");
}

#[tokio::test]
async fn permissions_that_change_while_an_async_source_is_awaited_show_nothing_of_the_old_ones() {
    let app = Awaited::new(|session| session.permissions().join(","));
    let session = || Session::new("s");
    check_shows_only_new(&app.change(session().with_permission("old"), session().with_permission("new")).await);
}

#[tokio::test]
async fn data_that_changes_while_an_async_source_is_awaited_shows_nothing_of_the_old_data() {
    let app = Awaited::new(|session| session.data::<String>().cloned().unwrap_or_default());
    let session = |text: &str| user_session("s", "alice").with_data(text.to_owned());
    check_shows_only_new(&app.change(session("old"), session("new")).await);
}

#[tokio::test]
async fn claims_that_change_while_an_async_source_keeps_its_session_show_nothing_of_the_old_ones() {
    let keeps = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let app = Awaited::new(move |session| {
        keeps.lock().push(session.clone());
        session.permissions().join(",")
    });
    let session = || Session::new("s");
    check_shows_only_new(&app.change(session().with_permission("old"), session().with_permission("new")).await);
}

#[tokio::test]
async fn claims_that_stay_the_same_do_not_run_an_async_source_again() {
    let app = Awaited::new(|session| session.permissions().join(","));
    let session = || Session::new("s").with_permission("read");
    let mut consumer = TestConsumer::connect(&app.engine, session()).await;
    let id = consumer.start_subscription(json!({"path": "/", "depth": -1}));
    app.has_started().await;
    assert!(app.engine.update_session(&session()));
    app.release.add_permits(100);
    consumer.settled().await;
    assert_eq!(node_at(consumer.tree(&id), "slow")["properties"]["text"], "read");
    assert_eq!(app.engine.stats().evaluations["/slow"], 1, "a reconnect changes nothing");
}

#[tokio::test]
async fn a_refresh_of_single_paths_does_not_make_a_tree_of_the_old_claims_current() {
    let (engine, _clock) = engine_with_clock(|config| config.times.debounce = Duration::from_millis(50));
    engine.register("board", |session: &Session| Descriptor::group().prop("org", session.attribute("org")));
    let number = SharedNumber::serve(&engine, "n");
    let session = |org: &str| user_session("s", "alice").with_attribute("org", org);
    let (mut consumer, _) = connect_and_subscribe(&engine, session("acme")).await;
    assert!(engine.update_session(&session("globex")));
    number.set(1);
    engine.refresh_now(Scope::all().paths(["n"])).await;
    let mut other = TestConsumer::connect(&engine, session("globex")).await;
    assert_eq!(other.query("/board").await["properties"]["org"], "globex");
    assert_eq!(consumer.query("/board").await["properties"]["org"], "globex");
}

#[tokio::test]
async fn a_later_expiry_alone_is_shown() {
    let (engine, clock) = engine_with_clock(|_| {});
    engine.register("me", |session: &Session| {
        let until = session.expires_at().and_then(|at| at.duration_since(SystemTime::UNIX_EPOCH).ok());
        Descriptor::context().prop("until", until.map(|until| until.as_secs()))
    });
    let now = grove_engine::Clock::wall(&*clock);
    let session = |minutes: u64| Session::new("s").with_expiry(now + Duration::from_secs(60 * minutes));
    let (mut consumer, subscription) = connect_and_subscribe(&engine, session(10)).await;
    let shown = |consumer: &TestConsumer| node_at(consumer.tree(&subscription), "me")["properties"]["until"].clone();
    let before = shown(&consumer).as_u64().unwrap();
    assert!(engine.update_session(&session(30)));
    consumer.settled().await;
    assert_eq!(shown(&consumer), before + 20 * 60);
}

#[tokio::test]
async fn claims_that_change_inside_the_factory_replace_what_it_makes() {
    let engine: Arc<OnceLock<Engine>> = Arc::default();
    let inside = Arc::clone(&engine);
    let of_org = |org: &str| user_session("s", "alice").with_attribute("org", org);
    let factory = move |session: &Session| {
        let org = session.attribute("org").unwrap_or_default().to_owned();
        if org == "old" {
            // Somebody renews the session while the provider for its old claims is being made.
            let engine = inside.get().expect("the engine is built before a session is opened");
            assert!(engine.update_session(&of_org("new")));
        }
        SessionProvider::new().register("notes", move || Descriptor::collection().prop("org", org.clone()))
    };
    let providers = PerSession::with_options(Engine::builder("app", "App").config(Config::immediate()), factory);
    assert!(engine.set(providers.engine().clone()).is_ok());
    let mut consumer = TestConsumer::connect(providers.engine(), of_org("old")).await;
    assert_eq!(consumer.query("/notes").await["properties"]["org"], "new");
    consumer.subscribe("/").await;
    consumer.check_mirrors().await;
}
