//! Evaluate, commit, wake, over a set of sessions, on threads where application code may block.

use std::pin::pin;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;
use tracing::{Instrument, Span};

use super::awaiting::Awaiting;
use super::evaluator::Evaluator;
use super::gathered::{Job, Resolved};
use super::held::Held;
use super::lanes::{Lanes, Next};
use super::pass::{Pass, PassParts};
use super::schedule::{Lane, Schedule, Staff};
use super::sources::Sources;
use super::tab_notifier::TabNotifier;
use super::tickets::Tickets;
use super::workers::{Hired, Workers};
use crate::background::Background;
use crate::clock::Clock;
use crate::clock::timer_queue::TimerQueue;
use crate::config::{Config, Limit};
use crate::event::{Event, Observers, PanicSite};
use crate::in_flight::Work;
use crate::model::Text;
use crate::panics;
use crate::render::evaluate::Renderer;
use crate::render::layout::Layout;
use crate::render::registry::Registry;
use crate::render::tree::Tree;
use crate::sessions::committed_trees::CommittedTrees;
use crate::sessions::idle_tracker::IdleTracker;
use crate::sessions::table::Table;
use crate::sessions::timer::Timer;
use crate::sessions::turn::{Base, Begin, Counted};
use crate::sessions::waiters::{Countdown, Waiters};
use crate::span;
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, Ordering, Threads};

/// Runs passes, and numbers them.
#[derive(Debug)]
pub(crate) struct Passes {
    with: PassServices,
    evaluator: Evaluator,
    workers: Arc<Workers>,
    threads: Threads,
    awaiting: Awaiting,
    /// How many turns of one session may go beside another.
    side_turns: u8,
    /// How many threads render at a time.
    pass_threads: usize,
    clock: Arc<dyn Clock>,
    tickets: Arc<Tickets>,
    shared: AtomicU64,
    /// That all dictionaries are full and in use was reported.
    reported_full: AtomicBool,
}

/// What passes work with.
#[derive(Debug)]
pub(crate) struct PassServices {
    pub(crate) table: Arc<Table>,
    pub(crate) sources: Arc<Sources>,
    pub(crate) renderer: Arc<Renderer>,
    pub(crate) schedule: Arc<Schedule>,
    pub(crate) timers: Arc<TimerQueue<Timer>>,
    pub(crate) idle: Arc<IdleTracker>,
    pub(crate) trees: Arc<CommittedTrees>,
    pub(crate) tabs: Arc<TabNotifier>,
    pub(crate) background: Arc<Background>,
    pub(crate) observers: Arc<Observers>,
}

impl Passes {
    pub(crate) fn new(with: PassServices, config: &Config) -> Arc<Self> {
        let clock = Arc::clone(with.timers.clock());
        let workers = Workers::new(Arc::clone(&with.timers), config);
        let evaluator = Evaluator::new(
            Arc::clone(&with.renderer),
            Arc::clone(&with.observers),
            Arc::clone(&clock),
            with.background.runtime.clone(),
            Arc::clone(&workers),
            config,
        );
        let of_each = config.execution.pass_threads.saturating_add(config.execution.slow_evaluations);
        let most = of_each.saturating_mul(Staff::ALL.len());
        Arc::new(Self {
            threads: Threads::new(&with.background.runtime, most),
            with,
            evaluator,
            workers,
            awaiting: Awaiting::new(config.execution.side_turns_per_session),
            side_turns: u8::try_from(config.execution.side_turns_per_session).unwrap_or(u8::MAX),
            pass_threads: config.execution.pass_threads,
            clock,
            tickets: Arc::default(),
            shared: AtomicU64::new(0),
            reported_full: AtomicBool::new(false),
        })
    }

    /// How many evaluations were spared by sharing since the start.
    pub(crate) fn shared(&self) -> u64 {
        self.shared.load(Ordering::Relaxed)
    }

    /// How many evaluations run on threads, and about how many sessions wait to be rendered.
    pub(crate) fn load(&self) -> (usize, usize) {
        let (evaluations, left) = self.workers.load();
        (evaluations, left + self.with.schedule.sessions(&self.with.table))
    }

    /// The path whose descriptor function this thread is in the middle of.
    pub(crate) fn evaluated_path(&self) -> Option<String> {
        self.with.renderer.evaluated_path()
    }

    /// Renders the jobs. When it returns, every tree is committed, those included that other passes worked on.
    pub(crate) async fn run(self: &Arc<Self>, lane: Lane, jobs: Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        let done = Countdown::new(Span::current());
        self.add(lane, jobs, done.share());
        done.wait().await;
    }

    /// Adds jobs that are due at once, and who waits for all of them.
    fn add(self: &Arc<Self>, lane: Lane, jobs: Vec<Job>, waiters: Waiters) {
        self.with.schedule.add(lane, jobs, waiters);
        self.due(lane);
    }

    /// What has gathered in a lane is to be rendered, as soon as the lane's pass before it has handed out its jobs.
    pub(crate) fn due(self: &Arc<Self>, lane: Lane) {
        let work = self.with.background.in_flight.begin();
        if !self.change(|lanes| lanes.due(lane, work)) {
            drop(self.with.schedule.take(lane));
        }
    }

    /// Begins nothing any more. What runs goes on, and whoever waits for the rest is released.
    pub(crate) fn close(self: &Arc<Self>) {
        self.change(Lanes::close);
        Lane::ALL.into_iter().for_each(|lane| drop(self.with.schedule.take(lane)));
        drop(self.awaiting.close());
    }

    /// A timer fired: other threads take the place of those whose evaluations are slow.
    pub(crate) fn find_slow_evaluations(self: &Arc<Self>) {
        self.start_threads(self.workers.find_slow());
    }

    fn change<T>(self: &Arc<Self>, step: impl FnOnce(&mut Lanes) -> T) -> T {
        let (result, hired) = self.workers.change(step);
        self.start_threads(hired);
        result
    }

    /// The same on one of the threads, before it looks what to do next.
    fn change_on_thread<T>(self: &Arc<Self>, staff: Staff, step: impl FnOnce(&mut Lanes) -> T) -> T {
        let (result, hired) = self.workers.change_on_thread(staff, step);
        self.start_threads(hired);
        result
    }

    fn start_threads(self: &Arc<Self>, hired: Hired) {
        for (staff, count) in Staff::ALL.into_iter().zip(hired) {
            (0..count).for_each(|_| self.start_thread(staff));
        }
    }

    fn start_thread(self: &Arc<Self>, staff: Staff) {
        let (passes, running) = (Arc::clone(self), self.with.background.in_flight.begin());
        self.threads.run(move || {
            passes.work(staff);
            // Whoever waits until there is nothing to do may end the engine then, so nothing is held here.
            drop(passes);
            drop(running);
        });
    }

    /// What each thread does, until there is nothing to do.
    fn work(self: &Arc<Self>, staff: Staff) {
        loop {
            match self.workers.next(staff) {
                Next::Jobs(pass) => self.work_on(&pass),
                Next::Job(pass, job) => {
                    let done = pass.span.in_scope(|| self.render(&pass, job));
                    self.done(&pass, usize::from(done));
                }
                Next::Begin(lane, work) => self.begin(lane, work),
                Next::Leave => return,
            }
        }
    }

    fn work_on(self: &Arc<Self>, pass: &Arc<Pass>) {
        let _entered = pass.span.enter();
        let at = pass.jobs.enter();
        // They are counted together. Whoever waits for the pass waits for the others as well.
        let mut done = 0;
        while let Some(job) = pass.jobs.take(at) {
            done += usize::from(self.render(pass, job));
            if self.workers.look_again(pass.lane.staff()) && pass.jobs.left() > 0 {
                return self.done(pass, done);
            }
        }
        self.done(pass, done);
        let _exhausted = self.change_on_thread(pass.lane.staff(), |lanes| lanes.exhausted(pass));
    }

    /// Begins a pass with what has gathered in a lane.
    fn begin(self: &Arc<Self>, lane: Lane, work: Work) {
        // A fault here is a bug, and still must not stop the lane.
        let later = panics::catch(|| self.begin_pass(lane, work)).unwrap_or_else(|why| {
            self.with.observers.warn(&Event::Panicked { what: PanicSite::Pass, why });
            false
        });
        if !later {
            self.change_on_thread(lane.staff(), |lanes| lanes.begun(lane));
        }
    }

    /// True if the lane has to wait until async functions have started.
    fn begin_pass(self: &Arc<Self>, lane: Lane, work: Work) -> bool {
        let Resolved { jobs, waiters, found } = self.with.schedule.take(lane).resolve(&self.with.table);
        found.iter().for_each(|slot| self.with.tabs.notify(slot));
        let ticket = self.tickets.take();
        let registry = self.with.sources.snapshot();
        let jobs = self.without_costly(lane, jobs, &waiters);
        let (jobs, later) = self.split(jobs, &waiters, &registry);
        let sessions = jobs.len() + later.len();
        if sessions == 0 {
            return false;
        }
        let all = || jobs.iter().chain(later.iter().map(|(job, _)| job));
        all().filter(|job| job.first).for_each(|job| job.slot.expect_tree());
        let first = all().next().filter(|_| waiters.is_empty());
        let cause = first.map_or_else(|| waiters.cause(), |job| job.waiters.cause());
        let (started_ms, span) = (self.clock.now_ms(), cause.in_scope(|| span::pass(ticket.ticket.number, sessions)));
        let (later_jobs, threads) = (later.len(), self.pass_threads);
        let parts =
            PassParts { ticket, lane, registry, started_ms, span, jobs, waiters, threads, later: later_jobs, work };
        let pass = Pass::new(parts);
        // First: when async functions have started, the lane's next pass may begin.
        let _before = self
            .change_on_thread(lane.staff(), |lanes| if pass.jobs.left() > 0 { lanes.hand_out(&pass) } else { None });
        let waits = !later.is_empty();
        if waits {
            self.await_sources(&pass, later);
        }
        waits
    }

    /// Leaves those of users whose evaluations took long to threads of their own.
    fn without_costly(self: &Arc<Self>, lane: Lane, jobs: Vec<Job>, waiters: &Waiters) -> Vec<Job> {
        let users = &self.workers.costly_users;
        if users.is_empty() || lane.staff() == Staff::Costly {
            return jobs;
        }
        let (costly, jobs): (Vec<_>, Vec<_>) =
            jobs.into_iter().partition(|job| users.has(&job.slot.context(), &job.paths));
        if !costly.is_empty() {
            self.add(Lane::Costly, costly, waiters.again());
        }
        jobs
    }

    /// Those that can be rendered at once, and those whose async functions have to run before.
    fn split(&self, jobs: Vec<Job>, waiters: &Waiters, registry: &Registry) -> (Vec<Job>, Vec<(Job, Arc<Layout>)>) {
        if !self.with.sources.may_await() && !registry.has_async() {
            return (jobs, Vec::new());
        }
        let (mut ready, mut later) = (Vec::with_capacity(jobs.len()), Vec::new());
        for job in jobs {
            match job.slot.async_layout(job.first, registry) {
                Some(layout) if Evaluator::awaits(&job, &layout) => {
                    // It may follow others, beside the pass.
                    let job = job.waited_for_by(waiters);
                    later.extend(self.awaiting.enter(job).map(|job| (job, layout)));
                }
                _ => ready.push(job),
            }
        }
        (ready, later)
    }

    /// Runs async functions on the runtime; each job goes on when its own have ended.
    fn await_sources(self: &Arc<Self>, pass: &Arc<Pass>, later: Vec<(Job, Arc<Layout>)>) {
        let starting = Starting { passes: Arc::clone(self), lane: pass.lane, left: AtomicUsize::new(later.len()) };
        let (passes, pass, span) = (Arc::clone(self), Arc::clone(pass), pass.span.clone());
        let starting = Arc::new(starting);
        let all = async move {
            let each = later.into_iter().map(|(job, layout)| {
                let started = Arc::new(Started(Arc::clone(&starting)));
                let (passes, pass) = (&passes, &pass);
                async move {
                    passes.evaluator.await_sources(pass, &job, &layout, started).await;
                    passes.change(|lanes| lanes.resume(Arc::clone(pass), job));
                }
            });
            let mut each: FuturesUnordered<_> = each.collect();
            while each.next().await.is_some() {}
        };
        self.with.background.run(all.instrument(span));
    }

    /// Renders one slot. False if it is not done yet.
    fn render(self: &Arc<Self>, pass: &Arc<Pass>, mut job: Job) -> bool {
        // A fault in one session's pass is a bug, and still must not keep the others from their trees.
        match panics::catch(|| self.take_turn(pass, &mut job)) {
            Ok(None) => {}
            Ok(Some(held)) => {
                self.wait(pass, job, held);
                return false;
            }
            Err(why) => self.with.observers.warn(&Event::Panicked { what: PanicSite::Pass, why }),
        }
        self.finish(&job);
        true
    }

    /// Renders one slot. If another pass works on it, those who wait are released by the one that follows. Returns what to
    /// wait for if it cannot be rendered yet; then nothing is held meanwhile.
    fn take_turn(self: &Arc<Self>, pass: &Pass, job: &mut Job) -> Option<Held> {
        let newer = || self.with.sources.newer_than(&pass.registry);
        let Begin::Go(base) =
            job.begin((pass.ticket.ticket, self.side_turns), || pass.share_waiters(), &pass.registry, newer)
        else {
            return None;
        };
        // Whoever holds a turn without a tree makes the first one, also if somebody else was expected to.
        let first = job.first || base.tree.is_none();
        let held = {
            let _entered = span::render(&job.slot).entered();
            let turn = TurnGuard { passes: self, job, base: &base, pass };
            match self.evaluator.assemble(pass, job, &base) {
                Ok(tree) => {
                    turn.commit(tree);
                    return None;
                }
                Err(held) => {
                    if first {
                        // Before the turn is free: what changes meanwhile has to be rendered again.
                        job.slot.expect_tree();
                    }
                    held
                }
            }
        };
        job.first = first;
        Some(held)
    }

    /// Lets a job go on when what it waits for is over, or has taken too long.
    fn wait(self: &Arc<Self>, pass: &Arc<Pass>, mut job: Job, held: Held) {
        let (passes, pass) = (Arc::clone(self), Arc::clone(pass));
        self.with.background.run(async move {
            let late = matches!(select(pin!(held.wait()), passes.evaluator.patience()).await, Either::Right(_));
            if late {
                held.give_up(&mut job);
            }
            passes.change(|lanes| lanes.resume(pass, job));
        });
    }

    /// A job is done, whatever came of it.
    fn finish(self: &Arc<Self>, job: &Job) {
        if job.first {
            self.with.idle.tree_idle(&job.slot);
        }
        if job.awaits
            && let Some(next) = self.awaiting.leave(job)
        {
            self.add(Lane::Calls, vec![next], Waiters::default());
        }
    }

    /// Sessions of a pass are done.
    fn done(&self, pass: &Pass, count: usize) {
        if pass.sessions_done(count) {
            self.report(pass);
            pass.release_waiters();
        }
    }

    fn report(&self, pass: &Pass) {
        self.shared.fetch_add(pass.stats.shared() as u64, Ordering::Relaxed);
        self.with.observers.emit(|| pass.event(self.clock.now_ms()));
        let is_full = self.evaluator.renderer.store.renew_dictionary();
        if is_full && !self.reported_full.swap(true, Ordering::Relaxed) {
            let full = Event::LimitReached { limit: Limit::DictionaryBytes, session: Text::default() };
            self.with.observers.warn(&full);
        }
    }
}

/// How many jobs of a pass have async functions that have not started. The lane waits for them before its next pass.
struct Starting {
    passes: Arc<Passes>,
    lane: Lane,
    left: AtomicUsize,
}

/// Held until the async functions of one job have started.
struct Started(Arc<Starting>);

impl Drop for Started {
    fn drop(&mut self) {
        let starting = &self.0;
        if starting.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            starting.passes.change(|lanes| lanes.begun(starting.lane));
        }
    }
}

/// Holds the turn of a slot; gives it back without a tree if it is dropped before the commit.
struct TurnGuard<'a> {
    passes: &'a Arc<Passes>,
    job: &'a Job,
    base: &'a Base,
    pass: &'a Pass,
}

impl TurnGuard<'_> {
    fn commit(self, tree: Arc<Tree>) {
        self.give_back(Some(tree));
        std::mem::forget(self);
    }

    /// What was requested while this pass worked on the slot is rendered afresh: it may be newer than what is shared.
    fn give_back(&self, tree: Option<Arc<Tree>>) {
        let Job { slot, paths, .. } = self.job;
        let counted = Counted { trees: &self.passes.with.trees, pass_started_ms: self.pass.started_ms };
        let finished = slot.commit(self.base, paths, tree, counted);
        if let Some(version) = finished.version {
            self.pass.stats.committed();
            self.passes.with.observers.emit(|| Event::Committed { session: slot.id(), version });
        }
        if let Some((paths, waiters)) = finished.follow_up {
            // Nobody else may be about to make the first tree any more.
            let first = !slot.has_tree();
            self.passes.add(Lane::Calls, vec![Job { first, ..Job::new(Arc::clone(slot), paths) }], waiters);
        }
    }
}

impl Drop for TurnGuard<'_> {
    fn drop(&mut self) {
        self.give_back(None);
    }
}
