//! Evaluate, commit, wake, over a set of sessions, on threads where application code may block.

use std::sync::Arc;

use tracing::{Instrument, Span};

use super::evaluator::Evaluator;
use super::pass::Pass;
use super::schedule::Job;
use super::sources::Sources;
use super::tickets::Tickets;
use crate::clock::Clock;
use crate::config::{Config, Limit};
use crate::event::{Event, Observers, PanicSite};
use crate::model::Text;
use crate::panics;
use crate::render::evaluate::Renderer;
use crate::render::tree::Tree;
use crate::sessions::committed_trees::CommittedTrees;
use crate::sessions::latch::Latch;
use crate::sessions::paths::Paths;
use crate::sessions::slot::Slot;
use crate::sessions::turn::{Base, Begin};
use crate::span;
use crate::sync::{AtomicBool, AtomicU64, AtomicUsize, Ordering, Runtime};

/// Runs passes, and numbers them.
#[derive(Debug)]
pub(crate) struct Passes {
    sources: Arc<Sources>,
    evaluator: Evaluator,
    observers: Arc<Observers>,
    clock: Arc<dyn Clock>,
    runtime: Runtime,
    threads: usize,
    trees: Arc<CommittedTrees>,
    tickets: Arc<Tickets>,
    commits: AtomicU64,
    shared: AtomicU64,
    /// That all dictionaries are full and in use was reported.
    reported_full: AtomicBool,
}

impl Passes {
    pub(crate) fn new(
        sources: Arc<Sources>,
        renderer: Arc<Renderer>,
        observers: Arc<Observers>,
        clock: Arc<dyn Clock>,
        runtime: Runtime,
        trees: Arc<CommittedTrees>,
        config: &Config,
    ) -> Arc<Self> {
        let evaluator = Evaluator::new(renderer, Arc::clone(&observers), Arc::clone(&clock), runtime.clone(), config);
        Arc::new(Self {
            sources,
            evaluator,
            observers,
            clock,
            runtime,
            threads: config.execution.pass_threads,
            tickets: Arc::default(),
            commits: AtomicU64::new(0),
            trees,
            shared: AtomicU64::new(0),
            reported_full: AtomicBool::new(false),
        })
    }

    /// How many trees were committed since the start.
    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// How many evaluations were spared by sharing since the start.
    pub(crate) fn shared(&self) -> u64 {
        self.shared.load(Ordering::Relaxed)
    }

    /// The version of a tree that is about to be committed, after the session's last one. It is counted first: whoever sees
    /// the tree sees the count.
    fn next_version(&self, last: u64, pass: &Pass) -> u64 {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.trees.next_version(last, pass.started_ms)
    }

    /// Renders the jobs. When it returns, every tree is committed, those included that other passes worked on.
    pub(crate) async fn run(self: &Arc<Self>, jobs: Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        let started_ms = self.clock.now_ms();
        let pass = Arc::new(Pass::new(self.tickets.take(), started_ms, self.sources.snapshot()));
        let jobs: Arc<[Job]> = jobs.into();
        jobs.iter().filter(|job| job.first).for_each(|job| job.slot.expect_tree());
        let span = span::pass(pass.held.ticket.number, jobs.len());
        self.evaluator.await_sources(&pass, &jobs).instrument(span.clone()).await;
        for latch in self.run_on_workers(&pass, &jobs, &span).await {
            latch.wait().await;
        }
        span.in_scope(|| self.report(&pass, jobs.len(), started_ms));
    }

    fn report(&self, pass: &Pass, sessions: usize, started_ms: u64) {
        self.shared.fetch_add(pass.stats.shared() as u64, Ordering::Relaxed);
        let took_us = self.clock.now_ms().saturating_sub(started_ms) * 1000;
        self.observers.emit(|| pass.stats.event(sessions, took_us));
        let is_full = self.evaluator.renderer.store.renew_dictionary();
        if is_full && !self.reported_full.swap(true, Ordering::Relaxed) {
            self.observers.warn(&Event::LimitReached { limit: Limit::DictionaryBytes, session: Text::default() });
        }
    }

    async fn run_on_workers(self: &Arc<Self>, pass: &Arc<Pass>, jobs: &Arc<[Job]>, span: &Span) -> Vec<Arc<Latch>> {
        let next = Arc::new(AtomicUsize::new(0));
        let workers = self.threads.clamp(1, jobs.len());
        let spawn = |_| {
            let (passes, pass, jobs, next) = (Arc::clone(self), Arc::clone(pass), Arc::clone(jobs), Arc::clone(&next));
            let span = span.clone();
            self.runtime.spawn_blocking(move || span.in_scope(|| passes.work(&pass, &jobs, &next)))
        };
        let handles: Vec<_> = (0..workers).map(spawn).collect();
        let mut queued = Vec::new();
        for handle in handles {
            match handle.await {
                Ok(waits) => queued.extend(waits),
                Err(error) => tracing::error!(target: "grove", %error, "a pass worker failed"),
            }
        }
        queued
    }

    fn work(self: &Arc<Self>, pass: &Pass, jobs: &[Job], next: &AtomicUsize) -> Vec<Arc<Latch>> {
        let mut queued = Vec::new();
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            // A fault in one session's pass is a bug, and still must not keep the others from their trees.
            match panics::catch(|| self.render(pass, job)) {
                Ok(waits) => queued.extend(waits),
                Err(why) => {
                    self.observers.warn(&Event::Panicked { what: PanicSite::Pass, why });
                }
            }
        }
        queued
    }

    /// Renders one slot. Returns what to wait for if another pass works on it.
    fn render(self: &Arc<Self>, pass: &Pass, job: &Job) -> Option<Arc<Latch>> {
        let newer = || self.sources.newer_than(&pass.registry);
        match job.slot.begin(pass.held.ticket, job.wanted(), &pass.registry, newer) {
            Begin::Skip => None,
            Begin::Queued(latch) => Some(latch),
            Begin::Go(base) => {
                let _entered = span::render(&job.slot).entered();
                let turn = TurnGuard { passes: self, job, base: &base, pass };
                let tree = self.evaluator.assemble(pass, job, &base);
                turn.commit(tree);
                None
            }
        }
    }

    /// Renders what was requested while another pass worked on the slot: afresh, since it may be newer than what is
    /// shared.
    fn follow_up(self: &Arc<Self>, slot: Arc<Slot>, paths: Paths, latch: Arc<Latch>) {
        let passes = Arc::clone(self);
        self.runtime.spawn(async move {
            // Set even if the pass is dropped: nobody shall wait for ever.
            let _set = SetOnDrop(latch);
            Box::pin(passes.run(vec![Job::refresh(slot, paths)])).await;
        });
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

    fn give_back(&self, tree: Option<Arc<Tree>>) {
        let Job { slot, paths, .. } = self.job;
        let finished = slot.commit(self.base, paths, tree, |last, is_first| {
            self.passes.trees.count.add(usize::from(is_first));
            self.passes.next_version(last, self.pass)
        });
        if let Some(version) = finished.version {
            self.pass.stats.committed();
            self.passes.observers.emit(|| Event::Committed { session: slot.id(), version });
        }
        if let Some((paths, latch)) = finished.follow_up {
            self.passes.follow_up(Arc::clone(slot), paths, latch);
        }
    }
}

impl Drop for TurnGuard<'_> {
    fn drop(&mut self) {
        self.give_back(None);
    }
}

struct SetOnDrop(Arc<Latch>);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.set();
    }
}
