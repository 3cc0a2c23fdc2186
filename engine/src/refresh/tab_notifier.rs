//! Tells browser tabs that server data may have changed.

use std::sync::Arc;

use crate::clock::timer_queue::TimerQueue;
use crate::sessions::slot::Slot;
use crate::sessions::timer::Timer;

/// Asks the tabs of sessions to fetch again (contract 3.3). Never waited for.
#[derive(Debug)]
pub(crate) struct TabNotifier {
    pub(crate) timers: Arc<TimerQueue<Timer>>,
    pub(crate) tab_call_ms: u64,
}

impl TabNotifier {
    pub(crate) fn notify(&self, slot: &Slot) {
        for tab in slot.tabs() {
            tab.fetch(self.timers.now_ms(), self.tab_call_ms);
        }
    }
}
