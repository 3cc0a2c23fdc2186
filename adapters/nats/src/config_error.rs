//! Why the connection to a server cannot even be tried.

use std::path::PathBuf;

/// Why the connection to a server cannot even be tried: a mistake in the configuration, and never that a server is away.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// No server is named.
    #[error("name at least one server, for example `nats://localhost:4222`")]
    NoServer,
    /// A URL of a server is not one. The text does not quote it, since it may contain a password.
    #[error("server {number} has no URL like `nats://host:4222` or `tls://host:4222`: {why}")]
    Url {
        /// Which one of those given, from 1.
        number: usize,
        /// What is wrong with it.
        why: String,
    },
    /// More than one way to authenticate is given.
    #[error(
        "give one way to authenticate: a credentials file, a user and password, a token or a key, not several of them"
    )]
    SeveralIdentities,
    /// A file cannot be read or does not contain what it should.
    #[error("{what} `{}` cannot be used: {why}", path.display())]
    File {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A key is not the seed of a user.
    #[error("the key must be the seed of a user, which begins with `SU`")]
    Key,
    /// The prefix of the subjects is not one.
    #[error("the prefix must be tokens of letters, digits, `_` and `-`, separated by dots, such as `grove.v1`")]
    Prefix,
    /// A bound is zero.
    #[error("`{0}` must be at least 1")]
    Zero(&'static str),
    /// The server did not accept the connection, or was not there, within the time that was asked for.
    #[error("no connection to a server within {within_ms} ms: {why}")]
    NotConnected {
        /// How long it was tried.
        within_ms: u128,
        /// The last reason.
        why: String,
    },
    /// It was not called within a Tokio runtime.
    #[error("it must be called within a Tokio runtime, which drives the connection from then on")]
    NoRuntime,
}
