//! Which sessions wait for their async functions.

use std::sync::Arc;

use hashbrown::HashMap;

use super::gathered::{Job, address};
use crate::sessions::slot::Slot;
use crate::sync::Mutex;

/// How many jobs of one session may wait for its async functions at a time: one that began before the last change, and one
/// that began after it. Whatever is requested meanwhile follows, so a function that hangs does not pile up.
const AT_A_TIME: usize = 2;

/// The sessions for which async functions run, each held by its jobs.
#[derive(Debug, Default)]
pub(super) struct Awaiting(Mutex<HashMap<usize, Entry>>);

#[derive(Debug, Default)]
struct Entry {
    running: usize,
    /// What is requested meanwhile.
    next: Option<Job>,
}

impl Awaiting {
    /// Lets a job begin, if few enough of its session have; otherwise it follows them.
    pub(super) fn enter(&self, mut job: Job) -> Option<Job> {
        job.awaits = true;
        let mut sessions = self.0.lock();
        let entry = sessions.entry(address(&job.slot)).or_default();
        if entry.running < AT_A_TIME {
            entry.running += 1;
            return Some(job);
        }
        match &mut entry.next {
            Some(next) => next.merge(job),
            None => entry.next = Some(job),
        }
        None
    }

    /// A job that could begin is done. Returns the one that follows it.
    pub(super) fn leave(&self, slot: &Arc<Slot>) -> Option<Job> {
        let mut sessions = self.0.lock();
        let entry = sessions.get_mut(&address(slot))?;
        entry.running -= 1;
        let next = entry.next.take();
        if entry.running == 0 {
            sessions.remove(&address(slot));
        }
        next.map(|job| Job { awaits: false, ..job })
    }
}
