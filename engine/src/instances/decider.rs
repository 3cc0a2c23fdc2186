//! Decisions about sessions that hold on all instances.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::renewals::Renewals;
use crate::background::Background;
use crate::clock::{Clock, millis};
use crate::cluster::bus::Bus;
use crate::cluster::decision::{Decision, Known, Subject, Told, Verdict};
use crate::cluster::decisions::{Decisions, Learnt};
use crate::cluster::envelope::raw;
use crate::cluster::instance::Instance;
use crate::cluster::requests::Requests;
use crate::cluster::topic::Topic;
use crate::cluster::wire::Malformed;
use crate::config::{ClusterLimits, Limit};
use crate::event::{Event, Observers};
use crate::lifecycle::closer::Closer;
use crate::lifecycle::revoker::Revoker;
use crate::model::Text;
use crate::model::selector::Selector;
use crate::model::session::Session;
use crate::protocol::close_reason::CloseReason;
use crate::sessions::revocations::Revocation;
use crate::sync::Mutex;

/// How many decisions one reply tells.
pub(super) const PAGE: usize = 200;

/// How the request for decisions is named on the wire.
pub(super) const KIND: &str = "decisions";

/// How often another instance is asked before it is left to the next heartbeat.
const TRIES: usize = 8;

/// How long it may take each time, in ms.
const TRY_MS: u64 = 500;

/// How long a message may be besides whom its one decision is about, in bytes: it holds names of instances, and numbers.
const AROUND_BYTES: usize = 1_024;

/// What one instance asks another.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Wanted {
    /// The change after which it has learnt nothing.
    pub(super) after: u64,
}

/// What the other one replies.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Page {
    /// Those of a newer version may not be understood; they are left alone.
    pub(super) decisions: Vec<Box<RawValue>>,
    /// Up to which change that is all.
    pub(super) upto: u64,
}

/// Decides for all instances, and follows what others have decided: revocations, and ends of sessions. What is lost on the
/// way is asked for, as soon as a heartbeat shows that there is something (SEC15).
pub(crate) struct Decider {
    bus: Arc<Bus>,
    requests: Arc<Requests>,
    revoker: Arc<Revoker>,
    closer: Arc<Closer>,
    renewals: Arc<Renewals>,
    background: Arc<Background>,
    clock: Arc<dyn Clock>,
    observers: Arc<Observers>,
    state: Mutex<State>,
    max_bytes: usize,
}

struct State {
    decisions: Decisions,
    /// How far each instance was heard.
    heard: HashMap<Instance, Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    change: u64,
    is_asked: bool,
}

/// What a decider works with.
pub(crate) struct DeciderParts {
    pub(crate) bus: Arc<Bus>,
    pub(crate) requests: Arc<Requests>,
    pub(crate) revoker: Arc<Revoker>,
    pub(crate) closer: Arc<Closer>,
    pub(crate) renewals: Arc<Renewals>,
    pub(crate) background: Arc<Background>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observers: Arc<Observers>,
}

impl Decider {
    pub(crate) fn new(parts: DeciderParts, limits: &ClusterLimits) -> Arc<Self> {
        let state = State { decisions: Decisions::new(limits.decisions), heard: HashMap::new() };
        let max_bytes = limits.message_bytes;
        let DeciderParts { bus, requests, revoker, closer, renewals, background, clock, observers } = parts;
        Arc::new(Self {
            bus,
            requests,
            revoker,
            closer,
            renewals,
            background,
            clock,
            observers,
            state: Mutex::new(state),
            max_bytes,
        })
    }

    /// Ends access everywhere. Returns how many sessions were open here.
    pub(crate) fn revoke(&self, revocation: &Revocation) -> usize {
        let until = self.revoker.kept_until(revocation);
        let revocation = Revocation::kept(revocation.selector().clone(), until);
        let until = until.map(|until| until.checked_add(Duration::from_nanos(999_999)).map_or(u64::MAX, since_1970));
        let decided = self.decide(Subject::Access(revocation.selector().clone()), Verdict::Revoked(until), || {});
        let sessions = self.revoker.revoke(&revocation);
        decided.into_iter().for_each(|decided| self.apply_later(decided));
        sessions
    }

    /// Lets whom a revocation kept out come back everywhere. False if it kept out nobody here.
    pub(crate) fn unrevoke(&self, revocation: &Revocation) -> bool {
        let decided = self.decide(Subject::Access(revocation.selector().clone()), Verdict::Allowed, || {});
        let is_allowed = self.revoker.unrevoke(revocation);
        decided.into_iter().for_each(|decided| self.apply_later(decided));
        is_allowed
    }

    /// Ends a session everywhere. False if it is not open here.
    pub(crate) fn close_session(&self, id: &str) -> bool {
        self.decide(Subject::Session(id.into()), Verdict::Closed, || {});
        self.closer.close_session(id, CloseReason::Closed)
    }

    /// Gives a session new claims everywhere. False if it is not open here, or must not have them.
    pub(crate) fn update_session(self: &Arc<Self>, session: &Session) -> bool {
        let Some(is_updated) = self.renewals.update(session) else { return false };
        let (id, given) = (session.context().id(), self.renewals.giving(session));
        let keep = || self.renewals.keep(id, given);
        let Some(decided) = self.decide(Subject::Claims(id.clone()), Verdict::Renewed, keep) else {
            return is_updated;
        };
        if is_updated {
            // Others that were decided earlier may have been given to it meanwhile.
            self.renewals.update(session);
        }
        self.later(&decided).into_iter().for_each(|later| self.renew(later, None));
        is_updated
    }

    /// Says to all others what is decided here, and remembers it for those who ask. What they will ask for is kept at the
    /// same time. `None` if nobody can be told.
    fn decide(&self, about: Subject, verdict: Verdict, keep: impl FnOnce()) -> Option<Decision> {
        if self.bus.is_alone() {
            return None;
        }
        if raw(&about).get().len().saturating_add(AROUND_BYTES) > self.max_bytes {
            self.dropped(Malformed::TooLong.as_str());
            return None;
        }
        let now = self.now();
        let mut state = self.state.lock();
        keep();
        let (decision, learnt) = state.decisions.decide(about, verdict, &self.bus.this.name, now);
        drop(state);
        self.report(learnt);
        self.bus.decide(|| decision.clone());
        Some(decision)
    }

    fn report(&self, learnt: Learnt) {
        match learnt {
            Learnt::NotKept => {
                let limit = Limit::Decisions;
                self.observers.warn(&Event::LimitReached { limit, session: Text::default() });
            }
            Learnt::Ahead => self.dropped("was decided by a clock that is more than an hour ahead"),
            Learnt::New | Learnt::Known => {}
        }
    }

    fn dropped(&self, why: &str) {
        self.observers.bus_message_dropped(Topic::Notices.kind(), why, self.clock.now_ms());
    }

    /// An instance has said this, at once or when it was asked.
    pub(crate) fn learn(self: &Arc<Self>, told: Told, from: &Instance) {
        let (now, decision) = (self.now(), told.decision.clone());
        let learnt = self.state.lock().decisions.learn(told, now);
        self.report(learnt);
        if matches!(learnt, Learnt::Known | Learnt::Ahead) {
            return;
        }
        // It may be that an earlier revocation makes it last longer.
        let decision = self.later(&decision).unwrap_or(decision);
        match &decision.about {
            Subject::Claims(_) => self.renew(decision, Some(from.clone())),
            Subject::Session(id) => {
                self.closer.close_session(id, CloseReason::Closed);
            }
            Subject::Access(_) => {
                self.apply(&decision);
                self.apply_later(decision);
            }
        }
    }

    /// What holds about a subject, if it is something else than this.
    fn later(&self, than: &Decision) -> Option<Decision> {
        self.state.lock().decisions.get(&than.about).filter(|held| *held != than).cloned()
    }

    /// Applies what holds about whoever's access this was about, until that was applied last. Two threads may record what
    /// they learn in one order, and apply it in the other; each of them looks afterwards, so the last one leaves what holds.
    fn apply_later(&self, mut applied: Decision) {
        while let Some(later) = self.later(&applied) {
            self.apply(&later);
            applied = later;
        }
    }

    fn apply(&self, decision: &Decision) {
        // Nobody decides anything about the others, which would mean far more sessions.
        let Subject::Access(whom @ (Selector::Session(_) | Selector::User(_) | Selector::Attribute { .. })) =
            &decision.about
        else {
            return;
        };
        match decision.verdict {
            Verdict::Revoked(until) => {
                // What no clock can tell is as good as never.
                let until = until.and_then(|ms| UNIX_EPOCH.checked_add(Duration::from_millis(ms)));
                self.revoker.follow(&Revocation::kept(whom.clone(), until));
            }
            Verdict::Allowed => {
                self.revoker.unrevoke(&Revocation::kept(whom.clone(), None));
            }
            Verdict::Closed | Verdict::Renewed => {}
        }
    }

    /// A session was given new claims elsewhere; they are asked for if it is open here.
    fn renew(self: &Arc<Self>, decision: Decision, sender: Option<Instance>) {
        let Subject::Claims(id) = &decision.about else { return };
        if decision.verdict == Verdict::Renewed && self.renewals.is_open(id) {
            let (this, id) = (Arc::clone(self), id.clone());
            // Not counted as work: it waits for another process.
            self.background.run(async move { this.give_claims(&id, decision, sender).await });
        }
    }

    /// Gives a session the claims of a decision, unless it has got others meanwhile: then those, until they are the last.
    async fn give_claims(&self, id: &Text, mut decision: Decision, sender: Option<Instance>) {
        loop {
            let by = decision.stamp.by.clone();
            let claims = if by == self.bus.this.name {
                self.renewals.given(id)
            } else {
                self.renewals.ask(id, || self.life_of(&by, sender.as_ref())).await
            };
            let later = self.later(&decision).or_else(|| {
                self.renewals.give(id, claims);
                self.later(&decision)
            });
            let Some(later) = later else { return };
            decision = later;
        }
    }

    /// The latest life that is known of an instance. What came from it may be heard before its first heartbeat.
    fn life_of(&self, name: &str, sender: Option<&Instance>) -> Option<Instance> {
        let state = self.state.lock();
        state.heard.keys().chain(sender).filter(|known| known.name == name).max().cloned()
    }

    /// How far this instance has counted.
    pub(crate) fn known(&self) -> Known {
        self.state.lock().decisions.known()
    }

    /// Some of what this instance has learnt after a change.
    pub(super) fn page(&self, after: u64) -> Page {
        let (mut most, now) = (PAGE, self.now());
        let most_bytes = self.max_bytes.saturating_sub(AROUND_BYTES);
        loop {
            let (decisions, upto) = self.state.lock().decisions.after(after, most, now);
            let page = Page { decisions: decisions.iter().map(raw).collect(), upto };
            // Names may be long; a reply that is too long would be dropped.
            if raw(&page).get().len() <= most_bytes {
                return page;
            }
            if most == 1 {
                // Nor may it keep those from being told that follow.
                return Page { decisions: Vec::new(), upto };
            }
            most /= 2;
        }
    }

    /// An instance says how far it has counted. If it may know something that is not known here, it is asked.
    pub(crate) fn heard(self: &Arc<Self>, from: &Instance, theirs: Known) {
        let mut state = self.state.lock();
        let is_same = state.decisions.known().digest == theirs.digest;
        let heard = state.heard.entry(from.clone()).or_default();
        if is_same {
            heard.change = heard.change.max(theirs.change);
        }
        let asks = theirs.change > heard.change && !heard.is_asked;
        heard.is_asked |= asks;
        drop(state);
        if asks {
            let (this, from) = (Arc::clone(self), from.clone());
            // Not counted as work: it waits for another process.
            self.background.run(async move { this.catch_up(&from).await });
        }
    }

    /// Learns what another instance knows, page by page.
    async fn catch_up(self: &Arc<Self>, from: &Instance) {
        let mut tries = 0;
        while tries < TRIES {
            // That life of it is gone.
            let Some(after) = self.state.lock().heard.get(from).map(|heard| heard.change) else { return };
            let wanted = Wanted { after };
            let at_most = Duration::from_millis(TRY_MS);
            match self.requests.ask::<Page>(from, KIND, &wanted, at_most).await {
                Ok(page) if page.upto > after => {
                    let told = page.decisions.iter().filter_map(|told| serde_json::from_str(told.get()).ok());
                    told.for_each(|told| self.learn(told, from));
                    if let Some(heard) = self.state.lock().heard.get_mut(from) {
                        heard.change = heard.change.max(page.upto);
                    }
                    tries = 0;
                }
                Ok(_) => break,
                Err(_) => tries += 1,
            }
        }
        if let Some(heard) = self.state.lock().heard.get_mut(from) {
            heard.is_asked = false;
        }
    }

    /// An instance is gone, or has begun a new life.
    pub(super) fn forget(&self, name: &str) {
        self.state.lock().heard.retain(|instance, _| instance.name != name);
    }

    fn now(&self) -> u64 {
        since_1970(self.clock.wall())
    }
}

fn since_1970(at: SystemTime) -> u64 {
    millis(at.duration_since(UNIX_EPOCH).unwrap_or_default())
}

impl fmt::Debug for Decider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decider").finish_non_exhaustive()
    }
}
