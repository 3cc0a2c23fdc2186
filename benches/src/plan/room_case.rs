//! What `rooms` measures.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// One question about rooms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RoomCase {
    /// Sessions of an engine without rooms, beside those of an engine with rooms of which none was created
    Off,
    /// Memory of rooms, each with its owner
    Record,
    /// Memory of participants: 1,000 in each room
    Crowd,
    /// Memory of participants: 2 in each room
    Pairs,
    /// A message to all sessions, which are in one room
    Message,
    /// 10,000 messages per second in rooms of 2
    Exchange,
    /// Sessions that join and leave one room
    Joining,
    /// The leases of sessions with a presence card
    Leases,
    /// What the memory of a room takes in the tree of each participant
    Memory,
    /// Messages to live sockets of one room, beside `nats-server`
    Live,
}

impl RoomCase {
    pub(crate) const ALL: [Self; 10] = [
        Self::Off,
        Self::Record,
        Self::Crowd,
        Self::Pairs,
        Self::Message,
        Self::Exchange,
        Self::Joining,
        Self::Leases,
        Self::Memory,
        Self::Live,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Record => "record",
            Self::Crowd => "crowd",
            Self::Pairs => "pairs",
            Self::Message => "message",
            Self::Exchange => "exchange",
            Self::Joining => "joining",
            Self::Leases => "leases",
            Self::Memory => "memory",
            Self::Live => "live",
        }
    }

    /// Whether bytes are counted.
    pub(crate) const fn is_about_memory(self) -> bool {
        matches!(self, Self::Off | Self::Record | Self::Crowd | Self::Pairs | Self::Memory)
    }

    /// How many of so many sessions are in each room.
    pub(crate) const fn per_room(self, sessions: u32) -> u32 {
        match self {
            Self::Off | Self::Leases => 0,
            Self::Record => 1,
            Self::Pairs | Self::Exchange => 2,
            Self::Memory => 10,
            Self::Crowd if sessions > 1_000 => 1_000,
            Self::Crowd | Self::Message | Self::Joining | Self::Live => sessions,
        }
    }
}
