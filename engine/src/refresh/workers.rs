//! The threads that render, and what they do next.

use std::sync::Arc;

use super::costly_users::CostlyUsers;
use super::crew::{Admitted, Crew, CrewLimits};
use super::lanes::{Lanes, Next};
use super::schedule::Staff;
use crate::clock::millis;
use crate::clock::timer_queue::TimerQueue;
use crate::config::Config;
use crate::model::Text;
use crate::sessions::timer::Timer;
use crate::sessions::waiters::Countdown;
use crate::sync::{AtomicBool, Mutex, Ordering};

/// What the threads of all passes share.
#[derive(Debug)]
pub(super) struct Workers {
    lanes: Mutex<Lanes>,
    /// Whether a thread of each staff had better look at the lanes before it takes the next job of its pass.
    look_again: [AtomicBool; Staff::ALL.len()],
    pub(super) costly_users: CostlyUsers,
    /// Whether a timer will look for slow evaluations.
    scheduled: AtomicBool,
    timers: Arc<TimerQueue<Timer>>,
    slow_ms: u64,
}

/// Whether a thread may evaluate.
#[derive(Debug)]
pub(super) enum Permission<'a> {
    Granted(Evaluating<'a>),
    /// As many evaluations of the path are slow as may be: until one has ended.
    Waits(Arc<Countdown>),
    /// As many evaluations of the path take longer than anybody waits.
    Overdue,
}

/// An evaluation that runs on a thread.
#[derive(Debug)]
pub(super) struct Evaluating<'a> {
    workers: &'a Workers,
    key: usize,
    since_ms: u64,
}

/// How many threads of each staff have to start.
pub(super) type Hired = [usize; Staff::ALL.len()];

/// An evaluation is costly if it takes this share of the time after which it is slow.
const COSTLY_SHARE: u64 = 20;

impl Workers {
    pub(super) fn new(timers: Arc<TimerQueue<Timer>>, config: &Config) -> Arc<Self> {
        let (execution, times) = (&config.execution, &config.times);
        let crew = Crew::new(CrewLimits {
            threads: execution.pass_threads,
            spare: execution.slow_evaluations,
            slow_per_path: execution.slow_evaluations_per_path,
            slow_ms: millis(times.slow_evaluation),
            overdue_ms: millis(times.evaluation_timeout),
        });
        Arc::new(Self {
            lanes: Mutex::new(Lanes::new(crew)),
            look_again: Staff::ALL.map(|_| AtomicBool::new(false)),
            costly_users: CostlyUsers::new((millis(times.slow_evaluation) / COSTLY_SHARE).max(1)),
            scheduled: AtomicBool::new(false),
            timers,
            slow_ms: millis(config.times.slow_evaluation),
        })
    }

    /// One look or one step. What the closure hands over is dropped by the caller, without the lock.
    fn with<T>(&self, step: impl FnOnce(&mut Lanes) -> T) -> T {
        let mut lanes = self.lanes.lock();
        let result = step(&mut lanes);
        for (staff, look_again) in Staff::ALL.into_iter().zip(&self.look_again) {
            look_again.store(lanes.wants_attention(staff), Ordering::SeqCst);
        }
        result
    }

    /// Changes what there is to do. Returns what the closure hands over, and how many threads have to start.
    pub(super) fn change<T>(&self, step: impl FnOnce(&mut Lanes) -> T) -> (T, Hired) {
        self.change_beside(None, step)
    }

    /// The same on one of the threads, which goes on with whatever there is to do.
    pub(super) fn change_on_thread<T>(&self, staff: Staff, step: impl FnOnce(&mut Lanes) -> T) -> (T, Hired) {
        self.change_beside(Some(staff), step)
    }

    fn change_beside<T>(&self, free: Option<Staff>, step: impl FnOnce(&mut Lanes) -> T) -> (T, Hired) {
        let (result, hired, too_few) = self.with(|lanes| {
            let (result, mut too_few) = (step(lanes), false);
            let hired = Staff::ALL.map(|staff| {
                let things = lanes.things_to_do(staff).saturating_sub(usize::from(free == Some(staff)));
                let hired = lanes.crew.hire(staff, things);
                too_few |= things > hired && lanes.crew.could_grow(staff);
                hired
            });
            (result, hired, too_few)
        });
        if too_few && !self.scheduled.swap(true, Ordering::SeqCst) {
            self.timers.at(self.timers.now_ms().saturating_add(self.slow_ms), Timer::SlowEvaluations);
        }
        (result, hired)
    }

    /// A timer fired. Returns how many threads have to start in place of those whose evaluations are slow.
    pub(super) fn find_slow(&self) -> Hired {
        self.scheduled.store(false, Ordering::SeqCst);
        let until_ms = self.timers.now_ms().saturating_sub(self.slow_ms);
        let ((), hired) = self.change(|lanes| lanes.crew.find_slow(until_ms));
        hired
    }

    /// What a thread does next.
    pub(super) fn next(&self, staff: Staff) -> Next {
        self.with(|lanes| lanes.next(staff))
    }

    /// Whether a thread had better look at the lanes before it takes the next job of its pass.
    pub(super) fn look_again(&self, staff: Staff) -> bool {
        self.look_again[staff as usize].load(Ordering::Relaxed)
    }

    /// An evaluation of a path is to begin on this thread.
    pub(super) fn evaluate(&self, staff: Staff, path: &Text) -> Permission<'_> {
        let since_ms = self.timers.now_ms();
        match self.with(|lanes| lanes.crew.begin(staff, path, since_ms)) {
            Admitted::Runs(key) => Permission::Granted(Evaluating { workers: self, key, since_ms }),
            Admitted::Waits(countdown) => Permission::Waits(countdown),
            Admitted::Overdue => Permission::Overdue,
        }
    }

    /// How many evaluations run, and how many sessions their passes have left.
    pub(super) fn load(&self) -> (usize, usize) {
        self.with(|lanes| (lanes.crew.evaluations(), lanes.sessions_left()))
    }
}

impl Evaluating<'_> {
    /// How long it has taken so far, in ms.
    pub(super) fn took_ms(&self) -> u64 {
        self.workers.timers.now_ms().saturating_sub(self.since_ms)
    }
}

impl Drop for Evaluating<'_> {
    fn drop(&mut self) {
        let released = self.workers.with(|lanes| lanes.crew.end(self.key));
        drop(released);
    }
}
