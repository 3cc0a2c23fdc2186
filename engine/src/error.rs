//! What can go wrong, in the caller's words.

use std::fmt;

use crate::config::Limit;
use crate::model::Text;
use crate::model::id::IdError;
use crate::model::nesting::DATA_LEVELS;
use crate::model::path;

/// Why a handler did not do what it was asked; goes to the consumer as the result's error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionError {
    code: Text,
    message: Text,
}

impl ActionError {
    /// An error with a code of the application's own. The message is read by the consumer: no internals.
    pub fn new(code: impl Into<Text>, message: impl Into<Text>) -> Self {
        Self { code: code.into(), message: message.into() }
    }

    /// What the action names does not exist (any more).
    pub fn not_found(message: impl Into<Text>) -> Self {
        Self::new("not_found", message)
    }

    /// The parameters cannot be used.
    pub fn invalid_params(message: impl Into<Text>) -> Self {
        Self::new("invalid_params", message)
    }

    /// The session may not do this.
    pub fn unauthorized(message: impl Into<Text>) -> Self {
        Self::new("unauthorized", message)
    }

    /// The state does not allow it now.
    pub fn conflict(message: impl Into<Text>) -> Self {
        Self::new("conflict", message)
    }

    /// Something broke that the consumer can do nothing about.
    pub fn internal(message: impl Into<Text>) -> Self {
        Self::new("internal", message)
    }

    /// The code that the consumer sees.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The sentence that the consumer sees.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for ActionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for ActionError {}

/// Why a session cannot be opened or connected.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectError {
    /// The provider is shutting down; try another instance or later.
    Closing,
    /// A limit is reached.
    LimitReached(Limit),
    /// The tokio runtime on which the engine was built has ended, so nothing can be rendered or sent any more.
    RuntimeEnded,
    /// The session was revoked.
    Revoked,
    /// The session's authentication has ended.
    Expired,
    /// The application could not make a provider for this session; the log knows why.
    ProviderFailed,
    /// What was asked for cannot be served; says why.
    Invalid(String),
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closing => f.write_str("the provider is shutting down"),
            Self::LimitReached(limit) => write!(f, "the limit `{limit}` is reached"),
            Self::RuntimeEnded => f.write_str("the tokio runtime on which the engine was built has ended"),
            Self::Revoked => f.write_str("the session was revoked"),
            Self::Expired => f.write_str("the session has expired"),
            Self::ProviderFailed => f.write_str("the provider of this session cannot be made"),
            Self::Invalid(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for ConnectError {}

/// Why an event or a result cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// It is longer than a frame may be (`sizes.frame_bytes`), in bytes.
    TooLarge(usize),
    /// Its data is nested too deeply: consumers could not parse it.
    TooDeep,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge(max) => write!(f, "it does not fit a frame of {max} bytes: send less, or a reference to it"),
            Self::TooDeep => write!(f, "its data has more than {DATA_LEVELS} levels: make it flatter"),
        }
    }
}

impl std::error::Error for FrameError {}

/// For a handler that sends something and passes its failure on.
impl From<FrameError> for ActionError {
    fn from(_: FrameError) -> Self {
        Self::new("too_large", "what was to be sent does not fit a frame")
    }
}

/// Why a source cannot be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegisterError {
    /// The path holds a segment that cannot be a node id.
    Path(String, IdError),
    /// The path is one of those under which browser tabs stand.
    ReservedForTabs(String),
    /// The path is one of those under which the engine itself shows rooms.
    ReservedForRooms(String),
    /// No session with that id is open.
    NoSession,
}

/// What the engine itself shows of each room, by its name below the room.
const OF_ROOMS: [&str; 3] = ["participants", "runs", "memory"];

impl RegisterError {
    /// The normal spelling of a path under which an application may register.
    pub(crate) fn check(path: &str) -> Result<Text, Self> {
        let normal = path::registrable(path).map_err(|why| Self::Path(path.to_owned(), why))?;
        if path::is_of_a_tab(&normal) { Err(Self::ReservedForTabs(path.to_owned())) } else { Ok(normal) }
    }
}

impl RegisterError {
    /// The normal spelling of a path below a room under which an application may register.
    pub(crate) fn check_in_room(path: &str) -> Result<Text, Self> {
        let normal = path::registrable(path).map_err(|why| Self::Path(path.to_owned(), why))?;
        // It stands below `rooms` and the room's id.
        if path::segments(&normal).count() + 2 > path::MAX_SEGMENTS {
            return Err(Self::Path(path.to_owned(), IdError::Deep));
        }
        let is_taken = normal.is_empty() || OF_ROOMS.iter().any(|taken| path::covers(taken, &normal));
        if is_taken { Err(Self::ReservedForRooms(path.to_owned())) } else { Ok(normal) }
    }
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path, why) => write!(f, "cannot register `{path}`: {why}"),
            Self::ReservedForTabs(path) => {
                write!(f, "cannot register `{path}`: `ui/tab-N` is where browser tabs stand")
            }
            Self::ReservedForRooms(path) => {
                write!(f, "cannot register `{path}`: it is where the engine itself shows rooms")
            }
            Self::NoSession => f.write_str("no session with that id is open"),
        }
    }
}

impl std::error::Error for RegisterError {}
