//! Whether a process is still the one that it was.

use std::fs;
use std::io::ErrorKind;

/// A process: its id, and when it was started, in ticks since the system was (field 22 of `/proc/PID/stat`). Ids are used
/// again; the two together are not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) started_at: Option<u64>,
}

/// What the system says of a process id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// There is no such process, or it has ended and nobody has asked for its status yet.
    Ended,
    /// There is one, which was started then.
    Running {
        /// In ticks since the system was started.
        started_at: u64,
    },
    /// It cannot be found out.
    Unknown,
}

impl Process {
    /// This process.
    pub(crate) fn own() -> Self {
        let pid = std::process::id();
        Self { pid, started_at: start_of(pid) }
    }
}

/// When the process with this id was started, if there is one.
pub(crate) fn start_of(pid: u32) -> Option<u64> {
    match life_of(pid) {
        Life::Running { started_at } => Some(started_at),
        Life::Ended | Life::Unknown => None,
    }
}

/// What the system says of a process id now.
pub(crate) fn life_of(pid: u32) -> Life {
    if !cfg!(target_os = "linux") {
        return Life::Unknown;
    }
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => parse(&stat),
        Err(error) if error.kind() == ErrorKind::NotFound => Life::Ended,
        // The process ended while it was read.
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => Life::Ended,
        Err(_) => Life::Unknown,
    }
}

/// The name of the process stands in parentheses and may contain anything, parentheses included.
fn parse(stat: &str) -> Life {
    let Some((_, rest)) = stat.rsplit_once(')') else { return Life::Unknown };
    // The state is field 3, the start field 22.
    let mut fields = rest.split_ascii_whitespace();
    match (fields.next(), fields.nth(18).map(str::parse)) {
        (Some("Z" | "X" | "x"), _) => Life::Ended,
        (Some(_), Some(Ok(started_at))) => Life::Running { started_at },
        _ => Life::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_found_behind_any_name() {
        let rest = "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20 21";
        for name in ["sleep", "a b", ") S 1 (", "((("] {
            assert_eq!(parse(&format!("42 ({name}) S {rest}\n")), Life::Running { started_at: 4711 }, "{name}");
            assert_eq!(parse(&format!("42 ({name}) Z {rest}\n")), Life::Ended);
        }
        for wrong in ["", "42", "42 (x)", "42 (x) S 1", "42 (x) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 x"] {
            assert_eq!(parse(wrong), Life::Unknown, "{wrong}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_runs_and_one_that_has_ended_does_not() {
        assert!(Process::own().started_at.is_some());
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        assert_eq!((life_of(pid), life_of(u32::MAX)), (Life::Ended, Life::Ended));
    }
}
