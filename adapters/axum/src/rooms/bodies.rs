//! What requests and responses hold. The OpenAPI document is generated from these types.

use grove_engine::{CreatedRoom, Ended, Message, ParticipantView, PresenceRow, Said};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

/// A room, as the caller may see it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct RoomBody {
    /// Grants nothing to whoever knows it.
    #[serde(default)]
    id: String,
    title: String,
    /// `active`, `running` or `ended`.
    state: String,
    /// The user who created it.
    owner: String,
    /// The caller's role: `owner`, `member` or `observer`.
    role: String,
    /// Whether the caller's session has joined it.
    joined: bool,
    /// How many participants are online.
    online: u64,
    created_at: String,
    /// `untrusted`, `provisional` or `verified`.
    trust: String,
    /// `production` or `sandbox`; in a sandbox, dangerous actions are refused.
    mode: String,
    /// Whether its past events can be requested.
    replayable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent: Option<String>,
    /// The room to which it belongs.
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_outcome: Option<String>,
    /// When its time to live expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    ends_at: Option<String>,
    /// `close`, `timeout`, `completed`, `failed` or `revoked`.
    #[serde(skip_serializing_if = "Option::is_none")]
    end_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cold_context_id: Option<String>,
}

impl RoomBody {
    /// The room with this id and these properties. `None` if they are not those of a room.
    pub(super) fn new(id: &str, properties: Value) -> Option<Self> {
        Some(Self { id: id.to_owned(), ..serde_json::from_value(properties).ok()? })
    }
}

/// One room.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct OneRoomBody {
    pub(super) room: RoomBody,
}

/// The room that was created.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CreatedBody {
    room: RoomBody,
    /// The trust that was granted, which may be less than was requested.
    trust: String,
    /// The contract of its agent, if one was named.
    contract: Option<String>,
}

impl CreatedBody {
    pub(super) fn new(created: &CreatedRoom, room: RoomBody) -> Self {
        let contract = created.contract.as_ref().map(ToString::to_string);
        Self { room, trust: created.trust.to_string(), contract }
    }
}

/// Rooms in which the caller has a role, in order of creation.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RoomListBody {
    pub(super) rooms: Vec<RoomBody>,
    /// For `after`, if there may be more.
    pub(super) next: Option<String>,
}

/// Which rooms are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    /// Only those in this state: `active`, `running` or `ended`.
    pub(super) state: Option<String>,
    /// Only those that this user created.
    pub(super) owner: Option<String>,
    /// At most so many: 50 by default, 200 at most.
    pub(super) limit: Option<usize>,
    /// Only those that were created after this room.
    pub(super) after: Option<String>,
}

/// Something to say: a text, data, or both.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageBody {
    text: Option<String>,
    #[schema(value_type = Option<Value>)]
    data: Option<Value>,
    /// The participant for whom alone it is.
    to: Option<String>,
    /// Said again under the same id within 10 minutes, it does not act twice.
    call_id: Option<String>,
}

impl From<MessageBody> for Message {
    fn from(MessageBody { text, data, to, call_id }: MessageBody) -> Self {
        Self { text, data, to: to.map(Into::into), call_id: call_id.map(Into::into), trace_id: None }
    }
}

/// What became of a message.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SaidBody {
    /// The id of its event.
    event: String,
    /// The number of its event; a message for one participant has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<u64>,
}

impl From<Said> for SaidBody {
    fn from(said: Said) -> Self {
        Self { event: said.event.to_string(), seq: said.seq }
    }
}

/// How a room ended.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EndedBody {
    reason: String,
    duration_ms: u64,
}

impl From<Ended> for EndedBody {
    fn from(ended: Ended) -> Self {
        Self { reason: ended.reason.to_string(), duration_ms: ended.duration_ms }
    }
}

/// A participant of a room.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ParticipantBody {
    participant: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    name: String,
    /// `person`, `agent`, `session` or `daemon`.
    kind: String,
    /// `owner`, `member` or `observer`.
    role: String,
    /// `online` or `offline`.
    status: String,
    /// When it joined.
    since: String,
}

impl From<ParticipantView> for ParticipantBody {
    fn from(view: ParticipantView) -> Self {
        Self {
            participant: view.id.to_string(),
            user: view.user.map(Into::into),
            name: view.name.into(),
            kind: view.kind.to_string(),
            role: view.role.to_string(),
            status: view.status.as_str().to_owned(),
            since: view.since,
        }
    }
}

/// Who takes part in a room, in order of joining.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ParticipantsBody {
    pub(super) participants: Vec<ParticipantBody>,
}

/// One session of the project that has a presence card. `cwd`, `pid` and `host` are shown only to its own user.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PresenceBody {
    participant: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    name: String,
    /// `person`, `agent`, `session` or `daemon`.
    kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    groups: Vec<String>,
    /// `online` or `offline`.
    status: String,
    connected_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cwd: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    host: Option<String>,
}

impl From<PresenceRow> for PresenceBody {
    fn from(row: PresenceRow) -> Self {
        Self {
            participant: row.participant.to_string(),
            user: row.user.map(Into::into),
            name: row.name.into(),
            kind: row.kind.to_string(),
            role: row.role.map(Into::into),
            groups: row.groups.into_iter().map(Into::into).collect(),
            status: row.status.as_str().to_owned(),
            connected_at: row.connected_at,
            cwd: row.cwd.map(Into::into),
            pid: row.pid,
            host: row.host.map(Into::into),
        }
    }
}

/// Who is there in the project.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PresenceListBody {
    pub(super) participants: Vec<PresenceBody>,
}

/// Where a stream of events continues.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct EventsQuery {
    /// The number of the last event that the caller has seen.
    pub(super) since: Option<u64>,
}

/// Why a request failed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ErrorBody {
    error: ErrorDetail,
}

/// What is wrong.
#[derive(Debug, Serialize, ToSchema)]
struct ErrorDetail {
    /// Such as `not_found`.
    code: String,
    message: String,
}
