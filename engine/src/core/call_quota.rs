//! How many calls are being worked on: of each session and user that has any, and in all.

use std::sync::Arc;

use hashbrown::HashMap;
use parking_lot::Mutex;
use smallvec::SmallVec;

use super::Core;
use super::quota::QuotaExceeded;
use crate::config::Config;
use crate::config::Limit;
use crate::model::Text;
use crate::model::session::Context;

/// Whose calls run. Who has none is not in here, so it is no larger than what runs.
#[derive(Debug, Default)]
pub(crate) struct CallQuota(Mutex<Counts>);

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

/// One call that is being worked on, until this is dropped: also if its connection ends meanwhile.
#[derive(Debug)]
pub(crate) struct CallPermit {
    core: Arc<Core>,
    callers: Callers,
}

impl Core {
    /// Counts a call of this session, if there is room for it.
    pub(crate) fn admit_call(self: &Arc<Self>, context: &Context) -> Result<CallPermit, QuotaExceeded> {
        let user = context.user().map(|user| Caller::User(user.clone()));
        let callers: Callers = [Caller::Session(context.id().clone())].into_iter().chain(user).collect();
        self.call_quota.0.lock().begin(&callers, &self.config)?;
        Ok(CallPermit { core: Arc::clone(self), callers })
    }
}

impl Counts {
    fn begin(&mut self, callers: &[Caller], config: &Config) -> Result<(), QuotaExceeded> {
        if self.total >= config.limits.calls {
            return Err(QuotaExceeded { limit: Limit::Calls, words: "too many requests are running" });
        }
        for caller in callers {
            let (max, full) = caller.bound(config);
            if self.of.get(caller).copied().unwrap_or_default() >= max {
                return Err(full);
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
    const fn bound(&self, config: &Config) -> (usize, QuotaExceeded) {
        match self {
            Self::Session(_) => {
                let words = "too many requests of this session are running";
                (config.limits.calls_per_session, QuotaExceeded { limit: Limit::CallsPerSession, words })
            }
            Self::User(_) => {
                let words = "too many requests of this user are running";
                (config.limits.calls_per_user, QuotaExceeded { limit: Limit::CallsPerUser, words })
            }
        }
    }
}

impl Drop for CallPermit {
    fn drop(&mut self) {
        self.core.call_quota.0.lock().end(&self.callers);
    }
}
