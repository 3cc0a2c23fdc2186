//! When something of a room is due, for all rooms with one timer.

use std::collections::BTreeSet;

use hashbrown::HashMap;

use crate::model::Text;

/// Which rooms are due when, each once: a pure type. The timer that waits for the first of them is never cancelled; one that
/// was overtaken finds that nothing is due.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    due: BTreeSet<(u64, Text)>,
    rooms: HashMap<Text, u64>,
    /// When the timer fires.
    timer_ms: Option<u64>,
}

impl Deadlines {
    /// A room is due then, and no more when it was. Returns when the timer has to fire, if it does not yet.
    #[must_use]
    pub(crate) fn add(&mut self, at_ms: u64, room: Text) -> Option<u64> {
        self.remove(&room);
        self.rooms.insert(room.clone(), at_ms);
        self.due.insert((at_ms, room));
        self.next()
    }

    /// A room is not due any more.
    pub(crate) fn remove(&mut self, room: &Text) {
        if let Some(at_ms) = self.rooms.remove(room) {
            self.due.remove(&(at_ms, room.clone()));
            self.shrink();
        }
    }

    /// Gives back what many rooms that were due took.
    fn shrink(&mut self) {
        if self.rooms.len() * 4 < self.rooms.capacity() {
            self.rooms.shrink_to(self.rooms.len() * 2);
        }
    }

    /// The timer fired: the rooms that are due now.
    pub(crate) fn take_due(&mut self, now_ms: u64) -> Vec<Text> {
        self.timer_ms.take_if(|at_ms| *at_ms <= now_ms);
        let mut due = Vec::new();
        while self.due.first().is_some_and(|(at_ms, _)| *at_ms <= now_ms) {
            due.extend(self.due.pop_first().map(|(_, room)| room));
        }
        due.iter().for_each(|room| {
            self.rooms.remove(room);
        });
        self.shrink();
        due
    }

    /// When the timer has to fire, if it does not yet.
    #[must_use]
    pub(crate) fn next(&mut self) -> Option<u64> {
        let (at_ms, _) = self.due.first()?;
        let is_late = self.timer_ms.is_none_or(|timer_ms| *at_ms < timer_ms);
        is_late.then(|| *self.timer_ms.insert(*at_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_timer_waits_for_the_first() {
        let mut deadlines = Deadlines::default();
        assert_eq!(deadlines.add(50, "a".into()), Some(50));
        assert_eq!(deadlines.add(70, "b".into()), None);
        assert_eq!(deadlines.add(20, "c".into()), Some(20));
        assert!(deadlines.take_due(19).is_empty());
        assert_eq!(deadlines.take_due(50), ["c", "a"]);
        assert_eq!(deadlines.next(), Some(70));
        assert_eq!(deadlines.next(), None);
        assert!(deadlines.take_due(50).is_empty());
        assert_eq!((deadlines.take_due(70), deadlines.next()), (vec!["b".into()], None));
        assert_eq!(deadlines.add(80, "a".into()), Some(80));
        assert_eq!(deadlines.add(90, "a".into()), None);
        assert!(deadlines.take_due(80).is_empty() && deadlines.next() == Some(90));
        deadlines.remove(&"a".into());
        assert!(deadlines.take_due(90).is_empty() && deadlines.rooms.is_empty());
    }
}
