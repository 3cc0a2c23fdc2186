//! Who is in a room, as far as signs of life say (rooms 5).

use std::sync::Arc;
use std::time::Duration;

use grove_engine::testing::{ManualClock, TestConsumer};
use grove_engine::{Access, Config, Engine, Frame, NewRoom, Presence, Room, RoomOptions, Session};
use serde_json::{Value, json};

use crate::fixtures::{in_project, room_engine_with};

const SECOND: u64 = 1_000;

/// A room with somebody who watches it in this process, and so is always there.
struct Watched {
    engine: Engine,
    clock: Arc<ManualClock>,
    room: Room,
    watcher: grove_engine::RoomEvents,
}

impl Watched {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Config)) -> Self {
        let (engine, clock) = room_engine_with(RoomOptions::new(), change);
        let ann = in_project("ann", "ann", "acme");
        let room = engine.rooms().create(&ann, &NewRoom::new("t").access(Access::Project)).unwrap().room;
        let watcher = engine.rooms().events(&ann, room.id()).unwrap();
        Self { engine, clock, room, watcher }
    }

    /// A session of bob's with a connection, which has joined.
    async fn bob(&self) -> TestConsumer {
        let consumer = TestConsumer::connect(&self.engine, bob()).await;
        self.engine.rooms().join(&bob(), self.room.id()).unwrap();
        consumer
    }

    /// Lets the time pass, second by second, while `live` does what the sessions do.
    async fn pass(&self, seconds: u64, mut live: impl FnMut()) {
        for _ in 0..seconds {
            self.clock.advance(SECOND);
            self.engine.settle().await;
            live();
        }
    }

    /// What the watcher received since it was last asked, without what it received of itself.
    fn received(&mut self) -> Vec<String> {
        let mut received = Vec::new();
        while let Some(Some(event)) = futures_util::FutureExt::now_or_never(self.watcher.next()) {
            let reason = event.data["body"]["reason"].as_str().unwrap_or_default();
            if event.data["actor"]["user"] != "ann" && event.kind != "heartbeat" {
                received.push(format!("{} {reason}", event.kind).trim().to_owned());
            }
        }
        received
    }
}

fn bob() -> Session {
    in_project("bob", "bob", "acme")
}

/// Takes the frames that are ready, and answers pings as every WebSocket does.
fn answer(consumer: &TestConsumer) -> Vec<Value> {
    let mut texts = Vec::new();
    while let Some(frame) = consumer.connection().try_next_frame() {
        match frame {
            Frame::Ping => consumer.connection().heard(),
            Frame::Text(text) => texts.push(serde_json::from_str(&text).unwrap()),
            Frame::Close { .. } => {}
        }
    }
    texts
}

const JOINED: &str = "participant.joined";

#[tokio::test]
async fn who_is_silent_is_offline_after_thirty_seconds_and_has_left_after_ninety() {
    let mut watched = Watched::new();
    let bob = watched.bob().await;
    drop(bob);
    watched.pass(29, || {}).await;
    assert_eq!(watched.received(), [JOINED]);
    watched.pass(4, || {}).await;
    assert_eq!(watched.received(), ["participant.offline"]);
    watched.pass(56, || {}).await;
    assert_eq!(watched.received(), [""; 0], "nothing yet");
    watched.pass(4, || {}).await;
    assert_eq!(watched.received(), ["participant.left lost"]);
    assert_eq!(watched.engine.rooms().stats().participants, 1);
}

#[tokio::test]
async fn a_return_within_the_lease_is_told_only_if_it_was_offline() {
    let mut watched = Watched::new();
    drop(watched.bob().await);
    watched.pass(20, || {}).await;
    let again = TestConsumer::connect(&watched.engine, bob()).await;
    assert_eq!(watched.received(), [JOINED]);
    drop(again);
    watched.pass(40, || {}).await;
    assert_eq!(watched.received(), ["participant.offline"]);
    let _again = TestConsumer::connect(&watched.engine, bob()).await;
    assert_eq!(watched.received(), ["participant.online"]);
}

#[tokio::test]
async fn a_frame_of_a_silent_connection_brings_its_session_back_at_once_and_once() {
    let mut watched = Watched::new();
    let bob = watched.bob().await;
    watched.pass(35, || {}).await;
    assert_eq!(watched.received(), [JOINED, "participant.offline"]);
    bob.connection().heard();
    bob.connection().heard();
    assert_eq!(watched.received(), ["participant.online"]);
}

#[tokio::test]
async fn who_answers_pings_never_toggles_and_is_pinged_every_fifteen_seconds() {
    let mut watched = Watched::new();
    let bob = watched.bob().await;
    let mut pings = 0;
    watched
        .pass(300, || {
            while let Some(frame) = bob.connection().try_next_frame() {
                if frame == Frame::Ping {
                    pings += 1;
                    bob.connection().heard();
                }
            }
        })
        .await;
    assert_eq!(watched.received(), [JOINED]);
    assert!((17..=21).contains(&pings), "{pings}");
}

/// A ping, and a little time for the answer, fit into every lease, whenever the connection was last heard.
#[tokio::test]
async fn who_only_answers_pings_never_toggles_with_a_short_lease_either() {
    for offline_ms in [100, 1_000, 1_733] {
        let mut watched = Watched::with(|config| {
            config.rooms.offline_after = Duration::from_millis(offline_ms);
            config.rooms.left_after = Duration::from_millis(3 * offline_ms);
        });
        let bob = watched.bob().await;
        watched.clock.advance(offline_ms / 7);
        bob.connection().heard();
        let mut asked = false;
        for _ in 0..400 {
            watched.clock.advance(offline_ms / 20);
            watched.engine.settle().await;
            // It answers what it received a twentieth of the lease ago.
            if std::mem::take(&mut asked) {
                bob.connection().heard();
            }
            while let Some(frame) = bob.connection().try_next_frame() {
                asked |= frame == Frame::Ping;
            }
        }
        assert_eq!(watched.received(), [JOINED], "{offline_ms}");
    }
}

#[tokio::test]
async fn signs_every_thirty_seconds_with_a_jitter_never_toggle() {
    let mut watched = Watched::new();
    let bob = watched.bob().await;
    for number in 0..20 {
        watched.pass(30 + number % 3 - 1, || {}).await;
        bob.connection().heard();
    }
    assert_eq!(watched.received(), [JOINED]);
}

#[tokio::test]
async fn two_connections_of_a_session_count_once_and_the_one_that_lives_is_enough() {
    let mut watched = Watched::new();
    let (first, second) = (watched.bob().await, watched.bob().await);
    watched.pass(100, || drop(answer(&second))).await;
    assert_eq!(watched.received(), [JOINED]);
    drop(first);
    watched.pass(100, || drop(answer(&second))).await;
    assert_eq!(watched.received(), [""; 0]);
    second.connection().closed();
    drop(second);
    assert_eq!(watched.received(), ["participant.left closed"]);
}

#[tokio::test]
async fn a_clean_close_of_the_last_connection_takes_effect_at_once_and_a_lost_one_has_its_lease() {
    let mut watched = Watched::new();
    let (first, second) = (watched.bob().await, watched.bob().await);
    first.connection().closed();
    drop(first);
    assert_eq!(watched.received(), [JOINED], "another one is there");
    drop(second);
    assert_eq!(watched.received(), [""; 0], "it may come back");
    let again = TestConsumer::connect(&watched.engine, bob()).await;
    again.connection().closed();
    drop(again);
    assert_eq!(watched.received(), ["participant.left closed"]);
    let client = watched.engine.client(&bob()).unwrap();
    watched.engine.rooms().join(&bob(), watched.room.id()).unwrap();
    drop(client);
    assert_eq!(watched.received(), [JOINED, "participant.left closed"]);
}

#[tokio::test]
async fn a_heartbeat_comes_when_nothing_else_did_and_never_after_the_end() {
    let watched = Watched::new();
    let bob = watched.bob().await;
    let beats = |bob: &TestConsumer| answer(bob).iter().filter(|text| text["name"] == "heartbeat").count();
    let mut before = 0;
    watched.pass(29, || before += beats(&bob)).await;
    assert_eq!(before, 0);
    watched
        .engine
        .rooms()
        .say(&in_project("ann", "ann", "acme"), watched.room.id(), &grove_engine::Message::text("hi"))
        .unwrap();
    watched.pass(29, || before += beats(&bob)).await;
    assert_eq!(before, 0, "something else came");
    let mut messages = Vec::new();
    watched.pass(60, || messages.extend(answer(&bob))).await;
    messages.retain(|text| text["name"] == "heartbeat");
    assert_eq!(messages.len(), 2, "{messages:?}");
    let keys: Vec<_> = messages[0]["data"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["id", "room", "project", "epoch", "kind", "at", "body"]);
    watched.engine.rooms().close(&in_project("ann", "ann", "acme"), watched.room.id(), None).await.unwrap();
    answer(&bob);
    watched.pass(100, || assert_eq!(beats(&bob), 0)).await;
    assert_eq!(watched.engine.rooms().stats().leases, 0);
}

#[tokio::test]
async fn a_card_is_shown_as_offline_during_the_lease_and_goes_with_it() {
    let watched = Watched::new();
    let ann = in_project("ann", "ann", "acme");
    let carded = bob().with_presence(Presence::new("Bob"));
    drop(TestConsumer::connect(&watched.engine, carded).await);
    let status =
        || watched.engine.rooms().presence(&ann).unwrap().iter().map(|row| row.status.as_str()).collect::<Vec<_>>();
    assert_eq!(status(), ["online"]);
    watched.pass(34, || {}).await;
    assert_eq!(status(), ["offline"]);
    watched.pass(60, || {}).await;
    assert_eq!(status(), [""; 0]);
    assert_eq!(json!(watched.engine.rooms().stats().leases), json!(1), "the watcher's");
}
