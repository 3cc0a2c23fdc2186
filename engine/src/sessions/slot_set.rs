//! The sessions that have something in common, as keys of the table.

use hashbrown::HashSet;

/// At least one key. Most users and most values of most claims have one session, so one costs no allocation.
#[derive(Debug)]
pub(super) enum SlotSet {
    One(u32),
    Many(Box<HashSet<u32>>),
}

impl SlotSet {
    /// Any of them.
    pub(super) fn any(&self) -> u32 {
        match self {
            Self::One(key) => *key,
            Self::Many(keys) => keys.iter().next().copied().expect("there is at least one"),
        }
    }

    pub(super) fn add(&mut self, key: u32) {
        match self {
            Self::One(known) if *known == key => {}
            Self::One(known) => *self = Self::Many(Box::new([*known, key].into_iter().collect())),
            Self::Many(keys) => {
                keys.insert(key);
            }
        }
    }

    /// Takes one out; true if none is left, and then this is to be dropped.
    pub(super) fn remove(&mut self, key: u32) -> bool {
        match self {
            Self::One(known) => *known == key,
            Self::Many(keys) => {
                keys.remove(&key);
                if let (1, Some(last)) = (keys.len(), keys.iter().next()) {
                    *self = Self::One(*last);
                }
                false
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Many(keys) => keys.len(),
        }
    }

    pub(super) fn contains(&self, key: u32) -> bool {
        match self {
            Self::One(known) => *known == key,
            Self::Many(keys) => keys.contains(&key),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let (one, many) = match self {
            Self::One(key) => (Some(*key), None),
            Self::Many(keys) => (None, Some(keys.iter().copied())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }
}
