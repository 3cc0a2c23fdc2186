//! For a while, the subscriptions of a lost connection may resume from where they were.

use std::sync::Arc;

use crate::clock::millis;
use crate::clock::timer_queue::TimerQueue;
use crate::config::Config;
use crate::deliver::outbox_counts::OutboxCounts;
use crate::deliver::resume_point::ResumePoint;
use crate::event::{Event, Observers};
use crate::sessions::resume_points::Expired;
use crate::sessions::slot::Slot;
use crate::sessions::timer::Timer;

/// Keeps resume points within their bounds in number and time.
#[derive(Debug)]
pub(crate) struct ResumeWindow {
    timers: Arc<TimerQueue<Timer>>,
    observers: Arc<Observers>,
    counts: Arc<OutboxCounts>,
    window_ms: u64,
    max_points: usize,
}

impl ResumeWindow {
    pub(crate) fn new(
        timers: Arc<TimerQueue<Timer>>,
        observers: Arc<Observers>,
        counts: Arc<OutboxCounts>,
        config: &Config,
    ) -> Arc<Self> {
        Arc::new(Self {
            timers,
            observers,
            counts,
            window_ms: millis(config.times.resume_window),
            max_points: config.limits.resume_points_per_session,
        })
    }

    /// Keeps the resume points of a connection that ended.
    pub(crate) fn keep(&self, slot: &Arc<Slot>, mut points: Vec<ResumePoint>) {
        if points.is_empty() || self.window_ms == 0 {
            return;
        }
        points.iter_mut().for_each(|point| point.count(&self.counts));
        let until_ms = self.timers.now_ms().saturating_add(self.window_ms);
        let before = slot.has_tree();
        let added = slot.add_resume_points(points, self.max_points, until_ms);
        if added.first {
            self.timers.at(until_ms, Timer::ResumePoints(Arc::downgrade(slot)));
        }
        let evicted = added.evicted.len();
        if evicted > 0 && before {
            self.observers.emit(|| Event::ResumePointsEvicted { session: slot.id(), subscriptions: evicted });
        }
    }

    /// A timer fired: lets go of the resume points that have expired.
    pub(crate) fn expire(&self, slot: &Arc<Slot>) {
        match slot.expire_resume_points(self.timers.now_ms()) {
            Expired::Later(at_ms) => self.timers.at(at_ms, Timer::ResumePoints(Arc::downgrade(slot))),
            Expired::Nothing | Expired::These(_) => {}
        }
    }
}
