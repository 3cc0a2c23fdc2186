//! The key set in use, which can be replaced while tokens are being verified.

use std::convert::Infallible;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::key_set::{JwtKeySet, Key};

/// How long a failed fetch is first waited after, and how long every fetch at least.
const RETRY: Duration = Duration::from_secs(1);

/// How long an unknown key has to wait after a fetch to cause the next. Anybody can send a token with an unknown key.
const UNKNOWN_KEY: Duration = Duration::from_secs(30);

/// The keys that tokens are verified with now. A cheap handle: all clones are the same.
#[derive(Clone, Debug, Default)]
pub struct JwtKeys(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Read for an instant per token, written on rotation.
    set: RwLock<JwtKeySet>,
    /// Somebody named a key that is not in the set.
    asked_in_vain: Notify,
}

impl From<JwtKeySet> for JwtKeys {
    fn from(set: JwtKeySet) -> Self {
        Self(Arc::new(Inner { set: RwLock::new(set), asked_in_vain: Notify::new() }))
    }
}

impl JwtKeys {
    /// Verifies with these keys from now on, and with no others. Connections that are open stay open.
    ///
    /// To rotate, publish the new key next to the old one, sign with it, and leave the old one out when the last token
    /// that it signed has expired.
    pub fn replace(&self, set: JwtKeySet) {
        *self.0.set.write().unwrap_or_else(PoisonError::into_inner) = set;
    }

    /// Keeps the keys those that `fetch` brings, for as long as it is polled: now, then `every` so often, and when a
    /// token names a key that is not known, though not within 30 seconds of the last fetch.
    ///
    /// When `fetch` brings nothing, the keys stay as they are, and it is tried again after 1 second, then 2, 4 and so on
    /// up to `every`. It should have a time limit, and tell the log what went wrong.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use grove_axum::{JwtKeySet, JwtKeys};
    /// # async fn get(url: &str) -> Option<String> { None }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let keys = JwtKeys::default();
    /// tokio::spawn(keys.clone().keep_fresh(Duration::from_secs(600), || async {
    ///     let json = get("https://id.example/.well-known/jwks.json").await?;
    ///     JwtKeySet::from_jwks(&json).ok()
    /// }));
    /// # }
    /// ```
    pub async fn keep_fresh<F, Fut>(self, every: Duration, fetch: F) -> Infallible
    where
        F: Fn() -> Fut,
        Fut: Future<Output = Option<JwtKeySet>>,
    {
        let mut retry = RETRY;
        loop {
            match fetch().await {
                Some(set) => {
                    self.replace(set);
                    retry = RETRY;
                    self.stale(every).await;
                }
                None => {
                    sleep(retry).await;
                    retry = (retry * 2).min(every.max(RETRY));
                }
            }
        }
    }

    /// Ends when the keys should be fetched again.
    async fn stale(&self, every: Duration) {
        let soonest = UNKNOWN_KEY.min(every).max(RETRY);
        sleep(soonest).await;
        // That the time is up and that somebody asks are equally good reasons.
        let _ = timeout(every.saturating_sub(soonest), self.0.asked_in_vain.notified()).await;
    }

    pub(super) fn find(&self, kid: &str) -> Option<Arc<Key>> {
        let found = self.0.set.read().unwrap_or_else(PoisonError::into_inner).find(kid);
        if found.is_none() {
            self.0.asked_in_vain.notify_one();
        }
        found
    }
}
