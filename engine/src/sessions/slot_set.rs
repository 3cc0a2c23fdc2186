//! The sessions that have something in common, as places in the table.

use hashbrown::HashSet;

/// At least one place. Most users and most values of most claims have one session, so one costs no allocation.
#[derive(Debug)]
pub(super) enum SlotSet {
    One(u32),
    Many(Box<HashSet<u32>>),
}

impl SlotSet {
    /// Any of them.
    pub(super) fn any(&self) -> u32 {
        match self {
            Self::One(place) => *place,
            Self::Many(places) => places.iter().next().copied().expect("there is at least one"),
        }
    }

    pub(super) fn add(&mut self, place: u32) {
        match self {
            Self::One(known) if *known == place => {}
            Self::One(known) => *self = Self::Many(Box::new([*known, place].into_iter().collect())),
            Self::Many(places) => {
                places.insert(place);
            }
        }
    }

    /// Takes one out; true if none is left, and then this is to be dropped.
    pub(super) fn remove(&mut self, place: u32) -> bool {
        match self {
            Self::One(known) => *known == place,
            Self::Many(places) => {
                places.remove(&place);
                if let (1, Some(last)) = (places.len(), places.iter().next()) {
                    *self = Self::One(*last);
                }
                false
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Many(places) => places.len(),
        }
    }

    pub(super) fn contains(&self, place: u32) -> bool {
        match self {
            Self::One(known) => *known == place,
            Self::Many(places) => places.contains(&place),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        let (one, many) = match self {
            Self::One(place) => (Some(*place), None),
            Self::Many(places) => (None, Some(places.iter().copied())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }
}
