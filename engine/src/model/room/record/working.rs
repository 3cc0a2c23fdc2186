//! The runs of a room, as a part of what happened to it.

use super::{Record, Refusal};
use crate::model::room::end_reason::EndReason;
use crate::model::room::runs::Runs;

/// | step | active | ending | ended |
/// |---|---|---|---|
/// | `work` | the runs, for a step of theirs | the same | the same |
/// | `start` | the time to live begins anew if it is sliding | refused | refused |
/// | `begin_end` | ending: nothing is dispatched any more | nothing | nothing |
impl Record {
    /// The runs, if there ever were some.
    pub(crate) fn runs(&self) -> Option<&Runs> {
        self.runs.as_deref()
    }

    /// The runs, if there ever were some, for a step.
    pub(crate) fn work(&mut self) -> Option<&mut Runs> {
        self.runs.as_deref_mut()
    }

    /// Somebody starts a run. `make` makes what a room has that has runs.
    pub(crate) fn start(&mut self, now_ms: u64, make: impl FnOnce() -> Runs) -> Result<&mut Runs, Refusal> {
        if self.takes_no_more() {
            return Err(Refusal::Ended);
        }
        self.signs_of_work(now_ms);
        Ok(self.runs.get_or_insert_with(|| Box::new(make())))
    }

    /// A run gave a sign of life: the time to live begins anew if it is sliding.
    pub(crate) fn signs_of_work(&mut self, now_ms: u64) {
        if now_ms >= self.active_ms {
            (self.active_ms, self.idle_before_ms) = (now_ms, 0);
        }
    }

    /// The number of an event about a run.
    pub(crate) const fn run_event(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }

    /// How many runs are in progress.
    pub(crate) fn running(&self) -> usize {
        self.runs().map_or(0, Runs::running)
    }

    /// Whether it has ended, or ends as soon as its runs have.
    pub(crate) const fn takes_no_more(&self) -> bool {
        self.end.is_some() || self.ending.is_some()
    }

    /// Whether nothing goes on in it, and it goes on.
    pub(crate) fn is_at_rest(&self) -> bool {
        !self.takes_no_more() && self.is_over()
    }

    /// Why it ends as soon as its runs have ended, if it does.
    pub(crate) const fn ending(&self) -> Option<EndReason> {
        self.ending
    }

    /// From now on nothing is dispatched. False if that is so already.
    pub(crate) fn begin_end(&mut self, reason: EndReason) -> bool {
        let begins = !self.takes_no_more();
        if begins {
            self.ending = Some(reason);
        }
        self.validate();
        begins
    }

    /// Whether nothing is in progress.
    pub(super) fn is_over(&self) -> bool {
        self.runs().is_none_or(Runs::are_over)
    }
}
