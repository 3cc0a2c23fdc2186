//! What is kept of one living room.

use std::{iter, mem};

use crate::clock::millis;
use crate::config::RoomLimits;
use crate::model::Text;
use crate::model::room::about::About;
use crate::model::room::policy::OnEnd;
use crate::storage::event_log::LoggedEvent;
use crate::storage::journal::Journal;
use crate::storage::store::Write;
use crate::sync::{AtomicU64, Mutex, Ordering};

/// What is kept of one living room. Everything here happens while the room is locked.
#[derive(Debug)]
pub(crate) struct Kept {
    /// What is written before anything else. Somebody may join a new room before its creator has written that it started.
    first: Mutex<Vec<Write>>,
    /// How many of the latest events are kept.
    keep_events: u64,
    /// How long they are kept, in ms. `None` if that does not matter.
    keep_ms: Option<u64>,
    /// The number of the oldest event, about.
    first_seq: AtomicU64,
    /// No event is older, in ms since 1970.
    oldest_ms: AtomicU64,
}

/// How many of its latest events a room keeps.
fn share(limits: &RoomLimits, about: &About) -> u64 {
    let share = if about.on_end == OnEnd::Archive { limits.archived_events } else { limits.keep_events };
    share as u64
}

/// After which number the events of a room are kept, if its latest event has this number.
pub(super) fn kept_after(limits: &RoomLimits, about: &About, latest: u64) -> u64 {
    latest.saturating_sub(share(limits, about))
}

/// So much more than its share, or an eighth of that, may be kept until it is purged.
const SLACK: u64 = 8;

impl Kept {
    /// Of a room whose first event is not older than this, in ms since 1970.
    pub(super) fn new(first: Vec<Write>, limits: &RoomLimits, about: &About, oldest_ms: u64) -> Self {
        Self {
            first: Mutex::new(first),
            keep_events: share(limits, about),
            keep_ms: (about.on_end != OnEnd::Archive).then(|| millis(limits.keep_for)),
            first_seq: AtomicU64::new(1),
            oldest_ms: AtomicU64::new(oldest_ms),
        }
    }

    /// The room was created.
    pub(super) fn begin(&self, journal: &Journal) {
        journal.write_step(self.take_first());
    }

    /// What is written before anything else, if it has not been.
    pub(super) fn take_first(&self) -> Vec<Write> {
        mem::take(&mut *self.first.lock())
    }

    /// The room goes on with this event: what is written for it.
    pub(super) fn append(&self, room: &Text, event: LoggedEvent) -> impl Iterator<Item = Write> + use<> {
        let from = (event.seq + 1).saturating_sub(self.keep_events);
        let append = Write::Append { room: room.clone(), event };
        let slack = SLACK.max(self.keep_events / SLACK);
        let purges = from > self.first_seq.load(Ordering::Relaxed).saturating_add(slack);
        if purges {
            self.first_seq.store(from, Ordering::Relaxed);
        }
        let purge = purges.then(|| Write::Purge { room: room.clone(), to_seq: from - 1, before_ms: 0 });
        iter::once(append).chain(purge)
    }

    /// Events that are too old are purged. So that each is not looked for by itself, they may become older by a thirtieth.
    pub(super) fn purge(&self, journal: &Journal, room: &Text, now_ms: u64) {
        let Some(keep_ms) = self.keep_ms else { return };
        let before_ms = now_ms.saturating_sub(keep_ms);
        if self.oldest_ms.load(Ordering::Relaxed).saturating_add(keep_ms / 30) < before_ms {
            self.oldest_ms.store(before_ms, Ordering::Relaxed);
            journal.write(Write::Purge { room: room.clone(), to_seq: 0, before_ms });
        }
    }
}
