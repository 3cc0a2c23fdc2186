//! Why a session may do nothing in rooms, as the error of a call.

use crate::error::{ActionError, ConnectError};
use crate::protocol::code::ErrorCode;

/// Why a session may do nothing, or why the connection of a stream of events was refused.
pub(super) fn refused(error: &ConnectError) -> ActionError {
    let code = match error {
        ConnectError::LimitReached(_) | ConnectError::Closing => ErrorCode::Busy,
        ConnectError::Expired | ConnectError::Revoked => ErrorCode::Unauthorized,
        _ => ErrorCode::Internal,
    };
    ActionError::new(code, error.to_string())
}
