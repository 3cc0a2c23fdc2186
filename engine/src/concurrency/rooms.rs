//! Joins, leaves, messages, decisions about roles and ends of one room, against each other.

use std::sync::Arc;

use serde_json::{Value, json};
use shuttle::future::block_on;
use shuttle::thread::JoinHandle;

use super::consumer::Consumer;
use super::{App, alice, check, join};
use crate::config::Config;
use crate::model::room::handle::Room;
use crate::model::room::message::Message;
use crate::model::room::participant::Presence;
use crate::model::room::policy::{Access, NewRoom};
use crate::model::room::record::RoomState;
use crate::model::room::role::Role;
use crate::model::session::Session;
use crate::rooms::options::RoomOptions;
use crate::sessions::revocations::Revocation;
use crate::sync::Mutex;

fn bob() -> Session {
    Session::new("b").with_user("bob")
}

/// Alice in a room of hers that is open to all, and bob beside it, each with a consumer.
struct Two {
    app: App,
    room: Room,
    of_alice: Consumer,
    of_bob: Consumer,
}

impl Two {
    fn new() -> Self {
        Self::of(App::with_rooms())
    }

    fn of(app: App) -> Self {
        let room = create(&app);
        let of_alice = app.consumer(&alice());
        app.engine.rooms().join(&alice(), room.id()).unwrap();
        let of_bob = app.consumer(&bob());
        Self { app, room, of_alice, of_bob }
    }

    /// Does something on a thread of its own.
    fn act(&self, act: fn(&App, &Room)) -> JoinHandle<()> {
        let room = self.room.clone();
        self.app.spawn(move |app| act(app, &room))
    }

    /// What both received, and what is known of the room, is consistent when all is done.
    fn check(&mut self) {
        block_on(self.app.engine.settle());
        for (consumer, user) in [(&mut self.of_alice, "alice"), (&mut self.of_bob, "bob")] {
            consumer.receive_ready();
            check_events(consumer.events(), user);
        }
        check_parts(&self.app, &self.room);
    }
}

/// A room of alice's that is open to all.
fn create(app: &App) -> Room {
    app.engine.rooms().create(&alice(), &NewRoom::new("t").access(Access::Project)).unwrap().room
}

fn join_as_bob(app: &App, room: &Room) {
    // The room may have ended, or bob may have been dismissed.
    let _ = app.engine.rooms().join(&bob(), room.id());
}

fn dismiss_bob(app: &App, room: &Room) {
    // The room may have ended.
    let _ = app.engine.rooms().dismiss(&alice(), room.id(), "bob");
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
        let mut two = Two::new();
        join([
            two.act(|app, room| (0..3).for_each(|_| say(app, room))),
            two.act(|app, room| {
                app.engine.rooms().join(&bob(), room.id()).unwrap();
                app.engine.rooms().leave(&bob(), room.id()).unwrap();
            }),
        ]);
        two.check();
        assert_eq!(two.of_alice.events().len(), 6);
    });
}

#[test]
fn who_subscribes_and_unsubscribes_while_joining_and_leaving_is_not_there_in_the_end() {
    check(|| {
        let mut two = Two::new();
        let reader = Arc::new(two.app.engine.connect(&bob()).unwrap());
        let (path, subscriber) = (format!("/rooms/{}", two.room.id()), Arc::clone(&reader));
        let subscribing = two.app.spawn(move |_| {
            subscriber.receive(&json!({"type": "subscribe", "id": "room", "path": path}).to_string());
            subscriber.receive(r#"{"type":"unsubscribe","id":"room"}"#);
        });
        let joining = two.act(|app, room| {
            app.engine.rooms().join(&bob(), room.id()).unwrap();
            // Ending the last subscription may have left it.
            let _ = app.engine.rooms().leave(&bob(), room.id());
        });
        join([subscribing, joining]);
        two.check();
        assert_eq!(two.room.participants().len(), 1);
        drop(reader);
    });
}

#[test]
fn a_lane_that_overflows_while_trees_are_committed_tells_what_is_missing_and_delays_no_patch() {
    check(|| {
        let small = |config: &mut Config| config.sizes.event_bytes = 1_200;
        let mut two = Two::of(App::built(small, |builder| builder.rooms(RoomOptions::new())));
        two.of_alice.subscribe();
        join([
            two.act(|app, room| (0..6).for_each(|_| say(app, room))),
            two.app.spawn(App::increment_only),
            two.app.spawn(App::increment_only),
        ]);
        block_on(two.app.engine.settle());
        two.of_alice.receive_until(|consumer| consumer.number() == Some(2));
        two.of_alice.receive_ready();
        two.of_alice.check_copy();
        // The room has started before alice was there.
        let mut last = 1;
        for event in two.of_alice.events() {
            let body = &event["data"]["body"];
            let gap = (body["from_seq"].as_u64(), body["to_seq"].as_u64());
            let seq = event["data"]["seq"].as_u64();
            let (from, to) = seq.map_or(gap, |seq| (Some(seq), Some(seq)));
            assert_eq!(from, Some(last + 1), "{:#?}", two.of_alice.events());
            last = to.unwrap();
        }
        assert_eq!(last, two.room.seq());
        assert!(two.of_alice.events().iter().any(|event| event["name"] == "room.gap"));
    });
}

#[test]
fn who_returns_at_the_end_of_the_lease_is_either_there_or_was_told_to_have_left_and_is_shown_in_any_case() {
    check(|| {
        let app = App::with_rooms();
        let with_card = || bob().with_presence(Presence::new("Bob"));
        let room = create(&app);
        let lost = app.consumer(&with_card());
        app.engine.rooms().join(&with_card(), room.id()).unwrap();
        drop(lost);
        app.clock.advance(88_000);
        block_on(app.engine.settle());
        let returned = Arc::new(Mutex::new(None));
        let kept = Arc::clone(&returned);
        join([
            app.spawn(|app| app.clock.advance(4_000)),
            app.spawn(move |app| *kept.lock() = Some(app.consumer(&bob().with_presence(Presence::new("Bob"))))),
        ]);
        block_on(app.engine.settle());
        check_parts(&app, &room);
        let stats = app.engine.rooms().stats();
        assert_eq!((stats.presence, stats.leases), (1, 1));
        drop(returned.lock().take());
    });
}

#[test]
fn a_close_against_everything_is_the_last_event_of_all_who_are_there() {
    check(|| {
        let mut two = Two::new();
        join([
            two.act(join_as_bob),
            two.act(dismiss_bob),
            two.act(say),
            two.act(|app, room| {
                block_on(app.engine.rooms().close(&alice(), room.id(), None)).unwrap();
            }),
        ]);
        two.check();
        assert_eq!(two.of_alice.events().last().unwrap()["name"], "room.ended");
        assert_eq!((two.room.state(), two.room.participants().len()), (RoomState::Ended, 0));
    });
}

#[test]
fn decisions_about_a_role_end_with_the_latest_whatever_the_order() {
    check(|| {
        let mut two = Two::new();
        join([
            two.act(join_as_bob),
            two.act(dismiss_bob),
            two.act(|app, room| drop(app.engine.rooms().admit(&alice(), room.id(), "bob", Role::Observer))),
            two.act(|app, _| {
                app.engine.update_session(&bob().with_attribute("a", "b"));
            }),
        ]);
        two.check();
    });
}

#[test]
fn a_session_that_ends_while_it_joins_leaves_nothing_in_the_room() {
    check(|| {
        let mut two = Two::new();
        join([
            two.act(join_as_bob),
            two.act(|app, _| {
                app.engine.revoke(Revocation::session("b"));
            }),
        ]);
        two.check();
        assert_eq!(two.room.participants().len(), 1);
    });
}

#[test]
fn a_room_that_is_removed_while_sessions_open_is_in_none_of_them() {
    check(|| {
        let app = App::with_rooms();
        let room = create(&app);
        app.engine.open_session(&alice()).unwrap();
        block_on(app.engine.rooms().complete(room.id())).unwrap();
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
