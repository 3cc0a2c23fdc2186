//! What is due when, each once, with one timer for all.

use std::collections::BTreeSet;

/// Which of many things are due when. The timer that waits for the first is never cancelled; one that was overtaken finds
/// that nothing is due. Nothing is looked at before it is due.
#[derive(Debug, Default)]
pub(super) struct Due {
    due: BTreeSet<(u64, usize)>,
    /// When the timer fires.
    timer_ms: Option<u64>,
}

impl Due {
    pub(super) fn add(&mut self, at_ms: u64, id: usize) {
        self.due.insert((at_ms, id));
    }

    pub(super) fn remove(&mut self, at_ms: u64, id: usize) {
        self.due.remove(&(at_ms, id));
    }

    /// The timer fired: what is due now.
    pub(super) fn take(&mut self, now_ms: u64) -> Vec<usize> {
        self.timer_ms.take_if(|at_ms| *at_ms <= now_ms);
        let mut taken = Vec::new();
        while self.due.first().is_some_and(|(at_ms, _)| *at_ms <= now_ms) {
            taken.extend(self.due.pop_first().map(|(_, id)| id));
        }
        taken
    }

    /// When the timer has to fire, if it does not yet.
    pub(super) fn next_timer(&mut self) -> Option<u64> {
        let (at_ms, _) = self.due.first()?;
        let is_late = self.timer_ms.is_none_or(|timer_ms| *at_ms < timer_ms);
        is_late.then(|| *self.timer_ms.insert(*at_ms))
    }
}
