//! A notice may be faster than the replica from which this instance reads.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either, select};

use crate::background::Background;
use crate::clock::{Clock, millis};
use crate::cluster::gathering::Gathering;
use crate::cluster::notice::Notice;
use crate::cluster::topic::Topic;
use crate::config::{ClusterLimits, Limit};
use crate::event::{Event, Observers, PanicSite};
use crate::model::Text;
use crate::model::path;
use crate::panics;
use crate::panics::caught::Caught;
use crate::panics::guarded::Guarded;
use crate::refresh::refresher::{Refresher, Urgency};
use crate::refresh::scope::Target;
use crate::sessions::paths::Paths;
use crate::sync::{AtomicUsize, Mutex, Ordering};

/// Waits until a commit of the application can be seen here.
pub(crate) type WaitFor = Guarded<Box<dyn Fn(Text) -> BoxFuture<'static, ()> + Send + Sync>>;

/// Second looks are taken together, so often, in ms.
const TOGETHER_MS: u64 = 100;

/// Renders what notices mean: when the commit that they name can be seen here, or at once and again later (cluster 2).
pub(crate) struct Commits {
    wait_for: Option<WaitFor>,
    refresher: Arc<Refresher>,
    background: Arc<Background>,
    clock: Arc<dyn Clock>,
    observers: Arc<Observers>,
    wait_ms: u64,
    waiting: AtomicUsize,
    max: usize,
    /// What is looked at again, by when.
    again: Mutex<BTreeMap<u64, Gathering>>,
}

impl Commits {
    pub(crate) fn new(
        wait_for: Option<WaitFor>,
        refresher: Arc<Refresher>,
        background: Arc<Background>,
        clock: Arc<dyn Clock>,
        observers: Arc<Observers>,
        limits: &ClusterLimits,
    ) -> Self {
        wait_for.iter().for_each(|wait_for| wait_for.belongs_to(&observers.owner()));
        Self {
            wait_for,
            refresher,
            background,
            clock,
            observers,
            wait_ms: millis(limits.commit_wait),
            waiting: AtomicUsize::new(0),
            max: limits.commit_waits,
            again: Mutex::default(),
        }
    }

    /// Renders what a notice of a topic means. Returns when it has to be looked again, if it has.
    pub(crate) fn follow(self: &Arc<Self>, topic: &Topic, notice: Notice, now_ms: u64) -> Option<u64> {
        let wait = notice.after.clone().and_then(|commit| self.wait(commit));
        if let Some(wait) = wait {
            self.refresh_after(wait, notice, now_ms);
            return None;
        }
        self.refresh(&notice);
        notice.after.as_ref()?;
        let at_ms = now_ms.saturating_add(self.wait_ms).next_multiple_of(TOGETHER_MS);
        self.again.lock().entry(at_ms).or_default().add(topic, notice, self.max);
        Some(at_ms)
    }

    /// The application's future, if there is one and not too many wait.
    fn wait(&self, commit: Text) -> Option<BoxFuture<'static, Result<(), String>>> {
        let wait_for = self.wait_for.as_ref()?;
        if self.waiting.load(Ordering::SeqCst) >= self.max {
            let limit = Limit::CommitWaits;
            self.observers.warn(&Event::LimitReached { limit, session: Text::default() });
            return None;
        }
        match panics::catch(|| wait_for(commit)) {
            Ok(wait) => Some(Caught::new(wait, wait_for.owner().cloned()).boxed()),
            Err(why) => {
                self.observers.warn(&Event::Panicked { what: PanicSite::Commit, why });
                None
            }
        }
    }

    fn refresh_after(self: &Arc<Self>, wait: BoxFuture<'static, Result<(), String>>, notice: Notice, now_ms: u64) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let (this, at_most) = (Arc::clone(self), self.clock.sleep_until(now_ms.saturating_add(self.wait_ms)));
        self.background.spawn(async move {
            if let Either::Left((Err(why), _)) = select(wait, at_most).await {
                this.observers.warn(&Event::Panicked { what: PanicSite::Commit, why });
            }
            this.waiting.fetch_sub(1, Ordering::SeqCst);
            this.refresh(&notice);
        });
    }

    fn refresh(&self, notice: &Notice) {
        let paths = notice.paths.as_ref().map(|paths| paths.iter().map(|text| path::normal(text)).collect());
        let target = Target::Selected(notice.whom.clone());
        self.refresher.request(&target, &paths.unwrap_or(Paths::All), Urgency::Debounced);
    }

    /// Time has passed: looks again at what could not be waited for. Returns when it has to be done next.
    pub(crate) fn look(&self, now_ms: u64) -> Option<u64> {
        let mut again = self.again.lock();
        let mut due = Vec::new();
        while let Some(entry) = again.first_entry().filter(|entry| *entry.key() <= now_ms) {
            due.push(entry.remove());
        }
        let next_ms = again.keys().next().copied();
        drop(again);
        let notices = due.iter_mut().flat_map(|gathered| gathered.take(usize::MAX)).flat_map(|(_, notices)| notices);
        notices.for_each(|notice| self.refresh(&notice));
        next_ms
    }
}

impl fmt::Debug for Commits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Commits").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}
