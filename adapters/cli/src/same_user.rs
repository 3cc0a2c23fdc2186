//! Who is at the other end of a socket.

use std::io;

use rustix::process::geteuid;
use tokio::net::unix::UCred;

/// The user as whom this process runs.
pub(crate) fn own_uid() -> u32 {
    geteuid().as_raw()
}

/// Whether the process at the other end, by what the system says of it (`SO_PEERCRED`), is this user's. What the system does
/// not say is not trusted.
pub(crate) fn is_same_user(peer: &io::Result<UCred>) -> bool {
    is_same(peer.as_ref().ok().map(UCred::uid), own_uid())
}

fn is_same(peer: Option<u32>, own: u32) -> bool {
    peer == Some(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_this_user_is_the_same_user() {
        assert!(is_same(Some(1000), 1000));
        for other in [None, Some(0), Some(1001), Some(u32::MAX)] {
            assert!(!is_same(other, 1000), "{other:?}");
        }
        let (one, _other) = tokio::net::UnixStream::pair().unwrap();
        assert!(is_same_user(&one.peer_cred()));
        assert!(!is_same_user(&Err(io::ErrorKind::Other.into())));
    }
}
