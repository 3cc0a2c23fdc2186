//! What consumers do in rooms.

use serde_json::{Value, json};

use super::room_logs::RoomLogs;
use super::scale::ROOMS;

/// How many keys there are in the memory of a room.
const KEYS: u32 = 40;

/// A call of an action.
pub(super) struct RoomCall {
    pub(super) path: String,
    pub(super) action: &'static str,
    pub(super) params: Value,
}

/// Something that a consumer may do in a room. It may have no right to it, or come too late.
pub(super) fn random_call(random: &mut fastrand::Rng, logs: &RoomLogs) -> RoomCall {
    let room = format!("/rooms/room-{}", random.u32(..ROOMS));
    let (path, action, params) = match random.u32(..100) {
        0..25 => (room, "join", json!({})),
        25..32 => (room, "leave", json!({})),
        32..62 => (room, "say", json!({"text": format!("What about {}?", random.u32(..1_000))})),
        62..74 => (room, "run", run(random)),
        74..80 => match logs.any_run(random) {
            Some((room, run)) => (format!("/rooms/{room}/runs/{run}"), "cancel", json!({})),
            None => (room, "join", json!({})),
        },
        80..96 => {
            let (key, value) = (format!("key-{}", random.u32(..KEYS)), random.u32(..));
            (format!("{room}/memory"), "put", json!({"key": key, "value": value}))
        }
        _ => {
            let key = format!("key-{}", random.u32(..KEYS));
            (format!("{room}/memory"), "delete", json!({"key": key}))
        }
    };
    RoomCall { path, action, params }
}

/// A run that ends in some way, and sometimes is given up since its agent says nothing for too long.
fn run(random: &mut fastrand::Rng) -> Value {
    let chunks = random.u32(1..12);
    match random.u32(..10) {
        0 => json!({"input": {"chunks": chunks, "end": "fail"}}),
        1 => {
            let delivery = json!({"window_ms": 200, "max_attempts": 2, "on_timeout": "replay"});
            json!({"input": {"chunks": chunks, "end": "wait"}, "delivery": delivery})
        }
        _ => json!({"input": {"chunks": chunks}}),
    }
}
