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
    /// The number of the oldest event, about.
    first_seq: AtomicU64,
    age: Age,
    /// How often something was written.
    steps: AtomicU64,
    /// When somebody last looked for the room, in ms.
    used_ms: AtomicU64,
}

/// How old the oldest event of a room is, and may be.
#[derive(Debug)]
pub(super) struct Age {
    /// How long events are kept, in ms. `None` if that does not matter.
    keep_ms: Option<u64>,
    /// No event is older, in ms since 1970.
    oldest_ms: AtomicU64,
}

impl Age {
    /// Of a room whose first event is not older than this, in ms since 1970.
    pub(super) fn new(limits: &RoomLimits, about: &About, oldest_ms: u64) -> Self {
        let keep_ms = (about.on_end != OnEnd::Archive).then(|| millis(limits.keep_for));
        Self { keep_ms, oldest_ms: AtomicU64::new(oldest_ms) }
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

impl Clone for Age {
    fn clone(&self) -> Self {
        Self { keep_ms: self.keep_ms, oldest_ms: AtomicU64::new(self.oldest_ms.load(Ordering::Relaxed)) }
    }
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
    /// Of a room whose first event is not older than this, in ms since 1970. Somebody uses it now.
    pub(super) fn new(first: Vec<Write>, limits: &RoomLimits, about: &About, (oldest_ms, now_ms): (u64, u64)) -> Self {
        Self {
            first: Mutex::new(first),
            keep_events: share(limits, about),
            first_seq: AtomicU64::new(1),
            age: Age::new(limits, about, oldest_ms),
            steps: AtomicU64::new(0),
            used_ms: AtomicU64::new(now_ms),
        }
    }

    /// Of a room that was put away.
    pub(super) fn again(limits: &RoomLimits, about: &About, age: Age, now_ms: u64) -> Self {
        Self { age, ..Self::new(Vec::new(), limits, about, (0, now_ms)) }
    }

    /// How old its events are.
    pub(super) const fn age(&self) -> &Age {
        &self.age
    }

    /// Something is written.
    pub(super) fn wrote(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    /// How often something was written.
    pub(super) fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }

    /// Somebody looked for the room.
    pub(super) fn used(&self, now_ms: u64) {
        self.used_ms.store(now_ms, Ordering::Relaxed);
    }

    /// When somebody last did, in ms.
    pub(super) fn used_ms(&self) -> u64 {
        self.used_ms.load(Ordering::Relaxed)
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
}
