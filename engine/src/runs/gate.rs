//! How many runs of one agent are in progress, and which come next.

use std::collections::BTreeMap;

use crate::model::Text;
use crate::sync::Mutex;

/// A run that wants to begin: when it arrived, over all rooms, and its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) arrival: u64,
    pub(crate) run: Text,
}

/// What runs of an agent go through one by one: it stays the same when another agent is registered under the name.
#[derive(Debug)]
pub(crate) struct Gate(Mutex<Passage>);

/// Runs in progress and those that wait, in order of arrival: a pure type.
#[derive(Debug)]
struct Passage {
    max: usize,
    inside: usize,
    /// By arrival. At most as many of each room as may wait there.
    waiting: BTreeMap<u64, Text>,
}

impl Passage {
    fn enter(&mut self, ticket: Ticket) -> bool {
        let enters = self.inside < self.max && self.waiting.is_empty();
        if enters {
            self.inside += 1;
        } else {
            self.waiting.insert(ticket.arrival, ticket.run);
        }
        enters
    }

    fn next(&mut self) -> Option<Ticket> {
        if self.inside >= self.max {
            return None;
        }
        let (arrival, run) = self.waiting.pop_first()?;
        self.inside += 1;
        Some(Ticket { arrival, run })
    }
}

impl Gate {
    pub(crate) fn new(max: usize) -> Self {
        Self(Mutex::new(Passage { max, inside: 0, waiting: BTreeMap::new() }))
    }

    /// A run begins, or waits from now on.
    #[must_use]
    pub(crate) fn enter(&self, ticket: Ticket) -> bool {
        self.0.lock().enter(ticket)
    }

    /// A run waits from now on, whether there is a place or not: one is about to become free.
    pub(crate) fn queue(&self, ticket: Ticket) {
        self.0.lock().waiting.insert(ticket.arrival, ticket.run);
    }

    /// A run has ended. Returns the one that begins now.
    #[must_use]
    pub(crate) fn leave(&self) -> Option<Ticket> {
        let mut passage = self.0.lock();
        passage.inside = passage.inside.saturating_sub(1);
        passage.next()
    }

    /// Whether no run is in progress, and none waits.
    pub(crate) fn is_idle(&self) -> bool {
        let passage = self.0.lock();
        passage.inside == 0 && passage.waiting.is_empty()
    }

    /// A run does not wait any more.
    pub(crate) fn withdraw(&self, arrival: u64) {
        self.0.lock().waiting.remove(&arrival);
    }

    /// Another number may be in progress from now on. Returns those that begin now.
    #[must_use]
    pub(crate) fn resize(&self, max: usize) -> Vec<Ticket> {
        let mut passage = self.0.lock();
        passage.max = max;
        std::iter::from_fn(|| passage.next()).collect()
    }

    /// There is no agent behind it any more. Returns all that waited.
    #[must_use]
    pub(crate) fn take_waiting(&self) -> Vec<Ticket> {
        let waiting = std::mem::take(&mut self.0.lock().waiting);
        waiting.into_iter().map(|(arrival, run)| Ticket { arrival, run }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(arrival: u64) -> Ticket {
        Ticket { arrival, run: format!("r{arrival}").into() }
    }

    #[test]
    fn runs_begin_in_order_of_arrival() {
        let gate = Gate::new(1);
        assert_eq!([1, 3, 2].map(|arrival| gate.enter(ticket(arrival))), [true, false, false]);
        assert_eq!(gate.leave(), Some(ticket(2)));
        gate.queue(ticket(0));
        assert_eq!((gate.leave(), gate.leave(), gate.leave()), (Some(ticket(0)), Some(ticket(3)), None));
        assert!(gate.enter(ticket(9)));
    }

    #[test]
    fn more_begin_when_more_may_and_none_when_fewer() {
        let gate = Gate::new(1);
        let _entered = [1, 2, 3, 4].map(|arrival| gate.enter(ticket(arrival)));
        assert_eq!(gate.resize(3), [ticket(2), ticket(3)]);
        assert_eq!((gate.resize(1), gate.leave(), gate.leave()), (vec![], None, None));
        gate.withdraw(4);
        assert_eq!((gate.leave(), gate.take_waiting()), (None, vec![]));
    }
}
