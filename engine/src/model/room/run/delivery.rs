//! What is done about an agent that does not answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::Text;
use crate::model::room::policy::{Invalid, check, check_name};

/// What follows when the window of a run expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnTimeout {
    /// The same run is dispatched again; after the last attempt the fallback gets the work, or the run is timed out.
    #[default]
    Replay,
    /// The run is timed out, and a new one begins; after the last one the fallback gets the work.
    Rerun,
    /// The fallback gets the work at once.
    Escalate,
    /// The run is timed out.
    Fail,
}

/// How long an agent may give no sign of life, and what follows then (rooms 6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Delivery {
    /// How long the agent has for a sign of life, from 100 to 3,600,000 ms; without it, there is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_ms: Option<u64>,
    /// How often the work is tried in all, replays and reruns together. At most 100.
    pub max_attempts: u32,
    /// What follows when the window expires.
    pub on_timeout: OnTimeout,
    /// The agent that gets the work if this one does not do it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
}

/// How long a window may be, in ms.
const WINDOW_MS: std::ops::RangeInclusive<u64> = 100..=3_600_000;

/// How often work may be tried.
const MOST_ATTEMPTS: u32 = 100;

/// How long the name of an agent may be, in bytes.
const NAME_BYTES: usize = 128;

/// The first pause before work is tried again after an error, and the longest, in ms.
const FIRST_BACKOFF_MS: u64 = 100;
const LONGEST_BACKOFF_MS: u64 = 30_000;

impl Default for Delivery {
    fn default() -> Self {
        Self { window_ms: None, max_attempts: 3, on_timeout: OnTimeout::default(), fallback: None }
    }
}

/// What to do now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reaction {
    /// The same run again.
    Replay,
    /// A new run in its place.
    Rerun,
    /// A new run of this agent in its place.
    Escalate(Text),
    /// Nothing more.
    End,
}

impl Delivery {
    /// With this window.
    #[must_use]
    pub fn within_ms(window_ms: u64) -> Self {
        Self { window_ms: Some(window_ms), ..Self::default() }
    }

    /// With another number of attempts.
    #[must_use]
    pub const fn max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts;
        self
    }

    /// What follows when the window expires.
    #[must_use]
    pub const fn on_timeout(mut self, on_timeout: OnTimeout) -> Self {
        self.on_timeout = on_timeout;
        self
    }

    /// The agent that gets the work if this one does not do it.
    #[must_use]
    pub fn fallback(mut self, agent: impl Into<String>) -> Self {
        self.fallback = Some(agent.into());
        self
    }

    /// # Errors
    /// A sentence about the first field that cannot be used.
    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        let window = self.window_ms.is_none_or(|ms| WINDOW_MS.contains(&ms));
        check(window, || "`window_ms` must be from 100 to 3600000".to_owned())?;
        let attempts = (1..=MOST_ATTEMPTS).contains(&self.max_attempts);
        check(attempts, || format!("`max_attempts` must be from 1 to {MOST_ATTEMPTS}"))?;
        let escalates = self.on_timeout != OnTimeout::Escalate || self.fallback.is_some();
        check(escalates, || "`escalate` needs a `fallback`".to_owned())?;
        self.fallback.as_ref().map_or(Ok(()), |name| check_name("fallback", name, NAME_BYTES))
    }

    /// Which agent gets the work if the one that was asked cannot do it at all.
    pub(crate) fn last_resort(&self) -> Option<Text> {
        self.fallback.as_deref().filter(|_| self.on_timeout != OnTimeout::Fail).map(Text::from)
    }

    /// What follows when an attempt came to nothing: its window expired, or it ended with an error after which trying again
    /// may help.
    pub(crate) fn react(&self, attempt: u32) -> Reaction {
        let is_last = attempt >= self.max_attempts;
        match self.on_timeout {
            OnTimeout::Replay if !is_last => Reaction::Replay,
            OnTimeout::Rerun if !is_last => Reaction::Rerun,
            OnTimeout::Fail => Reaction::End,
            _ => self.fallback.as_deref().map_or(Reaction::End, |name| Reaction::Escalate(name.into())),
        }
    }
}

/// How long to wait after the failure of an attempt, counted from 1, in ms. `random` is any number.
pub(crate) fn backoff_ms(attempt: u32, random: u64) -> u64 {
    let doubled = FIRST_BACKOFF_MS.checked_shl(attempt.saturating_sub(1).min(16)).unwrap_or(LONGEST_BACKOFF_MS);
    let pause = doubled.min(LONGEST_BACKOFF_MS);
    (pause + random % (pause / 4 + 1)).min(LONGEST_BACKOFF_MS)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_policy_has_its_reaction() {
        let of = |policy, fallback: bool| {
            let delivery = Delivery::within_ms(100).on_timeout(policy);
            if fallback { delivery.fallback("b") } else { delivery }
        };
        let to_b = || Reaction::Escalate("b".into());
        for (policy, fallback, expected) in [
            (OnTimeout::Replay, false, [Reaction::Replay, Reaction::Replay, Reaction::End]),
            (OnTimeout::Replay, true, [Reaction::Replay, Reaction::Replay, to_b()]),
            (OnTimeout::Rerun, false, [Reaction::Rerun, Reaction::Rerun, Reaction::End]),
            (OnTimeout::Rerun, true, [Reaction::Rerun, Reaction::Rerun, to_b()]),
            (OnTimeout::Escalate, true, [to_b(), to_b(), to_b()]),
            (OnTimeout::Fail, true, [Reaction::End, Reaction::End, Reaction::End]),
        ] {
            assert_eq!([1, 2, 3].map(|attempt| of(policy, fallback).react(attempt)), expected, "{policy:?} {fallback}");
        }
    }

    #[test]
    fn the_pause_doubles_and_is_at_most_30_s() {
        assert_eq!([1, 2, 3, 4].map(|attempt| backoff_ms(attempt, 0)), [100, 200, 400, 800]);
        assert_eq!((backoff_ms(1, 25), backoff_ms(1, 26), backoff_ms(40, u64::MAX)), (125, 100, 30_000));
        assert!((0..1_000).all(|random| (30_000..=30_000).contains(&backoff_ms(10, random))));
    }

    #[test]
    fn a_delivery_that_cannot_be_is_refused_with_its_field() {
        let parsed = |json| serde_json::from_value::<Delivery>(json);
        assert_eq!(parsed(json!({})).unwrap(), Delivery::default());
        for (given, field) in [
            (json!({"window_ms": 99}), "window_ms"),
            (json!({"window_ms": 3_600_001}), "window_ms"),
            (json!({"max_attempts": 0}), "max_attempts"),
            (json!({"on_timeout": "escalate"}), "fallback"),
            (json!({"fallback": ""}), "fallback"),
        ] {
            let Invalid(sentence) = parsed(given).unwrap().validate().unwrap_err();
            assert!(sentence.contains(field), "{sentence}");
        }
        assert!(parsed(json!({"window": 5})).is_err());
        assert_eq!(Delivery::within_ms(100).on_timeout(OnTimeout::Escalate).fallback("b").validate(), Ok(()));
    }
}
