//! How many threads render: a pure count.

use std::sync::Arc;

use hashbrown::HashMap;
use slab::Slab;
use tracing::Span;

use super::schedule::Staff;
use crate::model::Text;
use crate::sessions::waiters::{Countdown, Waiters};

/// The threads that render, and the evaluations that run on them.
///
/// One whose evaluation takes long does not count: another thread takes its place, up to a limit, so that functions that
/// block delay only those who wait for them.
///
/// Of one path only so many may be slow at a time, so that one function that hangs does not take all the threads.
///
/// Users whose evaluations took long have as many threads of their own: those of others are not behind theirs.
#[derive(Debug)]
pub(super) struct Crew {
    limits: CrewLimits,
    staffs: [StaffCount; Staff::ALL.len()],
    evaluations: Slab<Running>,
    /// Who waits until an evaluation of a path ends, of which as many are slow as may be.
    held: HashMap<Text, Waiters>,
}

/// How many threads there may be, and when evaluations are slow.
#[derive(Debug, Clone, Copy)]
pub(super) struct CrewLimits {
    /// How many of each staff render at a time.
    pub(super) threads: usize,
    /// How many more of each there may be beside slow evaluations.
    pub(super) spare: usize,
    /// How many evaluations of one path may be slow at a time.
    pub(super) slow_per_path: usize,
    pub(super) slow_ms: u64,
    /// After which time nobody waits for an evaluation any more.
    pub(super) overdue_ms: u64,
}

/// How many threads of one staff there are.
#[derive(Debug, Clone, Copy, Default)]
struct StaffCount {
    active: usize,
    /// How many of their evaluations are slow.
    slow: usize,
}

#[derive(Debug)]
struct Running {
    path: Text,
    staff: Staff,
    since_ms: u64,
    slow: bool,
}

/// Whether a thread may evaluate.
#[derive(Debug)]
pub(super) enum Admitted {
    /// It does; this is the key of the evaluation.
    Runs(usize),
    /// As many evaluations of the path are slow as may be: until one has ended.
    Waits(Arc<Countdown>),
    /// As many evaluations of the path take longer than anybody waits.
    Overdue,
}

impl Crew {
    pub(super) fn new(limits: CrewLimits) -> Self {
        Self { limits, staffs: Default::default(), evaluations: Slab::new(), held: HashMap::new() }
    }

    const fn count(&self, staff: Staff) -> StaffCount {
        self.staffs[staff as usize]
    }

    fn allowed(&self, staff: Staff) -> usize {
        self.limits.threads + self.count(staff).slow.min(self.limits.spare)
    }

    /// Takes on as many threads as there are things to do and may be. Returns how many have to start.
    pub(super) fn hire(&mut self, staff: Staff, things_to_do: usize) -> usize {
        let hired = things_to_do.min(self.allowed(staff).saturating_sub(self.count(staff).active));
        self.staffs[staff as usize].active += hired;
        hired
    }

    /// Whether one more slow evaluation would let another thread begin.
    pub(super) const fn could_grow(&self, staff: Staff) -> bool {
        self.count(staff).slow < self.limits.spare
    }

    /// Whether there are more threads than may be, because a slow evaluation has ended.
    pub(super) fn is_too_large(&self, staff: Staff) -> bool {
        self.count(staff).active > self.allowed(staff)
    }

    /// A thread ends.
    pub(super) const fn leave(&mut self, staff: Staff) {
        self.staffs[staff as usize].active -= 1;
    }

    /// A thread wants to evaluate a path.
    pub(super) fn begin(&mut self, staff: Staff, path: &Text, now_ms: u64) -> Admitted {
        let CrewLimits { slow_per_path, slow_ms, overdue_ms, .. } = self.limits;
        if self.evaluations.len() >= slow_per_path {
            let last = |least_ms| {
                let of_path = self.evaluations.iter().filter(|(_, running)| running.path == *path);
                of_path.filter(|(_, running)| now_ms >= running.since_ms.saturating_add(least_ms)).count()
            };
            if last(overdue_ms) >= slow_per_path {
                return Admitted::Overdue;
            }
            if last(slow_ms) >= slow_per_path {
                let countdown = Countdown::new(Span::none());
                self.held.entry(path.clone()).or_default().merge(countdown.share());
                return Admitted::Waits(countdown);
            }
        }
        Admitted::Runs(self.evaluations.insert(Running { path: path.clone(), staff, since_ms: now_ms, slow: false }))
    }

    /// Returns whoever waited for it.
    pub(super) fn end(&mut self, key: usize) -> Option<Waiters> {
        let ended = self.evaluations.remove(key);
        self.staffs[ended.staff as usize].slow -= usize::from(ended.slow);
        if self.held.is_empty() { None } else { self.held.remove(&ended.path) }
    }

    /// Finds the evaluations that began at this time or before.
    pub(super) fn find_slow(&mut self, until_ms: u64) {
        for (_, running) in self.evaluations.iter_mut().filter(|(_, running)| running.since_ms <= until_ms) {
            let was_slow = std::mem::replace(&mut running.slow, true);
            self.staffs[running.staff as usize].slow += usize::from(!was_slow);
        }
    }

    /// How many evaluations run.
    pub(super) fn evaluations(&self) -> usize {
        self.evaluations.len()
    }
}

// A scheduled signal works only in a scheduled run.
#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::Staff::{Common, Costly};
    use super::*;

    fn crew(threads: usize, spare: usize) -> Crew {
        Crew::new(CrewLimits { threads, spare, slow_per_path: 2, slow_ms: 10, overdue_ms: 100 })
    }

    fn begin(crew: &mut Crew, path: &str, now_ms: u64) -> usize {
        match crew.begin(Common, &path.into(), now_ms) {
            Admitted::Runs(key) => key,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn there_are_no_more_threads_than_things_to_do_or_than_may_be() {
        let mut crew = crew(2, 8);
        assert_eq!((crew.hire(Common, 1), crew.hire(Common, 5), crew.hire(Common, 5)), (1, 1, 0));
        crew.leave(Common);
        assert_eq!(crew.hire(Common, 5), 1);
        assert_eq!(crew.hire(Costly, 5), 2, "these have threads of their own");
    }

    #[test]
    fn a_slow_evaluation_is_replaced_by_a_thread_of_its_own_kind() {
        let mut crew = crew(1, 8);
        assert_eq!((crew.hire(Common, 9), crew.hire(Costly, 9)), (1, 1));
        let Admitted::Runs(_) = crew.begin(Costly, &"a".into(), 0) else { panic!("nothing else runs") };
        crew.find_slow(10);
        assert_eq!((crew.hire(Common, 9), crew.hire(Costly, 9)), (0, 1));
    }

    #[test]
    fn a_thread_whose_evaluation_is_slow_is_replaced_until_the_evaluation_ends() {
        let mut crew = crew(2, 1);
        crew.hire(Common, 2);
        let (first, second) = (begin(&mut crew, "a", 0), begin(&mut crew, "b", 50));
        crew.find_slow(10);
        assert_eq!(crew.hire(Common, 9), 1, "in the place of the first");
        crew.find_slow(60);
        assert!(!crew.could_grow(Common));
        assert_eq!(crew.hire(Common, 9), 0, "there may be one more and not two");
        drop(crew.end(first));
        assert!(!crew.is_too_large(Common), "the second is slow as well");
        drop(crew.end(second));
        assert!(crew.is_too_large(Common));
        crew.leave(Common);
        assert!(!crew.is_too_large(Common));
    }

    #[test]
    fn of_one_path_only_so_many_evaluations_are_slow_and_none_begins_beside_as_many_that_hang() {
        let mut crew = crew(9, 9);
        let (first, _second) = (begin(&mut crew, "a", 0), begin(&mut crew, "a", 5));
        begin(&mut crew, "a", 9);
        let Admitted::Waits(countdown) = crew.begin(Common, &"a".into(), 15) else { panic!("two are slow") };
        begin(&mut crew, "b", 15);
        assert!(!countdown.wait_briefly());
        drop(crew.end(first));
        assert!(countdown.wait_briefly(), "an evaluation has ended");
        assert!(matches!(crew.begin(Common, &"a".into(), 19), Admitted::Waits(_)), "another one has become slow");
        assert!(matches!(crew.begin(Common, &"a".into(), 109), Admitted::Overdue));
        begin(&mut crew, "c", 109);
    }
}
