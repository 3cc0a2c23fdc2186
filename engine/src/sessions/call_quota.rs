//! How many calls run: of each session and user that has any, and in all.

use std::sync::Arc;

use hashbrown::HashMap;
use smallvec::SmallVec;

use super::quota::QuotaExceeded;
use crate::config::{Limit, Limits};
use crate::model::Text;
use crate::model::session::Context;
use crate::sync::Mutex;

/// Whose calls run. Who has none is not in here, so it is no larger than what runs.
#[derive(Debug)]
pub(crate) struct CallQuota {
    counts: Mutex<Counts>,
    limits: Limits,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    of: HashMap<Caller, usize>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Caller {
    Session(Text),
    User(Text),
}

type Callers = SmallVec<[Caller; 2]>;

/// One call that runs, until this is dropped: also if its connection ends meanwhile.
#[derive(Debug)]
pub(crate) struct CallPermit {
    quota: Arc<CallQuota>,
    callers: Callers,
}

impl CallQuota {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { counts: Mutex::default(), limits })
    }

    /// Counts a call of this session, if it may run.
    pub(crate) fn admit(self: &Arc<Self>, context: &Context) -> Result<CallPermit, QuotaExceeded> {
        let user = context.user().map(|user| Caller::User(user.clone()));
        let callers: Callers = [Caller::Session(context.id().clone())].into_iter().chain(user).collect();
        self.counts.lock().begin(&callers, &self.limits)?;
        Ok(CallPermit { quota: Arc::clone(self), callers })
    }
}

impl Counts {
    fn begin(&mut self, callers: &[Caller], limits: &Limits) -> Result<(), QuotaExceeded> {
        if self.total >= limits.calls {
            return Err(QuotaExceeded(Limit::Calls));
        }
        for caller in callers {
            let (max, limit) = caller.bound(limits);
            if self.of.get(caller).copied().unwrap_or_default() >= max {
                return Err(QuotaExceeded(limit));
            }
        }
        self.total += 1;
        callers.iter().for_each(|caller| *self.of.entry(caller.clone()).or_default() += 1);
        Ok(())
    }

    fn end(&mut self, callers: &[Caller]) {
        self.total -= 1;
        for caller in callers {
            let Some(count) = self.of.get_mut(caller) else { continue };
            *count -= 1;
            if *count == 0 {
                self.of.remove(caller);
            }
        }
    }
}

impl Caller {
    const fn bound(&self, limits: &Limits) -> (usize, Limit) {
        match self {
            Self::Session(_) => (limits.calls_per_session, Limit::CallsPerSession),
            Self::User(_) => (limits.calls_per_user, Limit::CallsPerUser),
        }
    }
}

impl Drop for CallPermit {
    fn drop(&mut self) {
        self.quota.counts.lock().end(&self.callers);
    }
}
