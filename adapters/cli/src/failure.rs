//! Why a command failed: what was tried, what is wrong, and what to do about it.

use std::fmt;

/// What kind of failure it is, which is the exit code. 2 is wrong usage, which is found before a command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Something on this machine: a file, a directory, the system.
    Failed,
    /// The server or the daemon refuses.
    Refused,
    /// The server or the daemon cannot be reached.
    Unreachable,
    /// There is no such peer.
    NotFound,
    /// `launch` failed before the command ran.
    NotLaunched,
    /// The command to launch cannot be run.
    NotExecutable,
    /// The command to launch was not found.
    NoCommand,
}

impl Kind {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Refused => 3,
            Self::Unreachable => 4,
            Self::NotFound => 5,
            Self::NotLaunched => 125,
            Self::NotExecutable => 126,
            Self::NoCommand => 127,
        }
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Unreachable => "unreachable",
            Self::NotFound => "not_found",
            Self::NotLaunched => "not_launched",
            Self::NotExecutable => "not_executable",
            Self::NoCommand => "no_command",
        }
    }
}

/// Why a command failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    /// What was tried, and what is wrong.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) advice: Option<String>,
}

impl Failure {
    pub(crate) fn new(kind: Kind, message: impl fmt::Display) -> Self {
        Self { kind, message: message.to_string(), advice: None }
    }

    pub(crate) fn failed(message: impl fmt::Display) -> Self {
        Self::new(Kind::Failed, message)
    }

    pub(crate) fn advice(mut self, advice: impl fmt::Display) -> Self {
        self.advice = Some(advice.to_string());
        self
    }

    /// The same failure of another kind.
    pub(crate) const fn of(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.advice.iter().try_for_each(|advice| write!(f, "\n  {advice}"))
    }
}
