//! How many rooms there are, and who is in them.

/// How many rooms there are, and who is in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct RoomStats {
    /// Rooms, those included that have ended and whose node is still shown.
    pub rooms: usize,
    /// Those of them that have ended.
    pub ended: usize,
    /// Participants of all rooms.
    pub participants: usize,
    /// Bytes that are kept in the memory of all rooms.
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
}
