//! How many rooms there are, and who is in them.

use crate::storage::storage_stats::StorageStats;

/// How many rooms there are, and who is in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RoomStats {
    /// Rooms, those included that have ended and whose node is still shown, and those that are put away.
    pub rooms: usize,
    /// Those of them that are put away, until somebody uses them.
    pub put_away: usize,
    /// Those of them that have ended.
    pub ended: usize,
    /// Participants of all rooms.
    pub participants: usize,
    /// Bytes that are kept in the memory of all rooms that are not put away.
    pub memory_bytes: usize,
    /// Sessions that are shown with their presence card.
    pub presence: usize,
    /// Sessions whose signs of life are waited for.
    pub leases: usize,
    /// Runs that have not ended, those included that wait.
    pub runs: usize,
    /// Those of them that wait for others.
    pub queued: usize,
    /// Links of agents that are elsewhere, each counted for each agent that it is.
    pub agent_links: usize,
    /// What is written of what happens in rooms that are kept.
    pub storage: StorageStats,
}
