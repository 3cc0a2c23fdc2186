//! What a descriptor function read of its session, in the order of the first reading.

use std::fmt::Debug;
use std::hash::BuildHasher;
use std::sync::{Arc, OnceLock};

use hashbrown::{DefaultHashBuilder, HashTable};

use super::Text;
use crate::sync::Mutex;

/// After this many different reads an evaluation counts as having read the whole session, so its result is shared with
/// nobody: a longer log costs every session of a pass more than sharing can save.
pub(crate) const MAX_READS: usize = 1_024;

/// One thing that a descriptor function read of its session.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Read {
    Id,
    User,
    Project,
    Parent,
    Attribute(Text),
    Attributes,
    Permission(Text),
    Permissions,
    Expiry,
    /// Whether it has a user.
    HasUser,
    /// How much it is trusted in rooms.
    Trust,
    /// How it is shown to others.
    Presence,
    /// In how many rooms it has a role.
    RoomCount,
    /// Its role in the room of this rank.
    RoomRole(u64),
    /// Whether it has joined the room of this rank.
    RoomJoined(u64),
    /// Typed data, or too much to be listed: it is not known what of the session was used.
    Whole,
}

impl Read {
    /// Whether no two users can be expected to have the same.
    pub(crate) const fn tells_users_apart(&self) -> bool {
        matches!(self, Self::Id | Self::User | Self::Presence | Self::Whole)
    }
}

/// The different reads of one evaluation.
///
/// The lock guards the list, which many threads of a descriptor function may add to. It is held for one look-up, and
/// nothing of the application's is dropped under it: a [`Read`] is plain text.
#[derive(Debug, Default)]
pub(crate) struct ReadLog {
    reads: Mutex<Reads>,
    observer: OnceLock<Arc<dyn ReadObserver>>,
}

/// Who is told of each new read, without the lock.
pub(crate) trait ReadObserver: Debug + Send + Sync {
    fn read_made(&self);
}

/// Reads that were made after others.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Made {
    Reads(Vec<Read>),
    /// More than can be listed.
    Whole,
}

impl Made {
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self, Self::Reads(reads) if reads.is_empty())
    }

    pub(crate) fn into_reads(self) -> Vec<Read> {
        match self {
            Self::Reads(reads) => reads,
            Self::Whole => vec![Read::Whole],
        }
    }
}

#[derive(Debug, Default)]
struct Reads {
    in_order: Vec<Read>,
    /// Indexes into the list, by the hash of the read.
    index: HashTable<usize>,
    hasher: DefaultHashBuilder,
    /// More than [`MAX_READS`] were made; the list is dropped.
    is_whole: bool,
}

impl ReadLog {
    pub(crate) fn record(&self, read: Read) {
        let is_new = self.reads.lock().record(read);
        if is_new && let Some(observer) = self.observer.get() {
            observer.read_made();
        }
    }

    /// From now on somebody is told of each new read. The first observer stays.
    pub(crate) fn watch(&self, observer: impl FnOnce() -> Arc<dyn ReadObserver>) {
        self.observer.get_or_init(observer);
    }

    /// The different reads so far, in the order in which they were first made.
    pub(crate) fn all(&self) -> Vec<Read> {
        self.since(0).into_reads()
    }

    /// The reads that followed the first ones.
    pub(crate) fn since(&self, first: usize) -> Made {
        let reads = self.reads.lock();
        match reads.in_order.get(first..) {
            // What was dropped counts as one read, which may be known already.
            _ if reads.is_whole && first > MAX_READS => Made::Reads(Vec::new()),
            _ if reads.is_whole => Made::Whole,
            rest => Made::Reads(rest.unwrap_or_default().to_vec()),
        }
    }
}

impl Reads {
    /// True if it was not made before.
    fn record(&mut self, read: Read) -> bool {
        let hash = self.hasher.hash_one(&read);
        if self.is_whole || self.index.find(hash, |at| self.in_order[*at] == read).is_some() {
            return false;
        }
        if self.in_order.len() == MAX_READS {
            *self = Self { is_whole: true, ..Self::default() };
            return true;
        }
        let (in_order, hasher) = (&self.in_order, &self.hasher);
        self.index.insert_unique(hash, in_order.len(), |at| hasher.hash_one(&in_order[*at]));
        self.in_order.push(read);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permission(n: usize) -> Read {
        Read::Permission(n.to_string().into())
    }

    #[test]
    fn a_read_that_was_made_before_is_not_recorded_again() {
        let log = ReadLog::default();
        [permission(1), Read::User, permission(1), Read::User].into_iter().for_each(|read| log.record(read));
        assert_eq!(log.all(), [permission(1), Read::User]);
    }

    #[test]
    fn past_the_bound_the_whole_session_was_read() {
        let log = ReadLog::default();
        (0..MAX_READS).for_each(|n| log.record(permission(n)));
        log.record(permission(0));
        assert_eq!(log.all().len(), MAX_READS, "as many as the bound are still distinguished");
        log.record(Read::User);
        log.record(permission(7));
        assert_eq!(log.all(), [Read::Whole]);
    }
}
