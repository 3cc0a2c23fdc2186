//! The ways to log in.

/// How people log in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignIn {
    /// With their name: for a server that only this machine can reach.
    ByName,
    /// With a token.
    ByToken,
}
