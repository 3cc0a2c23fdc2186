//! How many participants there are at most.

pub(super) const CONSUMERS: usize = 120;
pub(super) const TABS: usize = 24;

/// Every second one is replayable.
pub(super) const ROOMS: u32 = 4;
pub(super) const USERS: u32 = 40;

/// All users of a group see the same group data.
pub(super) const GROUPS: u32 = 4;
