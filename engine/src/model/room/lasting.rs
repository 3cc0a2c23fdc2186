//! What matters of a room that is kept: who took part, and what stays of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

use super::role::Role;
use crate::model::Text;

/// The calls that are kept with a room, so that none acts again after a restart: a pure type.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct KeptCalls {
    /// The number of the oldest.
    first: u64,
    /// When each was, in ms since 1970: the oldest first.
    at_ms: VecDeque<u64>,
}

impl KeptCalls {
    /// Those that an earlier engine has kept, with their numbers, which follow each other.
    pub(crate) fn recovered(calls: impl Iterator<Item = (u64, u64)>) -> Self {
        let (numbers, at_ms): (Vec<_>, _) = calls.unzip();
        Self { first: numbers.first().copied().unwrap_or(0), at_ms }
    }

    /// One more, of at most so many. Returns its number, and the numbers of those that need not be kept any more, since there
    /// are too many or they were before a time.
    pub(crate) fn add(&mut self, at_ms: u64, max: usize, before_ms: u64) -> (u64, Range<u64>) {
        self.at_ms.push_back(at_ms);
        let number = self.first + self.at_ms.len() as u64 - 1;
        let from = self.first;
        while self.at_ms.len() > max.max(1) || self.at_ms.front().is_some_and(|at_ms| *at_ms < before_ms) {
            self.at_ms.pop_front();
            self.first += 1;
        }
        (number, from..self.first)
    }
}

/// What is known of a room that an earlier engine had.
#[derive(Debug)]
pub(crate) struct Past {
    /// How old it is.
    pub(crate) age_ms: u64,
    /// How long nobody has said anything.
    pub(crate) idle_ms: u64,
    /// The number of its latest event.
    pub(crate) seq: u64,
    pub(crate) users: BTreeMap<Text, Option<Role>>,
}

/// What is known only of a room that is kept.
#[derive(Debug, Default)]
pub(crate) struct Lasting {
    /// Present if it matters who takes part, since they may read the archive: the users, up to a number of them.
    took_part: Option<BTreeSet<Text>>,
    /// Under which id the events stay readable.
    cold_context_id: Option<Text>,
    /// Present if something was said by a call with an id.
    calls: Option<Box<KeptCalls>>,
}

/// How many users may be known to have taken part. Later ones may not read the archive.
const MOST_READERS: usize = 10_000;

impl Lasting {
    /// From now on it is known who takes part.
    pub(crate) fn remember_who_takes_part(&mut self) {
        self.took_part.get_or_insert_default();
    }

    /// The users who have taken part, by being there or doing something, and have not lost their access since.
    pub(crate) fn took_part(&self) -> impl Iterator<Item = &Text> {
        self.took_part.iter().flatten()
    }

    /// A user takes part. True if that is new and matters.
    pub(crate) fn takes_part(&mut self, user: &Text) -> bool {
        self.took_part.as_mut().is_some_and(|users| users.len() < MOST_READERS && users.insert(user.clone()))
    }

    /// A user has no access any more. True if that is new and matters.
    pub(crate) fn loses_access(&mut self, user: &str) -> bool {
        self.took_part.as_mut().is_some_and(|users| users.remove(user))
    }

    /// The calls that are kept.
    pub(crate) fn calls_mut(&mut self) -> &mut KeptCalls {
        self.calls.get_or_insert_default()
    }

    /// Under which id the events stay readable, if they do.
    pub(crate) const fn cold_context_id(&self) -> Option<&Text> {
        self.cold_context_id.as_ref()
    }

    /// The events of a room that has ended stay readable under this id.
    pub(crate) fn archived(&mut self, id: Text) {
        (self.cold_context_id, self.took_part) = (Some(id), None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_calls_are_kept_as_may_be_and_none_for_longer_than_it_counts() {
        let mut calls = KeptCalls::default();
        assert_eq!(calls.add(10, 3, 0), (0, 0..0));
        assert_eq!(calls.add(20, 3, 0), (1, 0..0));
        assert_eq!(calls.add(30, 3, 11), (2, 0..1));
        assert_eq!(calls.add(30, 3, 11), (3, 1..1));
        assert_eq!(calls.add(40, 3, 11), (4, 1..2));
        assert_eq!(calls, KeptCalls::recovered([(2, 30), (3, 30), (4, 40)].into_iter()));
        assert_eq!(calls.add(50, 3, 45), (5, 2..5));
        assert_eq!(KeptCalls::recovered(std::iter::empty()), KeptCalls::default());
    }
}
