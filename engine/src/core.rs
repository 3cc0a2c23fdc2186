//! What every part of a running engine shares, and the one funnel through which every change of a tree goes.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Weak};
use std::time::Duration;

use event_listener::Event as Signal;
use serde_json::Value;

use crate::busy::Busy;
use crate::clock::wheel::Wheel;
use crate::config::Config;
use crate::deliver::link::Link;
use crate::deliver::subscription::{Delivery, Kept, Versioned};
use crate::error::{ActionError, ConnectError};
use crate::event::{Event, Observers};
use crate::model::Text;
use crate::model::session::{Context, Session};
use crate::per_session::{self, Factory};
use crate::protocol::code::close;
use crate::protocol::encode;
use crate::refresh::pass::Passes;
use crate::refresh::schedule::{Job, Kind, Schedule, When};
use crate::refresh::scope::Scope;
use crate::render::action::Action;
use crate::sessions::evict::IdleTrees;
use crate::sessions::revoked::{Revocation, Revoked};
use crate::sessions::slot::{Paths, Slot, Watch};
use crate::sessions::table::Table;

/// Asked before every call, beside the handler's own check.
pub(crate) type Authorize = Box<dyn Fn(&Session, &str, &Action) -> Result<(), ActionError> + Send + Sync>;

/// What waits on the wheel.
#[derive(Debug)]
pub(crate) enum Timer {
    /// A pass is due.
    Pass(Kind),
    /// A held patch or a greeting may go.
    Wake(Weak<Link>),
    /// Time to see whether a peer lives and takes what it is given.
    Check(Weak<Link>),
    /// The tree of a session without a connection may have to go, or the session be forgotten.
    Idle(Weak<Slot>),
    /// The session's authentication may have ended.
    Expiry(Weak<Slot>),
    /// Where subscriptions of ended connections stood is forgotten.
    Kept(Weak<Slot>),
    /// The node of an ended task goes.
    TaskGone(Weak<Slot>, Text),
}

/// The shared state. Each part has its own lock; none is held while another module's code runs.
pub(crate) struct Core {
    pub(crate) me: Weak<Self>,
    /// Tells the versions of this engine from those of another, or of an earlier one.
    pub(crate) epoch: String,
    pub(crate) id: Text,
    pub(crate) name: Text,
    pub(crate) config: Config,
    pub(crate) observers: Arc<Observers>,
    pub(crate) table: Table,
    pub(crate) passes: Arc<Passes>,
    pub(crate) schedule: Schedule,
    pub(crate) wheel: Arc<Wheel<Timer>>,
    pub(crate) idle_trees: IdleTrees,
    pub(crate) revoked: Revoked,
    pub(crate) delivery: Delivery,
    pub(crate) authorize: Option<Authorize>,
    /// Set in provider-per-session mode.
    pub(crate) factory: Option<Factory>,
    pub(crate) hello_fields: Vec<Text>,
    pub(crate) runtime: tokio::runtime::Handle,
    pub(crate) busy: Arc<Busy>,
    pub(crate) closing: AtomicBool,
    pub(crate) connections: AtomicUsize,
    /// Told when a connection ends.
    pub(crate) connection_gone: Signal,
    pub(crate) next_number: AtomicU64,
}

impl Core {
    pub(crate) fn now_ms(&self) -> u64 {
        self.wheel.now_ms()
    }

    /// Runs in the background and counts as work until it ends.
    pub(crate) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let busy = self.busy.begin();
        self.runtime.spawn(async move {
            work.await;
            drop(busy);
        });
    }

    /// Schedules a refresh with the next batch. Answers how many sessions the scope means.
    pub(crate) fn refresh(&self, scope: &Scope) -> usize {
        let slots = scope.resolve(&self.table, &self.observers);
        let matched = slots.len();
        let wanting = slots.into_iter().filter(|slot| slot.wants_refresh()).inspect(|slot| self.tell_tabs(slot));
        let when = self.schedule.refresh(wanting, scope.wanted(), self.now_ms());
        self.arm(when, Kind::Refreshes);
        matched
    }

    /// Tells a session's tabs that server data may have changed (contract 3.3). Never waited for.
    pub(crate) fn tell_tabs(&self, slot: &Slot) {
        for tab in slot.tabs() {
            tab.fetch(self.now_ms(), self.config.tab_call_ms);
        }
    }

    /// Refreshes at once; when it returns, every tree is committed.
    pub(crate) async fn refresh_now(&self, scope: &Scope) -> usize {
        let slots = scope.resolve(&self.table, &self.observers);
        let matched = slots.len();
        let wanting = slots.into_iter().filter(|slot| slot.wants_refresh());
        let job = |slot| Job { slot, paths: scope.wanted().clone(), first: false };
        self.passes.run(wanting.map(job).collect()).await;
        matched
    }

    /// Refreshes all of one session at once, in place of what was scheduled for it.
    pub(crate) async fn refresh_slot(&self, slot: &Arc<Slot>) {
        self.schedule.withdraw(slot);
        self.passes.run(vec![Job { slot: Arc::clone(slot), paths: Paths::All, first: false }]).await;
    }

    /// Makes sure that a tree is on its way.
    pub(crate) fn want_tree(&self, slot: &Arc<Slot>) {
        if !slot.is_resident() {
            let when = self.schedule.first_tree(Arc::clone(slot), self.now_ms());
            self.arm(when, Kind::Firsts);
        }
    }

    /// The session's tree, rendered if there is none; `None` if the session ends meanwhile.
    pub(crate) async fn tree(&self, slot: &Arc<Slot>) -> Option<Versioned> {
        if let Some(now) = slot.tree() {
            return Some(now);
        }
        self.want_tree(slot);
        slot.wait_for_tree().await
    }

    fn arm(&self, when: When, kind: Kind) {
        match when {
            When::Now => self.start_pass(kind),
            When::At(at_ms) => self.wheel.at(at_ms, Timer::Pass(kind)),
            When::Armed => {}
        }
    }

    fn start_pass(&self, kind: Kind) {
        let jobs = self.schedule.take(kind, self.now_ms());
        if !jobs.is_empty() {
            let passes = Arc::clone(&self.passes);
            self.spawn(async move { passes.run(jobs).await });
        }
    }

    /// Deals with something that became due.
    pub(crate) fn fire(&self, timer: Timer) {
        match timer {
            Timer::Pass(kind) => self.start_pass(kind),
            Timer::Wake(link) => {
                if let Some(link) = link.upgrade() {
                    link.wake();
                }
            }
            Timer::Check(link) => {
                if let Some(link) = link.upgrade() {
                    self.check(&link);
                }
            }
            Timer::Idle(slot) => {
                if let Some(slot) = slot.upgrade() {
                    slot.unwatch(Watch::Idle);
                    self.look_after_idle(&slot);
                }
            }
            Timer::Expiry(slot) => {
                if let Some(slot) = slot.upgrade() {
                    slot.unwatch(Watch::Expiry);
                    self.expire(&slot);
                }
            }
            Timer::Kept(slot) => {
                if let Some(slot) = slot.upgrade() {
                    slot.unwatch(Watch::Kept);
                    slot.forget_kept();
                }
            }
            Timer::TaskGone(slot, task) => {
                if let Some(slot) = slot.upgrade() {
                    self.forget_task(&slot, &task);
                }
            }
        }
    }

    fn check(&self, link: &Arc<Link>) {
        let now_ms = self.now_ms();
        let silent = now_ms.saturating_sub(link.heard_ms());
        let stalled = link.writing_since().map_or(0, |since| now_ms.saturating_sub(since));
        if silent >= self.config.silence_ms {
            link.abort("silent");
        } else if stalled >= self.config.silence_ms {
            link.abort("slow");
        } else {
            if silent >= self.config.ping_ms {
                link.outbox.lock().ping();
                link.wake();
            }
            self.wheel.at(now_ms + self.config.ping_ms, Timer::Check(Arc::downgrade(link)));
        }
    }

    /// Finds or makes the place of a session, with the claims that hold from now on.
    pub(crate) fn open(&self, session: &Session) -> Result<Arc<Slot>, ConnectError> {
        let context = session.context();
        if context.expires_at().is_some_and(|at| at <= self.wheel.clock().wall()) {
            return Err(ConnectError::Expired);
        }
        if self.revoked.bars(context) {
            return Err(ConnectError::Revoked);
        }
        let opened = self.table.open(context, self.now_ms())?;
        if self.revoked.bars(context) {
            self.close_slot(&opened.slot, close::POLICY, "the session was revoked", "revoked");
            return Err(ConnectError::Revoked);
        }
        let changed = opened.before.as_ref().is_some_and(|before| !same_claims(before, context));
        if opened.new || changed {
            self.make_instance(&opened.slot, session)?;
        }
        if opened.new {
            self.observers.emit(|| Event::SessionOpened { session: context.id().clone() });
            self.watch_idle(&opened.slot);
        }
        if changed {
            self.refresh(&Scope::session(context.id().clone()));
        }
        self.watch_expiry(&opened.slot, context);
        Ok(opened.slot)
    }

    /// In provider-per-session mode, makes what this session registers. A session for which that fails is forgotten.
    fn make_instance(&self, slot: &Arc<Slot>, session: &Session) -> Result<(), ConnectError> {
        let Some(factory) = &self.factory else { return Ok(()) };
        let untracked = Session::untracked(Arc::clone(session.context()));
        let Some(mut sources) = per_session::make(factory, &untracked, &self.observers) else {
            self.close_slot(slot, close::TRY_LATER, "the provider failed", "broken");
            return Err(ConnectError::Broken);
        };
        for (path, source) in &mut sources {
            self.passes.runs.count(path, source);
        }
        slot.set_instance(sources.into_iter().map(|(path, source)| (path, Arc::new(source))).collect());
        Ok(())
    }

    fn watch_expiry(&self, slot: &Arc<Slot>, context: &Context) {
        let Some(at) = context.expires_at() else { return };
        let left = at.duration_since(self.wheel.clock().wall()).unwrap_or_default();
        // First to warn, then to end. A life beyond a day is looked at again then: none is too long for the wheel.
        let left = if left > self.warning() { left - self.warning() } else { left };
        let left = left.min(Duration::from_secs(24 * 60 * 60));
        let at_ms = self.now_ms() + u64::try_from(left.as_millis()).unwrap_or(u64::MAX / 2);
        if slot.watch(Watch::Expiry) {
            self.wheel.at(at_ms, Timer::Expiry(Arc::downgrade(slot)));
        }
    }

    /// Ends a session whose authentication ended; tells the consumers of one that soon will (SEC13).
    fn expire(&self, slot: &Arc<Slot>) {
        let context = slot.context();
        let Some(at) = context.expires_at() else { return };
        let left = at.duration_since(self.wheel.clock().wall()).unwrap_or_default();
        if left.is_zero() {
            self.close_slot(slot, close::EXPIRED, "the session has expired", "expired");
            return;
        }
        if left <= self.warning() {
            let data = serde_json::json!({ "expires_in_ms": u64::try_from(left.as_millis()).unwrap_or(u64::MAX) });
            self.emit(&Scope::session(context.id().clone()), "session.expiring", Some(&data));
        }
        self.watch_expiry(slot, &context);
    }

    fn warning(&self) -> Duration {
        Duration::from_millis(self.config.expiry_warning_ms)
    }

    /// Ends all sessions that a revocation means, and keeps them out.
    pub(crate) fn revoke(&self, revocation: Revocation) -> usize {
        // Barred before it looks who is there: whoever opens a session meanwhile looks again afterwards.
        self.revoked.bar(revocation.clone());
        let slots = match &revocation {
            Revocation::Session(id) => self.table.get(id).into_iter().collect(),
            Revocation::User(user) => self.table.of_user(user),
            Revocation::Attribute(name, value) => self.table.with_attribute(name, value),
        };
        let close = |slot: &Arc<Slot>| self.close_slot(slot, close::POLICY, "the session was revoked", "revoked");
        slots.iter().filter(|slot| close(slot)).count()
    }

    /// A connection ended: for a while its subscriptions may go on where they stood.
    pub(crate) fn keep(&self, slot: &Arc<Slot>, kept: Vec<Kept>) {
        if kept.is_empty() || self.config.resume_ms == 0 {
            return;
        }
        slot.keep(kept);
        if slot.watch(Watch::Kept) {
            self.wheel.at(self.now_ms() + self.config.resume_ms, Timer::Kept(Arc::downgrade(slot)));
        }
    }

    /// The last connection left: the tree may go after a while, and later the session.
    pub(crate) fn watch_idle(&self, slot: &Arc<Slot>) {
        self.look_after_idle(slot);
        if slot.is_resident()
            && let Some(oldest) = self.idle_trees.add(slot)
        {
            self.evict(&oldest, "least_recent");
        }
    }

    /// Something that kept the session busy has ended.
    pub(crate) fn watch_idle_again(&self, slot: &Arc<Slot>) {
        self.look_after_idle(slot);
    }

    /// Does what is due for a session without a connection, and comes back for the rest. One entry on the wheel serves a
    /// session, however often it came and went.
    fn look_after_idle(&self, slot: &Arc<Slot>) {
        let Some(since_ms) = slot.idle_since_ms() else { return };
        let now_ms = self.now_ms();
        let tree_until = since_ms + self.config.idle_tree_ms;
        let session_until = since_ms + self.config.idle_session_ms;
        if session_until <= now_ms {
            self.close_slot(slot, close::NORMAL, "idle", "idle");
            return;
        }
        if tree_until <= now_ms {
            self.idle_trees.remove(slot);
            self.evict(slot, "idle");
        }
        let next = if tree_until > now_ms { tree_until.min(session_until) } else { session_until };
        if slot.watch(Watch::Idle) {
            self.wheel.at(next, Timer::Idle(Arc::downgrade(slot)));
        }
    }

    fn evict(&self, slot: &Arc<Slot>, reason: &'static str) {
        if slot.drop_tree() {
            self.observers.emit(|| Event::TreeEvicted { session: slot.context().id().clone(), reason });
        }
    }

    /// Forgets a session and ends its connections. False if it is not open.
    pub(crate) fn close_session(&self, id: &str, code: u16, words: &'static str, reason: &'static str) -> bool {
        self.table.get(id).is_some_and(|slot| self.close_slot(&slot, code, words, reason))
    }

    fn close_slot(&self, slot: &Arc<Slot>, code: u16, words: &'static str, reason: &'static str) -> bool {
        if !self.table.remove(slot) {
            return false;
        }
        self.idle_trees.remove(slot);
        slot.tasks().iter().for_each(|task| task.cancel());
        for link in slot.close() {
            link.end(code, words, reason);
        }
        self.observers.emit(|| Event::SessionClosed { session: slot.context().id().clone(), reason });
        true
    }

    /// Sends an event to every connection of the sessions that the scope means.
    pub(crate) fn emit(&self, scope: &Scope, name: &str, data: Option<&Value>) -> usize {
        let text = encode::event(name, data);
        let slots = scope.resolve(&self.table, &self.observers);
        let links = slots.iter().flat_map(|slot| slot.links()).filter(|link| !link.is_tab);
        links.map(|link| link.reply(text.clone())).count()
    }

    fn forget_task(&self, slot: &Arc<Slot>, task: &str) {
        let path = format!("tasks/{task}");
        slot.forget_own(&path);
        self.refresh_own(slot, &path);
    }

    /// Schedules a refresh of one path of one session.
    pub(crate) fn refresh_own(&self, slot: &Arc<Slot>, path: &str) {
        let paths = Paths::Only([Text::from(path)].into_iter().collect());
        let wanting = Some(Arc::clone(slot)).filter(|slot| slot.wants_refresh());
        let when = self.schedule.refresh(wanting, &paths, self.now_ms());
        self.arm(when, Kind::Refreshes);
    }
}

fn same_claims(mine: &Arc<Context>, theirs: &Arc<Context>) -> bool {
    Arc::ptr_eq(mine, theirs) || mine.same_claims(theirs)
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("id", &self.id).finish_non_exhaustive()
    }
}
