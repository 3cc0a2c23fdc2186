//! Which sessions are there: their leases, and their heartbeats.

use std::sync::{Arc, Weak};

use super::attendees::{Attendee, Attendees};
use super::leases::{LeaseTimes, Looked};
use crate::clock::millis;
use crate::clock::timer_queue::TimerQueue;
use crate::config::RoomLimits;
use crate::deliver::link::Link;
use crate::model::room::participant::Status;
use crate::sessions::slot::Slot;
use crate::sessions::timer::Timer;
use crate::sync::Mutex;

/// The leases and heartbeats of all sessions that have joined rooms or are shown with a card, with one timer.
#[derive(Debug)]
pub(crate) struct Attendance {
    /// By the address of the slot, which is nobody else's as long as this is here.
    attendees: Mutex<Attendees<Weak<Slot>>>,
    timers: Arc<TimerQueue<Timer>>,
}

impl Attendee for Weak<Slot> {
    fn id(&self) -> usize {
        self.as_ptr().addr()
    }
}

/// What became of a session.
#[derive(Debug)]
pub(crate) struct Noticed {
    pub(crate) slot: Arc<Slot>,
    pub(crate) lease: Looked,
    /// It is sent a heartbeat.
    pub(crate) is_quiet: bool,
}

fn id(slot: &Arc<Slot>) -> usize {
    Arc::as_ptr(slot).addr()
}

/// When a connection last showed a sign of life. What is in this process lives as long as it is there.
fn heard_ms(link: &Link, now_ms: u64) -> u64 {
    if link.kind.leaves_by_going() { now_ms } else { link.heard_ms() }
}

impl Attendance {
    pub(crate) fn new(limits: &RoomLimits, timers: Arc<TimerQueue<Timer>>) -> Self {
        let times = LeaseTimes::new(millis(limits.offline_after), millis(limits.left_after));
        let attendees = Attendees::new(times, millis(limits.heartbeat_interval));
        Self { attendees: Mutex::new(attendees), timers }
    }

    /// How many leases there are.
    pub(crate) fn len(&self) -> usize {
        self.attendees.lock().leases()
    }

    /// A session joins a room. It has a lease from now on.
    pub(crate) fn join(&self, slot: &Arc<Slot>, now_ms: u64) {
        self.add(|attendees| attendees.join(Arc::downgrade(slot), now_ms));
    }

    /// A session leaves a room. Without another one it keeps its lease only if it has a card.
    pub(crate) fn leave(&self, slot: &Arc<Slot>, has_card: bool) {
        let mut attendees = self.attendees.lock();
        if attendees.leave(id(slot)) && !has_card {
            attendees.release(id(slot));
        }
    }

    /// A session has a lease from now on.
    pub(crate) fn hold(&self, slot: &Arc<Slot>, now_ms: u64) {
        self.add(|attendees| attendees.hold(Arc::downgrade(slot), now_ms));
    }

    /// A session that has joined a room has a lease, although it was released.
    pub(crate) fn hold_again(&self, slot: &Arc<Slot>, now_ms: u64) {
        self.add(|attendees| {
            if attendees.has_joined(id(slot)) {
                attendees.hold(Arc::downgrade(slot), now_ms);
            }
        });
    }

    pub(crate) fn release(&self, slot: &Arc<Slot>) {
        self.attendees.lock().release(id(slot));
    }

    /// A connection of a session ended.
    pub(crate) fn disconnected(&self, slot: &Arc<Slot>, link: &Link, now_ms: u64) {
        self.attendees.lock().heard(id(slot), heard_ms(link, now_ms));
    }

    /// A session shows a sign of life. Returns whether it was offline.
    pub(crate) fn came_back(&self, slot: &Arc<Slot>, now_ms: u64) -> bool {
        self.attendees.lock().came_back(id(slot), now_ms)
    }

    /// What a session is to others. Of two who noticed something at once, the last one to ask this is right.
    pub(crate) fn status(&self, slot: &Arc<Slot>) -> Status {
        if self.attendees.lock().is_offline(id(slot)) { Status::Offline } else { Status::Online }
    }

    /// Whether a session whose lease has ended shows signs of life all the same.
    pub(crate) fn is_back(&self, slot: &Arc<Slot>, now_ms: u64) -> bool {
        let heard = slot.links().iter().map(|link| heard_ms(link, now_ms)).max();
        heard.is_some_and(|heard_ms| !self.attendees.lock().has_left(heard_ms, now_ms))
    }

    /// The timer fired: looks at the sessions that are due, and pings whoever is silent. `sent_ms` is when something was last
    /// sent in the rooms that a session has joined.
    pub(crate) fn look(&self, sent_ms: impl Fn(&Slot) -> Option<u64>) -> Vec<Noticed> {
        let now_ms = self.timers.now_ms();
        let due = self.attendees.lock().take_due(now_ms);
        let looked = due.into_iter().filter_map(|session| match session.upgrade() {
            Some(slot) => self.look_at(slot, &sent_ms, now_ms),
            None => {
                // It had a lease once more after its end.
                self.attendees.lock().gone(session.id());
                None
            }
        });
        let looked = looked.collect();
        self.add(|_| {});
        looked
    }

    fn look_at(&self, slot: Arc<Slot>, sent_ms: impl Fn(&Slot) -> Option<u64>, now_ms: u64) -> Option<Noticed> {
        let links = slot.links();
        let heard = links.iter().map(|link| heard_ms(link, now_ms)).max();
        let sent = sent_ms(&slot);
        let look = self.attendees.lock().look(id(&slot), (heard, sent), now_ms);
        let silent_ms = match look.lease {
            Looked::Ping(ms) => ms,
            _ => u64::MAX,
        };
        let is_offline = look.lease == Looked::Offline;
        for link in &links {
            if is_offline {
                link.await_sign();
            }
            if is_offline || now_ms.saturating_sub(heard_ms(link, now_ms)) >= silent_ms {
                link.ping();
            }
        }
        let matters = look.is_quiet || !matches!(look.lease, Looked::Fine | Looked::Ping(_));
        matters.then_some(Noticed { slot, lease: look.lease, is_quiet: look.is_quiet })
    }

    /// Adds something, and makes sure that the timer fires for what is due first.
    fn add(&self, add: impl FnOnce(&mut Attendees<Weak<Slot>>)) {
        let timer = {
            let mut attendees = self.attendees.lock();
            add(&mut attendees);
            attendees.next_timer()
        };
        if let Some(at_ms) = timer {
            self.timers.at(at_ms, Timer::Attendance);
        }
    }
}
