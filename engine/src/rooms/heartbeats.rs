//! When a session that has joined rooms is sent a heartbeat.

use hashbrown::HashMap;
use smallvec::SmallVec;

use super::due::Due;

/// Which sessions have joined which rooms, and when they are due for a heartbeat: a pure type, which is told the time and
/// when something was sent. A session is looked at once per interval, and an event costs nothing here.
#[derive(Debug)]
pub(crate) struct Heartbeats<T, R> {
    interval_ms: u64,
    sessions: HashMap<usize, Joined<T, R>>,
    due: Due,
}

/// A session that has joined rooms.
#[derive(Debug, Clone)]
pub(crate) struct Joined<T, R> {
    pub(crate) session: T,
    /// In the order in which it joined them.
    pub(crate) rooms: SmallVec<[(usize, R); 1]>,
    due_ms: u64,
}

impl<T: Clone, R: Clone> Heartbeats<T, R> {
    pub(crate) fn new(interval_ms: u64) -> Self {
        Self { interval_ms, sessions: HashMap::new(), due: Due::default() }
    }

    /// A session has joined a room.
    pub(crate) fn join(&mut self, id: usize, session: T, room: (usize, R), now_ms: u64) {
        let due_ms = now_ms.saturating_add(self.interval_ms);
        let due = &mut self.due;
        let joined = self.sessions.entry(id).or_insert_with(|| {
            due.add(due_ms, id);
            Joined { session, rooms: SmallVec::new(), due_ms }
        });
        if joined.rooms.iter().all(|(known, _)| *known != room.0) {
            joined.rooms.push(room);
        }
    }

    /// A session has left a room. Returns whether it was its last.
    pub(crate) fn leave(&mut self, id: usize, room: usize) -> bool {
        let Some(joined) = self.sessions.get_mut(&id) else { return true };
        joined.rooms.retain(|(known, _)| *known != room);
        joined.rooms.shrink_to_fit();
        let is_last = joined.rooms.is_empty();
        if is_last {
            self.due.remove(joined.due_ms, id);
            self.sessions.remove(&id);
        }
        is_last
    }

    pub(crate) fn has_joined(&self, id: usize) -> bool {
        self.sessions.contains_key(&id)
    }

    /// The timer fired: the sessions that are to be looked at.
    pub(crate) fn take_due(&mut self, now_ms: u64) -> Vec<(usize, Joined<T, R>)> {
        let due = self.due.take(now_ms);
        due.into_iter().filter_map(|id| Some((id, self.sessions.get(&id)?.clone()))).collect()
    }

    /// Looks at a session that is due, to which something was last sent then. Returns whether it is sent a heartbeat.
    pub(crate) fn look(&mut self, id: usize, sent_ms: u64, now_ms: u64) -> bool {
        let Some(joined) = self.sessions.get_mut(&id) else { return false };
        let is_due = now_ms.saturating_sub(sent_ms) >= self.interval_ms;
        joined.due_ms = if is_due { now_ms } else { sent_ms }.saturating_add(self.interval_ms);
        self.due.add(joined.due_ms, id);
        is_due
    }

    /// When the timer has to fire, if it does not yet.
    pub(crate) fn next_timer(&mut self) -> Option<u64> {
        self.due.next_timer()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_due_an_interval_after_what_it_received_last_and_never_after_it_left() {
        let mut beats = Heartbeats::new(30);
        beats.join(1, "s", (7, "first"), 0);
        beats.join(1, "s", (8, "second"), 5);
        assert_eq!((beats.next_timer(), beats.next_timer()), (Some(30), None));
        let due = beats.take_due(30);
        assert_eq!((due.len(), due[0].1.rooms[0].1), (1, "first"));
        assert!(!beats.look(1, 20, 30), "something was sent");
        assert_eq!((beats.next_timer(), beats.take_due(49).len(), beats.take_due(50).len()), (Some(50), 0, 1));
        assert!(beats.look(1, 20, 50));
        assert_eq!(beats.next_timer(), Some(80));
        assert!(!beats.leave(1, 7) && beats.leave(1, 8));
        assert_eq!((beats.take_due(1_000).len(), beats.next_timer(), beats.sessions.len()), (0, None, 0));
        assert!(!beats.look(1, 0, 1_000));
    }
}
