//! Processes that are there, on links of an adapter's (rooms 5).

use std::sync::Arc;

use futures_util::FutureExt;
use grove_engine::testing::TestConsumer;
use grove_engine::{
    Access, Connection, Event, Frame, Message, NewRoom, ParticipantKind, Presence, PresenceRow, Session, Status, Text,
};
use parking_lot::Mutex;

use crate::fixtures::{in_project, room_engine};

fn worker(id: &str) -> Session {
    in_project(id, "ann", "p").with_presence(Presence::new(id).kind(ParticipantKind::Session).cwd("/work"))
}

fn frames(connection: &Connection) -> Vec<Frame> {
    std::iter::from_fn(|| connection.try_next_frame()).collect()
}

/// The rows that were said to have changed.
fn changes(engine: &grove_engine::Engine) -> Arc<Mutex<Vec<Text>>> {
    let changes = Arc::<Mutex<Vec<Text>>>::default();
    let seen = Arc::clone(&changes);
    engine.observe(move |event| {
        if let Event::PresenceChanged { project, participant } = event {
            assert_eq!(project, "p");
            seen.lock().push(participant.clone());
        }
    });
    changes
}

#[tokio::test]
async fn a_process_that_is_there_has_a_row_and_receives_nothing_but_pings_and_its_end() {
    let (engine, clock) = room_engine();
    let changes = changes(&engine);
    let session = worker("w1");
    assert_eq!(engine.rooms().own_presence(&session), None);
    let connection = engine.rooms().attend(&session).unwrap();
    let row = engine.rooms().own_presence(&session).unwrap();
    let PresenceRow { name, kind, status, cwd, .. } = &row;
    assert_eq!(
        (name.as_str(), *kind, *status, cwd.as_deref()),
        ("w1", ParticipantKind::Session, Status::Online, Some("/work"))
    );
    assert_eq!(std::mem::take(&mut *changes.lock()), std::slice::from_ref(&row.participant));
    // It may take part in rooms, and is told of it by other connections only.
    let room = engine.rooms().create(&session, &NewRoom::new("Board").access(Access::Project)).unwrap().room;
    engine.rooms().join(&session, room.id()).unwrap();
    engine.rooms().say(&session, room.id(), &Message::text("hi")).unwrap();
    assert_eq!(frames(&connection), []);
    for _ in 0..15 {
        clock.advance(1_000);
        engine.settle().await;
    }
    assert_eq!(frames(&connection), [Frame::Ping]);
    assert_eq!(engine.rooms().own_presence(&session).map(|row| row.connected_at), Some(row.connected_at));
    assert!(engine.close_session("w1"));
    assert!(matches!(frames(&connection)[..], [Frame::Close { .. }]));
    assert_eq!((engine.rooms().own_presence(&session), changes.lock().last()), (None, Some(&row.participant)));
}

#[tokio::test]
async fn a_process_that_is_lost_is_offline_and_then_gone_and_one_that_leaves_is_gone_at_once() {
    let (engine, clock) = room_engine();
    let [lost, left] = ["lost", "left"].map(worker);
    let [of_lost, of_left] = [&lost, &left].map(|session| engine.rooms().attend(session).unwrap());
    let changes = changes(&engine);
    drop(of_lost);
    of_left.closed();
    drop(of_left);
    let status = |session: &Session| engine.rooms().own_presence(session).map(|row| row.status);
    assert_eq!((status(&lost), status(&left), changes.lock().len()), (Some(Status::Online), None, 1));
    let mut seen = Vec::new();
    for _ in 0..95 {
        clock.advance(1_000);
        engine.settle().await;
        if seen.last() != Some(&status(&lost)) {
            seen.push(status(&lost));
        }
    }
    assert_eq!(seen, [Some(Status::Online), Some(Status::Offline), None]);
    assert_eq!(changes.lock().len(), 3, "each change is told once");
}

#[tokio::test]
async fn a_new_link_beside_the_old_one_changes_nothing_and_a_new_card_does() {
    let (engine, _clock) = room_engine();
    let session = worker("w");
    let old = engine.rooms().attend(&session).unwrap();
    let row = engine.rooms().own_presence(&session).unwrap();
    let changes = changes(&engine);
    let new = engine.rooms().attend(&session).unwrap();
    drop(old);
    assert_eq!((engine.rooms().own_presence(&session), changes.lock().len()), (Some(row.clone()), 0));
    assert!(engine.update_session(&in_project("w", "ann", "p").with_presence(Presence::new("renamed"))));
    let renamed = engine.rooms().own_presence(&session).unwrap();
    assert_eq!((renamed.name.as_str(), &renamed.participant), ("renamed", &row.participant));
    assert_eq!(*changes.lock(), [row.participant]);
    let mut watcher = TestConsumer::connect(&engine, in_project("bob", "bob", "p")).await;
    assert!(watcher.settled().await.iter().all(|message| message["type"] != "event"));
    assert!(engine.rooms().own_presence(&in_project("w", "eve", "p")).is_none(), "it is somebody else's");
    assert!(new.next_frame().now_or_never().is_none());
}
