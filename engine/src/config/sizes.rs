//! How large one message, tree or queue may be.

use super::error::{ConfigError, at_least, at_most, positive};

/// Sizes of single things, in bytes, nodes or levels.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Sizes {
    /// The largest message that a peer may send, in bytes. Default 65,536. A larger one closes the connection (1009).
    pub message_bytes: usize,
    /// The largest frame that is sent, in bytes. Default 1,000,000: the strictest known peer closes at 1 MiB. A larger
    /// view is compacted until it fits, or answered with `too_large`; a larger result becomes an error (`too_large`), and a
    /// larger event is refused to the application.
    pub frame_bytes: usize,
    /// A patch longer than this, in bytes, is sent as a snapshot if that is at most twice as long. Default 4,096.
    pub rebase_bytes: usize,
    /// How many nodes one registered path, and one view, may hold. Default 10,000. Children over it are dropped, a view
    /// over it is compacted; either is an event.
    pub nodes: usize,
    /// How many properties one node may have. Default 256. Those over it are dropped with an event.
    pub properties: usize,
    /// How many levels one registered path may have. Default 32, at most 40: consumers parse JSON of 127 levels, of which a
    /// node takes two. Children below are dropped with an event.
    pub depth: u32,
    /// How many nodes a tab's tree may have. Default 2,000. A tab over it is closed (1008).
    pub tab_nodes: usize,
    /// How many levels a tab's tree may have. Default 16, at most 24. A tab over it is closed (1008).
    pub tab_depth: usize,
    /// How long a tab's tree may be as JSON, in bytes. Default 256 KiB. A tab over it is closed (1008).
    pub tab_bytes: usize,
    /// How many operations one patch of a tab may have. Default 1,000. For a longer one the tab is asked for its tree, which
    /// says the same in one go.
    pub tab_operations: usize,
    /// How many bytes of replies may wait for one socket, and of what was loaded for queries. Default 4 MiB. Over it the
    /// connection is closed (1013); a query for which too much was loaded is answered with `busy` if anything else waits.
    /// Patches and events do not count: patches are made when the socket has room, events have a bound of their own.
    pub outbox_bytes: usize,
    /// How many bytes of events may wait for one socket. Default 256 KiB. Over it the oldest are dropped, and the
    /// consumer is told how many (rooms 4); a slow reader is never closed for it.
    pub event_bytes: usize,
    /// How many bytes of ids, paths and filters the subscriptions of one connection may keep. Default 64 KiB. One more is
    /// answered with `busy`.
    pub subscription_bytes: usize,
    /// How long the title, the message and the result of a task may each be, in bytes. Default 64 KiB. The texts are cut;
    /// a task with a longer result has failed (`too_large`), since its node is a part of the tree.
    pub task_bytes: usize,
}

/// Deeper trees could be JSON that consumers do not parse.
const DEEPEST: usize = 40;
const DEEPEST_TAB: usize = 24;

/// Every error fits, with the longest id of a request; and so does what a consumer must be told about its connection.
pub(crate) const SMALLEST_FRAME: usize = 1_024;

impl Default for Sizes {
    fn default() -> Self {
        Self {
            message_bytes: 64 << 10,
            frame_bytes: 1_000_000,
            rebase_bytes: 4 << 10,
            nodes: 10_000,
            properties: 256,
            depth: 32,
            tab_nodes: 2_000,
            tab_depth: 16,
            tab_bytes: 256 << 10,
            tab_operations: 1_000,
            outbox_bytes: 4 << 20,
            event_bytes: 256 << 10,
            subscription_bytes: 64 << 10,
            task_bytes: 64 << 10,
        }
    }
}

impl Sizes {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        positive("sizes.message_bytes", self.message_bytes)?;
        at_least("sizes.frame_bytes", self.frame_bytes, SMALLEST_FRAME, "must be at least 1024 bytes")?;
        positive("sizes.nodes", self.nodes)?;
        positive("sizes.properties", self.properties)?;
        positive("sizes.depth", self.depth as usize)?;
        at_most("sizes.depth", self.depth as usize, DEEPEST, "must be at most 40: consumers could not parse the tree")?;
        at_most(
            "sizes.tab_depth",
            self.tab_depth,
            DEEPEST_TAB,
            "must be at most 24: consumers could not parse the tree",
        )?;
        positive("sizes.outbox_bytes", self.outbox_bytes)?;
        positive("sizes.event_bytes", self.event_bytes)?;
        positive("sizes.subscription_bytes", self.subscription_bytes)?;
        positive("sizes.task_bytes", self.task_bytes)
    }
}
