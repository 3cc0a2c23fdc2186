//! Laws of the lane for the events of rooms: what a reader sees is whole, or it is told what is missing.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::model::room::about::About;
use crate::model::room::event::{EventKind, RoomEvent};
use crate::model::room::handle::Room;
use crate::model::room::policy::Access;
use crate::model::room::record::Record;
use crate::protocol::room_event;
use crate::protocol::room_part::{Merge, RoomPart};

const ROOMS: usize = 3;
const RUNS: usize = 2;

/// What is said in a room.
#[derive(Debug, Clone, PartialEq)]
enum Kind {
    Message(usize),
    Chunk { run: u8, text: String },
    Progress { run: u8 },
}

/// What may happen to a lane.
#[derive(Debug, Clone)]
enum Step {
    /// An event with a `seq`.
    Say(usize, Kind),
    /// So many of a room's events go to others only, for the session has not joined.
    Miss(usize, u64),
    Direct(usize),
    Heartbeat(usize),
    Emit(usize),
    /// What was left in the inbox is taken over.
    TakeOver,
    /// The socket has room.
    Pop,
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        (0..200_usize).prop_map(Kind::Message),
        (0..2_u8, "[a-c\"\\\\é]{0,12}").prop_map(|(run, text)| Kind::Chunk { run, text }),
        (0..2_u8, "[a-c]{0,9}").prop_map(|(run, text)| Kind::Chunk { run, text }),
        (0..2_u8).prop_map(|run| Kind::Progress { run }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..ROOMS, kind()).prop_map(|(room, kind)| Step::Say(room, kind)),
        1 => (0..ROOMS, 1..4_u64).prop_map(|(room, count)| Step::Miss(room, count)),
        1 => (0..ROOMS).prop_map(Step::Direct),
        1 => (0..ROOMS).prop_map(Step::Heartbeat),
        2 => (0..60_usize).prop_map(Step::Emit),
        2 => Just(Step::TakeOver),
        5 => Just(Step::Pop),
    ]
}

/// What was sent in one room, and what its reader knows of it.
struct RoomModel {
    room: Room,
    sent: BTreeMap<u64, Kind>,
    next_seq: u64,
    /// The last that came or was told of.
    seen: u64,
}

struct Model {
    rooms: Vec<RoomModel>,
    /// Events without a `seq` that were sent, less heartbeats, and those that came or were counted.
    others: (u64, u64),
    /// Of each event with a `seq`: behind which place a result that it caused stands.
    behind: Vec<(u64, usize, u64)>,
    queued: u64,
    gaps: u64,
}

fn encode(room: &Room, seq: Option<u64>, kind: &Kind) -> Arc<EncodedEvent> {
    let (name, body, merge) = match kind {
        Kind::Message(len) => ("message", json!({"text": "x".repeat(*len)}), Merge::Never),
        Kind::Chunk { run, text } => {
            let run = format!("r_{run}");
            ("run.chunk", json!({"run": run, "offset": 0, "text": text}), Merge::Append(run.into()))
        }
        Kind::Progress { run } => {
            let run = format!("r_{run}");
            ("run.progress", json!({"run": run}), Merge::Replace(run.into()))
        }
    };
    let event = RoomEvent {
        id: &format!("e_{seq:?}"),
        room: room.id(),
        project: room.project(),
        epoch: room.epoch(),
        seq,
        kind: name,
        actor: None,
        trace_id: None,
        call_id: None,
        at: "now".to_owned(),
        body,
    };
    room_event::encode(room, &event, merge, 10_000).unwrap()
}

impl Model {
    fn new() -> Self {
        let about = |at| About { id: format!("m_{at}").into(), epoch: "x".into(), ..About::default() };
        let record = || Record::new("alice".into(), Access::Invited, None, 0);
        let room = |at| RoomModel { room: Room::new(about(at), record()), sent: BTreeMap::new(), next_seq: 1, seen: 0 };
        Self { rooms: (0..ROOMS).map(room).collect(), others: (0, 0), behind: Vec::new(), queued: 0, gaps: 0 }
    }

    fn say(&mut self, room: usize, kind: Kind) -> Arc<EncodedEvent> {
        let room = &mut self.rooms[room];
        let event = encode(&room.room, Some(room.next_seq), &kind);
        room.sent.insert(room.next_seq, kind);
        room.next_seq += 1;
        event
    }

    /// Checks what the reader is given next.
    fn see(&mut self, event: &EncodedEvent) {
        let frame: Value = serde_json::from_str(&event.text).unwrap();
        assert_eq!((&frame["type"], &frame["name"]), (&json!("event"), &json!(event.name.as_str())), "{frame}");
        let data = &frame["data"];
        match event.name.as_str() {
            "heartbeat" => {}
            "events.dropped" => self.others.1 += data["count"].as_u64().unwrap(),
            "room.gap" => {
                self.gaps += 1;
                let (from, to) = (data["body"]["from_seq"].as_u64().unwrap(), data["body"]["to_seq"].as_u64().unwrap());
                self.room(data).covered(from, to);
            }
            _ if data["seq"].is_null() => self.others.1 += 1,
            _ => {
                let seq = data["seq"].as_u64().unwrap();
                let room = self.room(data);
                let covered = room.covered(data["from_seq"].as_u64().unwrap_or(seq), seq);
                check_merged(&covered, data);
            }
        }
    }

    fn room(&mut self, data: &Value) -> &mut RoomModel {
        self.rooms.iter_mut().find(|room| data["room"] == room.room.id().as_str()).unwrap()
    }

    /// A result is never ahead of what was queued before it. Progress that was replaced is not waited for: results could
    /// wait for ever.
    fn check_results(&self, lane: &EventLane) {
        let told = self.queued - lane.merged() - lane.outstanding();
        for (_, room, seq) in self.behind.iter().filter(|(place, ..)| *place <= told) {
            let room = &self.rooms[*room];
            let waits = room.seen < *seq && !matches!(room.sent[seq], Kind::Progress { .. });
            assert!(!waits, "a result may go before event {seq} of room {}", room.room.id());
        }
    }
}

impl RoomModel {
    /// What was sent from one `seq` to another, which must be the next that the reader misses.
    fn covered(&mut self, from: u64, to: u64) -> Vec<Kind> {
        let (next, _) = self.sent.range(self.seen + 1..).next().expect("more than was sent");
        assert_eq!(from, *next, "in room {}: {from} to {to} after {}", self.room.id(), self.seen);
        self.seen = to;
        self.sent.range(from..=to).map(|(_, kind)| kind.clone()).collect()
    }
}

/// One event stands for others: chunks of one run, and progress that was replaced.
fn check_merged(covered: &[Kind], data: &Value) {
    let newest = covered.last().unwrap();
    if let Kind::Chunk { run: of, .. } = newest {
        let mut whole = String::new();
        for kind in covered {
            match kind {
                Kind::Chunk { run, text } if run == of => whole.push_str(text),
                Kind::Progress { .. } => {}
                other => panic!("{other:?} was lost"),
            }
        }
        assert_eq!(data["body"]["text"], *whole);
    } else {
        assert!(covered[..covered.len() - 1].iter().all(|kind| matches!(kind, Kind::Progress { .. })), "{covered:?}");
    }
}

/// Checks what holds at any time.
fn check(lane: &EventLane, max_bytes: usize, missed: usize) {
    assert_eq!(lane.bytes, lane.waiting.iter().map(|event| event.text.len()).sum::<usize>());
    assert!(lane.bytes <= max_bytes || lane.waiting.len() <= 1 + lane.reserved as usize, "over its bound");
    let shown = |part: &RoomPart| (part.room.id().clone(), format!("{:?}", part.merge));
    let unreserved = lane.waiting.iter().skip(lane.reserved as usize).filter_map(|event| event.room.as_deref());
    let progress: Vec<_> = unreserved.filter(|part| matches!(part.merge, Merge::Replace(_))).map(shown).collect();
    let newest: BTreeSet<_> = progress.iter().collect();
    assert!(newest.len() + missed >= progress.len(), "two of a run's progress wait: {progress:?}");
}

proptest! {
    #[test]
    fn a_reader_sees_all_of_every_room_in_order_or_is_told_exactly_what_is_missing(
        max_bytes in 200..6_000_usize,
        steps in prop::collection::vec(step(), 0..150),
    ) {
        let (mut lane, mut inbox, mut model) = (EventLane::default(), EventLane::default(), Model::new());
        // How often nothing could stand for progress, at most.
        let mut missed = 0;
        let mut left = false;
        let mut in_inbox = Vec::new();
        for (number, step) in steps.into_iter().enumerate() {
            // Every now and then somebody has the outbox, until what was left is taken over.
            left = left || number % 7 == 3;
            let event = match step {
                Step::Say(room, kind) => Some((model.say(room, kind), Some(room))),
                Step::Miss(room, count) => {
                    model.rooms[room].next_seq += count;
                    missed += RUNS;
                    None
                }
                Step::Direct(room) => {
                    model.others.0 += 1;
                    Some((encode(&model.rooms[room].room, None, &Kind::Message(5)), None))
                }
                Step::Heartbeat(room) => {
                    let room = &model.rooms[room].room;
                    Some((room_event::aside(room, "e_h", "now", EventKind::Heartbeat, json!({})), None))
                },
                Step::Emit(len) => {
                    model.others.0 += 1;
                    Some((EncodedEvent::new("tick", Some(&json!("x".repeat(len))), 1_000).unwrap(), None))
                }
                Step::TakeOver | Step::Pop => {
                    if left {
                        model.queued += lane.append(std::mem::take(&mut inbox), max_bytes);
                        let place = model.queued - lane.merged();
                        model.behind.extend(in_inbox.drain(..).map(|(room, seq)| (place, room, seq)));
                        left = false;
                    }
                    if matches!(step, Step::Pop) && let Some(event) = lane.pop() {
                        model.see(&event);
                    }
                    None
                }
            };
            if let Some((event, room)) = event {
                let seq = event.room.as_ref().and_then(|part| part.seq);
                if left {
                    inbox.push(event, max_bytes);
                    in_inbox.extend(room.zip(seq));
                    check(&inbox, max_bytes, missed);
                } else {
                    let before = lane.dropped_so_far();
                    let dropped = lane.push(event, max_bytes);
                    prop_assert_eq!(dropped, lane.dropped_so_far() > before);
                    model.queued += 1;
                    let place = model.queued - lane.merged();
                    model.behind.extend(room.zip(seq).map(|(room, seq)| (place, room, seq)));
                }
            }
            check(&lane, max_bytes, missed);
            model.check_results(&lane);
        }
        model.queued += lane.append(inbox, max_bytes);
        while let Some(event) = lane.pop() {
            model.see(&event);
            model.check_results(&lane);
        }
        prop_assert!(lane.is_empty() && lane.bytes == 0);
        prop_assert_eq!(model.others.0, model.others.1, "what has no `seq` came, or was counted");
        for room in &model.rooms {
            prop_assert_eq!(room.sent.keys().next_back().copied().unwrap_or(0), room.seen);
        }
    }
}

impl EventLane {
    fn dropped_so_far(&self) -> u64 {
        self.dropped + self.rooms.as_ref().map_or(0, |rooms| rooms.outstanding())
    }
}

fn push_all(lane: &mut EventLane, room: &Room, kinds: &[Kind], max_bytes: usize) {
    for (at, kind) in kinds.iter().enumerate() {
        lane.push(encode(room, Some(at as u64 + 1), kind), max_bytes);
    }
}

fn seen(lane: &mut EventLane) -> Vec<(String, Option<u64>, Option<u64>)> {
    let parts = |event: Arc<EncodedEvent>| {
        let data = event.data().unwrap_or_default();
        (event.name.to_string(), data["from_seq"].as_u64(), data["seq"].as_u64())
    };
    std::iter::from_fn(|| lane.pop()).map(parts).collect()
}

fn chunk(run: u8) -> Kind {
    Kind::Chunk { run, text: "word ".to_owned() }
}

#[test]
fn chunks_of_two_rooms_that_alternate_are_coalesced_as_well() {
    let model = Model::new();
    let mut lane = EventLane::default();
    for seq in 1..=100 {
        for room in &model.rooms[..2] {
            lane.push(encode(&room.room, Some(seq), &chunk(0)), 8_000);
        }
    }
    let chunk = |from, seq| ("run.chunk".to_owned(), Some(from), Some(seq));
    assert_eq!(seen(&mut lane), [chunk(1, 100), chunk(1, 100)]);
}

#[test]
fn chunks_between_which_progress_was_replaced_are_one_chunk() {
    let (model, mut lane) = (Model::new(), EventLane::default());
    let kinds: Vec<_> = (0..40).flat_map(|_| [chunk(0), Kind::Progress { run: 0 }]).collect();
    push_all(&mut lane, &model.rooms[0].room, &kinds, 8_000);
    let expected = [("run.chunk", Some(1), Some(79)), ("run.progress", None, Some(80))];
    assert_eq!(seen(&mut lane), expected.map(|(name, from, seq)| (name.to_owned(), from, seq)));
}

#[test]
fn a_run_whose_output_is_never_read_costs_no_more_than_the_bound() {
    let (model, mut lane) = (Model::new(), EventLane::default());
    push_all(&mut lane, &model.rooms[0].room, &vec![chunk(0); 10_000], 4_000);
    assert!(lane.bytes() <= 4_000);
    let events = seen(&mut lane);
    assert_eq!((events[0].0.as_str(), events.last().unwrap().2), ("room.gap", Some(10_000)));
    assert!(events.len() > 3, "the oldest part was dropped, and not everything: {events:?}");
}

#[test]
fn each_room_is_told_once_what_it_misses_and_the_application_how_much() {
    let (model, mut lane) = (Model::new(), EventLane::default());
    for seq in 1..=50 {
        model.rooms.iter().for_each(|room| {
            lane.push(encode(&room.room, Some(seq), &Kind::Message(10)), 1_000);
        });
        lane.push(EncodedEvent::own("tick", None), 1_000);
    }
    let names: Vec<_> = seen(&mut lane).into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names[..4], ["events.dropped", "room.gap", "room.gap", "room.gap"]);
    assert!(names[4..].iter().all(|name| name == "message" || name == "tick"), "{names:?}");
}
