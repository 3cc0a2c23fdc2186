//! Who shares the evaluations of one source within a pass, and who waits for whom.

use crate::model::read_log::Read;
use crate::model::session::Context;
use crate::render::read_trace::{Claim, ReadTrace};
use crate::sync::{Listening, Mutex, Signal};

/// The read trace of one source, claimed by many threads and tasks at once.
#[derive(Debug)]
pub(crate) struct SourceTrace<T> {
    trace: Mutex<ReadTrace<T>>,
    /// Told when a leader has settled or given up.
    released: Signal,
}

/// What a session shall do.
#[derive(Debug)]
pub(crate) enum Claimed<'a, T: Clone> {
    /// Take this.
    Hit(T),
    /// Evaluate for everybody of this class.
    Lead(Lead<'a, T>),
    /// Wait for this, then claim again.
    Wait(Listening),
}

impl<T> Default for SourceTrace<T> {
    fn default() -> Self {
        Self { trace: Mutex::new(ReadTrace::default()), released: Signal::new() }
    }
}

impl<T: Clone> SourceTrace<T> {
    pub(crate) fn claim<'a>(&'a self, context: &'a Context) -> Claimed<'a, T> {
        loop {
            let claim = self.trace.lock().claim(context);
            match claim {
                Claim::Hit(result) => return Claimed::Hit(result),
                Claim::Lead => return Claimed::Lead(Lead { trace: self, context, settled: false }),
                Claim::Wait => {
                    let released = self.released.listen();
                    // Looked at again after listening began, so that no release is missed.
                    if matches!(self.trace.lock().peek(context), ReadTrace::Busy) {
                        return Claimed::Wait(released);
                    }
                }
            }
        }
    }
}

/// Holds the lead of a read class; gives it up if it is dropped before it settled.
#[derive(Debug)]
pub(crate) struct Lead<'a, T: Clone> {
    trace: &'a SourceTrace<T>,
    context: &'a Context,
    settled: bool,
}

impl<T: Clone> Lead<'_, T> {
    /// Records the result, with what was read for it, and releases whoever waits.
    pub(crate) fn settle(mut self, reads: &[Read], result: T) -> T {
        self.settled = true;
        // Dropped when the lock is released: it may be the last handle of something of the application's.
        let _replaced = self.trace.trace.lock().settle(self.context, reads, result.clone());
        self.trace.released.notify(usize::MAX);
        result
    }
}

impl<T: Clone> Drop for Lead<'_, T> {
    fn drop(&mut self) {
        if !self.settled {
            self.trace.trace.lock().abandon(self.context);
            self.trace.released.notify(usize::MAX);
        }
    }
}
