//! A session that is registered by hand.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use grove_attest::{Attestation, NewAttestation, SecretKey};
use serde_json::{Value, json};

use crate::home::Home;

/// A session that is registered by hand, with a key in a file of its own.
pub(crate) struct Session {
    pub(crate) key: SecretKey,
    pub(crate) body: Value,
    pub(crate) secret: PathBuf,
}

pub(crate) fn now_ms() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "an attestation is for a time of day")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_millis().try_into().unwrap()
}

/// An attestation of the member's, from a time on.
pub(crate) fn attest(member: &SecretKey, key: &SecretKey, from_ms: u64, ttl: Duration) -> Attestation {
    Attestation::sign(member, &NewAttestation::new("demo", "main", key.public_key(), from_ms).ttl(ttl))
}

impl Session {
    pub(crate) fn new(home: &Home, id: &str) -> Self {
        let key = SecretKey::generate().unwrap();
        let attestation = attest(&home.member(), &key, now_ms(), Duration::from_secs(12 * 3_600));
        let directory = home.directory.join(format!("session-{id}"));
        std::fs::create_dir_all(&directory).unwrap();
        let secret = directory.join(key.public_key().to_string());
        key.write_new(&secret).unwrap();
        let pid = std::process::id();
        let body = json!({
            "session_id": id, "session_public_key": key.public_key(), "session_secret_file": secret,
            "attestation": attestation, "card": {"name": id, "cwd": "/work"}, "pid": pid, "pid_started_at": start_of(pid),
        });
        Self { key, body, secret }
    }

    /// Registers it. Returns its token.
    pub(crate) async fn register(&self, home: &Home) -> String {
        let response = home.local("POST", "/v1/sessions/register", None, &self.body.to_string()).await;
        assert_eq!(response.status, 201, "{response:?}");
        response.json["token"].as_str().unwrap().to_owned()
    }
}

/// Field 22 of `/proc/PID/stat`.
pub(crate) fn start_of(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap().parse().unwrap()
}
