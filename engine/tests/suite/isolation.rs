//! No session ever sees or reaches anything of another, whatever the order of requests.

use std::collections::BTreeMap;
use std::sync::Arc;

use grove_engine::testing::TestConsumer;
use grove_engine::{Action, Descriptor, Engine, Invocation, Item, Outcome, Scope, Session, Source, WindowRequest};
use parking_lot::Mutex;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixtures::{cases, connect_and_subscribe, engine, node_at, user_session};

const SESSIONS: usize = 50;

/// A secret that only one session may see.
fn marker(number: usize) -> String {
    format!("<secret-of-{number:02}>")
}

/// The numbers of the sessions whose secrets a text contains.
fn markers(text: &str) -> Vec<usize> {
    let found = text.split("<secret-of-").skip(1);
    found.map(|rest| rest[..2].parse().unwrap()).collect()
}

fn session(number: usize) -> Session {
    let session = user_session(&format!("s{number:02}"), &marker(number))
        .with_attribute("org", format!("org-of-{}", number / 10))
        .with_attribute("secret", marker(number))
        .with_data(marker(number));
    if number.is_multiple_of(2) { session.with_permission(marker(number)).with_permission("act") } else { session }
}

/// The calls that handlers received: the number of the caller and the number in the path.
#[derive(Clone, Default)]
struct Calls(Arc<Mutex<Vec<(usize, usize)>>>);

fn number_of(session: &Session) -> usize {
    markers(session.user().unwrap_or_default())[0]
}

/// Sources that read a session in every possible way, and share what can be shared.
fn serve(engine: &Engine) -> Calls {
    let calls = Calls::default();
    let record = Arc::clone(&calls.0);
    let act = Action::new("act", move |call: Invocation<Value>| {
        let caller = number_of(&call.session);
        let named = call
            .path
            .split(|c: char| !c.is_ascii_digit())
            .rfind(|n| !n.is_empty())
            .map_or(caller, |n| n.parse().unwrap());
        record.lock().push((caller, named));
        json!({"caller": call.session.user()})
    });
    engine.register("by-user", |session: &Session| Descriptor::context().prop("user", session.user()));
    engine
        .register("by-attribute", |session: &Session| Descriptor::group().prop("secret", session.attribute("secret")));
    engine.register("by-data", |session: &Session| Descriptor::group().prop("data", session.data::<String>().cloned()));
    engine.register("by-id", |session: &Session| Descriptor::group().summary(session.id().replace('s', "session ")));
    engine.register("by-permissions", |session: &Session| {
        let secret =
            session.permissions().into_iter().find(|name| name.starts_with('<')).unwrap_or_default().to_owned();
        Descriptor::group().prop("permission", secret)
    });
    engine.register("shared", |session: &Session| Descriptor::group().prop("org", session.attribute("org")));
    engine.register_async("later", |session: Session| async move {
        tokio::task::yield_now().await;
        Descriptor::group().prop("secret", session.attribute("secret"))
    });
    let (offered, loaded) = (act.clone(), act.clone());
    let own = Source::new(move |session: &Session| {
        let mine = number_of(session);
        let descriptor =
            Descriptor::collection().item(Item::new(format!("thing-{mine:02}")).prop("of", marker(mine)).action(&act));
        if session.can("act") { descriptor.action(&act) } else { descriptor }
    })
    .on_window(move |session: &Session, request: &WindowRequest| {
        let mine = number_of(session);
        let item = |at: u64| Item::new(format!("more-{at}-{mine:02}")).prop("of", marker(mine)).action(&offered);
        (request.offset..request.offset + request.count.min(3)).map(item).collect::<Vec<_>>()
    })
    .on_item(move |session: &Session, path: &str| {
        let mine = number_of(session);
        let is_mine = path.ends_with(&format!("-{mine:02}"));
        is_mine.then(|| Item::new(path.to_owned()).prop("of", marker(mine)).action(&loaded))
    });
    engine.register_source("things", own);
    calls
}

/// Pseudo-random numbers, the same in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn path(&mut self) -> String {
        let paths = [
            "/",
            "/by-user",
            "/by-attribute",
            "/by-data",
            "/by-id",
            "/by-permissions",
            "/shared",
            "/later",
            "/things",
            "/own",
            "/tasks",
            "/nowhere",
        ];
        match self.below(3) {
            0 => format!("/things/thing-{:02}", self.below(SESSIONS)),
            1 => format!("/things/more-{}-{:02}", self.below(5), self.below(SESSIONS)),
            _ => paths[self.below(paths.len())].to_owned(),
        }
    }

    /// A random message about a random path.
    fn message(&mut self) -> Value {
        let path = self.path();
        let depth = self.below(4) as i64 - 1;
        match self.below(5) {
            0 => json!({"type": "query", "id": "q", "path": path, "depth": depth}),
            1 => json!({"type": "query", "id": "q", "path": path, "window": [self.below(9), self.below(9)]}),
            2 => {
                let (id, length) = (format!("i{}", self.0), marker(self.below(SESSIONS)).len());
                json!({"type": "invoke", "id": id, "path": path, "action": "act", "params": {"as": length}})
            }
            3 => json!({"type": "unsubscribe", "id": format!("sub-{}", self.below(6))}),
            _ => {
                json!({"type": "query", "id": "q", "path": path, "session": format!("s{:02}", self.below(SESSIONS)), "user": "x"})
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_sessions_never_receive_each_others_secrets_or_run_each_others_handlers() {
    let engine = engine();
    let calls = serve(&engine);
    let mut random = Random(7);
    let mut consumers = Vec::new();
    for number in 0..SESSIONS {
        consumers.push(TestConsumer::connect(&engine, session(number)).await);
        let secret = marker(number);
        let source = Source::new(move |_: &Session| Descriptor::status().prop("own", secret.as_str()));
        engine.register_for(&format!("s{number:02}"), "own", source).unwrap();
    }
    let (mut secrets, mut frames) = (0, 0);
    for round in 0..60 {
        for consumer in &mut consumers {
            if random.below(3) == 0 {
                consumer.start_subscription(json!({"path": random.path(), "depth": random.below(4) as i64 - 1}));
            }
            for _ in 0..2 {
                consumer.send(&random.message());
            }
        }
        match round % 4 {
            0 => drop(engine.refresh(Scope::all())),
            1 => drop(engine.refresh(Scope::user(marker(random.below(SESSIONS))))),
            2 => {
                let number = random.below(SESSIONS);
                engine.update_session(&session(number).with_attribute("round", round.to_string()));
            }
            _ => {
                // A connection is lost and replaced.
                let number = random.below(SESSIONS);
                consumers[number] = TestConsumer::connect(&engine, session(number)).await;
            }
        }
        for (number, consumer) in consumers.iter_mut().enumerate() {
            for message in consumer.settled().await {
                let text = message.to_string();
                let seen = markers(&text);
                assert!(seen.iter().all(|of| *of == number), "{number} received {text}");
                secrets += seen.len();
                frames += 1;
            }
        }
    }
    assert!(secrets > 1_000 && frames > 3_000, "too little was checked: {secrets} own secrets in {frames} frames");
    let calls = calls.0.lock();
    assert!(calls.len() > 20, "{} calls", calls.len());
    assert!(calls.iter().all(|(caller, named)| caller == named), "{calls:?}");
}

#[tokio::test]
async fn a_node_of_another_session_is_not_found() {
    let engine = engine();
    let calls = serve(&engine);
    let (mut alice, _) = connect_and_subscribe(&engine, session(1)).await;
    let (_bob, _) = connect_and_subscribe(&engine, session(2)).await;
    for path in ["/things/thing-02", "/things/more-0-02", "/things/thing-99"] {
        let (mut query, mut invoke) =
            (alice.query_with(json!({"path": path})).await, alice.invoke(path, "act", Value::Null).await);
        query["id"].take();
        invoke["id"].take();
        let not_found = (
            json!({"type": "error", "id": null, "error": {"code": "not_found", "message": "there is no such path"}}),
            json!({"type": "result", "id": null, "status": "error", "error": {"code": "not_found", "message": "there is no such path"}}),
        );
        assert_eq!((query, invoke), not_found, "{path}");
    }
    assert!(calls.0.lock().is_empty());
}

#[tokio::test]
async fn identical_looking_actions_of_different_sessions_run_their_own_handlers() {
    // Each session's node offers an action that looks like the other's and acts for its own owner.
    let engine = engine();
    engine.register("mine", |session: &Session| {
        let owner = session.user().unwrap_or_default().to_owned();
        Descriptor::status().action(&Action::new("who", move |_: Invocation<()>| Outcome::data(owner.as_str())))
    });
    let mut consumers = BTreeMap::new();
    for user in ["alice", "bob", "zoe"] {
        consumers.insert(user, connect_and_subscribe(&engine, user_session(user, user)).await.0);
    }
    engine.refresh_now(Scope::all()).await;
    for (user, consumer) in &mut consumers {
        assert_eq!(consumer.invoke("/mine", "who", Value::Null).await["data"], *user);
    }
}

/// The reads that a descriptor function makes; each depends on the answers to the previous ones.
#[derive(Debug, Clone)]
struct Reader {
    reads: Vec<u8>,
    length: usize,
}

const NAMES: [&str; 4] = ["org", "team", "role", "plan"];

impl Reader {
    /// Makes its reads and returns them with their answers.
    fn read(&self, session: &Session) -> Vec<String> {
        let mut state = 0_usize;
        let mut answers = Vec::new();
        for _ in 0..self.length {
            let read = self.reads[state % self.reads.len()];
            let answer = match read % 12 {
                kind @ 0..=3 => format!("{:?}", session.attribute(NAMES[usize::from(kind)])),
                kind @ 4..=7 => format!("{}", session.can(NAMES[usize::from(kind - 4)])),
                8 => format!("{:?}", session.user()),
                9 => format!("{:?}", session.project()),
                10 => format!("{:?}", session.attributes()),
                _ => format!("{:?}", session.permissions()),
            };
            let next = |hash: usize, byte: u8| hash.wrapping_mul(33) ^ usize::from(byte);
            state = answer.bytes().fold(next(state, read), next);
            answers.push(format!("{read}: {answer}"));
            if state.is_multiple_of(7) {
                break;
            }
        }
        answers
    }
}

fn reader() -> impl Strategy<Value = Reader> {
    (prop::collection::vec(any::<u8>(), 1..20), 0_usize..6).prop_map(|(reads, length)| Reader { reads, length })
}

/// A session with few possible values for each claim, so that many sessions are partly alike.
fn arbitrary_session() -> impl Strategy<Value = Session> {
    let value = prop::sample::select(vec!["x", "y", "z"]);
    let attributes = prop::collection::btree_map(prop::sample::select(NAMES.to_vec()), value.clone(), 0..4);
    let permissions = prop::collection::btree_set(prop::sample::select(NAMES.to_vec()), 0..4);
    (prop::option::of(value.clone()), prop::option::of(value), attributes, permissions).prop_map(
        |(user, project, attributes, permissions)| {
            let mut session = Session::new("").with_permissions(permissions);
            if let Some(user) = user {
                session = session.with_user(user);
            }
            if let Some(project) = project {
                session = session.with_project(project);
            }
            attributes.into_iter().fold(session, |session, (name, value)| session.with_attribute(name, value))
        },
    )
}

/// The same claims with a unique id.
fn with_id(session: &Session, number: usize) -> Session {
    let mut named = Session::new(format!("s{number}")).with_permissions(session.permissions());
    if let Some(user) = session.user() {
        named = named.with_user(user);
    }
    if let Some(project) = session.project() {
        named = named.with_project(project);
    }
    session.attributes().into_iter().fold(named, |named, (name, value)| named.with_attribute(name, value))
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn sharing_never_changes_what_a_session_sees_whatever_its_descriptors_read(
        readers in prop::collection::vec(reader(), 1..4),
        sessions in prop::collection::vec(arbitrary_session(), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let engine = crate::fixtures::engine_with(|config| config.execution.pass_threads = 4);
            for (number, reader) in readers.iter().enumerate() {
                let (blocking, asynchronous) = (reader.clone(), reader.clone());
                engine.register(&format!("n{number}"), move |session: &Session| {
                    Descriptor::group().prop("answers", blocking.read(session))
                });
                engine.register_async(&format!("m{number}"), move |session: Session| {
                    let reader = asynchronous.clone();
                    async move {
                        tokio::task::yield_now().await;
                        Descriptor::group().prop("answers", reader.read(&session))
                    }
                });
            }
            let mut consumers = Vec::new();
            for (number, session) in sessions.iter().enumerate() {
                consumers.push(connect_and_subscribe(&engine, with_id(session, number)).await);
            }
            // First as first trees, then all in one pass.
            for round in 0..2 {
                for ((consumer, id), session) in consumers.iter_mut().zip(&sessions) {
                    consumer.settled().await;
                    for (number, reader) in readers.iter().enumerate() {
                        let expected = json!(reader.read(session));
                        let tree = if round == 0 { consumer.tree(id).clone() } else { consumer.query("/").await };
                        assert_eq!(node_at(&tree, &format!("n{number}"))["properties"]["answers"], expected);
                        assert_eq!(node_at(&tree, &format!("m{number}"))["properties"]["answers"], expected);
                    }
                }
                engine.refresh_now(Scope::all()).await;
            }
            let evaluations = engine.stats().evaluations;
            let limit = 3 * (readers.len() * sessions.len()) as u64;
            let runs = |kind: &str| evaluations.iter().filter(|(path, _)| path.starts_with(kind)).map(|(_, runs)| runs).sum::<u64>();
            assert!(runs("/n") <= limit && runs("/m") <= limit, "never more often than without sharing");
        });
    }
}
