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
use crate::cluster::decision::{Decision, Known, Subject, Verdict};
use crate::cluster::decisions::{Decisions, Learnt};
use crate::cluster::envelope::raw;
use crate::cluster::instance::Instance;
use crate::cluster::requests::Requests;
use crate::config::{ClusterLimits, Limit};
use crate::event::{Event, Observers};
use crate::lifecycle::closer::Closer;
use crate::lifecycle::revoker::Revoker;
use crate::model::Text;
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
        let until = revocation.kept_until().map(since_1970);
        self.decide(|| (Subject::Access(revocation.selector().clone()), Verdict::Revoked(until)));
        self.revoker.revoke(revocation)
    }

    /// Lets whom a revocation kept out come back everywhere. False if it kept out nobody here.
    pub(crate) fn unrevoke(&self, revocation: &Revocation) -> bool {
        self.decide(|| (Subject::Access(revocation.selector().clone()), Verdict::Allowed));
        self.revoker.unrevoke(revocation)
    }

    /// Ends a session everywhere. False if it is not open here.
    pub(crate) fn close_session(&self, id: &str) -> bool {
        self.decide(|| (Subject::Session(id.into()), Verdict::Closed));
        self.closer.close_session(id, CloseReason::Closed)
    }

    /// Gives a session new claims everywhere. False if it is not open here, or must not have them.
    pub(crate) fn update_session(&self, session: &Session) -> bool {
        let Some(is_updated) = self.renewals.update(session) else { return false };
        self.decide(|| {
            self.renewals.keep(session);
            (Subject::Claims(session.context().id().clone()), Verdict::Renewed)
        });
        is_updated
    }

    fn decide(&self, what: impl FnOnce() -> (Subject, Verdict)) {
        self.bus.decide(|| {
            let (about, verdict) = what();
            let now = self.now();
            let (decision, learnt) = self.state.lock().decisions.decide(about, verdict, &self.bus.this.name, now);
            self.report(learnt);
            decision
        });
    }

    fn report(&self, learnt: Learnt) {
        if learnt == Learnt::NotKept {
            let limit = Limit::Decisions;
            self.observers.warn(&Event::LimitReached { limit, session: Text::default() });
        }
    }

    /// Another instance has said this, at once or when it was asked.
    pub(crate) fn learn(&self, decision: &Decision) {
        let now = self.now();
        let about = decision.about.clone();
        let learnt = self.state.lock().decisions.learn(decision.clone(), now);
        self.report(learnt);
        if learnt == Learnt::Known {
            return;
        }
        self.apply(decision);
        // Somebody else may have learnt a later one meanwhile, and applied it before.
        let later = self.state.lock().decisions.get(&about).filter(|held| *held != decision).cloned();
        later.iter().for_each(|later| self.apply(later));
    }

    fn apply(&self, decision: &Decision) {
        match (&decision.about, decision.verdict) {
            (Subject::Access(whom), Verdict::Revoked(until)) => {
                let until = until.map(|ms| UNIX_EPOCH + Duration::from_millis(ms));
                self.revoker.revoke(&Revocation::kept(whom.clone(), until));
            }
            (Subject::Access(whom), Verdict::Allowed) => {
                self.revoker.unrevoke(&Revocation::kept(whom.clone(), None));
            }
            (Subject::Session(id), Verdict::Closed) => {
                self.closer.close_session(id, CloseReason::Closed);
            }
            (Subject::Claims(id), Verdict::Renewed) => {
                let from = self.state.lock().heard.keys().find(|known| known.name == decision.stamp.by).cloned();
                self.renewals.follow(id, from);
            }
            // Nobody decides this.
            _ => {}
        }
    }

    /// How far this instance has counted.
    pub(crate) fn known(&self) -> Known {
        self.state.lock().decisions.known()
    }

    /// Some of what this instance has learnt after a change.
    pub(super) fn page(&self, after: u64) -> Page {
        let mut most = PAGE;
        loop {
            let (decisions, upto) = self.state.lock().decisions.after(after, most);
            let page = Page { decisions: decisions.iter().map(raw).collect(), upto };
            // Names may be long; a reply that is too long would be dropped.
            if most == 1 || raw(&page).get().len() <= self.max_bytes / 2 {
                return page;
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
    async fn catch_up(&self, from: &Instance) {
        let mut tries = 0;
        while tries < TRIES {
            let after = self.state.lock().heard.get(from).map_or(0, |heard| heard.change);
            let wanted = Wanted { after };
            let at_most = Duration::from_millis(TRY_MS);
            match self.requests.ask::<Page>(from, KIND, &wanted, at_most).await {
                Ok(page) if page.upto > after => {
                    let decisions =
                        page.decisions.iter().filter_map(|decision| serde_json::from_str(decision.get()).ok());
                    decisions.for_each(|decision| self.learn(&decision));
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
