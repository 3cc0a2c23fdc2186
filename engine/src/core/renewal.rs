//! The authentication of a session over time: a new credential while its connections stay, a warning before the end.

use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use super::Core;
use crate::clock::millis;
use crate::error::ConnectError;
use crate::model::Text;
use crate::model::session::{Context, Session};
use crate::protocol::encode;
use crate::sessions::slot::Slot;

impl Core {
    /// Gives an open session what a new credential says (SEC13). False if no session is open that it could be for.
    pub(crate) fn renew(&self, session: &Session) -> Result<bool, ConnectError> {
        if self.closing.load(Ordering::SeqCst) {
            return Err(ConnectError::Closing);
        }
        let context = session.context();
        self.check_access(context)?;
        let open = self.table.get(context.id()).is_some_and(|slot| continues(&slot.context(), context));
        if open { self.open(session).map(|_| true) } else { Ok(false) }
    }

    /// # Errors
    /// That the authentication is over, or was revoked.
    pub(crate) fn check_access(&self, context: &Context) -> Result<(), ConnectError> {
        if self.is_expired(context.expires_at()) {
            return Err(ConnectError::Expired);
        }
        if self.revocations.contains(context) { Err(ConnectError::Revoked) } else { Ok(()) }
    }

    /// Whether an authentication that ends then is over, be the timer that closes the session late or not.
    pub(crate) fn is_expired(&self, expires_at: Option<SystemTime>) -> bool {
        expires_at.is_some_and(|at| at <= self.timers.clock().wall())
    }

    /// How long the authentication still holds; `None` is for good.
    pub(crate) fn time_left(&self, context: &Context) -> Option<Duration> {
        let at = context.expires_at()?;
        Some(at.duration_since(self.timers.clock().wall()).unwrap_or_default())
    }

    /// What consumers are told of an authentication that is about to end.
    pub(crate) fn expiry_warning(&self, context: &Context) -> Option<String> {
        let left = self.time_left(context).filter(|left| *left <= self.warning())?;
        let data = serde_json::json!({ "expires_in_ms": u64::try_from(left.as_millis()).unwrap_or(u64::MAX) });
        Some(encode::event("session.expiring", Some(&data)))
    }

    /// Tells the consumers of a session that its authentication is about to end, if it is.
    pub(crate) fn warn_of_expiry(&self, slot: &Slot) {
        let Some(warning) = self.expiry_warning(&slot.context()) else { return };
        slot.links().iter().filter(|link| !link.is_tab).for_each(|link| link.reply(warning.clone()));
    }

    pub(crate) fn warning(&self) -> Duration {
        Duration::from_millis(millis(self.config.times.expiry_warning))
    }
}

/// Whether a credential is for the same session as before: who was nobody may have logged in, but nobody becomes somebody
/// else (SEC2).
fn continues(before: &Context, now: &Context) -> bool {
    let same = |before: Option<&Text>, now: Option<&Text>| before.is_none() || before == now;
    same(before.user(), now.user()) && same(before.project(), now.project())
}
