//! What has to be looked at again, gathered so that many losses make one repair.

use std::collections::BTreeMap;

use super::topic::Topic;
use crate::event::RepairCause;
use crate::model::Text;

/// Whose watched sessions are refreshed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Repair {
    /// Those of every project.
    All,
    /// Those of one; the one without a name is the empty text.
    Project(Text),
}

impl Repair {
    /// What is repaired if a message on this topic is missing. `None` if nothing is.
    pub(crate) fn of(topic: &Topic) -> Option<Self> {
        match topic {
            Topic::Notices => Some(Self::All),
            Topic::ProjectNotices(project) => Some(Self::Project(project.clone())),
            Topic::Heartbeats | Topic::Presence(_) | Topic::Room { .. } => None,
        }
    }
}

/// What is due, and why. For one cause after the other, the first is reported.
#[derive(Debug)]
pub(crate) struct Repairs {
    due: BTreeMap<Repair, (u64, RepairCause)>,
    /// What was repaired lately, and when.
    lately: BTreeMap<Repair, u64>,
    delay_ms: u64,
    interval_ms: u64,
    /// The latest time that it was told.
    now_ms: u64,
}

impl Repairs {
    pub(crate) const fn new(delay_ms: u64, interval_ms: u64) -> Self {
        Self { due: BTreeMap::new(), lately: BTreeMap::new(), delay_ms, interval_ms, now_ms: 0 }
    }

    /// Something may have been missed. It is looked at a moment later, together with what else is missed until then, and
    /// not again before some time has passed.
    pub(crate) fn request(&mut self, what: Repair, cause: RepairCause, now_ms: u64) {
        let now_ms = self.passed(now_ms);
        let again_ms = self.lately.get(&what).map_or(0, |at_ms| at_ms.saturating_add(self.interval_ms));
        self.due.entry(what).or_insert((again_ms.max(now_ms.saturating_add(self.delay_ms)), cause));
        self.validate(now_ms);
    }

    /// Takes what is due by now.
    pub(crate) fn take_due(&mut self, now_ms: u64) -> Vec<(Repair, RepairCause)> {
        let now_ms = self.passed(now_ms);
        self.lately.retain(|_, at_ms| now_ms < at_ms.saturating_add(self.interval_ms));
        let is_due = |(at_ms, _): &(u64, RepairCause)| *at_ms <= now_ms;
        if let Some((_, cause)) = self.due.get(&Repair::All).copied().filter(is_due) {
            // It covers the others.
            self.due.clear();
            self.lately.insert(Repair::All, now_ms);
            return vec![(Repair::All, cause)];
        }
        let due: Vec<_> = self.due.iter().filter(|(_, when)| is_due(when)).map(|(what, _)| what.clone()).collect();
        let take = |what: Repair| {
            let (_, cause) = self.due.remove(&what)?;
            self.lately.insert(what.clone(), now_ms);
            Some((what, cause))
        };
        due.into_iter().filter_map(take).collect()
    }

    /// Two threads may come in another order than that in which they have read the clock.
    fn passed(&mut self, now_ms: u64) -> u64 {
        self.now_ms = self.now_ms.max(now_ms);
        self.now_ms
    }

    pub(crate) fn due_ms(&self) -> Option<u64> {
        self.due.values().map(|(at_ms, _)| *at_ms).min()
    }

    /// Checks in debug builds that no repair waits for longer than it may.
    fn validate(&self, now_ms: u64) {
        let latest = now_ms.saturating_add(self.delay_ms.max(self.interval_ms));
        debug_assert!(self.due.values().all(|(at_ms, _)| *at_ms <= latest), "a repair waits for too long");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GAP: RepairCause = RepairCause::Gap;

    #[test]
    fn a_hundred_losses_are_one_repair_and_the_next_ones_another() {
        let (mut repairs, p) = (Repairs::new(100, 1_000), Repair::Project("p".into()));
        (0..100).for_each(|at_ms| repairs.request(p.clone(), GAP, at_ms));
        assert_eq!(repairs.due_ms(), Some(100));
        assert_eq!(repairs.take_due(99), []);
        assert_eq!(repairs.take_due(100), [(p.clone(), GAP)]);
        repairs.request(p.clone(), RepairCause::Mark, 150);
        assert_eq!((repairs.due_ms(), repairs.take_due(1_099)), (Some(1_100), vec![]));
        assert_eq!(repairs.take_due(1_100), [(p, RepairCause::Mark)]);
    }

    #[test]
    fn a_repair_of_all_covers_those_of_projects() {
        let mut repairs = Repairs::new(100, 1_000);
        repairs.request(Repair::Project("p".into()), GAP, 50);
        repairs.request(Repair::All, RepairCause::Reconnected, 50);
        assert_eq!(repairs.take_due(150), [(Repair::All, RepairCause::Reconnected)]);
        assert_eq!(repairs.due_ms(), None);
    }

    #[test]
    fn whoever_has_read_the_clock_before_another_may_come_after_it() {
        let (mut repairs, p) = (Repairs::new(100, 1_000), Repair::Project("p".into()));
        repairs.request(p.clone(), GAP, 0);
        assert_eq!(repairs.take_due(1_001), [(p.clone(), GAP)]);
        repairs.request(p, GAP, 1_000);
        assert_eq!(repairs.due_ms(), Some(2_001));
        repairs.request(Repair::All, GAP, 999);
    }
}
