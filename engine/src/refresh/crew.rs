//! How many threads render: a pure count.

use slab::Slab;

/// The threads that render, and the evaluations that run on them.
///
/// One whose evaluation takes long does not count: another thread takes its place, up to a limit, so that functions that
/// block delay only those who wait for them.
#[derive(Debug)]
pub(super) struct Crew {
    /// How many render at a time.
    threads: usize,
    /// How many more there may be beside slow evaluations.
    spare: usize,
    active: usize,
    evaluations: Slab<Running>,
    slow: usize,
}

#[derive(Debug)]
struct Running {
    since_ms: u64,
    slow: bool,
}

impl Crew {
    pub(super) const fn new(threads: usize, spare: usize) -> Self {
        Self { threads, spare, active: 0, evaluations: Slab::new(), slow: 0 }
    }

    fn allowed(&self) -> usize {
        self.threads + self.slow.min(self.spare)
    }

    /// Takes on as many threads as there are things to do and may be. Returns how many have to start.
    pub(super) fn hire(&mut self, things_to_do: usize) -> usize {
        let hired = things_to_do.min(self.allowed().saturating_sub(self.active));
        self.active += hired;
        hired
    }

    /// Whether one more slow evaluation would let another thread begin.
    pub(super) fn could_grow(&self) -> bool {
        self.slow < self.spare
    }

    /// Whether there are more threads than may be, because a slow evaluation has ended.
    pub(super) fn is_too_large(&self) -> bool {
        self.active > self.allowed()
    }

    /// A thread ends.
    pub(super) const fn leave(&mut self) {
        self.active -= 1;
    }

    /// A thread begins to evaluate. Returns the key of the evaluation.
    pub(super) fn begin(&mut self, now_ms: u64) -> usize {
        self.evaluations.insert(Running { since_ms: now_ms, slow: false })
    }

    pub(super) fn end(&mut self, key: usize) {
        self.slow -= usize::from(self.evaluations.remove(key).slow);
    }

    /// Finds the evaluations that began at this time or before.
    pub(super) fn find_slow(&mut self, until_ms: u64) {
        for (_, running) in self.evaluations.iter_mut().filter(|(_, running)| running.since_ms <= until_ms) {
            self.slow += usize::from(!std::mem::replace(&mut running.slow, true));
        }
    }

    /// How many evaluations run.
    pub(super) fn evaluations(&self) -> usize {
        self.evaluations.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_more_threads_than_things_to_do_or_than_may_be() {
        let mut crew = Crew::new(2, 8);
        assert_eq!((crew.hire(1), crew.hire(5), crew.hire(5)), (1, 1, 0));
        crew.leave();
        assert_eq!(crew.hire(5), 1);
    }

    #[test]
    fn a_thread_whose_evaluation_is_slow_is_replaced_until_the_evaluation_ends() {
        let mut crew = Crew::new(2, 1);
        crew.hire(2);
        let (first, second) = (crew.begin(0), crew.begin(50));
        crew.find_slow(10);
        assert_eq!(crew.hire(9), 1, "in the place of the first");
        crew.find_slow(60);
        assert!(!crew.could_grow());
        assert_eq!(crew.hire(9), 0, "there may be one more and not two");
        crew.end(first);
        assert!(!crew.is_too_large(), "the second is slow as well");
        crew.end(second);
        assert!(crew.is_too_large());
        crew.leave();
        assert!(!crew.is_too_large());
    }
}
