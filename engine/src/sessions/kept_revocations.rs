//! The revocations of one kind, and until when each has to be kept: a pure table.

use std::time::{SystemTime, UNIX_EPOCH};

use hashbrown::HashTable;

/// So few are not looked through for those that have ended.
const FEW: usize = 1_024;

/// A time of day in whole seconds, in four bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Seconds(u32);

/// The revocations of one kind, as hashes.
#[derive(Debug)]
pub(super) struct Kept {
    entries: HashTable<Entry>,
    /// There was no room for one that has to be kept until then.
    missing: Option<Seconds>,
    /// When the first of them ends, or before that.
    first_end: Seconds,
    /// With how many they are looked through again.
    sweep_at: usize,
}

#[derive(Debug)]
struct Entry {
    hash: u64,
    until: Seconds,
}

impl Seconds {
    pub(super) const NEVER: Self = Self(u32::MAX);

    pub(super) fn before(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        // What lies beyond is as good as never.
        Self(u32::try_from(since.as_secs()).unwrap_or(u32::MAX - 1))
    }

    /// The second in which this time is over.
    pub(super) fn after(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = since.as_secs().saturating_add(u64::from(since.subsec_nanos() > 0));
        Self(u32::try_from(seconds).unwrap_or(u32::MAX))
    }
}

impl Default for Kept {
    fn default() -> Self {
        Self { entries: HashTable::new(), missing: None, first_end: Seconds::NEVER, sweep_at: FEW }
    }
}

impl Kept {
    /// Whether nobody was ever kept out, or all have been let in again.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.missing.is_none()
    }

    /// False if there is no room.
    pub(super) fn add(&mut self, hash: u64, until: Seconds, now: Seconds, max: usize) -> bool {
        if let Some(known) = self.entries.find_mut(hash, |known| known.hash == hash) {
            known.until = known.until.max(until);
            return true;
        }
        if self.entries.len() >= self.sweep_at.min(max) && self.first_end <= now {
            self.sweep(now);
        }
        if self.entries.len() >= max {
            self.missing = self.missing.max(Some(until));
            return false;
        }
        self.first_end = self.first_end.min(until);
        self.entries.insert_unique(hash, Entry { hash, until }, |known| known.hash);
        true
    }

    /// Lets go of those that have ended: rarely enough that it costs each of them the same, however many there are.
    fn sweep(&mut self, now: Seconds) {
        self.entries.retain(|known| known.until > now);
        self.first_end = self.entries.iter().map(|known| known.until).min().unwrap_or(Seconds::NEVER);
        self.sweep_at = FEW.max(self.entries.len() * 2);
        self.entries.shrink_to(self.sweep_at, |known| known.hash);
    }

    /// False if it kept out nobody.
    pub(super) fn remove(&mut self, hash: u64, now: Seconds) -> bool {
        let entry = self.entries.find_entry(hash, |known| known.hash == hash);
        entry.is_ok_and(|entry| entry.remove().0.until > now)
    }

    pub(super) fn holds(&self, hash: u64, now: Seconds) -> bool {
        self.entries.find(hash, |known| known.hash == hash).is_some_and(|known| known.until > now)
    }

    /// Whether somebody may be meant that is not known.
    pub(super) fn is_incomplete(&self, now: Seconds) -> bool {
        self.missing.is_some_and(|until| until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_have_ended_leave_their_memory_as_others_come() {
        let mut kept = Kept::default();
        for second in 0..1_000_000 {
            assert!(kept.add(u64::from(second) << 20, Seconds(second + 100), Seconds(second), 10_000));
            assert!(kept.entries.len() <= FEW + 1 && kept.entries.capacity() <= 8 * FEW);
        }
    }

    #[test]
    fn a_full_table_is_looked_through_only_when_one_has_ended() {
        let mut kept = Kept::default();
        assert!((0..10).all(|hash| kept.add(hash, Seconds(50), Seconds(0), 10)));
        assert!(!kept.add(10, Seconds(60), Seconds(49), 10));
        assert!(kept.add(10, Seconds(60), Seconds(50), 10) && kept.entries.len() == 1);
        assert_eq!(kept.first_end, Seconds(60));
    }
}
