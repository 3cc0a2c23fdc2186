//! The data of the server: counters for all, for each group, and for each user.

use std::sync::atomic::AtomicU64;

use crate::scenario::soak::scale::{GROUPS, USERS};

/// Everything that changes.
pub(super) struct Data {
    pub(super) all: AtomicU64,
    groups: Vec<AtomicU64>,
    users: Vec<AtomicU64>,
}

impl Data {
    pub(super) fn new() -> Self {
        let counters = |count: u32| (0..count).map(|_| AtomicU64::new(0)).collect();
        Self { all: AtomicU64::new(0), groups: counters(GROUPS), users: counters(USERS) }
    }

    pub(super) fn of_user(&self, name: &str) -> &AtomicU64 {
        let number = name.strip_prefix('u').and_then(|number| number.parse::<usize>().ok()).unwrap_or(0);
        &self.users[number % self.users.len()]
    }

    pub(super) fn of_group(&self, name: &str) -> &AtomicU64 {
        &self.groups[name.parse::<usize>().unwrap_or(0) % self.groups.len()]
    }
}
