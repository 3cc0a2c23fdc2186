//! Which sessions are over although nobody said so: a pure function.

use std::time::Duration;

use super::hooks::Why;
use super::limits::CEILING;
use crate::process::{Life, Process};

/// Whether a session is over, by what the system says of its process (S4.8, S4.43), and how long ago it was registered.
pub(crate) fn is_over(process: Process, life: Life, age: Duration) -> Option<Why> {
    match (life, process.started_at) {
        (Life::Ended, _) => Some(Why::ProcessEnded),
        (Life::Running { started_at }, Some(expected)) if started_at != expected => Some(Why::OtherProcess),
        _ if age >= CEILING => Some(Why::TooOld),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_over_with_its_process_and_not_kept_by_another_one_with_the_same_id() {
        let process = |started_at| Process { pid: 7, started_at };
        let running = |started_at| Life::Running { started_at };
        let (young, old) = (CEILING.checked_sub(Duration::from_nanos(1)).unwrap(), CEILING);
        for (process, life, age, wanted) in [
            (process(Some(5)), running(5), young, None),
            (process(Some(5)), running(5), old, Some(Why::TooOld)),
            (process(Some(5)), running(6), Duration::ZERO, Some(Why::OtherProcess)),
            (process(Some(5)), Life::Ended, Duration::ZERO, Some(Why::ProcessEnded)),
            (process(None), running(6), young, None),
            (process(None), Life::Ended, young, Some(Why::ProcessEnded)),
            (process(Some(5)), Life::Unknown, young, None),
            (process(Some(5)), Life::Unknown, old, Some(Why::TooOld)),
        ] {
            assert_eq!(is_over(process, life, age), wanted, "{process:?} {life:?} {age:?}");
        }
    }
}
