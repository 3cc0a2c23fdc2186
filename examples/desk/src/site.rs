//! The state of the web side.

use grove_axum::Slop;

use crate::desk::Desk;
use crate::sign_in::SignIn;

/// What every handler of the web side needs.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) desk: Desk,
    pub(crate) sign_in: SignIn,
    /// Knows the public URL of the endpoint.
    pub(crate) slop: Slop,
}
