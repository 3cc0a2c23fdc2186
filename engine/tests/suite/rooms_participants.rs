//! How changes of who takes part reach those whom they concern, and nobody else.

use std::sync::{Arc, Mutex};

use grove_engine::testing::TestConsumer;
use grove_engine::{
    Access, Config, Descriptor, Engine, Event, NewRoom, Presence, Room, RoomOptions, RoomRole, Scope, Session, Status,
};

use crate::fixtures::{
    connect_and_subscribe, evaluations, in_project, node_at, room_engine, room_engine_with, user_session,
};

const MINUTE: u64 = 60_000;

fn open_room(engine: &Engine, owner: &Session) -> Room {
    engine.rooms().create(owner, &NewRoom::new("t").access(Access::Project)).unwrap().room
}

fn ann() -> Session {
    in_project("ann", "ann", "acme")
}

fn bob() -> Session {
    in_project("bob", "bob", "acme").with_presence(Presence::new("Bob"))
}

#[tokio::test]
async fn who_joins_while_offline_is_shown_as_that_until_a_sign_of_life() {
    let (engine, clock) = room_engine();
    let room = open_room(&engine, &ann());
    let consumer = TestConsumer::connect(&engine, bob()).await;
    clock.advance(35_000);
    engine.settle().await;
    engine.rooms().join(&bob(), room.id()).unwrap();
    assert_eq!((room.participants()[0].status, room.online()), (Status::Offline, 0));
    consumer.connection().heard();
    assert_eq!((room.participants()[0].status, room.online()), (Status::Online, 1));
}

#[tokio::test]
async fn who_returns_while_its_loss_is_noticed_stays_in_the_rooms_that_it_has_not_left_yet() {
    let (engine, clock) = room_engine();
    let rooms = [0, 1].map(|_| open_room(&engine, &ann()));
    let consumer = TestConsumer::connect(&engine, bob()).await;
    rooms.iter().for_each(|room| drop(engine.rooms().join(&bob(), room.id()).unwrap()));
    drop(consumer);
    let returned = Arc::new(Mutex::new(None));
    let (by, kept) = (engine.clone(), Arc::clone(&returned));
    engine.observe(move |event: &Event| {
        if matches!(event, Event::ParticipantLeft { .. }) {
            *kept.lock().unwrap() = Some(by.connect(&bob()).unwrap());
        }
    });
    for _ in 0..4 {
        clock.advance(MINUTE / 2 + 1_000);
        engine.settle().await;
    }
    let there = rooms.each_ref().map(|room| room.participants().iter().map(|one| one.status).collect::<Vec<_>>());
    assert_eq!(there, [vec![], vec![Status::Online]]);
    assert_eq!(engine.rooms().presence(&ann()).unwrap().len(), 1, "it is there, and has its card");
    assert_eq!(engine.rooms().stats().leases, 1);
    returned.lock().unwrap().take();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_shows_who_takes_part_is_refreshed_when_that_changes_and_what_does_not_is_not() {
    let engine = Engine::builder("app", "App").config(Config::immediate()).rooms(RoomOptions::new()).build();
    engine.register_room("count", |room: &Room, _: &Session| Descriptor::new("count").prop("online", room.online()));
    let names = |room: &Room| room.participants().iter().map(|one| one.name.to_string()).collect::<Vec<_>>().join(",");
    engine.register_room("names", move |room: &Room, _: &Session| Descriptor::new("names").prop("all", names(room)));
    engine.register_room("title", |room: &Room, _: &Session| Descriptor::new("title").prop("title", room.title()));
    let room = open_room(&engine, &user_session("a", "ann"));
    let (mut consumer, _) = connect_and_subscribe(&engine, user_session("a", "ann")).await;
    engine.rooms().join(&user_session("a", "ann"), room.id()).unwrap();
    engine.settle().await;
    let path = |below: &str| format!("/rooms/{}/{below}", room.id());
    let titles = evaluations(&engine, "/rooms/{id}/title");
    let _other = TestConsumer::connect(&engine, user_session("b", "bob")).await;
    engine.rooms().join(&user_session("b", "bob"), room.id()).unwrap();
    engine.settle().await;
    let tree = consumer.query("/").await;
    assert_eq!(node_at(&tree, &path("count")[1..])["properties"]["online"], 2);
    assert_eq!(node_at(&tree, &path("names")[1..])["properties"]["all"], "ann,bob");
    // Bob's tree was never rendered.
    assert_eq!((titles, evaluations(&engine, "/rooms/{id}/title")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_changes_the_presence_of_its_own_project_alone() {
    let config = Config::immediate();
    let engine = Engine::builder("app", "App").config(config).rooms(RoomOptions::new().presence()).build();
    let (_consumer, _) = connect_and_subscribe(&engine, ann()).await;
    let before = evaluations(&engine, "/presence");
    let other = in_project("eve", "eve", "other").with_presence(Presence::new("Eve"));
    let _eve = TestConsumer::connect(&engine, other).await;
    engine.settle().await;
    assert_eq!(evaluations(&engine, "/presence"), before);
    let _bob = TestConsumer::connect(&engine, bob()).await;
    engine.settle().await;
    assert_eq!(evaluations(&engine, "/presence"), before + 1);
}

#[tokio::test]
async fn a_project_is_refreshed_alone_and_so_are_those_without_one() {
    let (engine, _clock) = room_engine();
    let sessions = [ann(), bob(), in_project("eve", "eve", "other"), user_session("n", "none")];
    sessions.iter().for_each(|session| engine.open_session(session).unwrap());
    let counts = ["acme", "other", "", "unknown"].map(|project| engine.refresh(Scope::project(project)));
    assert_eq!(counts, [2, 1, 1, 0]);
    engine.update_session(&in_project("eve", "eve", "acme"));
    engine.close_session("bob");
    assert_eq!(["acme", "other"].map(|project| engine.refresh(Scope::project(project))), [2, 0]);
}

#[tokio::test]
async fn nobody_can_keep_a_user_out_of_somebody_elses_rooms() {
    let (engine, _clock) = room_engine_with(RoomOptions::new(), |config| config.rooms.admissions_per_user = 1);
    let admit = |owner: &Session| {
        let room = engine.rooms().create(owner, &NewRoom::new("t")).unwrap().room;
        engine.rooms().admit(owner, room.id(), "bob", RoomRole::Member).map_err(|error| error.code().to_owned())
    };
    let stranger = in_project("eve", "eve", "acme");
    assert_eq!([admit(&stranger), admit(&stranger)], [Ok(()), Err("busy".to_owned())]);
    assert_eq!(admit(&ann()), Ok(()));
}
