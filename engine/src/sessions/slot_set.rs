//! The sessions that have something in common, as keys of the table.

use hashbrown::HashSet;

/// At least one key. Most users and most values of most claims have one session, and many rooms have two or three, so a few
/// cost no allocation.
#[derive(Debug)]
pub(super) enum SlotSet {
    /// The first so many of these.
    Few(u8, [u32; FEW]),
    Many(Box<HashSet<u32>>),
}

/// As many as take the room of the rest.
const FEW: usize = 3;

impl SlotSet {
    pub(super) const fn one(key: u32) -> Self {
        Self::Few(1, [key; FEW])
    }

    /// Any of them.
    pub(super) fn any(&self) -> u32 {
        self.iter().next().expect("there is at least one")
    }

    pub(super) fn add(&mut self, key: u32) {
        match self {
            _ if self.contains(key) => {}
            Self::Few(len, keys) if usize::from(*len) < FEW => {
                keys[usize::from(*len)] = key;
                *len += 1;
            }
            Self::Few(_, keys) => *self = Self::Many(Box::new(keys.iter().copied().chain([key]).collect())),
            Self::Many(keys) => {
                keys.insert(key);
            }
        }
    }

    /// Takes one out; true if none is left, and then this is to be dropped.
    pub(super) fn remove(&mut self, key: u32) -> bool {
        match self {
            Self::Few(len, keys) => {
                let there = &mut keys[..usize::from(*len)];
                if let Some(at) = there.iter().position(|known| *known == key) {
                    there[at..].rotate_left(1);
                    *len -= 1;
                }
                *len == 0
            }
            Self::Many(keys) => {
                keys.remove(&key);
                if keys.len() == 1 {
                    *self = Self::one(self.any());
                }
                false
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Few(len, _) => usize::from(*len),
            Self::Many(keys) => keys.len(),
        }
    }

    pub(super) fn contains(&self, key: u32) -> bool {
        match self {
            Self::Few(len, keys) => keys[..usize::from(*len)].contains(&key),
            Self::Many(keys) => keys.contains(&key),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let (few, many) = match self {
            Self::Few(len, keys) => (&keys[..usize::from(*len)], None),
            Self::Many(keys) => (&[][..], Some(keys.iter())),
        };
        few.iter().chain(many.into_iter().flatten()).copied()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_few_cost_no_allocation() {
        assert_eq!(size_of::<SlotSet>(), 16);
    }

    proptest! {
        #[test]
        fn it_is_a_set(steps in prop::collection::vec((0..6_u32, any::<bool>()), 0..60)) {
            let (mut set, mut model) = (SlotSet::one(0), BTreeSet::from([0]));
            for (key, enters) in steps {
                if enters {
                    set.add(key);
                    model.insert(key);
                } else if model.remove(&key) {
                    prop_assert_eq!(set.remove(key), model.is_empty());
                }
                if model.is_empty() {
                    (set, model) = (SlotSet::one(key), BTreeSet::from([key]));
                }
                prop_assert_eq!(set.iter().collect::<BTreeSet<_>>(), model.clone());
                prop_assert_eq!(set.len(), model.len());
                prop_assert!(model.contains(&set.any()) && (0..6).all(|key| set.contains(key) == model.contains(&key)));
            }
        }
    }
}
