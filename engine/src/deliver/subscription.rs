//! One subscription: what it asked for, what it was last sent, and the step from there to the tree now.

use std::sync::Arc;

use crate::protocol::code::error;
use crate::protocol::encode;
use crate::protocol::message::RequestId;
use crate::render::diff::Rebase;
use crate::render::memo::Memo;
use crate::render::text;
use crate::render::tree::Tree;
use crate::render::view::{View, ViewOptions};

/// A tree and the version that its messages carry.
#[derive(Debug, Clone)]
pub(crate) struct Versioned {
    pub(crate) tree: Arc<Tree>,
    pub(crate) version: u64,
}

/// Bounds and shared texts that every step needs.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) memo: Memo,
    pub(crate) max_frame_bytes: usize,
    pub(crate) rebase_bytes: usize,
    pub(crate) max_nodes: usize,
    pub(crate) first_patch_ms: u64,
}

/// What a step gives the consumer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing that this subscription shows has changed.
    Nothing,
    Snapshot(String),
    Patch(String),
    /// The path is gone, or the view fits no frame.
    Error(String),
}

/// A consumer's standing wish. Remembers the tree that it was last sent, so a slow consumer costs a pointer.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) id: RequestId,
    view: ViewOptions,
    /// The number of the next patch; 0 while a snapshot is due.
    seq: u64,
    sent: Option<Arc<Tree>>,
    /// Until then it gets no patch, in ms.
    held_until: u64,
    /// A budget that the engine imposes so that frames stay within bounds.
    budget: Option<usize>,
    /// The last view had no such path, or fitted no frame; the consumer was told.
    silent: bool,
}

impl Subscription {
    pub(crate) const fn new(id: RequestId, view: ViewOptions) -> Self {
        Self { id, view, seq: 0, sent: None, held_until: 0, budget: None, silent: false }
    }

    /// Whether the tree now is not the one that was last sent.
    pub(crate) fn is_behind(&self, now: &Versioned) -> bool {
        self.sent.as_ref().is_some_and(|sent| !Arc::ptr_eq(sent, &now.tree))
    }

    pub(crate) const fn held_until(&self) -> u64 {
        self.held_until
    }

    /// The first snapshot, or `None` if there is no such path.
    pub(crate) fn start(&mut self, now: &Versioned, now_ms: u64, delivery: &Delivery) -> Option<Step> {
        now.tree.resolve(&self.view.path)?;
        Some(self.snapshot(now, now_ms, delivery))
    }

    /// What leads from the tree last sent to the tree now.
    pub(crate) fn step(&mut self, now: &Versioned, now_ms: u64, delivery: &Delivery) -> Step {
        let Some(sent) = self.sent.replace(Arc::clone(&now.tree)) else { return Step::Nothing };
        if now.tree.resolve(&self.view.path).is_none() {
            return self.vanished();
        }
        if self.silent {
            return self.snapshot(now, now_ms, delivery);
        }
        match self.ops(&sent, &now.tree, delivery) {
            Ok(ops) if ops.is_empty() => Step::Nothing,
            Ok(ops) if ops.len() <= delivery.rebase_bytes => self.patch(now, &ops),
            Ok(ops) => self.patch_or_snapshot(now, now_ms, delivery, &ops),
            Err(Rebase) => self.snapshot(now, now_ms, delivery),
        }
    }

    fn ops(&self, sent: &Tree, now: &Tree, delivery: &Delivery) -> Result<String, Rebase> {
        let (Some(old), Some(new)) = (self.view_of(sent), self.view_of(now)) else { return Err(Rebase) };
        text::ops(old.root(), new.root(), &delivery.memo)
    }

    fn view_of<'t>(&'t self, tree: &'t Tree) -> Option<View<'t>> {
        let view = View::new(&self.view, tree.resolve(&self.view.path)?.node, None);
        Some(match self.budget {
            Some(budget) => view.within(budget.min(self.view.max_nodes.unwrap_or(budget))),
            None => view,
        })
    }

    fn patch(&mut self, now: &Versioned, ops: &str) -> Step {
        let frame = encode::patch(&self.id, now.version, self.seq, ops);
        self.seq += 1;
        Step::Patch(frame)
    }

    /// A long patch gives way to a snapshot that is not more than twice as long: it is surer, and as cheap.
    fn patch_or_snapshot(&mut self, now: &Versioned, now_ms: u64, delivery: &Delivery, ops: &str) -> Step {
        let snapshot_bytes = self.view_of(&now.tree).map_or(0, |view| text::node(view.root(), &delivery.memo).len());
        if ops.len() * 2 > snapshot_bytes || ops.len() > delivery.max_frame_bytes {
            self.snapshot(now, now_ms, delivery)
        } else {
            self.patch(now, ops)
        }
    }

    fn vanished(&mut self) -> Step {
        if std::mem::replace(&mut self.silent, true) {
            return Step::Nothing;
        }
        Step::Error(encode::error(Some(&self.id), error::NOT_FOUND, "the subscribed path does not exist any more"))
    }

    fn snapshot(&mut self, now: &Versioned, now_ms: u64, delivery: &Delivery) -> Step {
        self.sent = Some(Arc::clone(&now.tree));
        self.held_until = now_ms + delivery.first_patch_ms;
        self.budget = (now.tree.nodes() > delivery.max_nodes).then_some(delivery.max_nodes);
        loop {
            let Some(view) = self.view_of(&now.tree) else { return Step::Nothing };
            let tree = text::node(view.root(), &delivery.memo);
            if tree.len() <= delivery.max_frame_bytes {
                self.seq = 1;
                self.silent = false;
                return Step::Snapshot(encode::snapshot(&self.id, now.version, Some(0), &tree));
            }
            let shown = view.count();
            drop(view);
            // Half as many nodes each time, until it fits or nothing is left to collapse.
            let budget = self.budget.unwrap_or(shown).min(shown) / 2;
            if budget == 0 {
                return self.too_large();
            }
            self.budget = Some(budget);
        }
    }

    fn too_large(&mut self) -> Step {
        if std::mem::replace(&mut self.silent, true) {
            return Step::Nothing;
        }
        Step::Error(encode::error(
            Some(&self.id),
            error::TOO_LARGE,
            "the view does not fit a frame: ask for a deeper path, a depth or a budget",
        ))
    }
}

/// The answer to a query: a view of the requested node, with children that were loaded for it if there are any.
pub(crate) fn answer(id: &RequestId, view: View<'_>, version: u64, nodes: usize, delivery: &Delivery) -> String {
    let asked = view.max_nodes().unwrap_or(usize::MAX);
    let view = if nodes > delivery.max_nodes { view.within(delivery.max_nodes.min(asked)) } else { view };
    let tree = text::node(view.root(), &delivery.memo);
    if tree.len() <= delivery.max_frame_bytes {
        return encode::snapshot(id, version, None, &tree);
    }
    let words = "the answer does not fit a frame: ask for a deeper path, a depth or a window";
    encode::error(Some(id), error::TOO_LARGE, words)
}
