//! Who shares the evaluations of one source within a pass, and who waits for whom.

use std::fmt::Debug;
use std::sync::{Arc, Weak};

use tracing::Span;

use crate::model::read_log::{Made, Read, ReadLog, ReadObserver};
use crate::model::session::Context;
use crate::render::read_trace::{Claim, ReadTrace, Settled};
use crate::sessions::waiters::{Countdown, Waiters};
use crate::sync::Mutex;

/// The read trace of one source, claimed by many threads and tasks at once.
#[derive(Debug)]
pub(crate) struct SourceTrace<T>(Mutex<ReadTrace<T, Waiters>>);

/// What may be a result of a source.
pub(crate) trait Sharable: Clone + Debug + Send + Sync + 'static {}

impl<T: Clone + Debug + Send + Sync + 'static> Sharable for T {}

/// What a session shall do.
#[derive(Debug)]
pub(crate) enum Claimed<T: Sharable> {
    /// Take this.
    Hit(T),
    /// Evaluate for everybody of this class.
    Lead(Lead<T>),
    /// Wait, then claim again.
    Wait(Waiting<T>),
}

/// Waits for a leader, until it has settled or has read something in which this session differs.
#[derive(Debug)]
pub(crate) struct Waiting<T: Sharable> {
    trace: Arc<SourceTrace<T>>,
    leader: u64,
    pub(crate) countdown: Arc<Countdown>,
    /// Whether somebody has waited in vain for a short while.
    slow: bool,
}

/// Adds what a leader reads to the trace, while others wait for it.
#[derive(Debug)]
struct Publisher<T: Sharable> {
    trace: Weak<SourceTrace<T>>,
    leader: u64,
}

impl<T> Default for SourceTrace<T> {
    fn default() -> Self {
        Self(Mutex::new(ReadTrace::default()))
    }
}

impl<T: Sharable> SourceTrace<T> {
    pub(crate) fn claim(self: &Arc<Self>, context: &Arc<Context>) -> Claimed<T> {
        loop {
            let mut log = None;
            let claim = self.0.lock().claim(context, || Arc::clone(log.insert(Arc::default())));
            match (claim, log) {
                (Claim::Hit(result), _) => return Claimed::Hit(result),
                (Claim::Lead(number), log) => {
                    let log = log.unwrap_or_default();
                    return Claimed::Lead(Lead { trace: Arc::clone(self), number, log, settled: false });
                }
                (Claim::Wait(leader), _) => {
                    if let Some(waiting) = self.wait(leader, context) {
                        return Claimed::Wait(waiting);
                    }
                }
            }
        }
    }

    /// `None` if there is nothing to wait for: claim again.
    fn wait(self: &Arc<Self>, leader: u64, context: &Arc<Context>) -> Option<Waiting<T>> {
        self.publish(leader);
        let countdown = Countdown::new(Span::none());
        let (log, waits) = {
            let mut trace = self.0.lock();
            (trace.progress(leader)?.0, trace.wait(leader, context, countdown.share()))
        };
        let slow = waits.ok()?;
        log.watch(|| Arc::new(Publisher { trace: Arc::downgrade(self), leader }));
        // What was read before it was watched.
        self.publish(leader);
        Some(Waiting { trace: Arc::clone(self), leader, countdown, slow })
    }

    /// Adds what a leader has read, and releases whoever differs.
    fn publish(&self, leader: u64) {
        loop {
            let Some((log, made)) = self.0.lock().progress(leader) else { return };
            let reads = log.since(made);
            if reads.is_empty() {
                return;
            }
            let released = self.0.lock().publish(leader, made, reads);
            if released.is_some() {
                return;
            }
        }
    }
}

impl<T: Sharable> Waiting<T> {
    /// Blocks the thread for a moment, unless somebody has done so in vain: most evaluations are short. True if the wait is
    /// over.
    pub(crate) fn briefly(&self) -> bool {
        if self.slow {
            return false;
        }
        let over = self.countdown.wait_briefly();
        if !over {
            self.trace.0.lock().waited_in_vain(self.leader);
        }
        over
    }
}

impl<T: Sharable> Waiting<T> {
    /// The leader takes too long: nobody else waits for it any more, as if it had read the whole session.
    pub(crate) fn give_up(&self) {
        loop {
            let Some((_, made)) = self.trace.0.lock().progress(self.leader) else { return };
            let released = self.trace.0.lock().publish(self.leader, made, Made::Whole);
            if released.is_some() {
                return;
            }
        }
    }
}

impl<T: Sharable> ReadObserver for Publisher<T> {
    fn read_made(&self) {
        if let Some(trace) = self.trace.upgrade() {
            trace.publish(self.leader);
        }
    }
}

/// Holds the lead of a read class; gives it up if it is dropped before it settled.
#[derive(Debug)]
pub(crate) struct Lead<T: Sharable> {
    trace: Arc<SourceTrace<T>>,
    number: u64,
    /// To which the evaluation's reads go.
    pub(crate) log: Arc<ReadLog>,
    settled: bool,
}

impl<T: Sharable> Lead<T> {
    /// Records the result, with what was read for it, and releases whoever waits.
    pub(crate) fn settle(mut self, reads: &[Read], result: T) -> T {
        self.settled = true;
        // Dropped when the lock is released: it may hold the last handle of something of the application's.
        let Settled { unshared, released } = self.trace.0.lock().settle(self.number, reads, result.clone());
        drop((unshared, released));
        result
    }
}

impl<T: Sharable> Drop for Lead<T> {
    fn drop(&mut self) {
        if !self.settled {
            let released = self.trace.0.lock().abandon(self.number);
            drop(released);
        }
    }
}
