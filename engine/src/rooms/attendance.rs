//! Which sessions are there: their leases, and their heartbeats.

use std::sync::{Arc, Weak};

use super::heartbeats::{Heartbeats, Joined};
use super::leases::{LeaseTimes, Leases, Looked};
use super::living::LivingRoom;
use crate::clock::millis;
use crate::clock::timer_queue::TimerQueue;
use crate::config::RoomLimits;
use crate::deliver::link::Link;
use crate::model::room::participant::Status;
use crate::sessions::slot::Slot;
use crate::sessions::timer::Timer;
use crate::sync::Mutex;

/// The leases and heartbeats of all sessions that have joined rooms or are shown with a card, with one timer for each kind.
#[derive(Debug)]
pub(crate) struct Attendance {
    /// By the address of the slot, which is nobody else's as long as this is here.
    leases: Mutex<Leases<Weak<Slot>>>,
    beats: Mutex<Beats>,
    timers: Arc<TimerQueue<Timer>>,
}

type Beats = Heartbeats<Weak<Slot>, Weak<LivingRoom>>;

/// A session whose lease was looked at.
pub(crate) type LookedAt = (Arc<Slot>, Looked);

fn address<T>(of: &Arc<T>) -> usize {
    Arc::as_ptr(of).addr()
}

/// When a connection last showed a sign of life. What is in this process lives as long as it is there.
fn heard_ms(link: &Link, now_ms: u64) -> u64 {
    if link.kind.leaves_by_going() { now_ms } else { link.heard_ms() }
}

impl Attendance {
    pub(crate) fn new(limits: &RoomLimits, timers: Arc<TimerQueue<Timer>>) -> Self {
        let times = LeaseTimes::new(millis(limits.offline_after), millis(limits.left_after));
        let beats = Heartbeats::new(millis(limits.heartbeat_interval));
        Self { leases: Mutex::new(Leases::new(times)), beats: Mutex::new(beats), timers }
    }

    /// How many leases there are.
    pub(crate) fn len(&self) -> usize {
        self.leases.lock().len()
    }

    /// A session joins a room.
    pub(crate) fn join(&self, slot: &Arc<Slot>, living: &Arc<LivingRoom>, now_ms: u64) {
        let room = (address(living), Arc::downgrade(living));
        let timer = {
            let mut beats = self.beats.lock();
            beats.join(address(slot), Arc::downgrade(slot), room, now_ms);
            beats.next_timer()
        };
        self.schedule(timer, Timer::Heartbeats);
        self.hold(slot, now_ms);
    }

    /// A session leaves a room. Without another one it keeps its lease only if it has a card.
    pub(crate) fn leave(&self, slot: &Arc<Slot>, living: &Arc<LivingRoom>, has_card: bool) {
        let was_last = self.beats.lock().leave(address(slot), address(living));
        if was_last && !has_card {
            self.release(slot);
        }
    }

    /// A session has a lease from now on.
    pub(crate) fn hold(&self, slot: &Arc<Slot>, now_ms: u64) {
        let timer = {
            let mut leases = self.leases.lock();
            leases.hold(address(slot), Arc::downgrade(slot), now_ms);
            leases.next_timer()
        };
        self.schedule(timer, Timer::Leases);
    }

    /// A session that has joined a room has a lease, although it was released.
    pub(crate) fn hold_again(&self, slot: &Arc<Slot>, now_ms: u64) {
        if self.beats.lock().has_joined(address(slot)) {
            self.hold(slot, now_ms);
        }
    }

    pub(crate) fn release(&self, slot: &Arc<Slot>) {
        self.leases.lock().release(address(slot));
    }

    /// A connection of a session ended.
    pub(crate) fn disconnected(&self, slot: &Arc<Slot>, link: &Link, now_ms: u64) {
        self.leases.lock().heard(address(slot), heard_ms(link, now_ms));
    }

    /// A session shows a sign of life. Returns whether it was offline.
    pub(crate) fn came_back(&self, slot: &Arc<Slot>, now_ms: u64) -> bool {
        self.leases.lock().came_back(address(slot), now_ms)
    }

    /// What a session is to others. Of two who noticed something at once, the last one to ask this is right.
    pub(crate) fn status(&self, slot: &Arc<Slot>) -> Status {
        if self.leases.lock().is_offline(address(slot)) { Status::Offline } else { Status::Online }
    }

    /// The timer fired: looks at the leases that are due, and pings whoever is silent.
    pub(crate) fn look_at_leases(&self) -> Vec<LookedAt> {
        let now_ms = self.timers.now_ms();
        let due = self.leases.lock().take_due(now_ms);
        let looked = due.into_iter().filter_map(|(id, slot)| match slot.upgrade() {
            Some(slot) => self.look(id, &slot, now_ms),
            None => {
                // It had a lease once more after its end.
                self.leases.lock().release(id);
                None
            }
        });
        let looked = looked.collect();
        let timer = self.leases.lock().next_timer();
        self.schedule(timer, Timer::Leases);
        looked
    }

    fn look(&self, id: usize, slot: &Arc<Slot>, now_ms: u64) -> Option<LookedAt> {
        let links = slot.links();
        let heard = links.iter().map(|link| heard_ms(link, now_ms)).max();
        let looked = self.leases.lock().look(id, heard, now_ms);
        let silent_ms = match looked {
            Looked::Ping(ms) => ms,
            _ => u64::MAX,
        };
        for link in &links {
            if looked == Looked::Offline {
                link.await_sign();
            }
            if looked == Looked::Offline || now_ms.saturating_sub(heard_ms(link, now_ms)) >= silent_ms {
                link.ping();
            }
        }
        (!matches!(looked, Looked::Fine | Looked::Ping(_))).then(|| (Arc::clone(slot), looked))
    }

    /// The timer fired: the sessions that are due for a heartbeat, with the room that each has joined first.
    pub(crate) fn due_heartbeats(&self) -> Vec<(Arc<Slot>, Arc<LivingRoom>)> {
        let now_ms = self.timers.now_ms();
        let due = self.beats.lock().take_due(now_ms);
        let beat = due.into_iter().filter_map(|(id, joined)| self.beat(id, &joined, now_ms)).collect();
        let timer = self.beats.lock().next_timer();
        self.schedule(timer, Timer::Heartbeats);
        beat
    }

    fn beat(
        &self,
        id: usize,
        joined: &Joined<Weak<Slot>, Weak<LivingRoom>>,
        now_ms: u64,
    ) -> Option<(Arc<Slot>, Arc<LivingRoom>)> {
        let rooms: Vec<_> = joined.rooms.iter().filter_map(|(_, room)| room.upgrade()).collect();
        let sent_ms = rooms.iter().map(|room| room.sent_ms()).max().unwrap_or(now_ms);
        let is_due = self.beats.lock().look(id, sent_ms, now_ms);
        Some((joined.session.upgrade()?, rooms.into_iter().next()?)).filter(|_| is_due)
    }

    fn schedule(&self, at_ms: Option<u64>, timer: Timer) {
        if let Some(at_ms) = at_ms {
            self.timers.at(at_ms, timer);
        }
    }
}
