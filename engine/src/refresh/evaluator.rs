//! Runs descriptor functions for a pass, once for each class of sessions that could not be told apart.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::{BoxFuture, Either, select};
use tracing::Instrument;

use super::pass::Pass;
use super::schedule::Job;
use super::source_trace::Claimed;
use crate::clock::{Clock, millis};
use crate::config::Config;
use crate::event::{Event, Observers};
use crate::model::session::Context;
use crate::render::evaluate::{Evaluation, Rendered, Renderer, Started};
use crate::render::fragment::Fragment;
use crate::render::layout::Entry;
use crate::render::source::{Describe, Sharing};
use crate::render::tree::Tree;
use crate::sessions::turn::Base;
use crate::span;
use crate::sync::{self, Runtime};

/// What evaluations need, for all passes.
#[derive(Debug)]
pub(super) struct Evaluator {
    pub(super) renderer: Arc<Renderer>,
    observers: Arc<Observers>,
    clock: Arc<dyn Clock>,
    runtime: Runtime,
    evaluation_ms: u64,
    async_evaluations: usize,
}

impl Evaluator {
    pub(super) fn new(
        renderer: Arc<Renderer>,
        observers: Arc<Observers>,
        clock: Arc<dyn Clock>,
        runtime: Runtime,
        config: &Config,
    ) -> Self {
        Self {
            renderer,
            observers,
            clock,
            runtime,
            evaluation_ms: millis(config.times.evaluation_timeout),
            async_evaluations: config.execution.async_evaluations,
        }
    }

    /// Runs the async sources of all jobs, some at a time, before threads are taken for the others.
    pub(super) async fn await_sources(&self, pass: &Pass, jobs: &[Job]) {
        let layout = |job: &Job| job.slot.async_layout(job.first, &pass.registry);
        let layouts: Vec<_> = jobs.iter().filter_map(|job| Some((job, layout(job)?))).collect();
        let mut wanted: Vec<BoxFuture<'_, ()>> = Vec::new();
        for (job, layout) in &layouts {
            for entry in layout.entries() {
                if matches!(*entry.source.describe, Describe::Async(_)) && job.paths.touches(&entry.path) {
                    wanted.push(Box::pin(self.await_source(pass, job, entry)));
                }
            }
        }
        futures_util::stream::iter(wanted).buffer_unordered(self.async_evaluations).collect::<()>().await;
    }

    async fn await_source(&self, pass: &Pass, job: &Job, entry: &Entry) {
        let context = job.slot.context();
        let rendered = self.evaluate_async(pass, &context, entry, false).instrument(span::render(&job.slot)).await;
        pass.keep_awaited(&job.slot, &entry.source, (context, rendered));
    }

    /// The new tree of a slot: what the job does not touch is taken from the tree before.
    pub(super) fn assemble(&self, pass: &Pass, job: &Job, base: &Base) -> Arc<Tree> {
        let fragment = |(at, entry): (usize, &Entry)| {
            let known = base.tree.as_ref().and_then(|tree| tree.fragment_of(&base.layout, at));
            match known {
                Some(known) if !job.paths.touches(&entry.path) => known.clone(),
                known => self.fragment(pass, job, base, entry, known),
            }
        };
        let fragments = base.layout.entries().iter().enumerate().map(fragment).collect();
        pass.classes.tree(Arc::clone(&base.layout), fragments)
    }

    fn fragment(&self, pass: &Pass, job: &Job, base: &Base, entry: &Entry, known: Option<&Fragment>) -> Fragment {
        // What was awaited for other claims, or before a later pass, may be older than what the slot has.
        let overtaken = base.is_overtaken(&entry.path);
        let current = |(context, _): &(Arc<Context>, _)| !overtaken && context.same_claims(&base.context);
        let awaited = pass.take_awaited(&job.slot, &entry.source).filter(current);
        let rendered = awaited.map(|(_, rendered)| rendered).unwrap_or_else(|| match *entry.source.describe {
            Describe::Blocking(_) => self.evaluate(pass, base, entry, known),
            // It was registered after this pass had looked which sources to await, or has to be asked again.
            Describe::Async(_) => self.runtime.block_on(self.evaluate_async(pass, &base.context, entry, overtaken)),
        });
        match rendered {
            Rendered::Fragment(fragment) => fragment,
            Rendered::Failed(_) => {
                known.filter(|_| !base.outdated).cloned().unwrap_or_else(|| self.renderer.unavailable(&entry.path))
            }
        }
    }

    fn evaluate(&self, pass: &Pass, base: &Base, entry: &Entry, known: Option<&Fragment>) -> Rendered {
        let run = || self.report(pass, entry, &base.context, self.renderer.evaluate(entry, &base.context, known));
        if entry.source.sharing == Sharing::Never || base.is_overtaken(&entry.path) {
            return run().rendered;
        }
        let trace = pass.trace(&entry.source);
        loop {
            match trace.claim(&base.context) {
                Claimed::Hit(rendered) => return pass.share(rendered),
                Claimed::Lead(lead) => {
                    let evaluation = run();
                    return lead.settle(&evaluation.reads, evaluation.rendered);
                }
                Claimed::Wait(released) => sync::wait(released),
            }
        }
    }

    async fn evaluate_async(&self, pass: &Pass, context: &Arc<Context>, entry: &Entry, afresh: bool) -> Rendered {
        if entry.source.sharing == Sharing::Never || afresh {
            return self.run_async(pass, context, entry).await.rendered;
        }
        let trace = pass.trace(&entry.source);
        loop {
            match trace.claim(context) {
                Claimed::Hit(rendered) => return pass.share(rendered),
                Claimed::Lead(lead) => {
                    let evaluation = self.run_async(pass, context, entry).await;
                    return lead.settle(&evaluation.reads, evaluation.rendered);
                }
                Claimed::Wait(released) => released.await,
            }
        }
    }

    async fn run_async(&self, pass: &Pass, context: &Arc<Context>, entry: &Entry) -> Evaluation {
        // Its time counts from before it starts.
        let late = self.clock.sleep_until(self.clock.now_ms().saturating_add(self.evaluation_ms));
        let Started { session, shape } = Renderer::start(entry, context);
        let evaluation = match select(shape, late).await {
            Either::Left((shape, _)) => self.renderer.finish(entry, &session, shape, None),
            Either::Right(_) => Evaluation::late(),
        };
        self.report(pass, entry, context, evaluation)
    }

    fn report(&self, pass: &Pass, entry: &Entry, context: &Context, evaluation: Evaluation) -> Evaluation {
        pass.stats.evaluated();
        let (path, session) = (&entry.path, context.id());
        self.observers.emit(|| Event::Evaluated { path: path.clone(), session: session.clone() });
        if let Rendered::Failed(why) = &evaluation.rendered {
            let failed = Event::SourceFailed { path: path.clone(), session: session.clone(), why: Arc::clone(why) };
            self.observers.warn(&failed);
        }
        self.observers.sanitised(path, &evaluation.violations, || self.clock.now_ms());
        evaluation
    }
}
