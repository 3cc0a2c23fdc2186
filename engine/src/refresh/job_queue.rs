//! The jobs of a pass that are not handed out yet.

use std::vec::IntoIter;

use super::gathered::Job;
use crate::sync::{AtomicUsize, Mutex, Ordering};

/// Jobs in stretches, of which each thread begins with one of its own: sessions that stand next to each other in memory are
/// rendered by one thread, and threads do not write to the same place. Whoever is done with its own takes from the others.
#[derive(Debug)]
pub(super) struct JobQueue {
    stretches: Box<[Stretch]>,
    /// How many threads have come.
    threads: AtomicUsize,
}

/// Jobs in their order. In a cache line of its own, since each thread writes to its own stretch.
#[derive(Debug)]
#[repr(align(128))]
struct Stretch {
    jobs: Mutex<IntoIter<Job>>,
    left: AtomicUsize,
}

/// Fewer jobs stay together.
const STRETCH: usize = 64;

impl JobQueue {
    /// For so many threads.
    pub(super) fn new(mut jobs: Vec<Job>, threads: usize) -> Self {
        let count = threads.min(jobs.len() / STRETCH).max(1);
        let mut stretches = Vec::with_capacity(count);
        for before in (0..count).rev() {
            let at = jobs.len() * before / (before + 1);
            stretches.push(Stretch::new(jobs.split_off(at)));
        }
        stretches.reverse();
        Self { stretches: stretches.into(), threads: AtomicUsize::new(0) }
    }

    /// How many jobs are not handed out.
    pub(super) fn left(&self) -> usize {
        self.stretches.iter().map(|stretch| stretch.left.load(Ordering::SeqCst)).sum()
    }

    /// A thread begins to take jobs. Returns where.
    pub(super) fn enter(&self) -> usize {
        self.threads.fetch_add(1, Ordering::Relaxed) % self.stretches.len()
    }

    /// The next job for a thread that has begun there.
    pub(super) fn take(&self, at: usize) -> Option<Job> {
        let (before, from) = self.stretches.split_at(at);
        from.iter().chain(before).find_map(Stretch::take)
    }
}

impl Stretch {
    fn new(jobs: Vec<Job>) -> Self {
        Self { left: AtomicUsize::new(jobs.len()), jobs: Mutex::new(jobs.into_iter()) }
    }

    fn take(&self) -> Option<Job> {
        if self.left.load(Ordering::SeqCst) == 0 {
            return None;
        }
        let mut jobs = self.jobs.lock();
        let job = jobs.next();
        self.left.store(jobs.len(), Ordering::SeqCst);
        job
    }
}

// A scheduled lock works only in a scheduled run.
#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::session::Session;
    use crate::sessions::paths::Paths;
    use crate::sessions::slot::Slot;

    fn jobs(count: usize) -> Vec<Job> {
        let slot = |n: usize| Arc::new(Slot::new(Arc::clone(Session::new(format!("{n}")).context()), 0, 0, false));
        (0..count).map(|n| Job::new(slot(n), Paths::All)).collect()
    }

    fn number(job: &Job) -> usize {
        job.slot.id().parse().expect("sessions are named by numbers")
    }

    #[test]
    fn each_thread_takes_neighbours_and_then_what_others_have_left() {
        let queue = JobQueue::new(jobs(3 * STRETCH + 1), 3);
        let starts: Vec<usize> = (0..4).map(|_| queue.enter()).collect();
        assert_eq!(starts, [0, 1, 2, 0]);
        let first: Vec<usize> = [0, 1, 2, 0].into_iter().map(|at| number(&queue.take(at).expect("a job"))).collect();
        assert_eq!(first, [0, STRETCH, 2 * STRETCH, 1], "neighbours of one thread");
        let mut rest: Vec<usize> = std::iter::from_fn(|| queue.take(1)).map(|job| number(&job)).collect();
        assert_eq!(queue.left(), 0);
        rest.extend(first);
        rest.sort_unstable();
        assert_eq!(rest, (0..=3 * STRETCH).collect::<Vec<_>>(), "each once");
    }

    #[test]
    fn few_jobs_are_taken_in_their_order_whoever_takes_them() {
        let queue = JobQueue::new(jobs(STRETCH), 8);
        let taken: Vec<usize> = (0..STRETCH).map(|_| number(&queue.take(queue.enter()).expect("a job"))).collect();
        assert_eq!(taken, (0..STRETCH).collect::<Vec<_>>());
        assert!(queue.take(0).is_none() && JobQueue::new(Vec::new(), 8).take(0).is_none());
    }
}
