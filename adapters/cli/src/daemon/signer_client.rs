//! Asks the launcher of a session for a fresh attestation (U36).

use std::path::{Path, PathBuf};
use std::time::Duration;

use grove_attest::{Attestation, PublicKey};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::same_user::is_same_user;

/// How long the launcher may take.
const ANSWER: Duration = Duration::from_secs(5);

/// How long an attestation may be, in bytes.
const BYTES: u64 = 128 << 10;

/// With less than this left, a fresh one is asked for (peers 2), in ms.
const FRESH_MS: u64 = 3_600_000;

/// The name of the socket, in the directory of the session's secret.
pub(crate) const SIGNER: &str = "signer.sock";

/// Whether it is time for a fresh one.
pub(crate) fn is_old(attestation: &Attestation, now_ms: u64) -> bool {
    attestation.expires_at_ms() < now_ms.saturating_add(FRESH_MS)
}

/// Where the launcher of the session with this secret would sign.
pub(crate) fn signer_beside(secret_file: &Path) -> Option<PathBuf> {
    Some(secret_file.parent()?.join(SIGNER))
}

/// A fresh attestation for this key. `None` if nobody signs there, or signs something else.
pub(crate) async fn fresh(signer: &Path, session: &PublicKey) -> Option<Attestation> {
    let asked = timeout(ANSWER, async {
        let stream = UnixStream::connect(signer).await.ok()?;
        if !is_same_user(&stream.peer_cred()) {
            return None;
        }
        let mut text = Vec::new();
        stream.take(BYTES).read_to_end(&mut text).await.ok()?;
        let attestation: Attestation = serde_json::from_slice(&text).ok()?;
        (attestation.session_public_key() == session).then_some(attestation)
    });
    asked.await.ok().flatten()
}
