//! The current key set, which can be replaced while tokens are being verified.

use std::convert::Infallible;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::key_set::{JwtKeySet, Key};

/// The first delay after a failed fetch, and the shortest between any two.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// How soon after a fetch an unknown key id may cause the next one. Anyone can send a token with an unknown key id.
const UNKNOWN_KEY_INTERVAL: Duration = Duration::from_secs(30);

/// The keys with which tokens are verified now. A cheap handle: all clones share the same keys.
#[derive(Clone, Debug, Default)]
pub struct JwtKeys(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Locked briefly for each token, and for rotation. No other lock is taken meanwhile.
    set: RwLock<JwtKeySet>,
    /// A token named a key that is not in the set.
    unknown_key: Notify,
}

impl From<JwtKeySet> for JwtKeys {
    fn from(set: JwtKeySet) -> Self {
        Self(Arc::new(Inner { set: RwLock::new(set), unknown_key: Notify::new() }))
    }
}

impl JwtKeys {
    /// Verifies with these keys from now on, and with no others. Connections that are open stay open.
    ///
    /// To rotate, publish the new key beside the old one, sign with it, and remove the old one when the last token that
    /// it signed has expired.
    pub fn replace(&self, set: JwtKeySet) {
        *self.0.set.write().unwrap_or_else(PoisonError::into_inner) = set;
    }

    /// Keeps the keys up to date with what `fetch` returns, for as long as it is polled. It fetches at once, then at the
    /// interval `every`, and when a token names an unknown key, though not within 30 seconds of the last fetch.
    ///
    /// When `fetch` returns `None`, the keys stay as they are, and it is retried after 1 second, then 2, 4 and so on up
    /// to `every`. It should have a timeout, and log what went wrong.
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
        let mut retry = FIRST_RETRY;
        loop {
            match fetch().await {
                Some(set) => {
                    self.replace(set);
                    retry = FIRST_RETRY;
                    self.until_stale(every).await;
                }
                None => {
                    sleep(retry).await;
                    retry = (retry * 2).min(every.max(FIRST_RETRY));
                }
            }
        }
    }

    /// Completes when the keys should be fetched again.
    async fn until_stale(&self, every: Duration) {
        let soonest = UNKNOWN_KEY_INTERVAL.min(every).max(FIRST_RETRY);
        sleep(soonest).await;
        // The timeout and the unknown key are equally good reasons.
        let _ = timeout(every.saturating_sub(soonest), self.0.unknown_key.notified()).await;
    }

    pub(super) fn find(&self, kid: &str) -> Option<Arc<Key>> {
        let found = self.0.set.read().unwrap_or_else(PoisonError::into_inner).find(kid);
        if found.is_none() {
            self.0.unknown_key.notify_one();
        }
        found
    }
}
