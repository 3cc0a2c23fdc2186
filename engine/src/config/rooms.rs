//! How long things in rooms last, and how many there may be of each.

use std::time::Duration;

use super::error::{ConfigError, at_least, at_most, duration, interval, positive};
use super::sizes::Sizes;
use crate::model::room::memory::MemoryBounds;

/// The bounds of rooms. They matter only if there are rooms (`EngineBuilder::rooms`).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RoomLimits {
    /// How long a participant may show no sign of life before it is shown as offline. Default 30 s.
    pub offline_after: Duration,
    /// How long a participant may show no sign of life before it has left. Default 90 s; no shorter than `offline_after`.
    pub left_after: Duration,
    /// How often a connection that receives nothing else from a room is sent `heartbeat`. Default 30 s.
    pub heartbeat_interval: Duration,
    /// How long the node of a room that ended stays. Default 60 s.
    pub ended_room_retention: Duration,
    /// How many rooms there may be in all, those included whose node is still shown. Default 100,000. One more is refused
    /// with `busy`.
    pub rooms: usize,
    /// How many rooms of one project there may be. Default 10,000. One more is refused with `busy`.
    pub rooms_per_project: usize,
    /// How many rooms of one project may be open to all of its users, or be decided about by an access function. Default
    /// 1,000: each session of the project is compared with each of them. One more is refused with `busy`.
    pub open_rooms_per_project: usize,
    /// How many rooms of one project a user may have created. Default 256. One more is refused with `busy`.
    pub rooms_per_user: usize,
    /// To how many rooms of one project a user may be admitted. Default 1,024. One more is refused with `busy`.
    pub admissions_per_user: usize,
    /// How many participants one room may have. Default 1,024. One more is refused with `busy`.
    pub participants_per_room: usize,
    /// About how many users the owner of a room may decide: those admitted, and those dismissed from an open room. Default
    /// 1,024. One more is refused with `busy`.
    pub users_per_room: usize,
    /// How long a message may be, in bytes of JSON. Default 16 KiB. A longer one is refused with `invalid_params`.
    pub message_bytes: usize,
    /// How much may be kept in one room, in bytes of keys and of values as JSON. Default 256 KiB. More is refused with `busy`,
    /// or with `invalid_params` if it could never fit.
    pub memory_bytes: usize,
    /// How many keys there may be in the memory of one room. Default 1,024. One more is refused with `busy`.
    pub memory_keys: usize,
    /// How much may be kept in all rooms together, in bytes. Default 1 GiB. More is refused with `busy`.
    pub all_memory_bytes: usize,
    /// How many rooms may stand above one another as parent and child. Default 8. A child of the last one is refused with
    /// `busy`.
    pub generations: usize,
    /// How many call ids are remembered in all, for 10 minutes. Default 100,000. The oldest is forgotten first, and would act
    /// again.
    pub call_ids: usize,
    /// How many call ids of one session are remembered. Default 1,024. The oldest is forgotten first, and would act again.
    pub call_ids_per_session: usize,
    /// How many call ids of messages are kept with a room that is there again after a restart. Default 1,024. The oldest is
    /// forgotten with the next restart, and would act again.
    pub kept_call_ids_per_room: usize,
    /// How many of its latest events a replayable room keeps. Default 100,000. The oldest go.
    pub keep_events: usize,
    /// How long a replayable room keeps its events. Default 30 days. Older ones go, some time later, but never the latest.
    pub keep_for: Duration,
    /// How many of its latest events a room keeps that will be archived; its archive begins with the oldest of them. Default
    /// 1,000,000. Here, `keep_events` and `keep_for` have no say.
    pub archived_events: usize,
    /// How long an archive stays. Default 365 days.
    pub archive_retention: Duration,
    /// How many bytes of logs and archives are kept in memory, if that is where they are kept. Default 256 MiB. The oldest
    /// archives go, and then the older halves of logs.
    pub stored_bytes: usize,
    /// How many bytes may wait to be written. Default 16 MiB. Above it, in rooms that are kept nobody joins or says anything:
    /// it is refused with `busy`.
    pub unwritten_bytes: usize,
    /// How long an acknowledgement waits until what it acknowledges is durable. Default 10 s. Then the caller gets `busy`,
    /// though what was done was done, and is kept as soon as that is possible.
    pub durable_timeout: Duration,
    /// How long a room that can be read again stays in memory though nobody uses it: nobody takes part in it or shows it, none
    /// of its runs goes on, and the application holds no handle of it. Default 10 minutes. It comes back when somebody asks for
    /// it.
    pub put_away_after: Duration,
}

/// How much longer than its message the frame of an event may be: names, ids and titles are bounded.
pub(super) const EVENT_ENVELOPE_BYTES: usize = 32 << 10;

/// More sessions could not be told within one step.
const MOST_PARTICIPANTS: usize = 100_000;

const fn days(count: u64) -> Duration {
    Duration::from_secs(count * 86_400)
}

/// More would be read for each entry that a room inherits.
const MOST_GENERATIONS: usize = 64;

impl Default for RoomLimits {
    fn default() -> Self {
        Self {
            offline_after: Duration::from_secs(30),
            left_after: Duration::from_secs(90),
            heartbeat_interval: Duration::from_secs(30),
            ended_room_retention: Duration::from_secs(60),
            rooms: 100_000,
            rooms_per_project: 10_000,
            open_rooms_per_project: 1_000,
            rooms_per_user: 256,
            admissions_per_user: 1_024,
            participants_per_room: 1_024,
            users_per_room: 1_024,
            message_bytes: 16 << 10,
            memory_bytes: 256 << 10,
            memory_keys: 1_024,
            all_memory_bytes: 1 << 30,
            generations: 8,
            call_ids: 100_000,
            call_ids_per_session: 1_024,
            kept_call_ids_per_room: 1_024,
            keep_events: 100_000,
            keep_for: days(30),
            archived_events: 1_000_000,
            archive_retention: days(365),
            stored_bytes: 256 << 20,
            unwritten_bytes: 16 << 20,
            durable_timeout: Duration::from_secs(10),
            put_away_after: Duration::from_secs(600),
        }
    }
}

impl RoomLimits {
    /// Zero switches off what is optional (rooms open to a project, admissions, memory, call ids).
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        interval("rooms.offline_after", self.offline_after)?;
        interval("rooms.left_after", self.left_after)?;
        if self.left_after < self.offline_after {
            return Err(ConfigError::new("rooms.left_after", "must not be shorter than `rooms.offline_after`"));
        }
        interval("rooms.heartbeat_interval", self.heartbeat_interval)?;
        duration("rooms.ended_room_retention", self.ended_room_retention)?;
        positive("rooms.rooms", self.rooms)?;
        positive("rooms.rooms_per_project", self.rooms_per_project)?;
        positive("rooms.rooms_per_user", self.rooms_per_user)?;
        positive("rooms.participants_per_room", self.participants_per_room)?;
        let most = "must be at most 100,000: a room tells all of them in one step";
        at_most("rooms.participants_per_room", self.participants_per_room, MOST_PARTICIPANTS, most)?;
        positive("rooms.message_bytes", self.message_bytes)?;
        positive("rooms.generations", self.generations)?;
        let most = "must be at most 64: whoever reads what a room inherits looks at all of them";
        at_most("rooms.generations", self.generations, MOST_GENERATIONS, most)?;
        self.validate_what_is_kept()
    }

    fn validate_what_is_kept(&self) -> Result<(), ConfigError> {
        positive("rooms.keep_events", self.keep_events)?;
        interval("rooms.keep_for", self.keep_for)?;
        positive("rooms.archived_events", self.archived_events)?;
        interval("rooms.archive_retention", self.archive_retention)?;
        positive("rooms.stored_bytes", self.stored_bytes)?;
        positive("rooms.unwritten_bytes", self.unwritten_bytes)?;
        duration("rooms.durable_timeout", self.durable_timeout)?;
        interval("rooms.put_away_after", self.put_away_after)
    }

    /// How much may be kept in one room.
    pub(crate) const fn memory(&self) -> MemoryBounds {
        MemoryBounds { keys: self.memory_keys, bytes: self.memory_bytes }
    }

    /// Whether the events of rooms fit the frames of an engine.
    pub(crate) fn fit(&self, sizes: &Sizes) -> Result<(), ConfigError> {
        let least = self.message_bytes.saturating_add(EVENT_ENVELOPE_BYTES);
        let problem = "must hold an event of a room: `rooms.message_bytes` and 32 KiB";
        at_least("sizes.frame_bytes", sizes.frame_bytes, least, problem)
    }
}
