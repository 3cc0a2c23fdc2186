//! The current session of each user.

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::session_token::SessionToken;
use crate::measure::stopwatch::time_of_day_us;

/// One in this many sessions expires.
const EXPIRES_ONE_IN: u32 = 3;

/// The lifetime of a session that expires, in ms.
const LIFETIME_MS: Range<u64> = 2_000..20_000;

/// The current session of each user.
pub(super) struct SessionPool {
    address: String,
    sessions: Mutex<Sessions>,
}

struct Sessions {
    tokens: Vec<SessionToken>,
    random: fastrand::Rng,
}

impl SessionPool {
    pub(super) fn new(address: String, users: u32, mut random: fastrand::Rng) -> Self {
        let first = |user| SessionToken { user, number: 0, expires_ms: 0 };
        let tokens = (0..users).map(|user| successor(first(user), &mut random)).collect();
        Self { address, sessions: Mutex::new(Sessions { tokens, random }) }
    }

    fn lock(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The session of a random user. An expired one is replaced.
    pub(super) fn pick(&self, random: &mut fastrand::Rng) -> SessionToken {
        let mut sessions = self.lock();
        let Sessions { tokens, random: own } = &mut *sessions;
        let at = random.usize(..tokens.len());
        let expires_ms = tokens[at].expires_ms;
        if expires_ms > 0 && expires_ms <= time_of_day_us() / 1_000 {
            tokens[at] = successor(tokens[at], own);
        }
        tokens[at]
    }

    /// Replaces the session of a user. Returns the id of the replaced one.
    pub(super) fn replace(&self, user: u32) -> String {
        let mut sessions = self.lock();
        let Sessions { tokens, random } = &mut *sessions;
        let replaced = tokens[user as usize];
        tokens[user as usize] = successor(replaced, random);
        replaced.session_id()
    }

    pub(super) fn url(&self, token: SessionToken) -> String {
        format!("ws://{}/slop?token={}", self.address, token.encode())
    }
}

/// The next session of the same user.
fn successor(token: SessionToken, random: &mut fastrand::Rng) -> SessionToken {
    let expires = random.u32(..EXPIRES_ONE_IN) == 0;
    let expires_ms = if expires { time_of_day_us() / 1_000 + random.u64(LIFETIME_MS) } else { 0 };
    SessionToken { number: token.number + 1, expires_ms, ..token }
}
