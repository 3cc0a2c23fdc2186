//! The events of rooms as one connection receives them: none may be missing unless a gap says so.

use std::collections::BTreeMap;

use serde_json::Value;

/// What one connection has received of each room.
#[derive(Debug)]
pub(super) struct RoomLogs {
    user: String,
    /// The number of the latest event of each room, by epoch and id.
    last: BTreeMap<(String, String), u64>,
    /// Runs that were heard of last, with their rooms.
    runs: Vec<(String, String)>,
    pub(super) events: u64,
    pub(super) gaps: u64,
}

/// How many runs are remembered.
const RUNS: usize = 8;

impl RoomLogs {
    /// Of a session of this user.
    pub(super) const fn new(user: String) -> Self {
        Self { user, last: BTreeMap::new(), runs: Vec::new(), events: 0, gaps: 0 }
    }

    /// The connection is another one: it does not matter what it has missed.
    pub(super) fn begin(&mut self) {
        self.last.clear();
    }

    /// A run that was heard of, with its room.
    pub(super) fn any_run(&self, random: &mut fastrand::Rng) -> Option<&(String, String)> {
        random.choice(&self.runs)
    }

    /// Takes a message.
    ///
    /// # Errors
    /// A sentence about what is missing.
    pub(super) fn take(&mut self, message: &Value) -> Result<(), String> {
        let event = &message["data"];
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        if message["type"] != "event" || !event["room"].is_string() {
            return Ok(());
        }
        let key = (text("epoch"), text("room"));
        let body = &event["body"];
        if event["kind"] == "room.gap" {
            self.gaps += 1;
            let to_seq = body["to_seq"].as_u64().unwrap_or_default();
            return self.follows(key, body["from_seq"].as_u64().unwrap_or_default(), to_seq);
        }
        let Some(seq) = event["seq"].as_u64() else { return Ok(()) };
        self.events += 1;
        if event["kind"] == "run.started" {
            self.runs.insert(0, (text("room"), body["run"].as_str().unwrap_or_default().to_owned()));
            self.runs.truncate(RUNS);
        }
        if event["kind"] == "participant.joined" && body["user"] == *self.user {
            // It may have left before.
            self.last.insert(key, seq);
            return Ok(());
        }
        self.follows(key, event["from_seq"].as_u64().unwrap_or(seq), seq)
    }

    fn follows(&mut self, key: (String, String), from_seq: u64, to_seq: u64) -> Result<(), String> {
        let room = key.1.clone();
        match self.last.insert(key, to_seq).filter(|before| before + 1 != from_seq) {
            Some(before) => Err(format!("in {room}, the event {from_seq} follows {before}")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(kind: &str, seq: u64, body: &Value) -> Value {
        json!({"type": "event", "name": kind, "data": {"room": "m", "epoch": "e", "seq": seq, "kind": kind, "body": body}})
    }

    #[test]
    fn an_event_may_be_missing_only_if_a_gap_says_so_or_the_session_was_not_there() {
        let mut logs = RoomLogs::new("u1".to_owned());
        assert_eq!(logs.take(&event("message", 4, &json!({}))), Ok(()));
        assert!(logs.take(&event("message", 6, &json!({}))).is_err());
        let mut gap = event("room.gap", 0, &json!({"from_seq": 7, "to_seq": 9}));
        gap["data"].as_object_mut().unwrap().remove("seq");
        assert_eq!((logs.take(&gap), logs.gaps), (Ok(()), 1));
        assert_eq!(logs.take(&event("message", 10, &json!({}))), Ok(()));
        assert!(logs.take(&event("participant.joined", 20, &json!({"user": "u2"}))).is_err());
        assert_eq!(logs.take(&event("participant.joined", 30, &json!({"user": "u1"}))), Ok(()));
        logs.begin();
        assert_eq!(logs.take(&event("message", 99, &json!({}))), Ok(()));
    }
}
