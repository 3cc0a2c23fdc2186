//! What was done under which call id, so that a call that is sent twice does not act twice (SEC32).

use std::collections::{BTreeMap, VecDeque};

use hashbrown::HashMap;

use crate::model::Text;

/// How long a call id is remembered, in ms.
pub(super) const REMEMBERED_MS: u64 = 600_000;

/// What was done under the call ids of all sessions: a pure type. It is bounded in all and for each session; beyond that the
/// oldest is forgotten.
#[derive(Debug)]
pub(crate) struct CallIds<T> {
    /// The oldest first.
    calls: BTreeMap<u64, Call>,
    sessions: HashMap<Text, SessionCalls<T>>,
    next: u64,
    max: usize,
    max_of_session: usize,
}

#[derive(Debug)]
struct Call {
    at_ms: u64,
    session: Text,
    id: Text,
}

#[derive(Debug)]
struct SessionCalls<T> {
    done: HashMap<Text, T>,
    /// The oldest first.
    order: VecDeque<u64>,
}

impl<T: Clone> CallIds<T> {
    pub(crate) fn new(max: usize, max_of_session: usize) -> Self {
        Self { calls: BTreeMap::new(), sessions: HashMap::new(), next: 0, max, max_of_session }
    }

    /// What a session did under an id.
    pub(crate) fn get(&mut self, session: &str, id: &str, now_ms: u64) -> Option<T> {
        self.expire(now_ms);
        self.sessions.get(session)?.done.get(id).cloned()
    }

    /// A session did something under an id, for the first time. Returns whether one that still counts was forgotten for it.
    pub(crate) fn add(&mut self, session: &Text, id: Text, done: T, now_ms: u64) -> bool {
        self.expire(now_ms);
        if self.max == 0 || self.max_of_session == 0 {
            return true;
        }
        let of_session = self.sessions.get(session).filter(|calls| calls.done.len() >= self.max_of_session);
        let oldest = of_session.and_then(|calls| calls.order.front().copied());
        let oldest = oldest.or_else(|| self.calls.keys().next().copied().filter(|_| self.calls.len() >= self.max));
        oldest.into_iter().for_each(|number| self.forget(number));
        let new = || SessionCalls { done: HashMap::new(), order: VecDeque::new() };
        let calls = self.sessions.entry(session.clone()).or_insert_with(new);
        calls.done.insert(id.clone(), done);
        calls.order.push_back(self.next);
        self.calls.insert(self.next, Call { at_ms: now_ms, session: session.clone(), id });
        self.next += 1;
        oldest.is_some()
    }

    fn expire(&mut self, now_ms: u64) {
        while let Some((number, call)) = self.calls.first_key_value()
            && now_ms >= call.at_ms.saturating_add(REMEMBERED_MS)
        {
            self.forget(*number);
        }
    }

    /// Forgets a call, the oldest of its session.
    fn forget(&mut self, number: u64) {
        let Some(call) = self.calls.remove(&number) else { return };
        let Some(calls) = self.sessions.get_mut(&call.session) else { return };
        calls.order.pop_front();
        calls.done.remove(&call.id);
        if calls.done.is_empty() {
            self.sessions.remove(&call.session);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_remembered_for_ten_minutes() {
        let mut calls = CallIds::new(10, 10);
        assert!(!calls.add(&"s".into(), "1".into(), 1, 0));
        assert!(!calls.add(&"s".into(), "2".into(), 2, 5));
        assert_eq!((calls.get("s", "1", 599_999), calls.get("t", "1", 599_999)), (Some(1), None));
        assert_eq!((calls.get("s", "1", 600_000), calls.get("s", "2", 600_000)), (None, Some(2)));
        assert_eq!((calls.get("s", "2", 600_005), calls.calls.len(), calls.sessions.len()), (None, 0, 0));
    }

    #[test]
    fn the_oldest_is_forgotten_above_either_bound() {
        let mut calls = CallIds::new(4, 2);
        for number in 0..3 {
            assert_eq!(calls.add(&"s".into(), number.to_string().into(), number, 0), number == 2);
        }
        assert_eq!((calls.get("s", "0", 0), calls.get("s", "1", 0), calls.get("s", "2", 0)), (None, Some(1), Some(2)));
        calls.add(&"t".into(), "0".into(), 10, 1);
        calls.add(&"t".into(), "1".into(), 11, 1);
        assert!(calls.add(&"u".into(), "0".into(), 20, 2));
        assert_eq!((calls.calls.len(), calls.get("u", "0", 2)), (4, Some(20)));
        (0..1_000).for_each(|number| assert!(calls.add(&"v".into(), number.to_string().into(), number, 3)));
        assert_eq!((calls.calls.len(), calls.sessions["v"].order.len()), (4, 2));
    }

    #[test]
    fn nothing_is_remembered_where_nothing_may_be() {
        let mut calls = CallIds::new(0, 10);
        assert!(calls.add(&"s".into(), "1".into(), 1, 0));
        assert_eq!(calls.get("s", "1", 0), None);
    }
}
