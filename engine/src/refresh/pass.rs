//! One run of evaluate, commit, wake over a set of sessions, on threads where application code may block.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::future::{BoxFuture, Either, select};
use hashbrown::HashMap;
use tracing::{Instrument, Span};

use super::classes::Classes;
use super::schedule::Job;
use super::source_trace::{Claimed, SourceTrace};
use crate::clock::Clock;
use crate::config::Limit;
use crate::event::{Event, Observers, PanicSite};
use crate::model::Text;
use crate::model::session::Context;
use crate::render::evaluate::{Evaluation, Rendered, Renderer, panic_sentence};
use crate::render::fragment::Fragment;
use crate::render::layout::{Entry, Layout};
use crate::render::registry::Registry;
use crate::render::run_counts::RunCounts;
use crate::render::source::{Describe, Sharing, Source};
use crate::render::tree::Tree;
use crate::sessions::latch::Latch;
use crate::sessions::paths::Paths;
use crate::sessions::slot::{Base, Begin, Slot};
use crate::span;
use crate::sync::{self, AtomicBool, AtomicU64, AtomicUsize, Mutex, Ordering, Runtime, RwLock};

/// What renders: the registry, the renderer and the counters that passes share.
#[derive(Debug)]
pub(crate) struct Passes {
    pub(crate) registry: RwLock<Registry>,
    pub(crate) runs: RunCounts,
    pub(crate) renderer: Renderer,
    pub(crate) observers: Arc<Observers>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) threads: usize,
    pub(crate) async_evaluations: usize,
    pub(crate) evaluate_ms: u64,
    pub(crate) runtime: Runtime,
    version: AtomicU64,
    ticket: AtomicU64,
    commits: AtomicU64,
    shared: AtomicU64,
    /// That the dictionary is full has been told. It stays full.
    told_full: AtomicBool,
}

/// What one pass did.
#[derive(Debug, Default)]
struct Tally {
    evaluated: AtomicUsize,
    shared: AtomicUsize,
    committed: AtomicUsize,
}

/// What an async source rendered, and for which claims.
type Awaited = (Arc<Context>, Rendered);

/// One pass: its place in the order of passes, and what its sessions share.
#[derive(Debug)]
struct Pass {
    ticket: u64,
    /// By the source's number.
    traces: Mutex<HashMap<u64, Arc<SourceTrace<Rendered>>>>,
    /// Results of async sources, by slot (the pass holds it) and the source's number.
    awaited: Mutex<HashMap<(usize, u64), Awaited>>,
    classes: Classes,
    tally: Tally,
}

impl Passes {
    pub(crate) fn new(
        renderer: Renderer,
        observers: Arc<Observers>,
        clock: Arc<dyn Clock>,
        threads: usize,
        async_evaluations: usize,
        evaluate_ms: u64,
        runtime: Runtime,
    ) -> Self {
        Self {
            registry: RwLock::new(Registry::new()),
            runs: RunCounts::default(),
            renderer,
            observers,
            clock,
            threads,
            async_evaluations,
            evaluate_ms,
            runtime,
            version: AtomicU64::new(0),
            ticket: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            shared: AtomicU64::new(0),
            told_full: AtomicBool::new(false),
        }
    }

    /// How many trees were committed since the start.
    pub(crate) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// How many evaluations were spared by sharing since the start.
    pub(crate) fn shared(&self) -> u64 {
        self.shared.load(Ordering::Relaxed)
    }

    /// The version of a tree that is about to be committed. It is counted first: whoever sees the tree sees the count.
    fn next_version(&self) -> u64 {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.version.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Renders the jobs. When it returns, every tree is committed, those included that other passes were at.
    pub(crate) async fn run(self: &Arc<Self>, jobs: Vec<Job>) {
        if jobs.is_empty() {
            return;
        }
        let started_ms = self.clock.now_ms();
        let pass = Arc::new(Pass {
            ticket: self.ticket.fetch_add(1, Ordering::SeqCst) + 1,
            traces: Mutex::default(),
            awaited: Mutex::default(),
            classes: Classes::default(),
            tally: Tally::default(),
        });
        let jobs: Arc<[Job]> = jobs.into();
        jobs.iter().filter(|job| job.first).for_each(|job| job.slot.expect_tree());
        let span = span::pass(pass.ticket, jobs.len());
        self.await_async_sources(&pass, &jobs).instrument(span.clone()).await;
        for done in self.run_on_workers(&pass, &jobs, &span).await {
            done.wait().await;
        }
        self.shared.fetch_add(pass.tally.shared.load(Ordering::Relaxed) as u64, Ordering::Relaxed);
        let passed = || Event::PassFinished {
            sessions: jobs.len(),
            evaluated: pass.tally.evaluated.load(Ordering::Relaxed),
            shared: pass.tally.shared.load(Ordering::Relaxed),
            committed: pass.tally.committed.load(Ordering::Relaxed),
            took_us: self.clock.now_ms().saturating_sub(started_ms) * 1000,
        };
        span.in_scope(|| self.observers.emit(passed));
        if self.renderer.store.symbols().is_full() && !self.told_full.swap(true, Ordering::Relaxed) {
            self.observers.warn(&Event::LimitReached { limit: Limit::DictionaryBytes, session: Text::default() });
        }
    }

    async fn run_on_workers(self: &Arc<Self>, pass: &Arc<Pass>, jobs: &Arc<[Job]>, span: &Span) -> Vec<Arc<Latch>> {
        let next = Arc::new(AtomicUsize::new(0));
        let workers = self.threads.clamp(1, jobs.len());
        let handles: Vec<_> = (0..workers)
            .map(|_| {
                let (passes, pass, jobs, next) =
                    (Arc::clone(self), Arc::clone(pass), Arc::clone(jobs), Arc::clone(&next));
                let span = span.clone();
                self.runtime.spawn_blocking(move || span.in_scope(|| passes.work(&pass, &jobs, &next)))
            })
            .collect();
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
            match catch_unwind(AssertUnwindSafe(|| self.render(pass, job))) {
                Ok(waits) => queued.extend(waits),
                Err(panic) => {
                    let why = panic_sentence(panic.as_ref());
                    self.observers.warn(&Event::Panicked { what: PanicSite::Pass, why });
                }
            }
        }
        queued
    }

    /// Renders one slot. Answers whom to wait for if another pass is at it.
    fn render(self: &Arc<Self>, pass: &Pass, job: &Job) -> Option<Arc<Latch>> {
        let begin = job.slot.begin(pass.ticket, &job.paths, job.first, &self.registry.read());
        match begin {
            Begin::Skip => None,
            Begin::Queued(done) => Some(done),
            Begin::Go(base) => {
                let _entered = span::render(&job.slot).entered();
                let turn = TakenTurn { passes: self, slot: &job.slot, pass };
                let tree = self.assemble(pass, job, &base);
                turn.commit(tree);
                None
            }
        }
    }

    fn assemble(&self, pass: &Pass, job: &Job, base: &Base) -> Arc<Tree> {
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
        let awaited = pass.awaited.lock().remove(&(address(&job.slot), entry.source.number));
        // What was awaited for other claims, or before a later pass, may be older than what the slot has.
        let awaited = awaited.filter(|(context, _)| !base.overtaken && Arc::ptr_eq(context, &base.context));
        let rendered = awaited.map(|(_, rendered)| rendered).unwrap_or_else(|| match entry.source.describe {
            Describe::Blocking(_) => self.evaluate(pass, base, entry, known),
            // It was registered after this pass had looked which sources to await, or has to be asked again.
            Describe::Async(_) => {
                self.runtime.block_on(self.evaluate_async(pass, &base.context, entry, base.overtaken))
            }
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
        if entry.source.sharing == Sharing::Never || base.overtaken {
            return run().rendered;
        }
        let trace = pass.trace(&entry.source);
        loop {
            match trace.claim(&base.context) {
                Claimed::Hit(rendered) => return pass.tally.share(rendered),
                Claimed::Lead(lead) => {
                    let evaluation = run();
                    return lead.settle(&evaluation.reads, evaluation.rendered);
                }
                Claimed::Wait(released) => sync::wait(released),
            }
        }
    }

    async fn evaluate_async(&self, pass: &Pass, context: &Arc<Context>, entry: &Entry, afresh: bool) -> Rendered {
        let run = async || {
            let evaluation = Box::pin(self.renderer.evaluate_async(entry, context));
            let late = self.clock.sleep_until(self.clock.now_ms().saturating_add(self.evaluate_ms));
            let evaluation = match select(evaluation, late).await {
                Either::Left((evaluation, _)) => evaluation,
                Either::Right(_) => Evaluation::late(),
            };
            self.report(pass, entry, context, evaluation)
        };
        if entry.source.sharing == Sharing::Never || afresh {
            return run().await.rendered;
        }
        let trace = pass.trace(&entry.source);
        loop {
            match trace.claim(context) {
                Claimed::Hit(rendered) => return pass.tally.share(rendered),
                Claimed::Lead(lead) => {
                    let evaluation = run().await;
                    return lead.settle(&evaluation.reads, evaluation.rendered);
                }
                Claimed::Wait(released) => released.await,
            }
        }
    }

    /// Runs the async sources of all jobs, some at a time, before threads are taken for the others.
    async fn await_async_sources(&self, pass: &Arc<Pass>, jobs: &Arc<[Job]>) {
        let mut layouts: Vec<(&Job, Arc<Layout>)> = Vec::new();
        {
            let registry = self.registry.read();
            for job in jobs.iter().filter(|job| job.first || job.slot.wants_refresh()) {
                let layout = job.slot.layout(&registry);
                if layout.has_async() {
                    layouts.push((job, layout));
                }
            }
        }
        let mut wanted: Vec<BoxFuture<'_, ()>> = Vec::new();
        for (job, layout) in &layouts {
            for entry in layout.entries() {
                if matches!(entry.source.describe, Describe::Async(_)) && job.paths.touches(&entry.path) {
                    wanted.push(Box::pin(self.await_source(pass, job, entry)));
                }
            }
        }
        let limit = self.async_evaluations.max(1);
        futures_util::stream::iter(wanted).buffer_unordered(limit).collect::<()>().await;
    }

    async fn await_source(&self, pass: &Pass, job: &Job, entry: &Entry) {
        let context = job.slot.context();
        let rendered = self.evaluate_async(pass, &context, entry, false).instrument(span::render(&job.slot)).await;
        pass.awaited.lock().insert((address(&job.slot), entry.source.number), (context, rendered));
    }

    fn report(&self, pass: &Pass, entry: &Entry, context: &Context, evaluation: Evaluation) -> Evaluation {
        pass.tally.evaluated.fetch_add(1, Ordering::Relaxed);
        let (path, session) = (&entry.path, context.id());
        self.observers.emit(|| Event::Evaluated { path: path.clone(), session: session.clone() });
        if let Rendered::Failed(why) = &evaluation.rendered {
            let failed = Event::SourceFailed { path: path.clone(), session: session.clone(), why: Arc::clone(why) };
            self.observers.warn(&failed);
        }
        for violation in &evaluation.violations {
            self.observers.warn(&Event::Sanitised { path: violation.path.clone(), what: violation.what.clone() });
        }
        evaluation
    }
}

impl Pass {
    fn trace(&self, source: &Arc<Source>) -> Arc<SourceTrace<Rendered>> {
        Arc::clone(self.traces.lock().entry(source.number).or_default())
    }
}

impl Tally {
    fn share(&self, rendered: Rendered) -> Rendered {
        self.shared.fetch_add(1, Ordering::Relaxed);
        if let Rendered::Fragment(fragment) = &rendered {
            fragment.share();
        }
        rendered
    }
}

/// Holds the turn of a slot; gives it back without a tree if it is dropped before the commit.
struct TakenTurn<'a> {
    passes: &'a Arc<Passes>,
    slot: &'a Arc<Slot>,
    pass: &'a Pass,
}

impl TakenTurn<'_> {
    fn commit(self, tree: Arc<Tree>) {
        self.give_back(Some(tree));
        std::mem::forget(self);
    }

    fn give_back(&self, tree: Option<Arc<Tree>>) {
        let finished = self.slot.commit(tree, || self.passes.next_version());
        if let Some(version) = finished.version {
            self.pass.tally.committed.fetch_add(1, Ordering::Relaxed);
            let session: Text = self.slot.context().id().clone();
            self.passes.observers.emit(|| Event::Committed { session, version });
        }
        if let Some((paths, done)) = finished.then {
            self.passes.follow(Arc::clone(self.slot), paths, done);
        }
    }
}

impl Drop for TakenTurn<'_> {
    fn drop(&mut self) {
        self.give_back(None);
    }
}

impl Passes {
    /// Renders what was wanted while another pass was at the slot: afresh, since it may be newer than what is shared.
    fn follow(self: &Arc<Self>, slot: Arc<Slot>, paths: Paths, done: Arc<Latch>) {
        let passes = Arc::clone(self);
        self.runtime.spawn(async move {
            // Told even if the pass is dropped: nobody shall wait for ever.
            let _told = SetOnDrop(done);
            Box::pin(passes.run(vec![Job { slot, paths, first: false }])).await;
        });
    }
}

struct SetOnDrop(Arc<Latch>);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.set();
    }
}

fn address<T>(shared: &Arc<T>) -> usize {
    Arc::as_ptr(shared) as usize
}
