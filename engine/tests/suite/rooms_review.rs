//! What goes wrong only when things come together: projects, limits, long names, claims that change.

use std::sync::Arc;

use grove_engine::testing::{ManualClock, TestConsumer};
use grove_engine::{
    Access, ActionError, Config, Descriptor, Engine, Message, NewRoom, PerSession, Presence, Room, RoomOptions,
    RoomRole, Session, SessionProvider, Source,
};

use crate::fixtures::{child_ids, in_project, node_at, room_engine, room_engine_with, user_session};

fn code<T>(done: Result<T, ActionError>) -> String {
    done.err().map_or_else(String::new, |error| error.code().to_owned())
}

fn open_room(engine: &Engine, owner: &Session) -> Room {
    engine.rooms().create(owner, &NewRoom::new("t").access(Access::Project)).unwrap().room
}

#[tokio::test]
async fn a_call_id_of_one_project_is_another_one_in_another_project() {
    let (engine, _clock) = room_engine();
    let message = Message::text("x").call_id("1");
    let said = ["acme", "other"].map(|project| {
        let ann = in_project("a", "ann", project);
        let room = open_room(&engine, &ann);
        engine.rooms().say(&ann, room.id(), &message).unwrap();
        room.seq()
    });
    assert_eq!(said, [2, 2]);
    let seq = ["b\0c", "b"].map(|id| {
        let ann = user_session(id, if id == "b" { "c\0ann" } else { "ann" });
        let room = open_room(&engine, &ann);
        engine.rooms().say(&ann, room.id(), &message).unwrap();
        room.seq()
    });
    assert_eq!(seq, [2, 2], "no two names are taken for each other");
}

#[tokio::test]
async fn an_admission_that_is_refused_leaves_a_dismissal_as_it_was() {
    let (engine, _clock) = room_engine_with(RoomOptions::new(), |config| config.rooms.admissions_per_user = 0);
    let [ann, bob] = ["ann", "bob"].map(|user| user_session(user, user));
    let room = open_room(&engine, &ann);
    engine.rooms().dismiss(&ann, room.id(), "bob").unwrap();
    assert_eq!(code(engine.rooms().get(&bob, room.id())), "not_found");
    assert_eq!(code(engine.rooms().admit(&ann, room.id(), "bob", RoomRole::Observer)), "busy");
    assert_eq!(code(engine.rooms().get(&bob, room.id())), "not_found");
}

#[tokio::test]
async fn who_cannot_be_named_in_events_is_refused_and_no_number_is_missing() {
    let (engine, _clock) = room_engine();
    let rooms = engine.rooms();
    let ann = user_session("a", "ann");
    let long = user_session("l", &"x".repeat(1_025)).with_permission("rooms:admin");
    let room = open_room(&engine, &ann);
    let mut consumer = TestConsumer::connect(&engine, long.clone()).await;
    assert_eq!(code(rooms.join(&long, room.id())), "invalid_params");
    assert_eq!(code(rooms.say(&long, room.id(), &Message::text("x"))), "invalid_params");
    assert_eq!(code(rooms.close(&long, room.id(), None).await), "invalid_params");
    let path = format!("/rooms/{}", room.id());
    consumer.subscribe(&path).await;
    assert_eq!((room.seq(), room.participants().len()), (1, 0));
    let longest = user_session("m", &"\u{1}".repeat(1_024));
    let _consumer = TestConsumer::connect(&engine, longest.clone()).await;
    assert_eq!(code(rooms.join(&longest, room.id())), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_closed_while_it_becomes_somebody_else_leaves_nothing_behind() {
    let factory = |session: &Session| {
        assert_ne!(session.user(), Some("eve"), "the application has a fault");
        SessionProvider::new()
    };
    let builder = Engine::builder("app", "App").config(Config::immediate()).rooms(RoomOptions::new());
    let engine = PerSession::with_options(builder, factory).engine().clone();
    let ann = in_project("a", "ann", "p");
    let bob = in_project("b", "bob", "p").with_presence(Presence::new("Bob"));
    let room = open_room(&engine, &ann);
    let _consumer = TestConsumer::connect(&engine, bob.clone()).await;
    engine.rooms().join(&bob, room.id()).unwrap();
    assert_eq!(engine.rooms().presence(&ann).unwrap().len(), 1);
    assert!(!engine.update_session(&in_project("b", "eve", "q").with_presence(Presence::new("Eve"))));
    engine.settle().await;
    assert_eq!((room.participants().len(), engine.rooms().presence(&ann).unwrap().len()), (0, 0));
    let stats = engine.rooms().stats();
    assert_eq!((stats.participants, stats.presence, stats.leases), (0, 0, 0));
}

#[tokio::test]
async fn a_tree_never_says_that_a_room_ended_at_a_time_at_which_it_goes_on() {
    let (engine, clock) = room_engine();
    let ann = user_session("a", "ann");
    let room = engine.rooms().create(&ann, &NewRoom::new("t").ttl_s(10)).unwrap().room;
    let mut consumer = TestConsumer::connect(&engine, ann.clone()).await;
    let (id, _) = consumer.subscribe("/").await;
    let shown = |consumer: &TestConsumer| {
        node_at(consumer.tree(&id), &format!("/rooms/{}", room.id()))["properties"]["ends_at"].clone()
    };
    assert_eq!(shown(&consumer), "2026-01-01T00:00:10.000Z");
    pass(&engine, &clock, &mut consumer, 6_000).await;
    engine.rooms().say(&ann, room.id(), &Message::text("x")).unwrap();
    assert!(consumer.settled().await.is_empty(), "what is said changes no tree");
    pass(&engine, &clock, &mut consumer, 4_000).await;
    assert_eq!(shown(&consumer), "2026-01-01T00:00:16.000Z");
}

#[tokio::test]
async fn what_only_a_session_has_goes_with_its_registration_although_it_sees_rooms() {
    let (engine, _clock) = room_engine();
    let ann = user_session("a", "ann");
    open_room(&engine, &ann);
    let mut consumer = TestConsumer::connect(&engine, ann).await;
    let (id, _) = consumer.subscribe("/").await;
    let own = Source::new(|_: &Session| Descriptor::status().prop("of", "ann"));
    engine.register_for("a", "own", own).unwrap();
    consumer.settled().await;
    assert_eq!(child_ids(consumer.tree(&id)), ["own", "rooms"]);
    engine.restore_for("a", "own").unwrap();
    consumer.settled().await;
    assert_eq!(child_ids(consumer.tree(&id)), ["rooms"]);
}

async fn pass(engine: &Engine, clock: &Arc<ManualClock>, consumer: &mut TestConsumer, ms: u64) {
    clock.advance(ms);
    engine.settle().await;
    consumer.settled().await;
}
