//! Runs a descriptor function for one session and packs what it returns. Its panic is caught here.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::FutureExt;

use super::descriptor::Descriptor;
use super::evaluating::{self, Within};
use super::fragment::Fragment;
use super::layout::Entry;
use super::pack::{self, PackLimits, PackedResult};
use super::sanitise::violation::Violations;
use super::source::{Describe, Source};
use super::store::Store;
use crate::model::Text;
use crate::model::path;
use crate::model::read_log::{Read, ReadLog};
use crate::model::session::{Context, Session};
use crate::panics;
use crate::panics::caught::Caught;

/// What an evaluation returned: a fragment, or why there is none. Cheap to clone and share.
#[derive(Debug, Clone)]
pub(crate) enum Rendered {
    Fragment(Fragment),
    /// The function panicked or failed. The sentence is for the log, never for a consumer.
    Failed(Arc<str>),
}

/// One run of a descriptor function.
#[derive(Debug)]
pub(crate) struct Evaluation {
    pub(crate) rendered: Rendered,
    pub(crate) reads: Vec<Read>,
    pub(crate) violations: Violations,
}

impl Evaluation {
    /// A function that did not end in time, or was not run. What it reads is not known, so nobody shares this.
    pub(crate) fn late(why: &str) -> Self {
        Self { rendered: Rendered::Failed(why.into()), reads: vec![Read::Whole], violations: Violations::default() }
    }
}

/// What a descriptor function returned, or why it did not: for the log.
pub(crate) type Shape = Result<Descriptor, String>;

/// A descriptor function on its way.
pub(crate) type ShapeFuture = Pin<Box<dyn Future<Output = Shape> + Send>>;

/// An async descriptor function on its way, and the session whose reads it records.
pub(crate) struct Started {
    pub(crate) session: Session,
    pub(crate) shape: ShapeFuture,
}

/// What evaluations need beside the source and the session.
#[derive(Debug, Clone)]
pub(crate) struct Renderer {
    pub(crate) store: Store,
    pub(crate) limits: PackLimits,
    pub(crate) root_id: Text,
    pub(crate) root_name: Text,
}

impl Renderer {
    /// Runs a source whose function may block. `prior` is what it gave before, of which whatever is still the same is reused.
    ///
    /// # Panics
    /// If the source is async; those are started by [`Renderer::start`].
    pub(crate) fn evaluate(
        &self,
        entry: &Entry,
        context: &Arc<Context>,
        log: Arc<ReadLog>,
        prior: Option<&Fragment>,
    ) -> Evaluation {
        let Describe::Blocking(describe) = &*entry.source.describe else { unreachable!("an async source is awaited") };
        entry.source.count_run();
        let session = Session::tracked(Arc::clone(context), log);
        let shape = panics::catch(|| evaluating::within(self.number(), &entry.path, || describe(&session))).flatten();
        self.finish(entry, &session, shape, prior)
    }

    /// Starts a source whose function awaits. What is returned is to be awaited, and then given to [`Renderer::finish`].
    pub(crate) fn start(&self, entry: &Entry, context: &Arc<Context>, log: Arc<ReadLog>) -> Started {
        let session = Session::tracked(Arc::clone(context), log);
        let shape = self.start_source(&entry.source, &entry.path, &session);
        Started { session, shape }
    }

    /// Starts a source, of either kind, for a session. One that may block does so here.
    pub(crate) fn start_source(&self, source: &Source, path: &Text, session: &Session) -> ShapeFuture {
        source.count_run();
        let engine = self.number();
        match &*source.describe {
            Describe::Blocking(describe) => {
                let shape = panics::catch(|| evaluating::within(engine, path, || describe(session))).flatten();
                Box::pin(std::future::ready(shape))
            }
            Describe::Async(describe) => {
                match panics::catch(|| evaluating::within(engine, path, || describe(session.clone()))) {
                    Ok(future) => {
                        let future = Within { engine, path: path.clone(), future };
                        Box::pin(Caught::new(future, source.describe.owner().cloned()).map(Result::flatten))
                    }
                    Err(why) => Box::pin(std::future::ready(Err(why))),
                }
            }
        }
    }

    /// One number for each engine.
    fn number(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    /// The path, as consumers write it, whose descriptor function this thread is in the middle of.
    pub(crate) fn evaluated_path(&self) -> Option<String> {
        evaluating::path(self.number())
    }

    /// Packs what a function returned.
    pub(crate) fn finish(
        &self,
        entry: &Entry,
        session: &Session,
        shape: Shape,
        prior: Option<&Fragment>,
    ) -> Evaluation {
        let reads = session.reads();
        match shape {
            Ok(shape) => {
                let PackedResult { fragment, is_cut, violations } =
                    self.pack(entry.source.is_untrusted, &entry.path, shape, prior);
                if is_cut && !entry.source.is_untrusted {
                    entry.source.mark_cut();
                }
                Evaluation { rendered: Rendered::Fragment(fragment), reads, violations }
            }
            Err(why) => Evaluation { rendered: Rendered::Failed(why.into()), reads, violations: Violations::default() },
        }
    }

    fn pack(&self, is_untrusted: bool, at: &str, shape: Descriptor, prior: Option<&Fragment>) -> PackedResult {
        let packing = self.store.pack(is_untrusted);
        match path::segments(at).last() {
            Some(id) => pack::node(packing, self.limits, at, id, &shape, prior),
            None => pack::node(packing, self.limits, "", &self.root_id, &self.as_root(shape), prior),
        }
    }

    /// A registration of the root adds to it; id, type and label stay the provider's (contract 2.3).
    fn as_root(&self, mut shape: Descriptor) -> Descriptor {
        shape.kind = "root".into();
        let props = shape.props.get_or_insert_default();
        props.retain(|(key, _)| key != "label");
        props.insert(0, ("label".into(), self.root_name.clone().into()));
        shape
    }

    /// What stands for a path that never rendered: the consumer sees that it is broken, and nothing about why.
    pub(crate) fn unavailable(&self, at: &str) -> Fragment {
        self.pack(false, at, Descriptor::status().prop("error", "unavailable"), None).fragment
    }
}
