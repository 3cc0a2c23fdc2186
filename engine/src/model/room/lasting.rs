//! What matters of a room that is kept: who took part, and what stays of it.

use std::collections::{BTreeMap, BTreeSet};

use super::role::Role;
use crate::model::Text;

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

    /// Under which id the events stay readable, if they do.
    pub(crate) const fn cold_context_id(&self) -> Option<&Text> {
        self.cold_context_id.as_ref()
    }

    /// The events of a room that has ended stay readable under this id.
    pub(crate) fn archived(&mut self, id: Text) {
        (self.cold_context_id, self.took_part) = (Some(id), None);
    }
}
