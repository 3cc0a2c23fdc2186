//! Random events against a reference that knows nothing of how a run is kept.

use serde_json::json;

use super::super::asked::Asked;
use super::super::delivery::{Delivery, OnTimeout};
use super::*;

fn asked(delivery: Option<Delivery>) -> Asked {
    Asked { delivery, ..Asked::example("r_1", json!(1)) }
}

const fn at(now_ms: u64) -> When {
    When { now_ms, unix_ms: now_ms }
}

#[derive(Debug, Clone, Copy)]
enum Happens {
    Dispatch,
    Sign(u32),
    Result(u32),
    Error(u32),
    Retryable(u32),
    /// Nobody works on it for now; whoever did is gone; and somebody is there again.
    LeftAlone(u32),
    Lost(u32),
    FoundAgain(u32),
    Cancel,
    Stop,
    Expire,
}

/// The reference: what is known of a run from outside.
struct Reference {
    status: RunStatus,
    attempt: u32,
    delivery: Option<Delivery>,
    /// Since when the agent has given no sign of life, since when it is cancelled, and until when nobody works on it.
    signed: u64,
    cancelled: Option<u64>,
    pause_until: Option<u64>,
    /// Until when somebody has to work on it again.
    alone_until: Option<u64>,
}

/// How long a run without a window waits for somebody who works on it.
const ALONE_MS: u64 = 200;

impl Reference {
    fn window(&self) -> Option<u64> {
        self.delivery.as_ref().and_then(|delivery| delivery.window_ms)
    }

    fn max_attempts(&self) -> u32 {
        self.delivery.as_ref().map_or(3, |delivery| delivery.max_attempts)
    }

    fn happens(&mut self, what: Happens, now: u64) {
        let speaks = |run: &Self, attempt| {
            run.status == RunStatus::Running && run.pause_until.is_none() && run.attempt == attempt
        };
        match what {
            Happens::Dispatch if self.status == RunStatus::Queued => {
                (self.status, self.signed) = (RunStatus::Running, now);
            }
            Happens::Sign(attempt) if speaks(self, attempt) => (self.signed, self.alone_until) = (now, None),
            Happens::LeftAlone(attempt) if speaks(self, attempt) && self.window().is_none() => {
                self.alone_until = self.alone_until.or(Some(now + ALONE_MS));
            }
            Happens::Lost(attempt) | Happens::FoundAgain(attempt) if speaks(self, attempt) => {
                if self.cancelled.is_some() {
                    self.status = RunStatus::Cancelled;
                } else if matches!(what, Happens::FoundAgain(_)) && self.attempt < self.max_attempts() {
                    (self.attempt, self.signed, self.alone_until) = (self.attempt + 1, now, None);
                } else {
                    self.try_again(RunStatus::TimedOut, now, false);
                }
            }
            Happens::Result(attempt) | Happens::Error(attempt) | Happens::Retryable(attempt)
                if speaks(self, attempt) =>
            {
                match what {
                    _ if self.cancelled.is_some() => self.status = RunStatus::Cancelled,
                    Happens::Result(_) => self.status = RunStatus::Done,
                    Happens::Error(_) => self.status = RunStatus::Failed,
                    _ => self.try_again(RunStatus::Failed, now, true),
                }
            }
            Happens::Cancel if self.status == RunStatus::Queued || self.pause_until.is_some() => {
                (self.status, self.pause_until) = (RunStatus::Cancelled, None);
            }
            Happens::Cancel if self.status == RunStatus::Running => self.cancelled = self.cancelled.or(Some(now)),
            Happens::Stop if !self.status.is_ended() => (self.status, self.pause_until) = (RunStatus::Failed, None),
            Happens::Expire if self.status == RunStatus::Running => {
                let expires = self.window().map(|ms| self.signed + ms).or(self.alone_until);
                if self.cancelled.is_some_and(|since| now >= since + 10_000) {
                    self.status = RunStatus::Cancelled;
                } else if self.pause_until.is_some_and(|until| now >= until) {
                    (self.pause_until, self.signed) = (None, now);
                } else if self.cancelled.is_none() && self.pause_until.is_none() && expires.is_some_and(|at| now >= at)
                {
                    self.try_again(RunStatus::TimedOut, now, false);
                }
            }
            _ => {}
        }
    }

    fn try_again(&mut self, otherwise: RunStatus, now: u64, pauses: bool) {
        let delivery = self.delivery.clone().unwrap_or_default().max_attempts(if pauses && self.delivery.is_none() {
            1
        } else {
            self.max_attempts()
        });
        let replays = delivery.on_timeout == OnTimeout::Replay && self.attempt < delivery.max_attempts;
        let reruns = delivery.on_timeout == OnTimeout::Rerun && self.attempt < delivery.max_attempts;
        if replays {
            self.pause_until = pauses.then(|| now + (100 << (self.attempt - 1)));
            (self.attempt, self.signed, self.alone_until) = (self.attempt + 1, now, None);
        } else if !reruns && delivery.fallback.is_some() && delivery.on_timeout != OnTimeout::Fail {
            self.status = RunStatus::TimedOut;
        } else {
            self.status = otherwise;
        }
    }
}

/// A generator of numbers, each below a bound.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn some_delivery(random: &mut Random) -> Option<Delivery> {
    if random.below(4) == 0 {
        return None;
    }
    let policies = [OnTimeout::Replay, OnTimeout::Rerun, OnTimeout::Escalate, OnTimeout::Fail];
    let policy = policies[random.below(4) as usize];
    let delivery = Delivery::default().on_timeout(policy).max_attempts(random.below(4) as u32 + 1);
    let delivery = if random.below(4) > 0 { Delivery { window_ms: Some(100), ..delivery } } else { delivery };
    let has_fallback = policy == OnTimeout::Escalate || random.below(2) == 0;
    Some(if has_fallback { delivery.fallback("b") } else { delivery })
}

fn some_event(random: &mut Random, attempt: u32) -> Happens {
    let speaker = if random.below(4) == 0 { attempt.saturating_sub(1) } else { attempt };
    match random.below(30) {
        0 => Happens::Result(speaker),
        1 => Happens::Error(speaker),
        2 | 3 => Happens::Retryable(speaker),
        4 => Happens::Cancel,
        5 if random.below(4) == 0 => Happens::Stop,
        6..12 => Happens::Sign(speaker),
        12..14 => Happens::Dispatch,
        14..16 => Happens::LeftAlone(speaker),
        16 => Happens::Lost(speaker),
        17 => Happens::FoundAgain(speaker),
        _ => Happens::Expire,
    }
}

fn apply(run: &mut Run, what: Happens, now: u64) -> Next {
    match what {
        Happens::Dispatch => {
            run.dispatch(at(now));
            Next::Nothing
        }
        Happens::Sign(attempt) => {
            run.sign(attempt, now);
            Next::Nothing
        }
        Happens::Result(attempt) => run.finish(attempt, Ok(json!(1)), at(now), 0),
        Happens::Error(attempt) => run.finish(attempt, Err(RunError::new("x", "")), at(now), 0),
        Happens::Retryable(attempt) => run.finish(attempt, Err(RunError::retryable("x", "")), at(now), 0),
        Happens::LeftAlone(attempt) => {
            run.leave_alone(attempt, ALONE_MS, now);
            Next::Nothing
        }
        Happens::Lost(attempt) => run.lose(attempt, at(now)),
        Happens::FoundAgain(attempt) => run.redeliver(attempt, at(now)),
        Happens::Cancel => run.cancel(at(now)),
        Happens::Stop => run.stop(RunError::new("interrupted", ""), at(now)),
        Happens::Expire => run.expire(at(now)),
    }
}

#[test]
fn a_run_does_what_the_reference_says_and_ends_exactly_once() {
    let mut random = Random(7);
    let mut ends = 0;
    for case in 0..20_000 {
        let delivery = some_delivery(&mut random);
        let mut run = Run::new(asked(delivery.clone()), 0, 1, None);
        let mut reference = Reference {
            status: RunStatus::Queued,
            attempt: 1,
            delivery,
            signed: 0,
            cancelled: None,
            pause_until: None,
            alone_until: None,
        };
        let (mut now, mut ended) = (0, 0);
        for _ in 0..random.below(40) {
            now += [0, 1, 60, 100, 5_000][random.below(5) as usize];
            let what = some_event(&mut random, reference.attempt);
            let next = apply(&mut run, what, now);
            reference.happens(what, now);
            let seen = (run.status(), run.attempt());
            assert_eq!(seen, (reference.status, reference.attempt), "case {case}: {what:?} at {now}: {run:?}");
            ended += usize::from(matches!(next, Next::Ended | Next::Rerun { .. } | Next::Escalate(_)));
        }
        assert_eq!(ended, usize::from(run.status().is_ended()), "case {case}");
        ends += ended;
    }
    assert!(ends > 5_000, "most cases end: {ends}");
}

#[test]
fn a_stale_attempt_is_not_heard() {
    let mut run = Run::new(asked(Some(Delivery::within_ms(100))), 0, 1, None);
    assert!(run.dispatch(at(0)));
    assert_eq!(run.expire(at(99)), Next::Nothing);
    assert_eq!(run.expire(at(100)), Next::Replay);
    assert!(!run.sign(1, 101) && !run.report(1, Some(0.5), None, 101));
    let bounds = OutputBounds { bytes: 10, chunk_bytes: 10 };
    assert!(run.write(1, "stale", bounds, 101).is_empty() && run.iterate(1, 9, 101).is_none());
    assert_eq!(run.finish(1, Ok(json!(1)), at(101), 0), Next::Nothing);
    assert_eq!(run.finish(2, Ok(json!(2)), at(101), 0), Next::Ended);
    assert_eq!((run.outcome(), run.attempt(), run.duration_ms()), (Some(&Outcome::Done(json!(2))), 2, 101));
}

#[test]
fn the_last_retryable_error_is_the_runs_own() {
    let delivery = Delivery { window_ms: None, max_attempts: 2, ..Delivery::default() };
    let mut run = Run::new(asked(Some(delivery)), 0, 1, None);
    run.dispatch(at(0));
    let error = || Err(RunError::retryable("overloaded", "later"));
    assert_eq!(run.finish(1, error(), at(10), 0), Next::ReplayLater);
    assert_eq!((run.due_ms(), run.expire(at(109)), run.expire(at(110))), (Some(110), Next::Nothing, Next::Replay));
    assert_eq!(run.finish(2, error(), at(120), 0), Next::Ended);
    assert_eq!(run.outcome(), Some(&Outcome::Failed(RunError::retryable("overloaded", "later"))));
}
