//! Runs descriptor functions for a pass, once for each class of sessions that could not be told apart.

use std::sync::Arc;

use futures_util::future::{Either, join_all, select};
use tokio::sync::Semaphore;
use tracing::Instrument;

use super::gathered::Job;
use super::held::Held;
use super::pass::Pass;
use super::source_trace::Claimed;
use super::workers::{Permission, Workers};
use crate::clock::{Clock, Sleep, millis};
use crate::config::Config;
use crate::event::{Event, Observers};
use crate::model::read_log::{Read, ReadLog};
use crate::model::session::Context;
use crate::render::evaluate::{Evaluation, Rendered, Renderer, Started};
use crate::render::fragment::Fragment;
use crate::render::layout::{Entry, Layout};
use crate::render::source::{Describe, Sharing};
use crate::render::tree::Tree;
use crate::sessions::turn::Base;
use crate::span;
use crate::sync::Runtime;

/// Why a function was not run.
const HANGS: &str =
    "it was not run: as many evaluations of it have not returned as may (execution.slow_evaluations_per_path)";
const WAITED: &str =
    "it was not run: as many evaluations of it are slow as may be (execution.slow_evaluations_per_path)";

/// What evaluations need, for all passes.
#[derive(Debug)]
pub(super) struct Evaluator {
    pub(super) renderer: Arc<Renderer>,
    observers: Arc<Observers>,
    clock: Arc<dyn Clock>,
    runtime: Runtime,
    evaluation_ms: u64,
    /// For async functions; those that may block have threads instead.
    permits: Semaphore,
    workers: Arc<Workers>,
}

impl Evaluator {
    pub(super) fn new(
        renderer: Arc<Renderer>,
        observers: Arc<Observers>,
        clock: Arc<dyn Clock>,
        runtime: Runtime,
        workers: Arc<Workers>,
        config: &Config,
    ) -> Self {
        Self {
            renderer,
            observers,
            clock,
            runtime,
            evaluation_ms: millis(config.times.evaluation_timeout),
            permits: Semaphore::new(config.execution.async_evaluations),
            workers,
        }
    }

    /// Whether a job has to wait for async sources.
    pub(super) fn awaits(job: &Job, layout: &Layout) -> bool {
        Self::async_sources(job, layout).next().is_some()
    }

    fn async_sources<'l>(job: &Job, layout: &'l Layout) -> impl Iterator<Item = &'l Entry> {
        let is_async = |entry: &&Entry| entry.source.is_async();
        layout.entries().iter().filter(is_async).filter(|entry| job.paths.touches(&entry.path))
    }

    /// Runs the async sources of a job before a thread is taken for the others. Each lets go of a handle of `started` when
    /// it has begun or waits for another session's result.
    pub(super) async fn await_sources<T: Clone>(&self, pass: &Pass, job: &Job, layout: &Layout, started: T) {
        let sources = Self::async_sources(job, layout);
        let all: Vec<_> = sources.map(|entry| self.await_source(pass, job, entry, started.clone())).collect();
        drop(started);
        join_all(all).await;
    }

    async fn await_source<T>(&self, pass: &Pass, job: &Job, entry: &Entry, started: T) {
        let context = job.slot.context();
        let evaluation = self.evaluate_async(pass, &context, entry, Some(started));
        let rendered = evaluation.instrument(span::render(&job.slot)).await;
        pass.keep_awaited(&job.slot, &entry.source, (context, rendered));
    }

    /// The new tree of a slot: what the job does not touch is taken from the tree before. If something takes long that it
    /// cannot do without, what to wait for instead.
    pub(super) fn assemble(&self, pass: &Pass, job: &Job, base: &Base) -> Result<Arc<Tree>, Held> {
        let fragment = |(at, entry): (usize, &Entry)| {
            let known = base.tree.as_ref().and_then(|tree| tree.fragment_of(&base.layout, at));
            match known {
                Some(known) if !job.paths.touches(&entry.path) => Ok(known.clone()),
                known => self.fragment(pass, job, base, entry, known),
            }
        };
        let fragments: Result<_, _> = base.layout.entries().iter().enumerate().map(fragment).collect();
        Ok(pass.classes.tree(Arc::clone(&base.layout), fragments?))
    }

    fn fragment(
        &self,
        pass: &Pass,
        job: &Job,
        base: &Base,
        entry: &Entry,
        known: Option<&Fragment>,
    ) -> Result<Fragment, Held> {
        // What was awaited for other claims, or before a later pass, may be older than what the slot has.
        let overtaken = base.is_overtaken(&entry.path);
        let current = |(context, _): &(Arc<Context>, _)| !overtaken && context.shows_same(&base.context);
        let rendered = match &*entry.source.describe {
            _ if job.given_up.contains(&entry.path) => self.not_run(entry, &base.context, WAITED).rendered,
            Describe::Blocking(_) => self.evaluate(pass, base, entry, known)?,
            Describe::Async(_) => match pass.awaited(&job.slot, &entry.source).filter(current) {
                Some((_, rendered)) => rendered,
                // It was registered after this pass had looked which sources to await, or has to be asked again.
                None => match self.workers.evaluate(pass.lane.staff(), &entry.path) {
                    Permission::Granted(_running) => self.runtime.block_on(self.evaluate_again(pass, base, entry)),
                    Permission::Waits(countdown) => return Err(Held::ByPath(entry.path.clone(), countdown)),
                    Permission::Overdue => self.not_run(entry, &base.context, HANGS).rendered,
                },
            },
        };
        Ok(match rendered {
            Rendered::Fragment(fragment) => fragment,
            Rendered::Failed(_) => {
                known.filter(|_| !base.outdated).cloned().unwrap_or_else(|| self.renderer.unavailable(&entry.path))
            }
        })
    }

    async fn evaluate_again(&self, pass: &Pass, base: &Base, entry: &Entry) -> Rendered {
        if base.is_overtaken(&entry.path) {
            return self.run_async(pass, &base.context, entry, Arc::default(), None::<()>).await.rendered;
        }
        self.evaluate_async(pass, &base.context, entry, None::<()>).await
    }

    fn evaluate(&self, pass: &Pass, base: &Base, entry: &Entry, known: Option<&Fragment>) -> Result<Rendered, Held> {
        let run = |log| {
            let running = match self.workers.evaluate(pass.lane.staff(), &entry.path) {
                Permission::Granted(running) => running,
                Permission::Waits(countdown) => return Err(Held::ByPath(entry.path.clone(), countdown)),
                Permission::Overdue => return Ok(self.not_run(entry, &base.context, HANGS)),
            };
            let evaluation = self.renderer.evaluate(entry, &base.context, log, known);
            let took_ms = running.took_ms();
            drop(running);
            self.note_cost(pass, base, entry, (took_ms, &evaluation));
            Ok(self.report(pass, entry, &base.context, evaluation))
        };
        if entry.source.sharing == Sharing::Never || base.is_overtaken(&entry.path) {
            return Ok(run(Arc::default())?.rendered);
        }
        let trace = pass.trace(&entry.source);
        loop {
            match trace.claim(&base.context) {
                Claimed::Hit(rendered) => return Ok(pass.share(rendered)),
                Claimed::Lead(lead) => {
                    let evaluation = run(Arc::clone(&lead.log))?;
                    return Ok(lead.settle(&evaluation.reads, evaluation.rendered));
                }
                Claimed::Wait(waiting) if waiting.briefly() => {}
                Claimed::Wait(waiting) => return Err(Held::ByLeader(waiting)),
            }
        }
    }

    /// Notes whether this takes long for a user, as far as it is for that user alone: what many share is rendered for all of
    /// them at once, whoever was the first.
    fn note_cost(&self, pass: &Pass, base: &Base, entry: &Entry, (took_ms, evaluation): (u64, &Evaluation)) {
        let is_own = || evaluation.reads.iter().any(Read::tells_users_apart) || !pass.registry.is_common(entry);
        self.workers.costly_users.ended(&base.context, &entry.path, took_ms, is_own);
    }

    async fn evaluate_async<T>(
        &self,
        pass: &Pass,
        context: &Arc<Context>,
        entry: &Entry,
        mut started: Option<T>,
    ) -> Rendered {
        if entry.source.sharing == Sharing::Never {
            return self.run_async(pass, context, entry, Arc::default(), started).await.rendered;
        }
        let trace = pass.trace(&entry.source);
        loop {
            match trace.claim(context) {
                Claimed::Hit(rendered) => return pass.share(rendered),
                Claimed::Lead(lead) => {
                    let log = Arc::clone(&lead.log);
                    let evaluation = self.run_async(pass, context, entry, log, started).await;
                    return lead.settle(&evaluation.reads, evaluation.rendered);
                }
                Claimed::Wait(waiting) => {
                    drop(started.take());
                    waiting.countdown.wait().await;
                }
            }
        }
    }

    async fn run_async<T>(
        &self,
        pass: &Pass,
        context: &Arc<Context>,
        entry: &Entry,
        log: Arc<ReadLog>,
        started: Option<T>,
    ) -> Evaluation {
        // It is never closed, so it gives a permit in the end.
        let _permit = self.permits.acquire().await;
        drop(started);
        // Its time counts from before it starts.
        let late = self.patience();
        let Started { session, shape } = self.renderer.start(entry, context, log);
        let evaluation = match select(shape, late).await {
            Either::Left((shape, _)) => self.renderer.finish(entry, &session, shape, None),
            Either::Right(_) => Evaluation::late("it took too long"),
        };
        self.report(pass, entry, context, evaluation)
    }

    /// Ends when nobody waits for an evaluation any more that begins or runs now.
    pub(super) fn patience(&self) -> Sleep {
        self.clock.sleep_until(self.clock.now_ms().saturating_add(self.evaluation_ms))
    }

    /// A function that is not run, because too many of its evaluations have not returned.
    fn not_run(&self, entry: &Entry, context: &Context, why: &str) -> Evaluation {
        let evaluation = Evaluation::late(why);
        self.report_failure(entry, context, &evaluation);
        evaluation
    }

    fn report_failure(&self, entry: &Entry, context: &Context, evaluation: &Evaluation) {
        if let Rendered::Failed(why) = &evaluation.rendered {
            self.observers.source_failed(&entry.path, context.id(), why, self.clock.now_ms());
        }
    }

    fn report(&self, pass: &Pass, entry: &Entry, context: &Context, evaluation: Evaluation) -> Evaluation {
        pass.stats.evaluated();
        let (path, session) = (&entry.path, context.id());
        self.observers.emit(|| Event::Evaluated { path: path.clone(), session: session.clone() });
        self.report_failure(entry, context, &evaluation);
        self.observers.sanitised(path, &evaluation.violations, || self.clock.now_ms());
        evaluation
    }
}
