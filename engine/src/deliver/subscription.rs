//! One subscription: what it asked for, what it was last sent, and the step from there to the tree now.

use std::sync::Arc;

use super::delivery::Delivery;
use super::fit::fit;
use super::released::Released;
use super::resume_point::ResumePoint;
use super::versioned::Versioned;
use crate::model::Text;
use crate::model::bounded_json::TooLong;
use crate::protocol::code::ErrorCode;
use crate::protocol::encode;
use crate::protocol::message::RequestId;
use crate::render::diff::Rebase;
use crate::render::text;
use crate::render::tree::Tree;
use crate::render::view::{View, ViewOptions};

/// What a step gives the consumer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing that this subscription shows has changed.
    Nothing,
    /// The frame, and how many nodes the view had if it had to be compacted.
    Snapshot(String, Option<usize>),
    Patch(String),
    /// The path is gone.
    Error(String),
    /// The view fits no frame.
    TooLarge(String),
}

/// What a consumer wants to be kept up to date about. Remembers the tree that it was last sent, so a slow consumer costs
/// a pointer.
#[derive(Debug)]
pub(crate) struct Subscription {
    pub(crate) id: RequestId,
    view: Arc<ViewOptions>,
    /// The number of the next patch; 0 while a snapshot is due.
    seq: u64,
    sent: Option<Versioned>,
    /// The version of the last message that was written for it.
    told: u64,
    /// Until then it gets no patch, in ms.
    held_until: u64,
    /// A budget that the engine imposes so that frames stay within bounds.
    budget: Option<u32>,
    /// Its consumer is yet to be told that it goes on from its copy.
    resuming: bool,
    /// The last view had no such path, or fitted no frame; the consumer was told.
    silent: bool,
}

impl Subscription {
    pub(crate) fn new(id: RequestId, view: ViewOptions) -> Self {
        Self {
            id,
            view: view.shared(),
            seq: 0,
            sent: None,
            told: 0,
            held_until: 0,
            budget: None,
            resuming: false,
            silent: false,
        }
    }

    /// A subscription that resumes from where another connection's ended: its consumer's copy shows what was sent there.
    pub(crate) fn resumed(id: RequestId, point: ResumePoint) -> Self {
        let ResumePoint { view, version, sent, budget, .. } = point;
        Self { id, view, seq: 1, sent: Some(sent), told: version, held_until: 0, budget, resuming: true, silent: false }
    }

    pub(crate) fn path(&self) -> &Text {
        &self.view.path
    }

    /// How many bytes of what its consumer chose it keeps.
    pub(crate) fn bytes(&self) -> usize {
        self.id.text().len() + self.view.bytes()
    }

    /// The message to the consumer that its copy is valid; patches may follow.
    pub(crate) fn resume(&mut self) -> String {
        self.resuming = false;
        encode::resumed(&self.id, self.told)
    }

    /// What a later connection needs to resume from here; nothing if the consumer has no copy.
    pub(crate) fn into_resume_point(self, released: &mut Released) -> Option<ResumePoint> {
        if self.silent {
            released.tree(self.sent);
            return None;
        }
        Some(ResumePoint { view: self.view, version: self.told, sent: self.sent?, budget: self.budget, kept: None })
    }

    /// Ends it.
    pub(crate) fn release(self, released: &mut Released) {
        released.tree(self.sent);
    }

    /// Whether the tree now is not the one that was last sent, and that one is older than `before` if it matters.
    pub(crate) fn is_behind(&self, now: &Versioned, before: Option<u64>) -> bool {
        !self.resuming
            && self.sent.as_ref().is_some_and(|sent| {
                !Arc::ptr_eq(&sent.tree, &now.tree) && before.is_none_or(|version| sent.version < version)
            })
    }

    pub(crate) const fn held_until(&self) -> u64 {
        self.held_until
    }

    /// The first snapshot, or `None` if there is no such path.
    pub(crate) fn start(
        &mut self,
        now: &Versioned,
        now_ms: u64,
        delivery: &Delivery,
        released: &mut Released,
    ) -> Option<Step> {
        now.tree.resolve(&self.view.path)?;
        released.tree(self.sent.replace(now.clone()));
        Some(self.snapshot(now, now_ms, delivery))
    }

    /// What leads from the tree last sent to the tree now.
    pub(crate) fn step(&mut self, now: &Versioned, now_ms: u64, delivery: &Delivery, released: &mut Released) -> Step {
        let Some(sent) = self.sent.replace(now.clone()) else { return Step::Nothing };
        let step = self.step_from(&sent, now, now_ms, delivery);
        released.tree(Some(sent));
        step
    }

    fn step_from(&mut self, sent: &Versioned, now: &Versioned, now_ms: u64, delivery: &Delivery) -> Step {
        if now.tree.resolve(&self.view.path).is_none() {
            return self.vanished();
        }
        if self.silent || self.outgrew(now, delivery) {
            return self.snapshot(now, now_ms, delivery);
        }
        match self.ops(&sent.tree, &now.tree, delivery) {
            Ok(ops) if ops.is_empty() => Step::Nothing,
            Ok(ops) if ops.len() <= delivery.rebase_bytes.min(delivery.max_tree_bytes) => self.patch(now, &ops),
            Ok(ops) => self.patch_or_snapshot(now, now_ms, delivery, &ops),
            Err(Rebase) => self.snapshot(now, now_ms, delivery),
        }
    }

    /// Whether the tree came to need, or ceased to need, the budget that keeps it within the engine's bound.
    fn outgrew(&self, now: &Versioned, delivery: &Delivery) -> bool {
        let too_large = now.tree.nodes() > delivery.max_nodes;
        if too_large { self.budget.is_none() } else { self.budget() == Some(delivery.max_nodes) }
    }

    fn budget(&self) -> Option<usize> {
        self.budget.map(|nodes| nodes as usize)
    }

    fn ops(&self, sent: &Arc<Tree>, now: &Arc<Tree>, delivery: &Delivery) -> Result<String, Rebase> {
        let (old, new) = (self.view_of(sent, delivery), self.view_of(now, delivery));
        let (Some(old), Some(new)) = (old, new) else { return Err(Rebase) };
        text::ops(old.root(), new.root(), &delivery.memo)
    }

    fn view_of<'t>(&'t self, tree: &'t Arc<Tree>, delivery: &Delivery) -> Option<View<'t>> {
        let view = View::new(&self.view, tree.resolve(&self.view.path)?.node, None);
        Some(view.within(self.budget(), Some(delivery.known_orders(tree))))
    }

    fn patch(&mut self, now: &Versioned, ops: &str) -> Step {
        let frame = encode::patch(&self.id, now.version, self.seq, ops);
        self.told = now.version;
        self.seq += 1;
        Step::Patch(frame)
    }

    /// A long patch gives way to a snapshot that is not more than twice as long: it is surer, and as cheap.
    fn patch_or_snapshot(&mut self, now: &Versioned, now_ms: u64, delivery: &Delivery, ops: &str) -> Step {
        if ops.len() > delivery.max_tree_bytes {
            return self.snapshot(now, now_ms, delivery);
        }
        // Of a snapshot that is more than twice as long, no more is written than that.
        let snapshot =
            self.view_of(&now.tree, delivery).map(|view| text::node(view.root(), &delivery.memo, ops.len() * 2));
        match snapshot {
            Some(Err(TooLong)) => self.patch(now, ops),
            _ => self.snapshot(now, now_ms, delivery),
        }
    }

    fn vanished(&mut self) -> Step {
        if std::mem::replace(&mut self.silent, true) {
            return Step::Nothing;
        }
        Step::Error(encode::error(Some(&self.id), ErrorCode::NotFound, "the subscribed path does not exist any more"))
    }

    fn snapshot(&mut self, now: &Versioned, now_ms: u64, delivery: &Delivery) -> Step {
        self.held_until = now_ms.saturating_add(delivery.first_patch_ms);
        let Some(located) = now.tree.resolve(&self.view.path) else { return Step::Nothing };
        let view = View::new(&self.view, located.node, None);
        match fit(view, Some(delivery.known_orders(&now.tree)), now.tree.nodes(), delivery) {
            Some(fitted) => {
                self.seq = 1;
                self.told = now.version;
                self.silent = false;
                self.budget = fitted.budget.map(|nodes| u32::try_from(nodes).unwrap_or(u32::MAX));
                let frame = encode::snapshot(&self.id, now.version, Some(0), &fitted.tree);
                Step::Snapshot(frame, fitted.compacted)
            }
            None => self.too_large(),
        }
    }

    fn too_large(&mut self) -> Step {
        if std::mem::replace(&mut self.silent, true) {
            return Step::Nothing;
        }
        Step::TooLarge(encode::error(
            Some(&self.id),
            ErrorCode::TooLarge,
            "the view does not fit a frame: ask for a deeper path, a depth or a budget",
        ))
    }
}
