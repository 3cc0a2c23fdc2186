//! When each session's authentication is looked at next, in order.

use std::collections::BTreeSet;

/// Sessions by the time at which they are looked at, in ms of the time of day. A session without an expiry costs nothing
/// here, one with an expiry about 20 bytes.
#[derive(Debug, Default)]
pub(super) struct ExpiryIndex(BTreeSet<Entry>);

/// A time and a key, in twelve bytes; ordered by time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    high: u32,
    low: u32,
    key: u32,
}

impl Entry {
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    const fn new(at_ms: u64, key: u32) -> Self {
        Self { high: (at_ms >> 32) as u32, low: at_ms as u32, key }
    }

    const fn at_ms(self) -> u64 {
        ((self.high as u64) << 32) | self.low as u64
    }
}

impl ExpiryIndex {
    pub(super) fn insert(&mut self, at_ms: u64, key: u32) {
        self.0.insert(Entry::new(at_ms, key));
    }

    pub(super) fn remove(&mut self, at_ms: u64, key: u32) {
        self.0.remove(&Entry::new(at_ms, key));
    }

    /// When the first is looked at.
    pub(super) fn earliest_ms(&self) -> Option<u64> {
        self.0.first().map(|entry| entry.at_ms())
    }

    /// Takes the first, if it is due.
    pub(super) fn take_due(&mut self, now_ms: u64) -> Option<u32> {
        self.0.first().filter(|entry| entry.at_ms() <= now_ms)?;
        self.0.pop_first().map(|entry| entry.key)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_due_comes_out_in_order_of_time(
            entries in prop::collection::btree_map(0..50u32, any::<u64>(), 0..50),
            now_ms in any::<u64>(),
        ) {
            let mut index = ExpiryIndex::default();
            entries.iter().for_each(|(key, at_ms)| index.insert(*at_ms, *key));
            prop_assert_eq!(index.earliest_ms(), entries.values().min().copied());
            let mut expected: Vec<_> = entries.iter().filter(|(_, at_ms)| **at_ms <= now_ms).collect();
            expected.sort_by_key(|(key, at_ms)| (**at_ms, **key));
            for (key, _) in expected {
                prop_assert_eq!(index.take_due(now_ms), Some(*key));
            }
            prop_assert_eq!(index.take_due(now_ms), None);
            entries.iter().for_each(|(key, at_ms)| index.remove(*at_ms, *key));
            prop_assert_eq!(index.earliest_ms(), None);
        }
    }
}
