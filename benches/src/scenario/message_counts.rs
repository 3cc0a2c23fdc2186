//! Counts of what consumers received.

use std::fmt;
use std::ops::AddAssign;

/// Counts of connections and messages.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct MessageCounts {
    pub(super) connects: u64,
    pub(super) resumed: u64,
    pub(super) snapshots: u64,
    pub(super) patches: u64,
}

impl AddAssign for MessageCounts {
    fn add_assign(&mut self, other: Self) {
        self.connects += other.connects;
        self.resumed += other.resumed;
        self.snapshots += other.snapshots;
        self.patches += other.patches;
    }
}

impl fmt::Display for MessageCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { connects, resumed, snapshots, patches } = self;
        write!(f, "{connects} connects, {snapshots} snapshots, {resumed} resumed, {patches} patches")
    }
}
