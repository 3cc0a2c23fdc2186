//! What becomes of a run whose agent is elsewhere when its link is busy, is lost or comes back.

use super::{Next, Outcome, Run, When};

impl Run {
    /// An attempt waits for a place: it is dispatched when it has one, and its window begins then.
    pub(crate) fn wait_for_place(&mut self, attempt: u32) {
        if let Some(running) = self.current(attempt) {
            running.window_ends_ms = None;
        }
    }

    /// Nobody works on an attempt for now, and nobody is there who could: it has its window, or one of this length, until its
    /// next sign of life.
    pub(crate) fn leave_alone(&mut self, attempt: u32, window_ms: u64, now_ms: u64) -> bool {
        let own_ms = self.window_from(now_ms);
        let Some(running) = self.current(attempt).filter(|running| running.abandon_ms.is_none()) else { return false };
        running.window_ends_ms.get_or_insert(own_ms.unwrap_or(now_ms.saturating_add(window_ms)));
        self.validate();
        true
    }

    /// Whoever worked on an attempt is gone: as if its window had expired at this moment.
    pub(crate) fn lose(&mut self, attempt: u32, now: When) -> Next {
        match self.current(attempt) {
            None => Next::Nothing,
            Some(running) if running.abandon_ms.is_some() => self.end(Outcome::Cancelled, now),
            Some(_) => self.react(Outcome::TimedOut, now, None),
        }
    }

    /// Whoever worked on an attempt is gone, and there is somebody again who can.
    pub(crate) fn redeliver(&mut self, attempt: u32, now: When) -> Next {
        let is_left = attempt < self.max_attempts();
        match self.current(attempt) {
            Some(running) if running.abandon_ms.is_none() && is_left => self.replay(None, now.now_ms),
            _ => self.lose(attempt, now),
        }
    }
}
