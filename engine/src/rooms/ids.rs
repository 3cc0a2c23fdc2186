//! Ids that nobody can guess.

use std::hash::{BuildHasher, RandomState};

use crate::model::Text;
use crate::sync::{AtomicU64, Ordering};

/// Makes ids of 128 bits, as keyed hashes of a counter: their keys are random and never leave this process. No two are
/// equal, and nobody can tell one from another. They are no credentials all the same (SEC22).
#[derive(Debug, Default)]
pub(crate) struct Ids {
    halves: [RandomState; 2],
    next: AtomicU64,
}

/// What 128 bits are written with: as many letters and digits fit into a [`Text`] without an allocation.
const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// How many of them 64 bits need.
const DIGITS: usize = 11;

impl Ids {
    fn random(&self) -> u128 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let [high, low] = [0, 1].map(|half: usize| u128::from(self.halves[half].hash_one((number, half))));
        high << 64 | low
    }

    /// Any number.
    pub(crate) fn number(&self) -> u64 {
        self.random() as u64
    }

    /// An id with this prefix, such as `m_`; without one for an epoch.
    pub(crate) fn make(&self, prefix: &str) -> Text {
        let random = self.random();
        let mut text = Text::from(prefix);
        // Each half by itself, since 128 bits are divided slowly.
        for mut left in [random as u64, (random >> 64) as u64] {
            for _ in 0..DIGITS {
                text.push(char::from(ALPHABET[(left % 62) as usize]));
                left /= 62;
            }
        }
        text
    }

    /// An id for what belongs together: `tx-` and a random UUID (S0.17).
    pub(crate) fn trace(&self) -> Text {
        // The bits that say: a UUID of version 4.
        let bits = self.random() & !(0xf << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62;
        let hex = format!("{bits:032x}");
        let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
        format!("tx-{}", parts.join("-")).into()
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::model::room::message;

    #[test]
    fn ids_are_different_and_short() {
        let ids = Ids::default();
        let made: BTreeSet<_> = (0..10_000).map(|_| ids.make("m_")).collect();
        assert_eq!(made.len(), 10_000);
        assert!(made.iter().all(|id| id.len() == 24 && !id.is_heap_allocated() && id.starts_with("m_")));
        let others = Ids::default();
        assert!((0..1_000).all(|_| !made.contains(&others.make("m_"))));
    }

    #[test]
    fn a_trace_id_is_a_random_uuid() {
        let trace = Ids::default().trace();
        assert_eq!(message::trace_id(Some(&trace)), Some(trace.as_str()));
        assert_eq!(&trace[17..18], "4");
        assert!("89ab".contains(&trace[22..23]));
    }
}
