//! The launched command: how it is started, which signals it is sent, and how it ended.

use std::ffi::OsString;
use std::future::pending;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use rustix::process::{Pid, Signal, getpgrp, kill_process};
use tokio::process::{Child, Command};
use tokio::signal::unix::{self, SignalKind};

use crate::failure::{Failure, Kind};

/// The signals that are forwarded. Those that are ignored stay so, for the command as well: `nohup` and a script that runs
/// something in the background say in this way what is not meant for it.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Option<unix::Signal>,
    quit: Option<unix::Signal>,
    terminate: Option<unix::Signal>,
    hang_up: Option<unix::Signal>,
    user_1: Option<unix::Signal>,
    user_2: Option<unix::Signal>,
}

impl Signals {
    /// From now on, these signals do not end this process.
    ///
    /// # Errors
    /// If the system refuses.
    pub(crate) fn catch() -> io::Result<Self> {
        // Where the system does not say it, none is ignored.
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let ignored = ignored(&status);
        let catch = |kind: SignalKind| {
            let is_ignored = (ignored >> (kind.as_raw_value() - 1)) & 1 == 1;
            if is_ignored { Ok(None) } else { unix::signal(kind).map(Some) }
        };
        Ok(Self {
            interrupt: catch(SignalKind::interrupt())?,
            quit: catch(SignalKind::quit())?,
            terminate: catch(SignalKind::terminate())?,
            hang_up: catch(SignalKind::hangup())?,
            user_1: catch(SignalKind::user_defined1())?,
            user_2: catch(SignalKind::user_defined2())?,
        })
    }

    /// The next signal.
    pub(crate) async fn next(&mut self) -> Signal {
        tokio::select! {
            () = received(&mut self.interrupt) => Signal::INT,
            () = received(&mut self.quit) => Signal::QUIT,
            () = received(&mut self.terminate) => Signal::TERM,
            () = received(&mut self.hang_up) => Signal::HUP,
            () = received(&mut self.user_1) => Signal::USR1,
            () = received(&mut self.user_2) => Signal::USR2,
        }
    }
}

/// Ends when the signal comes; never, if it is ignored.
async fn received(signal: &mut Option<unix::Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => pending().await,
    }
}

/// The signals that a process ignores, one bit each, from its status in `/proc`.
fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// Starts a command with these variables; those without a value are removed.
///
/// # Errors
/// If there is none of that name, or it cannot be run.
pub(crate) fn spawn(command: &[OsString], variables: &[(&str, Option<OsString>)]) -> Result<Child, Failure> {
    let [program, arguments @ ..] = command else { return Err(Failure::new(Kind::NotLaunched, "no command is given")) };
    let mut starting = Command::new(program);
    starting.args(arguments);
    for (name, value) in variables {
        match value {
            Some(value) => starting.env(name, value),
            None => starting.env_remove(name),
        };
    }
    starting.spawn().map_err(|error| {
        let kind = if error.kind() == io::ErrorKind::NotFound { Kind::NoCommand } else { Kind::NotExecutable };
        Failure::new(kind, format!("cannot run {}: {error}", program.to_string_lossy()))
    })
}

/// Waits until the command has ended, and forwards signals meanwhile.
///
/// # Errors
/// If the system does not say how it ended.
pub(crate) async fn wait(child: &mut Child, signals: &mut Signals) -> io::Result<ExitStatus> {
    let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    loop {
        tokio::select! {
            status = child.wait() => return status,
            signal = signals.next() => if let Some(pid) = pid.filter(|_| !is_sent_by_terminal(signal)) {
                // It may have ended just now; it was not waited for yet, so its id is no other process's.
                let _ = kill_process(pid, signal);
            },
        }
    }
}

/// Whether the terminal has sent this signal to the command as well: it sends what keys cause to all processes in the
/// foreground, and a program that gets it twice may take it for impatience. Who has sent a signal is not known here, so one
/// that `kill` sends to a launcher in the foreground is taken for a key as well (peers 8).
fn is_sent_by_terminal(signal: Signal) -> bool {
    let is_key = signal == Signal::INT || signal == Signal::QUIT;
    let terminal = || std::fs::File::open("/dev/tty").ok();
    is_key
        && terminal().is_some_and(|terminal| rustix::termios::tcgetpgrp(terminal).is_ok_and(|group| group == getpgrp()))
}

/// How this process ends after a command that ended so.
pub(crate) fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_says_which_signals_are_ignored() {
        // HUP is 1, INT 2, QUIT 3.
        assert_eq!(ignored("Name:\tgrove\nSigBlk:\t0000000000000007\nSigIgn:\t0000000000000005\nSigCgt:\t2\n"), 0b101);
        assert_eq!(ignored(""), 0);
    }

    #[test]
    fn the_exit_code_is_the_commands_or_128_and_its_signal() {
        for (raw, code) in [(0, 0), (7 << 8, 7), (255 << 8, 255), (9, 137), (15, 143)] {
            assert_eq!(exit_code(ExitStatus::from_raw(raw)), code);
        }
    }
}
