//! What several people do in a room together, from its creation to its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use grove_engine::testing::TestConsumer;
use grove_engine::{
    Access, Action, ActionError, Agent, Config, Descriptor, Engine, Invocation, Message, NewRoom, NewRun, Room,
    RoomOptions, RunContext, Scope, Session,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::fixtures::{action_names, child_ids, error_code, node_at, user_session};

/// The data of the application: who proposed what, and how often anything was written.
#[derive(Default)]
struct Board {
    version: AtomicU64,
}

#[derive(Deserialize, JsonSchema)]
struct Change {
    note: String,
    /// The version that the caller has seen.
    #[serde(default)]
    expect_version: Option<u64>,
}

/// An engine with a board in every room; a change of it is told to all in the room, and shown to them.
fn engine(board: &Arc<Board>) -> Engine {
    let engine = Engine::builder("app", "App").config(Config::immediate()).rooms(RoomOptions::new()).build();
    let (data, of_action) = (Arc::clone(board), engine.clone());
    let change = Action::new("change", move |call: Invocation<Change>| {
        let seen = call.params.expect_version.unwrap_or_else(|| data.version.load(Ordering::SeqCst));
        let exchanged = data.version.compare_exchange(seen, seen + 1, Ordering::SeqCst, Ordering::SeqCst);
        exchanged.map_err(|_| ActionError::conflict("the board has changed"))?;
        let user = call.session.user().unwrap_or_default();
        if let Some(room) = &call.room {
            let told = Message::data(json!({"by": user, "note": call.params.note}));
            of_action.rooms().say(&call.session, room.id(), &told)?;
            of_action.refresh(Scope::room(room.id().clone()));
        }
        Ok::<_, ActionError>(json!({"by": user, "in_room": call.room.is_some()}))
    });
    let (shown, solo) = (Arc::clone(board), change.clone());
    engine.register_room("board", move |_: &Room, _: &Session| {
        Descriptor::status().prop("version", shown.version.load(Ordering::SeqCst)).action(&change)
    });
    engine.register("board", move |_: &Session| Descriptor::status().action(&solo));
    engine
}

/// A room `m` of ann's with this access.
fn open_room(engine: &Engine, access: Access) {
    engine.rooms().create(&user_session("creator", "ann"), &NewRoom::new("Board").id("m").access(access)).unwrap();
}

/// Somebody with a consumer that shows a room, and what it received of it.
struct Person {
    consumer: TestConsumer,
    subscription: String,
    events: Vec<Value>,
}

impl Person {
    /// A session of this user's joins the room at a path.
    async fn join(engine: &Engine, user: &str, path: &str) -> Self {
        Self::join_as(engine, user_session(user, user), path).await
    }

    async fn join_as(engine: &Engine, session: Session, path: &str) -> Self {
        let consumer = TestConsumer::connect(engine, session).await;
        let mut person = Self { consumer, subscription: String::new(), events: Vec::new() };
        person.subscription = person.subscribe(path).await;
        person
    }

    async fn subscribe(&mut self, path: &str) -> String {
        let id = self.consumer.start_subscription(json!({"path": path, "depth": -1}));
        assert_eq!(self.answer(&id).await["type"], "snapshot");
        id
    }

    /// Does something, and returns the result.
    async fn act(&mut self, path: &str, action: &str, params: Value) -> Value {
        let id = self.consumer.start_invoke(path, action, params);
        self.answer(&id).await
    }

    async fn answer(&mut self, id: &str) -> Value {
        loop {
            let message = self.consumer.next().await;
            if message["id"] == id {
                return message;
            }
            self.note(message);
        }
    }

    /// Takes messages until so many calls have their results, in whatever order.
    async fn results(&mut self, calls: usize) {
        let mut results = 0;
        while results < calls {
            let message = self.consumer.next().await;
            results += usize::from(message["type"] == "result");
            self.note(message);
        }
    }

    fn note(&mut self, mut message: Value) {
        if message["type"] == "event" {
            self.events.push(message["data"].take());
        }
    }

    /// The events up to one of this kind.
    async fn until(&mut self, kind: &str) -> Vec<Value> {
        while !kinds(&self.events).contains(&kind) {
            let message = self.consumer.next().await;
            self.note(message);
        }
        self.events().await
    }

    /// All events since this was last asked.
    async fn events(&mut self) -> Vec<Value> {
        for message in self.consumer.settled().await {
            self.note(message);
        }
        std::mem::take(&mut self.events)
    }

    fn shown(&self) -> &Value {
        self.consumer.tree(&self.subscription)
    }

    fn version(&self) -> &Value {
        &node_at(self.shown(), "board")["properties"]["version"]
    }
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["kind"].as_str().unwrap()).collect()
}

const ROOM: &str = "/rooms/m";
const BOARD: &str = "/rooms/m/board";

#[tokio::test(flavor = "multi_thread")]
async fn a_room_is_created_joined_worked_in_watched_and_closed() {
    let engine = engine(&Arc::default());
    let mut ann = Person::join(&engine, "ann", "/rooms").await;
    let created = ann.act("/rooms", "create", json!({"title": "Board", "access": "project"})).await;
    let path = format!("/rooms/{}", created["data"]["room"].as_str().unwrap());
    ann.subscribe(&path).await;
    let mut bob = Person::join(&engine, "bob", &path).await;
    assert_eq!(node_at(bob.shown(), "participants")["properties"]["online"], 2);
    assert_eq!(bob.act(&format!("{path}/board"), "change", json!({"note": "x"})).await["status"], "ok");
    assert_eq!(error_code(&bob.act(&path, "close", json!({})).await), "unauthorized", "bob did not create it");
    assert_eq!(ann.act(&path, "close", json!({"reason": "done"})).await["status"], "ok");
    let (of_ann, of_bob) = (ann.events().await, bob.events().await);
    assert_eq!(kinds(&of_ann), ["participant.joined", "participant.joined", "message", "room.ended"]);
    assert_eq!(of_ann[1..], of_bob);
    assert_eq!(of_ann[3]["body"]["note"], "done");
    assert_eq!((child_ids(bob.shown()), action_names(bob.shown())), (vec![], vec![]));
    assert_eq!(error_code(&bob.act(&path, "say", json!({"text": "x"})).await), "conflict");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_and_its_review_are_seen_by_both() {
    let engine = engine(&Arc::default());
    open_room(&engine, Access::Project);
    let mut ann = Person::join(&engine, "ann", ROOM).await;
    let mut bob = Person::join(&engine, "bob", ROOM).await;
    ann.act(BOARD, "change", json!({"note": "proposal"})).await;
    bob.act(BOARD, "change", json!({"note": "review"})).await;
    let (of_ann, of_bob) = (ann.events().await, bob.events().await);
    assert_eq!(of_ann[1..], of_bob, "the same events, ids included");
    let said: Vec<_> = of_bob[1..].iter().map(|event| &event["body"]["data"]).collect();
    assert_eq!(said, [&json!({"by": "ann", "note": "proposal"}), &json!({"by": "bob", "note": "review"})]);
    assert_eq!((ann.version(), bob.version()), (&json!(2), &json!(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_does_is_seen_by_all_once_however_often_they_subscribed() {
    let engine = engine(&Arc::default());
    open_room(&engine, Access::Project);
    let mut all = Vec::new();
    for user in ["ann", "bob", "cid"] {
        let mut person = Person::join(&engine, user, ROOM).await;
        person.subscribe("/rooms/m/participants").await;
        person.subscribe("/").await;
        all.push(person);
    }
    for person in &mut all {
        person.events().await;
    }
    assert_eq!(all[0].act(BOARD, "change", json!({"note": "n"})).await["status"], "ok");
    let mut ids = Vec::new();
    for person in &mut all {
        let seen = person.events().await;
        assert_eq!((kinds(&seen), &seen[0]["actor"]["user"]), (vec!["message"], &json!("ann")));
        assert_eq!(person.version(), 1);
        ids.push(seen[0]["id"].clone());
    }
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "{ids:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_act_at_once_see_what_both_did_in_one_order() {
    let engine = engine(&Arc::default());
    open_room(&engine, Access::Project);
    let mut ann = Person::join(&engine, "ann", ROOM).await;
    let mut bob = Person::join(&engine, "bob", ROOM).await;
    ann.events().await;
    bob.events().await;
    for number in 0..20 {
        let say = json!({"text": number.to_string()});
        ann.consumer.start_invoke(ROOM, "say", say.clone());
        bob.consumer.start_invoke(ROOM, "say", say);
    }
    ann.results(20).await;
    bob.results(20).await;
    let (of_ann, of_bob) = (ann.events().await, bob.events().await);
    assert_eq!((of_ann.len(), &of_ann), (40, &of_bob));
    let first = of_ann[0]["seq"].as_u64().unwrap();
    assert!(of_ann.iter().zip(first..).all(|(event, seq)| event["seq"] == seq));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observer_sees_tree_and_events_and_every_action_is_refused() {
    let engine = engine(&Arc::default());
    open_room(&engine, Access::Observe);
    let mut trainee = Person::join(&engine, "tom", ROOM).await;
    let mut ann = Person::join(&engine, "ann", ROOM).await;
    ann.act(BOARD, "change", json!({"note": "look"})).await;
    ann.act(ROOM, "say", json!({"text": "did you see?"})).await;
    assert_eq!(kinds(&trainee.events().await)[1..], ["participant.joined", "message", "message"]);
    assert_eq!(trainee.version(), 1);
    for (path, action) in [(BOARD, "change"), (ROOM, "say"), (ROOM, "close"), (ROOM, "admit"), (ROOM, "dismiss")] {
        let params = json!({"note": "n", "text": "t", "user": "u", "role": "member"});
        assert_eq!(error_code(&trainee.act(path, action, params).await), "unauthorized", "{path} {action}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_handler_serves_calls_inside_and_outside_of_rooms_and_is_told_which() {
    let engine = engine(&Arc::default());
    open_room(&engine, Access::Project);
    let mut ann = Person::join(&engine, "ann", ROOM).await;
    let inside = ann.act(BOARD, "change", json!({"note": "n"})).await;
    let outside = ann.act("/board", "change", json!({"note": "n"})).await;
    assert_eq!(inside["data"], json!({"by": "ann", "in_room": true}));
    assert_eq!(outside["data"], json!({"by": "ann", "in_room": false}));
    let mut alone = Person::join(&engine, "zoe", "/board").await;
    assert_eq!(alone.act("/board", "change", json!({"note": "n"})).await["status"], "ok");
    assert_eq!(alone.events().await, Vec::<Value>::new(), "whoever is in no room gets the result alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_handler_writes_the_applications_data() {
    let board = Arc::new(Board::default());
    let engine = engine(&board);
    open_room(&engine, Access::Project);
    let mut ann = Person::join(&engine, "ann", ROOM).await;
    let mut bob = Person::join(&engine, "bob", ROOM).await;
    bob.act(ROOM, "say", json!({"text": "change"})).await;
    bob.act(ROOM, "leave", json!({})).await;
    assert_eq!(board.version.load(Ordering::SeqCst), 0);
    ann.act(BOARD, "change", json!({"note": "n"})).await;
    assert_eq!(board.version.load(Ordering::SeqCst), 1);
    ann.act(ROOM, "close", json!({})).await;
    assert_eq!(board.version.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_that_names_the_version_it_saw_conflicts_if_another_came_first() {
    let engine = engine(&Arc::default());
    open_room(&engine, Access::Project);
    let mut ann = Person::join(&engine, "ann", ROOM).await;
    let mut bob = Person::join(&engine, "bob", ROOM).await;
    let seen = json!({"note": "n", "expect_version": 0});
    assert_eq!(ann.act(BOARD, "change", seen.clone()).await["status"], "ok");
    assert_eq!(error_code(&bob.act(BOARD, "change", seen).await), "conflict");
    assert_eq!(kinds(&bob.events().await), ["participant.joined", "message"], "one change was told");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_participant_is_not_told_of_itself_a_sibling_of_the_same_user_is() {
    let engine = engine(&Arc::default());
    open_room(&engine, Access::Project);
    let page_session = user_session("page", "ann");
    let mut page = Person::join_as(&engine, page_session.clone(), ROOM).await;
    let mut agent = Person::join_as(&engine, user_session("agent", "ann"), ROOM).await;
    let mut bob = Person::join(&engine, "bob", ROOM).await;
    let rows = engine.rooms().participants(&page_session, "m").unwrap();
    let to_agent = json!({"text": "for the agent", "to": rows[1].id});
    assert_eq!(bob.act(ROOM, "say", to_agent).await["status"], "ok");
    agent.act(ROOM, "leave", json!({})).await;
    let seen = page.events().await;
    assert_eq!(kinds(&seen)[3..], ["participant.left"], "the message was for the other one");
    assert_eq!(seen[3]["body"]["user"], "ann");
    assert_eq!(kinds(&agent.events().await)[2..], ["message"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_actor_of_an_event_is_the_session_whatever_its_client_says() {
    let engine = engine(&Arc::default());
    open_room(&engine, Access::Project);
    let mut ann = Person::join(&engine, "ann", ROOM).await;
    let mut bob = Person::join(&engine, "bob", ROOM).await;
    ann.events().await;
    let forged = json!({"user": "ann"});
    let params = json!({"text": "x", "actor": forged, "user": "ann", "by": "ann", "seq": 1, "id": "e_1"});
    bob.consumer.send(&json!({"type": "invoke", "id": "i", "path": ROOM, "action": "say", "params": params,
        "user": "ann", "actor": forged}));
    let result = bob.answer("i").await;
    assert_eq!(result["status"], "ok");
    let seen = ann.events().await.pop().unwrap();
    assert_eq!((&seen["id"], &seen["actor"]["user"]), (&result["data"]["event"], &json!("bob")));
    assert_eq!(seen["body"], json!({"text": "x"}));
}

/// A deployment that takes as long as it is told to, watched by somebody who may do nothing.
#[tokio::test]
async fn an_observer_follows_a_long_run_step_by_step_until_it_is_done() {
    let engine = engine(&Arc::default());
    engine.register_agent(Agent::new("deploy", |run: RunContext, steps: Value| async move {
        for step in 1..=steps.as_u64().unwrap_or_default() {
            run.progress(step as f64 / 4.0, format!("step {step}"));
            run.chunk(format!("{step};"));
            run.next_input().await;
        }
        Ok(json!("deployed"))
    }));
    let ann = user_session("ann", "ann");
    let new = NewRoom::new("Release").id("m").access(Access::Observe).agent("deploy");
    engine.rooms().create(&ann, &new).unwrap();
    let mut watcher = Person::join(&engine, "olga", "/rooms/m").await;
    watcher.events().await;
    let run = engine.rooms().run(&ann, "m", &NewRun::new(json!(4))).unwrap();
    for step in 1..=4 {
        let mut events = watcher.until("run.chunk").await;
        events.retain(|event| event["kind"] != "run.started");
        assert_eq!(kinds(&events), ["run.progress", "run.chunk"], "{step}");
        let (body, message) = (&events[0]["body"], format!("step {step}"));
        assert_eq!((&body["progress"], &body["message"]), (&json!(f64::from(step) / 4.0), &json!(message)));
        let shown = node_at(watcher.shown(), &format!("runs/{run}"));
        assert_eq!(
            (&shown["properties"]["message"], &shown["properties"]["status"]),
            (&json!(message), &json!("running"))
        );
        assert_eq!(action_names(shown), [""; 0]);
        let refused = watcher.act(&format!("/rooms/m/runs/{run}"), "send", json!({"data": 1})).await;
        assert_eq!(error_code(&refused), "unauthorized");
        engine.rooms().send_input(&ann, "m", &*run, json!(step)).unwrap();
    }
    let events = watcher.until("run.done").await;
    assert_eq!((kinds(&events), &events[0]["body"]["result"]), (vec!["run.done"], &json!("deployed")));
    let shown = node_at(watcher.shown(), &format!("runs/{run}"));
    assert_eq!((&shown["properties"]["status"], &shown["properties"]["output_chars"]), (&json!("done"), &json!(8)));
}

/// An agent is told who asked and where, whatever way the run came; everything else is the same.
#[tokio::test]
async fn one_agent_serves_runs_of_the_tree_and_of_the_application_and_is_told_whose_they_are() {
    let engine = engine(&Arc::default());
    engine.register_agent(Agent::new("a", |run: RunContext, input: Value| async move {
        let by = run.actor();
        let from = (by.user.as_str(), by.participant.is_some(), by.role.as_str(), run.room().id().as_str());
        Ok(json!({"of": input, "from": from}))
    }));
    let ann = user_session("ann", "ann");
    engine.rooms().create(&ann, &NewRoom::new("t").id("m").access(Access::Project).agent("a")).unwrap();
    let mut bob = Person::join(&engine, "bob", "/rooms/m").await;
    for expected in [json!(["bob", true, "member", "m"]), json!(["ann", false, "owner", "m"])] {
        match expected[0].as_str() {
            Some("bob") => drop(bob.act("/rooms/m", "run", json!({"input": 1})).await),
            _ => drop(engine.rooms().run(&ann, "m", &NewRun::new(json!(1))).unwrap()),
        }
        let events = bob.until("run.done").await;
        assert_eq!(events.last().unwrap()["body"]["result"], json!({"of": 1, "from": expected}));
    }
}
