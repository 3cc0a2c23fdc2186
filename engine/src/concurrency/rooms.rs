//! Joins, leaves, messages, decisions about roles and ends of one room, against each other.

use serde_json::Value;
use shuttle::future::block_on;

use super::consumer::Consumer;
use super::{App, alice, check, join};
use crate::model::room::handle::Room;
use crate::model::room::message::Message;
use crate::model::room::policy::{Access, NewRoom};
use crate::model::room::record::RoomState;
use crate::model::session::Session;
use crate::sessions::revocations::Revocation;

fn bob() -> Session {
    Session::new("b").with_user("bob")
}

/// A room of alice's that is open to all, in which she is with a consumer.
fn alice_in_a_room(app: &App) -> (Consumer, Room) {
    let room = app.engine.rooms().create(&alice(), &NewRoom::new("t").access(Access::Project)).unwrap().room;
    let consumer = app.consumer(&alice());
    app.engine.rooms().join(&alice(), room.id()).unwrap();
    (consumer, room)
}

fn say(app: &App, room: &Room) {
    // It may have ended.
    let _ = app.engine.rooms().say(&alice(), room.id(), &Message::text("x"));
}

/// What a consumer received of a room: each stay begins with its own joining, and has no gap. Nothing follows the end.
fn check_events(events: &[Value], user: &str) {
    let mut last: Option<u64> = None;
    for event in events {
        let (kind, data) = (&event["name"], &event["data"]);
        let seq = data["seq"].as_u64();
        let joins = kind == "participant.joined" && data["body"]["user"] == user;
        assert!(joins || seq == last.map(|last| last + 1), "{events:#?}");
        last = seq;
    }
    let ends = events.iter().filter(|event| event["name"] == "room.ended").count();
    assert!(ends == 0 || ends == 1 && events.last().is_some_and(|event| event["name"] == "room.ended"), "{events:#?}");
}

/// What sessions know of a room is what the room knows of them.
fn check_parts(app: &App, room: &Room) {
    for session in [alice(), bob()] {
        let Some(slot) = app.engine.parts().table.get(session.id()) else { continue };
        let held = slot.session();
        let is_there = room.participants().iter().any(|participant| participant.user.as_deref() == held.user());
        assert_eq!(held.has_joined(room), is_there);
        assert_eq!(held.role_in(room), app.engine.rooms().role(&held, room.id()).ok());
    }
    assert_eq!(app.engine.rooms().stats().participants, room.participants().len());
}

#[test]
fn who_joins_or_leaves_among_messages_receives_those_from_the_own_joining_on() {
    check(|| {
        let app = App::with_rooms();
        let (mut of_alice, room) = alice_in_a_room(&app);
        let mut of_bob = app.consumer(&bob());
        let (said, joined) = (room.clone(), room.clone());
        let saying = app.spawn(move |app| (0..3).for_each(|_| say(app, &said)));
        let joining = app.spawn(move |app| {
            app.engine.rooms().join(&bob(), joined.id()).unwrap();
            app.engine.rooms().leave(&bob(), joined.id()).unwrap();
        });
        join([saying, joining]);
        block_on(app.engine.settle());
        for (consumer, user) in [(&mut of_alice, "alice"), (&mut of_bob, "bob")] {
            consumer.receive_ready();
            check_events(consumer.events(), user);
        }
        assert_eq!(of_alice.events().len(), 6);
        check_parts(&app, &room);
    });
}

#[test]
fn a_close_against_everything_is_the_last_event_of_all_who_are_there() {
    check(|| {
        let app = App::with_rooms();
        let (mut of_alice, room) = alice_in_a_room(&app);
        let mut of_bob = app.consumer(&bob());
        let act = |act: fn(&App, &Room)| {
            let room = room.clone();
            app.spawn(move |app| act(app, &room))
        };
        join([
            act(|app, room| drop(app.engine.rooms().join(&bob(), room.id()))),
            act(|app, room| drop(app.engine.rooms().dismiss(&alice(), room.id(), "bob"))),
            act(say),
            act(|app, room| {
                app.engine.rooms().close(&alice(), room.id(), None).unwrap();
            }),
        ]);
        block_on(app.engine.settle());
        for (consumer, user) in [(&mut of_alice, "alice"), (&mut of_bob, "bob")] {
            consumer.receive_ready();
            check_events(consumer.events(), user);
        }
        assert_eq!(of_alice.events().last().unwrap()["name"], "room.ended");
        assert_eq!((room.state(), room.participants().len()), (RoomState::Ended, 0));
        check_parts(&app, &room);
    });
}

#[test]
fn decisions_about_a_role_end_with_the_latest_whatever_the_order() {
    check(|| {
        let app = App::with_rooms();
        let (_of_alice, room) = alice_in_a_room(&app);
        let _of_bob = app.consumer(&bob());
        let act = |act: fn(&App, &Room)| {
            let room = room.clone();
            app.spawn(move |app| act(app, &room))
        };
        join([
            act(|app, room| drop(app.engine.rooms().join(&bob(), room.id()))),
            act(|app, room| drop(app.engine.rooms().dismiss(&alice(), room.id(), "bob"))),
            act(|app, room| {
                let observer = crate::model::room::role::Role::Observer;
                drop(app.engine.rooms().admit(&alice(), room.id(), "bob", observer));
            }),
            act(|app, _| {
                app.engine.update_session(&bob().with_attribute("a", "b"));
            }),
        ]);
        check_parts(&app, &room);
    });
}

#[test]
fn a_session_that_ends_while_it_joins_leaves_nothing_in_the_room() {
    check(|| {
        let app = App::with_rooms();
        let (mut of_alice, room) = alice_in_a_room(&app);
        let of_bob = app.consumer(&bob());
        let joined = room.clone();
        join([
            app.spawn(move |app| drop(app.engine.rooms().join(&bob(), joined.id()))),
            app.spawn(|app| {
                app.engine.revoke(Revocation::session("b"));
            }),
        ]);
        assert_eq!(room.participants().len(), 1);
        of_alice.receive_ready();
        check_events(of_alice.events(), "alice");
        check_parts(&app, &room);
        drop(of_bob);
    });
}

#[test]
fn a_room_that_is_removed_while_sessions_open_is_in_none_of_them() {
    check(|| {
        let app = App::with_rooms();
        let (_of_alice, room) = alice_in_a_room(&app);
        app.engine.rooms().complete(room.id()).unwrap();
        let opening = app.spawn(|app| app.engine.open_session(&bob()).unwrap());
        let removing = app.spawn(|app| app.clock.advance(60_000));
        join([opening, removing]);
        block_on(app.engine.settle());
        assert_eq!(app.engine.rooms().stats().rooms, 0);
        for session in ["s", "b"] {
            assert_eq!(app.slot(session).session().role_in(&room), None);
        }
    });
}
