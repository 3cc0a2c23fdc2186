//! What happens in a room, in one order for all who are there (rooms 4).

use futures_util::FutureExt;
use grove_engine::testing::TestConsumer;
use grove_engine::{
    Access, ActionError, Engine, Event, LeaveReason, Limit, Message, NewRoom, ParticipantKind, Presence, Revocation,
    Room, RoomOptions, RoomPosition, RoomRole, Session,
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::fixtures::{EventLog, cases, in_project, room_engine, room_engine_with, user_session};

fn code<T>(done: Result<T, ActionError>) -> String {
    done.err().map_or_else(String::new, |error| error.code().to_owned())
}

fn open_room(engine: &Engine, owner: &Session) -> Room {
    engine.rooms().create(owner, &NewRoom::new("t").access(Access::Project)).unwrap().room
}

/// A consumer of a session that has joined a room.
async fn joined(engine: &Engine, session: &Session, room: &Room) -> TestConsumer {
    let consumer = TestConsumer::connect(engine, session.clone()).await;
    engine.rooms().join(session, room.id()).unwrap();
    consumer
}

/// The events that wait for a consumer.
async fn events(consumer: &mut TestConsumer) -> Vec<Value> {
    let messages = consumer.settled().await;
    let events = messages.into_iter().filter(|message| message["type"] == "event");
    let check = |mut event: Value| {
        assert_eq!(event["name"], event["data"]["kind"]);
        event["data"].take()
    };
    events.map(check).collect()
}

/// Kind and number of each event.
fn summary(events: &[Value]) -> Vec<(String, Option<u64>)> {
    events.iter().map(|event| (event["kind"].as_str().unwrap().to_owned(), event["seq"].as_u64())).collect()
}

fn expected(kinds: &[(&str, u64)]) -> Vec<(String, Option<u64>)> {
    kinds.iter().map(|(kind, seq)| ((*kind).to_owned(), Some(*seq))).collect()
}

#[tokio::test]
async fn all_who_are_there_receive_the_same_events_once_per_connection_and_in_order() {
    let (engine, clock) = room_engine();
    let [ann, bob] = ["ann", "bob"].map(|user| in_project(user, user, "acme"));
    let room = open_room(&engine, &ann);
    let mut first = joined(&engine, &ann, &room).await;
    let mut second = TestConsumer::connect(&engine, ann.clone()).await;
    let mut other = joined(&engine, &bob, &room).await;
    let mut outside = TestConsumer::connect(&engine, in_project("cid", "cid", "acme")).await;
    clock.advance(123);
    let said = engine.rooms().say(&ann, room.id(), &Message::text("hello")).unwrap();
    assert_eq!(said.seq, Some(4));
    let of_ann = events(&mut first).await;
    let kinds = [("participant.joined", 2), ("participant.joined", 3), ("message", 4)];
    assert_eq!(summary(&of_ann), expected(&kinds));
    assert_eq!(events(&mut second).await, of_ann[1..], "it came after its session had joined");
    assert_eq!(events(&mut other).await, of_ann[1..], "its own event comes first");
    assert_eq!(events(&mut outside).await, Vec::<Value>::new());
    let message = &of_ann[2];
    let participant = &engine.rooms().participants(&ann, room.id()).unwrap()[0].id;
    let trace_id = message["trace_id"].clone();
    assert!(trace_id.as_str().unwrap().starts_with("tx-"));
    let whole = json!({
        "id": said.event.as_str(), "room": room.id().as_str(), "project": "acme", "epoch": room.epoch().as_str(),
        "seq": 4, "kind": "message",
        "actor": {"user": "ann", "name": "ann", "participant": participant.as_str(), "kind": "person"},
        "trace_id": trace_id, "at": "2026-01-01T00:00:00.123Z", "body": {"text": "hello"},
    });
    assert_eq!(message, &whole);
    assert!(said.event.starts_with("e_"));
}

#[tokio::test]
async fn who_joins_is_told_first_and_who_leaves_is_not_told() {
    let (engine, _clock) = room_engine();
    let [ann, bob] = ["ann", "bob"].map(|user| user_session(user, user));
    let room = open_room(&engine, &ann);
    let mut of_ann = joined(&engine, &ann, &room).await;
    let card = Presence::new("Bob B").kind(ParticipantKind::Agent);
    let mut of_bob = joined(&engine, &bob.clone().with_presence(card), &room).await;
    engine.rooms().leave(&bob, room.id()).unwrap();
    engine.rooms().say(&ann, room.id(), &Message::text("gone?")).unwrap();
    let seen = events(&mut of_ann).await;
    let kinds = [("participant.joined", 2), ("participant.joined", 3), ("participant.left", 4), ("message", 5)];
    assert_eq!(summary(&seen), expected(&kinds));
    let id = &seen[1]["body"]["participant"];
    let about = json!({"participant": id, "user": "bob", "name": "Bob B", "kind": "agent", "role": "member"});
    assert_eq!(seen[1]["body"], about);
    let mut left = about;
    left["reason"] = json!("left");
    assert_eq!(seen[2]["body"], left);
    assert_eq!(summary(&events(&mut of_bob).await), expected(&[("participant.joined", 3)]));
    assert_eq!(code(engine.rooms().leave(&bob, room.id())), "unauthorized");
    assert_eq!(engine.rooms().stats().participants, 1);
}

#[tokio::test]
async fn joining_again_changes_nothing_and_needs_a_connection() {
    let (engine, _clock) = room_engine();
    let ann = user_session("a", "ann");
    let room = open_room(&engine, &ann);
    assert_eq!(code(engine.rooms().join(&ann, room.id())), "conflict");
    let mut consumer = TestConsumer::connect(&engine, ann.clone()).await;
    let id = engine.rooms().join(&ann, room.id()).unwrap();
    assert_eq!(engine.rooms().join(&ann, room.id()), Ok(id));
    assert_eq!(summary(&events(&mut consumer).await), expected(&[("participant.joined", 2)]));
    assert!(engine.rooms().describe(&ann, room.id()).unwrap()["joined"].as_bool().unwrap());
    assert_eq!(code(engine.rooms().join(&user_session("a", "mallory"), room.id())), "unauthorized");
}

#[tokio::test]
async fn who_joins_late_sees_no_past_events() {
    let (engine, _clock) = room_engine();
    let [ann, bob] = ["ann", "bob"].map(|user| user_session(user, user));
    let room = open_room(&engine, &ann);
    for _ in 0..5 {
        engine.rooms().say(&ann, room.id(), &Message::text("early")).unwrap();
    }
    let mut late = joined(&engine, &bob, &room).await;
    assert_eq!(summary(&events(&mut late).await), expected(&[("participant.joined", 7)]));
}

#[tokio::test]
async fn an_observer_sees_everything_and_says_nothing() {
    let (engine, _clock) = room_engine();
    let [ann, bob] = ["ann", "bob"].map(|user| user_session(user, user));
    let room = engine.rooms().create(&ann, &NewRoom::new("t").access(Access::Observe)).unwrap().room;
    let mut observer = joined(&engine, &bob, &room).await;
    assert_eq!(code(engine.rooms().say(&bob, room.id(), &Message::text("x"))), "unauthorized");
    engine.rooms().say(&ann, room.id(), &Message::data(json!({"n": 1}))).unwrap();
    let seen = events(&mut observer).await;
    assert_eq!(seen.len(), 2);
    assert_eq!((&seen[1]["body"], &seen[1]["actor"]["user"]), (&json!({"data": {"n": 1}}), &json!("ann")));
    assert_eq!(seen[1]["actor"].get("participant"), None, "ann has not joined");
}

#[tokio::test]
async fn a_direct_message_reaches_two_and_has_no_number() {
    let (engine, _clock) = room_engine();
    let [ann, bob, cid] = ["ann", "bob", "cid"].map(|user| user_session(user, user));
    let room = open_room(&engine, &ann);
    let mut consumers =
        [joined(&engine, &ann, &room).await, joined(&engine, &bob, &room).await, joined(&engine, &cid, &room).await];
    for consumer in &mut consumers {
        events(consumer).await;
    }
    let to = engine.rooms().participants(&ann, room.id()).unwrap()[1].id.clone();
    let said = engine.rooms().say(&ann, room.id(), &Message::text("psst").to(to.clone())).unwrap();
    engine.rooms().say(&ann, room.id(), &Message::text("all")).unwrap();
    let mut seen = Vec::new();
    for consumer in &mut consumers {
        seen.push(events(consumer).await);
    }
    assert_eq!(said.seq, None);
    let direct = json!({"text": "psst", "to": to.as_str()});
    assert_eq!((&seen[0][0]["body"], &seen[1][0]["body"]), (&direct, &direct));
    assert_eq!(seen[0][0].get("seq"), None);
    assert_eq!(summary(&seen[2]), expected(&[("message", 5)]), "the numbers have no gap");
    assert_eq!(seen[0], seen[1]);
    assert_eq!(code(engine.rooms().say(&ann, room.id(), &Message::text("x").to("p_unknown"))), "not_found");
}

#[tokio::test]
async fn a_call_id_acts_once_within_ten_minutes() {
    let (engine, clock) = room_engine();
    let rooms = engine.rooms();
    let [ann, bob] = ["ann", "bob"].map(|user| user_session(user, user));
    let room = open_room(&engine, &ann);
    let mut consumer = joined(&engine, &bob, &room).await;
    let trace = "tx-123e4567-e89b-42d3-a456-426614174000";
    let message = Message::text("once").call_id("c1").trace_id(trace);
    let first = rooms.say(&ann, room.id(), &message).unwrap();
    assert_eq!(rooms.say(&ann, room.id(), &message), Ok(first.clone()));
    clock.advance(599_999);
    assert_eq!(rooms.say(&ann, room.id(), &message), Ok(first.clone()));
    let other = rooms.say(&bob, room.id(), &message).unwrap();
    assert_ne!(other, first, "another session has ids of its own");
    clock.advance(1);
    assert_ne!(rooms.say(&ann, room.id(), &message), Ok(first));
    let seen = events(&mut consumer).await;
    assert_eq!(summary(&seen[1..]), expected(&[("message", 3), ("message", 4), ("message", 5)]));
    assert_eq!((&seen[1]["trace_id"], &seen[1]["call_id"]), (&json!(trace), &json!("c1")));
}

#[tokio::test]
async fn beyond_the_bound_the_oldest_call_id_is_forgotten_and_that_is_reported() {
    let (engine, _clock) = room_engine_with(RoomOptions::new(), |config| {
        config.rooms.call_ids = 3;
        config.rooms.call_ids_per_session = 2;
    });
    let log = EventLog::of(&engine);
    let [ann, bob] = ["ann", "bob"].map(|user| user_session(user, user));
    let room = open_room(&engine, &ann);
    let say = |session: &Session, id: &str| {
        let before = room.seq();
        engine.rooms().say(session, room.id(), &Message::text("x").call_id(id)).unwrap();
        room.seq() > before
    };
    assert_eq!(["1", "2", "2", "3"].map(|id| say(&ann, id)), [true, true, false, true]);
    assert_eq!(log.limit_count(Limit::CallIds), 1);
    assert!(say(&ann, "1"), "it was forgotten");
    assert_eq!((say(&bob, "1"), log.limit_count(Limit::CallIds)), (true, 2));
    assert_eq!((say(&bob, "2"), log.limit_count(Limit::CallIds)), (true, 3), "in all there are three");
    assert_eq!((say(&ann, "1"), say(&ann, "3")), (false, true));
}

#[tokio::test]
async fn a_message_that_cannot_be_said_is_refused_and_takes_no_number() {
    let (engine, _clock) = room_engine_with(RoomOptions::new(), |config| config.rooms.message_bytes = 100);
    let log = EventLog::of(&engine);
    let ann = user_session("a", "ann");
    let room = open_room(&engine, &ann);
    let say = |message: &Message| code(engine.rooms().say(&ann, room.id(), message));
    assert_eq!(say(&Message::default()), "invalid_params");
    assert_eq!(log.limit_count(Limit::RoomMessageBytes), 0);
    assert_eq!(say(&Message::text("x".repeat(99))), "invalid_params");
    assert_eq!(log.limit_count(Limit::RoomMessageBytes), 1);
    assert_eq!(say(&Message::text("x".repeat(98))), "");
    assert_eq!(room.seq(), 2);
    engine.rooms().close(&ann, room.id(), None).await.unwrap();
    assert_eq!(say(&Message::text("x")), "conflict");
}

#[tokio::test]
async fn a_full_room_takes_nobody_else() {
    let (engine, _clock) = room_engine_with(RoomOptions::new(), |config| config.rooms.participants_per_room = 1);
    let log = EventLog::of(&engine);
    let [ann, bob] = ["ann", "bob"].map(|user| user_session(user, user));
    let room = open_room(&engine, &ann);
    let _ann = joined(&engine, &ann, &room).await;
    let _bob = TestConsumer::connect(&engine, bob.clone()).await;
    assert_eq!(code(engine.rooms().join(&bob, room.id())), "busy");
    assert_eq!(log.limit_count(Limit::ParticipantsPerRoom), 1);
    assert!(!engine.rooms().describe(&bob, room.id()).unwrap()["joined"].as_bool().unwrap());
    engine.rooms().leave(&ann, room.id()).unwrap();
    assert_eq!(code(engine.rooms().join(&bob, room.id())), "");
}

#[tokio::test]
async fn the_end_of_a_session_is_the_end_of_its_part_with_the_reason() {
    let (engine, clock) = room_engine();
    let log = EventLog::of(&engine);
    let ann = user_session("ann", "ann");
    let room = open_room(&engine, &ann);
    let mut consumer = joined(&engine, &ann, &room).await;
    let soon = grove_engine::Clock::wall(&*clock) + std::time::Duration::from_secs(20);
    let closed = joined(&engine, &user_session("closed", "b"), &room).await;
    let revoked = joined(&engine, &user_session("revoked", "c"), &room).await;
    let expired = joined(&engine, &user_session("expired", "d").with_expiry(soon), &room).await;
    let dismissed = joined(&engine, &user_session("dismissed", "e"), &room).await;
    events(&mut consumer).await;
    engine.close_session("closed");
    engine.revoke(Revocation::session("revoked"));
    engine.rooms().dismiss(&ann, room.id(), "e").unwrap();
    clock.advance(20_000);
    let left = events(&mut consumer).await;
    let reasons: Vec<_> = left.iter().map(|event| event["body"]["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["closed", "revoked", "dismissed", "expired"]);
    assert_eq!(summary(&left)[3], ("participant.left".to_owned(), Some(10)));
    let reported = |reason: LeaveReason| {
        log.count(|event| matches!(event, Event::ParticipantLeft { reason: found, .. } if *found == reason))
    };
    assert_eq!(reported(LeaveReason::Dismissed), 1);
    assert_eq!(room.participants().len(), 1);
    drop((closed, revoked, expired, dismissed));
}

#[tokio::test]
async fn who_becomes_somebody_else_leaves_and_new_claims_change_the_role() {
    let options = RoomOptions::new().access(|session, room| match session.user() {
        Some(user) if user == room.owner() => Some(RoomRole::Owner),
        Some("eve") => None,
        _ if session.can("write") => Some(RoomRole::Member),
        _ => Some(RoomRole::Observer),
    });
    let (engine, _clock) = room_engine_with(options, |_| {});
    let [ann, bob] = ["ann", "bob"].map(|user| user_session(user, user));
    let room = open_room(&engine, &ann);
    let mut of_ann = joined(&engine, &ann, &room).await;
    let _of_bob = joined(&engine, &bob, &room).await;
    let roles = || room.participants().iter().map(|one| (one.name.to_string(), one.role)).collect::<Vec<_>>();
    assert_eq!(roles()[1], ("bob".to_owned(), RoomRole::Observer));
    assert!(engine.update_session(&bob.clone().with_permission("write")));
    assert_eq!(roles()[1], ("bob".to_owned(), RoomRole::Member));
    events(&mut of_ann).await;
    assert!(engine.update_session(&user_session("bob", "eve")));
    assert_eq!(roles().len(), 1);
    let seen = events(&mut of_ann).await;
    assert_eq!(
        (seen.len(), &seen[0]["body"]["user"], &seen[0]["body"]["reason"]),
        (1, &json!("bob"), &json!("dismissed"))
    );
}

#[tokio::test]
async fn the_application_may_let_its_function_decide_again() {
    let allowed = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(true));
    let asked = std::sync::Arc::clone(&allowed);
    let options = RoomOptions::new()
        .access(move |_, _| asked.load(std::sync::atomic::Ordering::SeqCst).then_some(RoomRole::Member));
    let (engine, _clock) = room_engine_with(options, |_| {});
    let ann = user_session("a", "ann");
    let room = open_room(&engine, &ann);
    let mut consumer = joined(&engine, &ann, &room).await;
    allowed.store(false, std::sync::atomic::Ordering::SeqCst);
    engine.rooms().review(room.id()).unwrap();
    assert_eq!(room.participants().len(), 0);
    assert_eq!(events(&mut consumer).await.len(), 1, "whoever leaves is not told");
    assert_eq!(code(engine.rooms().review("m_unknown")), "not_found");
}

#[tokio::test]
async fn a_stream_of_events_is_in_the_room_for_as_long_as_it_exists() {
    let (engine, _clock) = room_engine();
    let [ann, bob] = ["ann", "bob"].map(|user| user_session(user, user));
    let room = open_room(&engine, &ann);
    let other = open_room(&engine, &ann);
    let mut consumer = joined(&engine, &ann, &room).await;
    let mut stream = engine.rooms().events(&bob, room.id()).unwrap();
    let mut beside = engine.rooms().events(&bob, other.id()).unwrap();
    engine.rooms().say(&ann, other.id(), &Message::text("there")).unwrap();
    let said = engine.rooms().say(&ann, room.id(), &Message::text("here")).unwrap();
    let first = stream.next().await.unwrap();
    assert_eq!((first.kind.as_str(), first.seq), ("participant.joined", Some(3)));
    let second = stream.next().await.unwrap();
    assert_eq!((second.id, second.data["body"]["text"].as_str()), (said.event, Some("here")));
    assert_eq!(beside.next().await.unwrap().kind, "participant.joined");
    drop(stream);
    assert_eq!(room.participants().len(), 2, "the session has another connection");
    drop(beside);
    assert_eq!((room.participants().len(), other.participants().len()), (1, 0));
    let left = events(&mut consumer).await.pop().unwrap();
    assert_eq!((&left["kind"], &left["body"]["reason"]), (&json!("participant.left"), &json!("closed")));
}

#[tokio::test]
async fn nothing_crosses_the_boundary_of_a_project() {
    let (engine, _clock) = room_engine();
    let [ann, other] = ["p", "q"].map(|project| in_project(&format!("ann-{project}"), "ann", project));
    let room = open_room(&engine, &ann);
    let mut foreign = TestConsumer::connect(&engine, other.clone()).await;
    let mut own = joined(&engine, &ann, &room).await;
    engine.rooms().say(&ann, room.id(), &Message::text("x")).unwrap();
    assert_eq!(code(engine.rooms().join(&other, room.id())), "not_found");
    assert_eq!((events(&mut own).await.len(), events(&mut foreign).await.len()), (2, 0));
}

#[tokio::test]
async fn presence_shows_those_of_a_project_and_what_is_private_only_to_the_same_user() {
    let (engine, clock) = room_engine();
    let card = |name: &str| {
        Presence::new(name).role("dev").groups(["core"]).cwd("/home").pid(7).host("box").kind(ParticipantKind::Session)
    };
    let ann = in_project("a", "ann", "p").with_presence(card("Ann"));
    let bob = in_project("b", "bob", "p");
    let eve = in_project("e", "eve", "q").with_presence(card("Eve"));
    let rows = |session: &Session| engine.rooms().presence(session).unwrap();
    assert_eq!(rows(&bob), [], "a query makes no row");
    clock.advance(1_000);
    let of_ann = TestConsumer::connect(&engine, ann.clone()).await;
    let _second = TestConsumer::connect(&engine, ann.clone()).await;
    let _others = [TestConsumer::connect(&engine, bob.clone()).await, TestConsumer::connect(&engine, eve).await];
    let row = rows(&bob).pop().unwrap();
    assert_eq!(
        (row.name.as_str(), row.role.as_deref(), row.groups.len(), row.kind),
        ("Ann", Some("dev"), 1, ParticipantKind::Session)
    );
    assert_eq!((row.cwd, row.pid, row.host), (None, None, None));
    assert_eq!((row.connected_at.as_str(), row.participant.starts_with("p_")), ("2026-01-01T00:00:01.000Z", true));
    let own = rows(&ann).pop().unwrap();
    assert_eq!((own.cwd.as_deref(), own.pid, own.host.as_deref()), (Some("/home"), Some(7), Some("box")));
    assert_eq!((rows(&ann).len(), rows(&Session::new("x").with_project("p")).len()), (1, 0));
    engine.close_session("a");
    assert_eq!(rows(&bob), []);
    assert_eq!(engine.rooms().stats().presence, 1);
    drop(of_ann);
}

/// What may happen in two rooms.
#[derive(Debug, Clone, Copy)]
enum Step {
    Join(usize, usize),
    Leave(usize, usize),
    Say(usize, usize),
    Dismiss(usize, usize),
    Admit(usize, usize),
    Close(usize),
    Reopen(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let pair = || (0..3_usize, 0..2_usize);
    prop_oneof![
        5 => pair().prop_map(|(who, room)| Step::Join(who, room)),
        2 => pair().prop_map(|(who, room)| Step::Leave(who, room)),
        5 => pair().prop_map(|(who, room)| Step::Say(who, room)),
        1 => pair().prop_map(|(who, room)| Step::Dismiss(who, room)),
        1 => pair().prop_map(|(who, room)| Step::Admit(who, room)),
        1 => (0..2_usize).prop_map(Step::Close),
        1 => (0..3_usize).prop_map(Step::Reopen),
    ]
}

/// What a session was sent of a room: each stay begins with its own joining and has no gap.
fn check_stays(of_room: &[&Value], name: &str) {
    let mut last: Option<u64> = None;
    for event in of_room {
        let seq = event["seq"].as_u64().unwrap();
        let is_own_joining = event["kind"] == "participant.joined" && event["body"]["name"] == name;
        if !is_own_joining {
            assert_eq!(Some(seq), last.map(|last| last + 1), "{of_room:#?}");
        }
        last = Some(seq);
    }
    let ends: Vec<_> = of_room.iter().filter(|event| event["kind"] == "room.ended").collect();
    assert!(ends.is_empty() || ends.len() == 1 && of_room.last().unwrap()["kind"] == "room.ended");
}

async fn play(steps: Vec<Step>) {
    let (engine, _clock) = room_engine();
    let rooms = engine.rooms();
    let owner = user_session("owner", "owner");
    let both = [open_room(&engine, &owner), open_room(&engine, &owner)];
    let names = ["a", "b", "c"];
    let sessions = names.map(|name| user_session(name, name));
    let mut consumers = Vec::new();
    for session in &sessions {
        consumers.push(TestConsumer::connect(&engine, session.clone()).await);
    }
    let mut logs = vec![Vec::new(); 3];
    for step in steps {
        // Whether each is possible is tested elsewhere.
        match step {
            Step::Join(who, room) => drop(rooms.join(&sessions[who], both[room].id())),
            Step::Leave(who, room) => drop(rooms.leave(&sessions[who], both[room].id())),
            Step::Say(who, room) => drop(rooms.say(&sessions[who], both[room].id(), &Message::text("x"))),
            Step::Dismiss(who, room) => drop(rooms.dismiss(&owner, both[room].id(), names[who])),
            Step::Admit(who, room) => drop(rooms.admit(&owner, both[room].id(), names[who], RoomRole::Observer)),
            Step::Close(room) => drop(rooms.close(&owner, both[room].id(), None)),
            Step::Reopen(who) => {
                logs[who].extend(events(&mut consumers[who]).await);
                engine.close_session(names[who]);
                consumers[who] = TestConsumer::connect(&engine, sessions[who].clone()).await;
            }
        }
    }
    for (log, consumer) in logs.iter_mut().zip(&mut consumers) {
        log.extend(events(consumer).await);
    }
    for room in &both {
        let mut by_seq = std::collections::BTreeMap::new();
        for (log, name) in logs.iter().zip(names) {
            let of_room: Vec<_> = log.iter().filter(|event| event["room"] == room.id().as_str()).collect();
            check_stays(&of_room, name);
            for event in of_room {
                let known = by_seq.entry(event["seq"].as_u64().unwrap()).or_insert(event);
                assert_eq!(*known, event, "all see the same");
            }
        }
        let there = room.participants();
        let shown = |session: &Session| rooms.describe(session, room.id()).map(|about| about["joined"] == true);
        for session in &sessions {
            let is_there = there.iter().any(|one| one.user.as_deref() == session.user());
            assert_eq!(shown(session).unwrap_or(false), is_there);
        }
    }
    assert_eq!(rooms.stats().participants, both.iter().map(|room| room.participants().len()).sum::<usize>());
}

proptest! {
    #![proptest_config(cases(64))]
    #[test]
    fn whatever_happens_everybody_sees_one_order_without_gaps(steps in prop::collection::vec(step(), 0..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(steps));
    }
}

#[tokio::test]
async fn a_reader_that_returns_is_first_told_what_it_has_missed() {
    let (engine, _) = room_engine();
    let [ann, bob] = ["ann", "bob"].map(|user| in_project(user, user, "acme"));
    let (room, rooms) = (open_room(&engine, &ann), engine.rooms());
    let _elsewhere = rooms.events(&bob, room.id()).unwrap();
    rooms.say(&ann, room.id(), &Message::text("3")).unwrap();
    let at = |epoch: Option<&str>, seq| RoomPosition { epoch: epoch.map(Into::into), seq };
    // Ann is not there, so her own joining is the event after those that she has missed. Bob has not left.
    let cases = [
        (&ann, at(None, 1), Some((2, 3)), Some(4)),
        (&ann, at(Some(room.epoch()), 5), None, Some(6)),
        (&ann, at(Some("before"), 5), Some((1, 7)), Some(8)),
        (&ann, at(None, u64::MAX), None, Some(10)),
        (&bob, at(None, 9), Some((10, 11)), None),
        (&bob, at(None, 11), None, None),
    ];
    for (who, after, missed, next) in cases {
        let mut reader = rooms.events_after(who, room.id(), Some(&after)).unwrap();
        if let Some((from_seq, to_seq)) = missed {
            let gap = reader.next().await.unwrap();
            assert_eq!((gap.kind.as_str(), gap.seq), ("room.gap", None), "{after:?}");
            assert_eq!(gap.data["body"], json!({"from_seq": from_seq, "to_seq": to_seq}), "{after:?}");
            assert_eq!(gap.data["epoch"], room.epoch().as_str());
        }
        let first = reader.next().now_or_never().flatten();
        assert_eq!(first.map(|event| event.seq), next.map(Some), "{after:?}");
    }
}
