//! Which rooms are put away, and when.

use std::sync::Arc;

use super::away::AwayRoom;
use super::living::LivingRoom;
use super::premises::Premises;
use crate::clock::millis;
use crate::model::room::memory::Memory;
use crate::sessions::timer::Timer;
use crate::sync::{AtomicBool, Ordering};

/// Puts rooms away that nobody uses.
#[derive(Debug)]
pub(crate) struct PuttingAway {
    premises: Arc<Premises>,
    /// Rooms that were found idle wait until everything about them is durable. No others are looked for meanwhile, since
    /// that may take as long as the storage fails.
    waits: Arc<AtomicBool>,
}

/// A room that nobody has used for a while.
struct Idle {
    away: AwayRoom,
    /// What is kept in it.
    memory_bytes: usize,
    /// How often something was written in it.
    steps: u64,
    used_ms: u64,
}

/// How often it is looked for idle rooms, at most, in ms.
const SHORTEST_MS: u64 = 1_000;

impl PuttingAway {
    pub(crate) fn new(premises: Arc<Premises>) -> Self {
        let putting_away = Self { premises, waits: Arc::default() };
        if putting_away.premises.journal.survives() {
            putting_away.schedule();
        }
        putting_away
    }

    /// So often that a room is put away when it was idle for a quarter longer than it may be.
    fn schedule(&self) {
        let pause_ms = (millis(self.premises.limits.put_away_after) / 4).max(SHORTEST_MS);
        self.premises.timers.at(self.premises.timers.now_ms().saturating_add(pause_ms), Timer::IdleRooms);
    }

    /// The timer fired: puts the rooms away that are idle, as soon as everything about them is durable.
    pub(crate) fn look(&self) {
        if !self.waits.load(Ordering::Acquire) {
            let now_ms = self.premises.timers.now_ms();
            let all = self.premises.directory.all();
            let idle: Vec<_> = all.iter().filter_map(|living| self.if_idle(living, now_ms)).collect();
            if !idle.is_empty() {
                self.put_away_when_durable(idle);
            }
        }
        self.schedule();
    }

    fn put_away_when_durable(&self, idle: Vec<Idle>) {
        self.waits.store(true, Ordering::Release);
        let (premises, waits) = (Arc::downgrade(&self.premises), Arc::clone(&self.waits));
        let durable = self.premises.journal.confirmed();
        self.premises.journal.spawn(async move {
            let is_durable = durable.await.is_ok();
            if let Some(premises) = premises.upgrade().filter(|_| is_durable) {
                idle.into_iter().for_each(|idle| put_away(&premises, idle));
            }
            waits.store(false, Ordering::Release);
        });
    }

    fn if_idle(&self, living: &LivingRoom, now_ms: u64) -> Option<Idle> {
        let kept = living.kept.as_ref()?;
        let used_ms = kept.used_ms();
        let is_due = used_ms.saturating_add(millis(self.premises.limits.put_away_after)) <= now_ms;
        if !is_due || living.room.is_held_elsewhere() {
            return None;
        }
        living.room.with(|record| {
            let is_idle = record.participants().len() == 0 && record.is_at_rest();
            is_idle.then(|| Idle {
                away: AwayRoom::of(living.room.about(), living.is_open, record, kept.age().clone()),
                memory_bytes: record.memory().map_or(0, Memory::bytes),
                steps: kept.steps(),
                used_ms,
            })
        })
    }
}

/// Puts a room away, unless somebody has used it since.
fn put_away(premises: &Premises, Idle { away, memory_bytes, steps, used_ms }: Idle) {
    let is_unchanged = |living: &LivingRoom| {
        living.kept.as_ref().is_some_and(|kept| (kept.steps(), kept.used_ms()) == (steps, used_ms))
    };
    if premises.directory.put_away(away, is_unchanged).is_some() {
        premises.memory_bytes.subtract(memory_bytes);
    }
}
