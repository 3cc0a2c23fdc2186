//! Which sessions there are, and until when.

use std::sync::Mutex;
use std::sync::PoisonError;

use crate::stopwatch::time_of_day_us;
use crate::trial::secrets::Secrets;

/// Users of a group see the same group data.
pub(super) const GROUPS: u32 = 4;

/// One of how many sessions expires, and when at the earliest and the latest, in ms.
const EXPIRES_ONE_IN: u32 = 3;
const LIFE_MS: std::ops::Range<u64> = 2_000..20_000;

/// A session as its token says it: the server knows nothing else of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pass {
    pub(super) user: u32,
    /// Of one user's sessions, the how manieth.
    pub(super) number: u32,
    /// The time of day in ms; never, if it is 0.
    pub(super) expires_ms: u64,
}

impl Pass {
    pub(super) fn user_name(self) -> String {
        format!("u{}", self.user)
    }

    pub(super) fn session(self) -> String {
        format!("s{}-{}", self.user, self.number)
    }

    pub(super) fn secrets(self) -> Secrets {
        Secrets { user: self.user_name(), session: self.session() }
    }

    pub(super) fn token(self) -> String {
        format!("{}.{}.{}", self.user, self.number, self.expires_ms)
    }

    /// What a token says.
    pub(super) fn from_token(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let (user, number, expires_ms) = (parts.next()?, parts.next()?, parts.next()?);
        Some(Self { user: user.parse().ok()?, number: number.parse().ok()?, expires_ms: expires_ms.parse().ok()? })
    }
}

/// Each user's session now.
pub(super) struct World {
    address: String,
    now: Mutex<Now>,
}

struct Now {
    passes: Vec<Pass>,
    random: fastrand::Rng,
}

impl World {
    pub(super) fn new(address: String, users: u32, mut random: fastrand::Rng) -> Self {
        let passes = (0..users).map(|user| renewed(Pass { user, number: 0, expires_ms: 0 }, &mut random)).collect();
        Self { address, now: Mutex::new(Now { passes, random }) }
    }

    /// The session with which somebody comes now. One that has expired is replaced.
    pub(super) fn pass(&self, random: &mut fastrand::Rng) -> Pass {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let Now { passes, random: own } = &mut *now;
        let at = random.usize(..passes.len());
        let expires_ms = passes[at].expires_ms;
        if expires_ms > 0 && expires_ms <= time_of_day_us() / 1_000 {
            passes[at] = renewed(passes[at], own);
        }
        passes[at]
    }

    /// Gives a user another session. Answers the id of the one before.
    pub(super) fn retire(&self, user: u32) -> String {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        let Now { passes, random } = &mut *now;
        let before = passes[user as usize];
        passes[user as usize] = renewed(before, random);
        before.session()
    }

    pub(super) fn url(&self, pass: Pass) -> String {
        format!("ws://{}/slop?token={}", self.address, pass.token())
    }
}

fn renewed(before: Pass, random: &mut fastrand::Rng) -> Pass {
    let expires = random.u32(..EXPIRES_ONE_IN) == 0;
    let expires_ms = if expires { time_of_day_us() / 1_000 + random.u64(LIFE_MS) } else { 0 };
    Pass { number: before.number + 1, expires_ms, ..before }
}
