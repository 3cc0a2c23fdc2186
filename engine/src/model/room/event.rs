//! Something that happened in a room, as all who are there receive it (rooms 4).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

use super::about::About;
use super::end_reason::EndReason;
use super::leave_reason::LeaveReason;
use super::participant::{Participant, ParticipantKind};
use super::timestamp::rfc3339;
use crate::model::Text;

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EventKind {
    /// The room was created.
    RoomStarted,
    /// The room ended. Nothing follows.
    RoomEnded,
    /// A session joined.
    ParticipantJoined,
    /// A session left.
    ParticipantLeft,
    /// A participant shows signs of life again.
    ParticipantOnline,
    /// A participant shows no sign of life.
    ParticipantOffline,
    /// Somebody said something.
    Message,
    /// What is kept in the room has changed.
    MemoryChanged,
    /// A run waits for others.
    RunQueued,
    /// A run is in progress.
    RunStarted,
    /// A run streamed a text.
    RunChunk,
    /// A run said how far it is.
    RunProgress,
    /// A run calls a tool.
    RunToolCall,
    /// The tool returned.
    RunToolResult,
    /// A run began another iteration.
    RunIteration,
    /// A run was dispatched again.
    RunRedelivered,
    /// Another agent takes over the work of a run.
    RunEscalated,
    /// A run ended with a result. Nothing follows of a run that has ended.
    RunDone,
    /// A run ended with an error.
    RunFailed,
    /// A run was cancelled, and has ended.
    RunCancelled,
    /// A run ended, since its agent gave no sign of life for too long.
    RunTimedOut,
    /// In place of events that a connection did not read fast enough.
    RoomGap,
    /// Nothing happened for a while.
    Heartbeat,
    /// What happens cannot be kept for now.
    RoomDegraded,
    /// Everything that happened is kept again.
    RoomRecovered,
}

impl EventKind {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RoomStarted => "room.started",
            Self::RoomEnded => "room.ended",
            Self::ParticipantJoined => "participant.joined",
            Self::ParticipantLeft => "participant.left",
            Self::ParticipantOnline => "participant.online",
            Self::ParticipantOffline => "participant.offline",
            Self::Message => "message",
            Self::MemoryChanged => "memory.changed",
            Self::RunQueued => "run.queued",
            Self::RunStarted => "run.started",
            Self::RunChunk => "run.chunk",
            Self::RunProgress => "run.progress",
            Self::RunToolCall => "run.tool_call",
            Self::RunToolResult => "run.tool_result",
            Self::RunIteration => "run.iteration",
            Self::RunRedelivered => "run.redelivered",
            Self::RunEscalated => "run.escalated",
            Self::RunDone => "run.done",
            Self::RunFailed => "run.failed",
            Self::RunCancelled => "run.cancelled",
            Self::RunTimedOut => "run.timed_out",
            Self::RoomGap => "room.gap",
            Self::Heartbeat => "heartbeat",
            Self::RoomDegraded => "room.degraded",
            Self::RoomRecovered => "room.recovered",
        }
    }

    /// Whether it is the last event of a run.
    #[must_use]
    pub const fn ends_run(self) -> bool {
        matches!(self, Self::RunDone | Self::RunFailed | Self::RunCancelled | Self::RunTimedOut)
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who made something happen. The server sets it, from the verified session (SEC8).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Actor {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<Text>,
    pub(crate) name: Text,
    /// Absent for a member who has not joined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) participant: Option<Text>,
    pub(crate) kind: &'static str,
}

/// The kind of the engine, which is no participant.
const SYSTEM: &str = "system";

/// Who acted, as it was written.
#[derive(Debug, Deserialize)]
struct StoredActor {
    user: Option<Text>,
    name: Text,
    participant: Option<Text>,
    kind: Value,
}

impl<'de> Deserialize<'de> for Actor {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let StoredActor { user, name, participant, kind } = StoredActor::deserialize(from)?;
        let kind = ParticipantKind::deserialize(kind).map_or(SYSTEM, ParticipantKind::as_str);
        Ok(Self { user, name, participant, kind })
    }
}

impl Actor {
    pub(crate) fn of(participant: &Participant) -> Self {
        Self {
            user: participant.user.clone(),
            name: participant.name.clone(),
            participant: Some(participant.id.clone()),
            kind: participant.kind.as_str(),
        }
    }

    /// An agent, in the events of its runs.
    pub(crate) fn agent(name: &Text) -> Self {
        Self { user: None, name: name.clone(), participant: None, kind: "agent" }
    }

    /// The engine itself, where no session has acted.
    pub(crate) fn system() -> Self {
        Self { user: None, name: "system".into(), participant: None, kind: SYSTEM }
    }
}

/// Something that happened, in the order in which its fields are written.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct RoomEvent<'a> {
    pub(crate) id: &'a str,
    pub(crate) room: &'a str,
    pub(crate) project: &'a str,
    pub(crate) epoch: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) seq: Option<u64>,
    pub(crate) kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) actor: Option<&'a Actor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) trace_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) call_id: Option<&'a str>,
    pub(crate) at: String,
    pub(crate) body: Value,
}

impl<'a> RoomEvent<'a> {
    /// An event without `seq`, actor and trace id. `at_ms` is since 1970.
    pub(crate) fn new(about: &'a About, id: &'a str, kind: EventKind, at_ms: u64, body: Value) -> Self {
        Self {
            id,
            room: &about.id,
            project: &about.project,
            epoch: &about.epoch,
            seq: None,
            kind: kind.as_str(),
            actor: None,
            trace_id: None,
            call_id: None,
            at: rfc3339(at_ms),
            body,
        }
    }

    /// As JSON. Everything in it serialises.
    pub(crate) fn to_json(&self) -> Value {
        serde_json::to_value(self).expect("an event serialises")
    }
}

/// The body of `room.started`.
pub(crate) fn started(about: &About) -> Value {
    let mut body = json!({"title": about.title, "owner": about.owner.as_str()});
    let agent = about.particulars.as_ref().and_then(|particulars| particulars.agent.as_ref());
    if let (Some(agent), Some(body)) = (agent, body.as_object_mut()) {
        body.insert("agent".into(), agent.as_str().into());
    }
    body["trust"] = about.trust.as_str().into();
    body["mode"] = about.mode.as_str().into();
    body
}

/// The body of `room.degraded` and `room.recovered`.
pub(crate) fn degraded(since_ms: u64) -> Value {
    json!({"since": rfc3339(since_ms)})
}

/// The body of `room.ended`.
pub(crate) fn ended(reason: EndReason, duration_ms: u64, note: Option<&str>, cold_context_id: Option<&str>) -> Value {
    let mut body = json!({"reason": reason.as_str(), "duration_ms": duration_ms});
    for (name, value) in [("note", note), ("cold_context_id", cold_context_id)] {
        if let (Some(value), Some(body)) = (value, body.as_object_mut()) {
            body.insert(name.into(), value.into());
        }
    }
    body
}

/// The body of the events of a participant; `.left` says why.
pub(crate) fn participant(participant: &Participant, left: Option<LeaveReason>) -> Value {
    let mut body = Map::new();
    body.insert("participant".into(), participant.id.as_str().into());
    if let Some(user) = &participant.user {
        body.insert("user".into(), user.as_str().into());
    }
    body.insert("name".into(), participant.name.as_str().into());
    body.insert("kind".into(), participant.kind.as_str().into());
    body.insert("role".into(), participant.role.as_str().into());
    if let Some(reason) = left {
        body.insert("reason".into(), reason.as_str().into());
    }
    Value::Object(body)
}

/// The body of `message`.
pub(crate) fn message(text: Option<&str>, data: Option<&Value>, to: Option<&str>) -> Value {
    let mut body = Map::new();
    if let Some(text) = text {
        body.insert("text".into(), text.into());
    }
    if let Some(data) = data {
        body.insert("data".into(), data.clone());
    }
    if let Some(to) = to {
        body.insert("to".into(), to.into());
    }
    Value::Object(body)
}

/// The body of `memory.changed`.
pub(crate) fn memory_changed(key: &str, is_deleted: bool) -> Value {
    if is_deleted { json!({"key": key, "deleted": true}) } else { json!({"key": key}) }
}

#[cfg(test)]
mod tests {
    use super::super::participant::{ParticipantKind, Status};
    use super::super::role::Role;
    use super::*;

    fn about() -> About {
        About { id: "m_1".into(), epoch: "e".into(), title: "Board".into(), owner: "ann".into(), ..About::default() }
    }

    #[test]
    fn an_event_has_the_fields_of_the_contract_in_order() {
        let about = about();
        let actor =
            Actor { user: Some("ann".into()), name: "Ann".into(), participant: Some("p_1".into()), kind: "person" };
        let body = message(Some("hi"), None, None);
        let event = RoomEvent {
            seq: Some(41),
            actor: Some(&actor),
            trace_id: Some("tx-1"),
            call_id: Some("c"),
            ..RoomEvent::new(&about, "e_1", EventKind::Message, 0, body)
        };
        let expected = r#"{"id":"e_1","room":"m_1","project":"","epoch":"e","seq":41,"kind":"message","actor":{"user":"ann","name":"Ann","participant":"p_1","kind":"person"},"trace_id":"tx-1","call_id":"c","at":"1970-01-01T00:00:00.000Z","body":{"text":"hi"}}"#;
        assert_eq!(event.to_json().to_string(), expected);
    }

    #[test]
    fn what_is_absent_is_left_out() {
        let about = about();
        let event = RoomEvent::new(&about, "e_1", EventKind::Heartbeat, 0, json!({}));
        let expected = r#"{"id":"e_1","room":"m_1","project":"","epoch":"e","kind":"heartbeat","at":"1970-01-01T00:00:00.000Z","body":{}}"#;
        assert_eq!(event.to_json().to_string(), expected);
    }

    #[test]
    fn bodies_say_what_the_contract_lists() {
        assert_eq!(
            ended(EndReason::Close, 5, Some("bye"), Some("c_1")),
            json!({"reason": "close", "duration_ms": 5, "note": "bye", "cold_context_id": "c_1"})
        );
        assert_eq!(memory_changed("k", false), json!({"key": "k"}));
        assert_eq!(memory_changed("k", true), json!({"key": "k", "deleted": true}));
        let mut someone = Participant {
            id: "p_1".into(),
            session: "secret".into(),
            user: Some("ann".into()),
            name: "Ann".into(),
            kind: ParticipantKind::Agent,
            role: Role::Member,
            status: Status::Online,
            since_ms: 0,
        };
        let body = json!({"participant": "p_1", "user": "ann", "name": "Ann", "kind": "agent", "role": "member"});
        assert_eq!(participant(&someone, None), body);
        someone.user = None;
        assert_eq!(participant(&someone, Some(LeaveReason::Lost))["reason"], "lost");
    }
}
