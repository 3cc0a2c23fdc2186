//! Many sessions that expire, with one timer.

use std::time::Duration;

use grove_engine::{Clock, Event};

use crate::fixtures::{EventLog, engine_with_clock, user_session};

#[tokio::test]
async fn each_of_many_sessions_ends_at_its_own_time_whatever_its_renewals_said() {
    let (engine, clock) = engine_with_clock(|config| config.times.idle_session = Duration::from_secs(1 << 30));
    let log = EventLog::of(&engine);
    let at = |s: usize| clock.wall() + Duration::from_secs(s as u64);
    let session = |number: usize, s| user_session(&format!("s{number}"), &format!("u{number}")).with_expiry(s);
    // In no order; every third is renewed, to earlier, later and never.
    let seconds: Vec<_> = (0..2_000).map(|number| 1 + number * 7_919 % 2_000).collect();
    let ends: Vec<_> = seconds.iter().map(|s| at(*s)).collect();
    for (number, end) in ends.iter().enumerate() {
        engine.open_session(&session(number, *end)).unwrap();
    }
    let mut expected = seconds;
    for number in (0..2_000).step_by(3) {
        let renewed = match number % 9 {
            0 => Some(1),
            3 => Some(expected[number] + 900),
            _ => None,
        };
        expected[number] = renewed.unwrap_or(usize::MAX);
        let claims = user_session(&format!("s{number}"), &format!("u{number}"));
        assert!(engine.update_session(&match renewed {
            Some(s) => claims.with_expiry(at(s)),
            None => claims,
        }));
    }
    for now in [0, 1, 2, 10, 300, 601, 1_000, 1_500, 1_999, 2_000, 2_500, 3_000] {
        clock.advance(now * 1_000 - clock.now_ms());
        engine.settle().await;
        let open = expected.iter().filter(|s| **s > usize::try_from(now).unwrap()).count();
        assert_eq!(engine.stats().sessions, open, "after {now} s");
    }
    assert_eq!(log.count(|event| matches!(event, Event::SessionClosed { .. })), 2_000 - engine.stats().sessions);
}
