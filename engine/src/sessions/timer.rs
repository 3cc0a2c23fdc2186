//! What waits in the timer queue.

use std::sync::Weak;

use super::slot::Slot;
use super::table::Idle;
use crate::deliver::link::Link;
use crate::model::Text;

/// Something that becomes due. Entries are never cancelled; whoever handles one looks whether it still matters.
#[derive(Debug)]
pub(crate) enum Timer {
    /// The pass over gathered refreshes.
    Refreshes,
    /// The pass over sessions that want a first tree.
    FirstTrees,
    /// Evaluations may have become slow while others wait for threads.
    SlowEvaluations,
    /// A held patch or a greeting may go.
    Wake(Weak<Link>),
    /// Time to check whether a peer is alive and accepts what it is sent.
    CheckLiveness(Weak<Link>),
    /// A connection that was ended had time enough for it.
    Abort(Weak<Link>),
    /// The session or tree that has been idle for longest may have expired.
    SweepIdle(Idle),
    /// There are too many trees of idle sessions, or all trees are too large.
    EvictExcessTrees,
    /// The authentication of a session may have ended, or soon will: of the one that comes first.
    Expiries,
    /// A session's resume points may have expired.
    ResumePoints(Weak<Slot>),
    /// Cached texts that nobody used for a while are evicted.
    SweepCache,
    /// The node of an ended task is removed.
    RemoveTask(Box<(Weak<Slot>, Text)>),
    /// The time to live of a room may have expired: of the one that comes first.
    RoomEnds,
    /// The node of a room that ended may be removed: of the one that comes first.
    RoomRemovals,
    /// What could not be written may be by now.
    StorageRetry,
    /// Events and archives may have been kept for long enough.
    Retention,
    /// Rooms may have been idle for long enough.
    IdleRooms,
    /// The window of a run may have expired, or its pause may be over, or it is abandoned: of the one that comes first.
    Runs,
    /// Agents may have been without a link for too long.
    AgentLinks,
    /// Sessions in rooms may have been silent for too long, or may have received nothing for a while.
    Attendance,
    /// There may be something to say to other instances, or somebody may have been silent for too long.
    Cluster,
}
