//! What is due when, each once, with one timer for all.

use std::collections::BTreeMap;

/// No key.
const NONE: u32 = u32::MAX;

/// Which of many things are due when. The timer that waits for the first is never cancelled; one that was overtaken finds
/// that nothing is due. Nothing is looked at before it is due.
///
/// Things are named by small numbers. What is due at one time is linked into a list, so each costs 16 bytes and is moved
/// in one step.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// The first of the list of each time.
    lists: BTreeMap<u64, u32>,
    /// By key.
    places: Vec<Place>,
    /// When the timer fires.
    timer_ms: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    /// `NEVER` if it is in no list.
    at_ms: u64,
    before: u32,
    behind: u32,
}

const NEVER: u64 = u64::MAX;

const NOWHERE: Place = Place { at_ms: NEVER, before: NONE, behind: NONE };

impl Due {
    /// It is due then, and no more when it was.
    pub(super) fn set(&mut self, key: u32, at_ms: u64) {
        self.remove(key);
        let at_ms = at_ms.min(NEVER - 1);
        let places = &mut self.places;
        if places.len() <= key as usize {
            if places.capacity() <= key as usize {
                // There may be many: room for an eighth more.
                places.reserve_exact(key as usize + 1 - places.len() + places.len() / 8);
            }
            places.resize(key as usize + 1, NOWHERE);
        }
        let behind = self.lists.insert(at_ms, key).unwrap_or(NONE);
        places[key as usize] = Place { at_ms, before: NONE, behind };
        if behind != NONE {
            places[behind as usize].before = key;
        }
    }

    /// It is due then at the latest.
    pub(super) fn set_at_most(&mut self, key: u32, at_ms: u64) {
        if self.places.get(key as usize).is_none_or(|place| at_ms < place.at_ms) {
            self.set(key, at_ms);
        }
    }

    /// It is not due any more, if it was.
    pub(super) fn remove(&mut self, key: u32) {
        let Some(place) = self.places.get_mut(key as usize) else { return };
        let Place { at_ms, before, behind } = std::mem::replace(place, NOWHERE);
        if at_ms == NEVER {
            return;
        }
        match (before, behind) {
            (NONE, NONE) => drop(self.lists.remove(&at_ms)),
            (NONE, behind) => drop(self.lists.insert(at_ms, behind)),
            (before, behind) => self.places[before as usize].behind = behind,
        }
        if behind != NONE {
            self.places[behind as usize].before = before;
        }
    }

    /// The timer fired: what is due now.
    pub(super) fn take(&mut self, now_ms: u64) -> Vec<u32> {
        self.timer_ms.take_if(|at_ms| *at_ms <= now_ms);
        let mut taken = Vec::new();
        while let Some(list) = self.lists.first_entry().filter(|list| *list.key() <= now_ms) {
            let mut key = list.remove();
            while key != NONE {
                taken.push(key);
                key = std::mem::replace(&mut self.places[key as usize], NOWHERE).behind;
            }
        }
        taken
    }

    /// When the timer has to fire, if it does not yet.
    pub(super) fn next_timer(&mut self) -> Option<u64> {
        let (at_ms, _) = self.lists.first_key_value()?;
        let is_late = self.timer_ms.is_none_or(|timer_ms| *at_ms < timer_ms);
        is_late.then(|| *self.timer_ms.insert(*at_ms))
    }

    /// Gives back room for keys that are not there any more.
    pub(super) fn shrink(&mut self, keys: usize) {
        self.places.truncate(keys);
        self.places.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn each_is_due_once_and_when_it_was_last_said(
            steps in prop::collection::vec((0..8_u32, prop::option::of(0..20_u64), 0..3_u64), 0..100),
        ) {
            let (mut due, mut model, mut now_ms) = (Due::default(), BTreeMap::new(), 0);
            for (key, in_ms, pass_ms) in steps {
                match in_ms {
                    Some(in_ms) => {
                        due.set(key, now_ms + in_ms);
                        model.insert(key, now_ms + in_ms);
                    }
                    None => {
                        due.remove(key);
                        model.remove(&key);
                    }
                }
                let first = model.values().min().copied();
                prop_assert!(due.next_timer().is_none_or(|at_ms| Some(at_ms) == first));
                prop_assert!(due.timer_ms.is_some_and(|at_ms| first.is_none_or(|first| at_ms <= first)) || first.is_none());
                now_ms += pass_ms;
                let mut taken = due.take(now_ms);
                taken.sort_unstable();
                let expected: Vec<_> = model.iter().filter(|(_, at_ms)| **at_ms <= now_ms).map(|(key, _)| *key).collect();
                model.retain(|_, at_ms| *at_ms > now_ms);
                prop_assert_eq!(taken, expected);
            }
        }
    }
}
