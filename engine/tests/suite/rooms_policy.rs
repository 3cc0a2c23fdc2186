//! What the trust and the mode of a room allow (rooms 2).

use grove_engine::testing::TestConsumer;
use grove_engine::{
    Access, Action, Config, Descriptor, Engine, Event, Facet, Invocation, Mode, NewRoom, NewRun, Room, RoomOptions,
    Session, Trust,
};
use serde_json::json;

use crate::fixtures::{EventLog, action_names, error_code, node_at, user_session};
use crate::run_fixtures::{Workplace, echo};

const LEVELS: [Trust; 3] = [Trust::Untrusted, Trust::Provisional, Trust::Verified];

/// An engine whose rooms, and whose trees beside them, offer an action for each level.
fn engine() -> Engine {
    let engine = Engine::builder("app", "App").config(Config::immediate()).rooms(RoomOptions::new()).build();
    let actions = LEVELS.map(|level| Action::new(level.as_str(), |_: Invocation<()>| {}).requires_trust(level));
    let outside = actions.clone();
    engine.register("desk", move |_: &Session| Descriptor::status().actions(&outside));
    engine.register_room("desk", move |_: &Room, _: &Session| Descriptor::status().actions(&actions));
    engine
}

fn trusted(user: &str, trust: Trust) -> Session {
    user_session(&format!("s-{user}-{trust}"), user).with_trust(trust)
}

fn open_room(engine: &Engine, id: &str, trust: Trust) {
    let new = NewRoom::new(id).id(id).access(Access::Project).trust(trust);
    engine.rooms().create(&trusted("ann", Trust::Verified), &new).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_that_needs_trust_is_refused_to_a_session_or_in_a_room_with_less_and_stays_in_the_tree() {
    let engine = engine();
    let log = EventLog::of(&engine);
    for of_room in LEVELS {
        open_room(&engine, of_room.as_str(), of_room);
    }
    for of_session in LEVELS {
        let mut bob = TestConsumer::connect(&engine, trusted("bob", of_session)).await;
        for of_room in LEVELS {
            let room = format!("/rooms/{of_room}");
            let (_, tree) = bob.subscribe(&room).await;
            assert_eq!(action_names(node_at(&tree, "desk")), LEVELS.map(Trust::as_str), "for everyone");
            for needed in LEVELS {
                let may = needed <= of_session && needed <= of_room;
                log.clear();
                let result = bob.invoke(&format!("{room}/desk"), needed.as_str(), json!({})).await;
                let expected = if may { "" } else { "unauthorized" };
                assert_eq!(error_code(&result), expected, "{of_session} in {of_room} for {needed}");
                let reported = log.count(|event| matches!(event, Event::RoomRefused { what: "call", .. }));
                assert_eq!(reported, usize::from(!may), "SEC35");
            }
        }
        for needed in LEVELS {
            let result = bob.invoke("/desk", needed.as_str(), json!({})).await;
            assert_eq!(result["status"] == "ok", needed <= of_session, "outside of rooms the session counts alone");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_in_the_process_is_trusted_as_its_session_is() {
    let engine = engine();
    open_room(&engine, "m", Trust::Verified);
    for (session, may) in [(trusted("bob", Trust::Provisional), false), (trusted("bob", Trust::Verified), true)] {
        let client = engine.client(&session).unwrap();
        engine.rooms().join(&session, "m").unwrap();
        engine.settle().await;
        let done = client.invoke("/rooms/m/desk", "verified", json!({})).await;
        assert_eq!(done.is_ok(), may, "{done:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_is_at_most_what_its_parent_is_whoever_creates_it() {
    let engine = engine();
    let rooms = engine.rooms();
    let [low, high] = [trusted("bob", Trust::Untrusted), trusted("ann", Trust::Verified)];
    for (parent_trust, creator, expected) in [
        (Trust::Provisional, &high, Trust::Provisional),
        (Trust::Provisional, &low, Trust::Untrusted),
        (Trust::Verified, &high, Trust::Verified),
    ] {
        let parent = NewRoom::new("p").trust(parent_trust).access(Access::Project).mode(Mode::Sandbox);
        let parent = rooms.create(&high, &parent.memory("k", 1)).unwrap().room;
        // It asks for more than it may have.
        let child = NewRoom::new("c").parent(parent.id().as_str(), [Facet::Memory]);
        let child = rooms.create(creator, &child.trust(Trust::Verified).mode(Mode::Production)).unwrap();
        assert_eq!((child.trust, child.room.mode()), (expected, Mode::Sandbox));
        let grandchild = NewRoom::new("g").parent(child.room.id().as_str(), []);
        let grandchild = rooms.create(creator, &grandchild).unwrap();
        assert_eq!((grandchild.trust, grandchild.room.mode()), (expected, Mode::Sandbox));
        // Only what is listed is inherited: an empty list means nothing.
        assert_eq!(rooms.memory(creator, child.room.id()).unwrap().get("k").unwrap().value, 1);
        assert!(rooms.memory(creator, grandchild.room.id()).unwrap().get("k").is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dangerous_actions_are_refused_in_the_child_of_a_sandbox() {
    let engine = engine();
    let wipe = Action::new("wipe", |_: Invocation<()>| {}).dangerous(true);
    engine.register_room("board", move |_: &Room, _: &Session| Descriptor::status().action(&wipe));
    let ann = trusted("ann", Trust::Verified);
    engine.rooms().create(&ann, &NewRoom::new("p").id("p").mode(Mode::Sandbox)).unwrap();
    engine.rooms().create(&ann, &NewRoom::new("c").id("c").parent("p", [])).unwrap();
    let mut consumer = TestConsumer::connect(&engine, ann).await;
    let (_, room) = consumer.subscribe("/rooms/c").await;
    assert_eq!(action_names(node_at(&room, "board")), ["wipe"]);
    assert_eq!(error_code(&consumer.invoke("/rooms/c/board", "wipe", json!({})).await), "unauthorized");
}

#[tokio::test]
async fn a_child_without_an_agent_of_its_own_takes_that_of_its_parent_if_it_inherits_it() {
    let mut place = Workplace::of([echo("parents"), echo("own")]);
    let child = |inherit: &[Facet], agent: Option<&str>| {
        let new = NewRoom::new("Child").parent(place.room.id().clone(), inherit.iter().copied());
        let new = agent.into_iter().fold(new, |new, agent| new.agent(agent));
        place.engine.rooms().create(&place.ann, &new).unwrap().room
    };
    let agents = [
        (child(&[Facet::Agent], None), Some("parents")),
        (child(&[Facet::Agent], Some("own")), Some("own")),
        (child(&[Facet::Memory], None), None),
    ];
    for (room, agent) in agents {
        assert_eq!(room.agent().map(|name| name.as_str()), agent);
        let ran = place.engine.rooms().run(&place.ann, room.id(), &NewRun::new(json!(1)));
        assert_eq!(ran.is_ok(), agent.is_some());
    }
    let run = place.run(json!(2));
    place.until_end_of(&run).await;
}

#[tokio::test]
async fn who_creates_a_room_is_told_which_trust_and_which_contract_it_has() {
    let engine = engine();
    engine.register_agent(echo("a").contract("v1"));
    for (has, asks, granted) in [
        (Trust::Verified, "provisional", "provisional"),
        (Trust::Provisional, "verified", "provisional"),
        (Trust::Verified, "verified", "verified"),
    ] {
        let ann = trusted("ann", has);
        let mut consumer = TestConsumer::connect(&engine, ann.clone()).await;
        let new = json!({"title": "t", "agent": "a", "contract": "v1", "trust": asks});
        let data = consumer.invoke("/rooms", "create", new).await["data"].take();
        assert_eq!((&data["trust"], &data["contract"]), (&json!(granted), &json!("v1")), "{has} {asks}");
        let room = engine.rooms().get(&ann, data["room"].as_str().unwrap()).unwrap();
        assert_eq!((room.trust().as_str(), room.origin().as_str()), (granted, "slop"));
        let strict = json!({"title": "t", "trust": asks, "strict": true});
        let result = consumer.invoke("/rooms", "create", strict).await;
        let refused = error_code(&result);
        assert_eq!(refused == "caps_refused", granted != asks, "{refused}");
    }
}
