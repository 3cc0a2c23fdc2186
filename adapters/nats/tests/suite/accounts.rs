//! A server in operator mode, with an account for the instances and one for participants.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use data_encoding::BASE64URL_NOPAD;
use grove_nats::AccountKey;
use grove_nats::testing::NatsServer;
use nkeys::KeyPair;
use serde_json::{Value, json};

/// A server in operator mode. The JWTs of the operator and of the accounts are made here, by hand.
pub(crate) struct Accounts {
    pub(crate) server: NatsServer,
    instances: KeyPair,
    participants: KeyPair,
}

impl Accounts {
    pub(crate) fn start(program: &Path) -> Self {
        Self::start_with(program, "")
    }

    /// The same, with more in the server's configuration.
    pub(crate) fn start_with(program: &Path, more: &str) -> Self {
        let (operator, instances, participants) =
            (KeyPair::new_operator(), KeyPair::new_account(), KeyPair::new_account());
        let name = operator.public_key();
        let (events, input) = ("grove.v1.*.room.*.ev", "grove.v1.*.room.*.in");
        let exports = json!([
            {"name": "events", "subject": events, "type": "stream"},
            {"name": "input", "subject": input, "type": "service", "response_type": "Singleton"},
        ]);
        let of = instances.public_key();
        let imports = json!([
            {"name": "events", "subject": events, "account": of, "type": "stream"},
            {"name": "input", "subject": input, "account": of, "type": "service", "local_subject": input},
        ]);
        let claims = json!({"sub": name, "name": "operator", "nats": {"type": "operator", "version": 2}});
        let operator_jwt = jwt(&operator, claims);
        let account = |key: &KeyPair, exports: Value, imports: Value| {
            let limits = json!({"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1,
                "wildcards": true, "conn": -1, "leaf": -1});
            let nats = json!({"type": "account", "version": 2, "limits": limits, "exports": exports, "imports": imports,
                "default_permissions": {"pub": {}, "sub": {}}});
            let claims = json!({"sub": key.public_key(), "name": "account", "nats": nats});
            format!("{}: {}\n", key.public_key(), jwt(&operator, claims))
        };
        let accounts = account(&instances, exports, json!([])) + &account(&participants, json!([]), imports);
        let configuration =
            format!("operator: {operator_jwt}\nresolver: MEMORY\nresolver_preload: {{\n{accounts}}}\n{more}");
        Self { server: NatsServer::start_with(program, &configuration, &[]), instances, participants }
    }

    /// Writes the credentials file of an instance.
    pub(crate) fn write_instance(&self, expires_in: Option<Duration>) -> PathBuf {
        let user = KeyPair::new_user();
        let all = json!({"allow": ["grove.v1.>"]});
        let nats = json!({"type": "user", "version": 2, "pub": all, "sub": all, "resp": {"max": 1, "ttl": 0},
            "subs": -1, "data": -1, "payload": -1});
        let mut claims = json!({"sub": user.public_key(), "name": "instance", "nats": nats});
        if let Some(expires_in) = expires_in {
            let at = now() + expires_in;
            claims["exp"] = json!(at.duration_since(UNIX_EPOCH).unwrap().as_secs());
        }
        let path = self.server.folder().join("instance.creds");
        let (jwt, seed) = (jwt(&self.instances, claims), user.seed().unwrap());
        let text = format!(
            "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn participants(&self) -> AccountKey {
        AccountKey::from_seed(&self.participants.seed().unwrap()).unwrap()
    }
}

#[expect(clippy::disallowed_methods, reason = "the server verifies by the clock of this machine when they expire")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

fn jwt(key: &KeyPair, mut claims: Value) -> String {
    claims["iss"] = json!(key.public_key());
    claims["iat"] = json!(1_700_000_000);
    claims["jti"] = json!("by hand");
    let part = |part: &Value| BASE64URL_NOPAD.encode(part.to_string().as_bytes());
    let signed = format!("{}.{}", part(&json!({"typ": "JWT", "alg": "ed25519-nkey"})), part(&claims));
    format!("{signed}.{}", BASE64URL_NOPAD.encode(&key.sign(signed.as_bytes()).unwrap()))
}
