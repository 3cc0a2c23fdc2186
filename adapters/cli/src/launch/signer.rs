//! The socket on which the daemon asks for fresh attestations (U36).

use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::UnixListener;
use tokio::time::{sleep, timeout};

use super::voucher::Voucher;
use crate::same_user::is_same_user;
use crate::settings::now_ms;

/// How long whoever asks may take to read.
const WRITE: Duration = Duration::from_secs(1);

/// How long to wait if the system has no more file descriptors.
const NO_DESCRIPTORS: Duration = Duration::from_millis(200);

/// Writes an attestation to each process of this user that connects. It says nothing that is of use without the session's
/// secret.
pub(crate) async fn serve_signer(listener: UnixListener, voucher: Arc<Voucher>) {
    loop {
        let Ok((mut stream, _)) = listener.accept().await else {
            sleep(NO_DESCRIPTORS).await;
            continue;
        };
        if !is_same_user(&stream.peer_cred()) {
            continue;
        }
        let Some(attestation) = voucher.attest(now_ms()) else { continue };
        let text = serde_json::to_vec(&attestation).expect("an attestation serialises");
        // Whoever does not read gets none.
        let _ = timeout(WRITE, stream.write_all(&text)).await;
    }
}
