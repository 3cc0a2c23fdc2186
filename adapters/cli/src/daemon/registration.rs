//! What a launcher says about a session (peers 4).

use std::path::{Path, PathBuf};
use std::sync::Weak;

use axum::http::StatusCode;
use grove_attest::{Attestation, Card, PublicKey, SecretKey};
use serde::Deserialize;
use serde_json::Value;

use super::answer::Refusal;
use super::secret_fields::looks_secret;
use crate::private_path::check_private_file;
use crate::process::{Process, start_of};
use crate::token::Token;

/// How long an id and a name may be, in bytes.
const NAME_BYTES: usize = 256;

/// The fields of a request. One that is not known may be a secret under another name, so it is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    session_id: String,
    session_public_key: PublicKey,
    session_secret_file: PathBuf,
    attestation: Attestation,
    card: Card,
    pid: u32,
    #[serde(default)]
    pid_started_at: Option<u64>,
    #[serde(default)]
    token: Option<String>,
}

/// A session that is to be registered.
#[derive(Debug)]
pub(crate) struct Registration {
    pub(crate) session_id: String,
    pub(crate) key: SecretKey,
    pub(crate) secret_file: PathBuf,
    pub(crate) attestation: Attestation,
    pub(crate) card: Card,
    pub(crate) process: Process,
    pub(crate) owner: Weak<()>,
    /// The token that the launcher has given to its command already.
    pub(crate) token: Option<Token>,
}

impl Registration {
    /// Reads a request, and the session's key from its file. Blocks.
    ///
    /// # Errors
    /// If it is not what it should be, or looks as if it held a secret.
    pub(crate) fn read(bytes: &[u8], owner: Weak<()>) -> Result<Self, Refusal> {
        let body: Value = serde_json::from_slice(bytes).map_err(|_| Refusal::malformed("the body is not JSON"))?;
        if let Some(field) = looks_secret(&body) {
            return Err(unprocessable(
                "looks_like_a_secret",
                format!("`{field}` looks like a secret; none belongs here"),
            ));
        }
        // The error would quote what was sent, and that may be a secret.
        let fields: Fields = serde_json::from_value(body)
            .map_err(|_| Refusal::malformed("a field is missing, is not known, or has another form"))?;
        fields.check()?;
        let key = read_key(&fields.session_secret_file)?;
        if key.public_key() != fields.session_public_key {
            return Err(unprocessable("key_mismatch", "the file holds the secret of another key".to_owned()));
        }
        let token = fields.token.as_deref().map(|text| {
            Token::parse(text).ok_or_else(|| Refusal::malformed("`token` must be 64 lower-case hex digits"))
        });
        let started_at = fields.pid_started_at.or_else(|| start_of(fields.pid));
        Ok(Self {
            session_id: fields.session_id,
            key,
            secret_file: fields.session_secret_file,
            attestation: fields.attestation,
            card: fields.card,
            process: Process { pid: fields.pid, started_at },
            owner,
            token: token.transpose()?,
        })
    }
}

impl Fields {
    fn check(&self) -> Result<(), Refusal> {
        let malformed = |why: &str| Err(Refusal::malformed(why));
        if self.session_id.is_empty() || self.session_id.len() > NAME_BYTES {
            return malformed("`session_id` must have 1 to 256 bytes");
        }
        if self.card.name.is_empty() || self.card.name.len() > NAME_BYTES {
            return malformed("`card.name` must have 1 to 256 bytes");
        }
        if !self.session_secret_file.is_absolute() {
            return malformed("`session_secret_file` must be an absolute path");
        }
        if *self.attestation.session_public_key() != self.session_public_key {
            let message = "the attestation is for another session key".to_owned();
            return Err(unprocessable("attestation_mismatch", message));
        }
        Ok(())
    }
}

fn unprocessable(code: &str, message: String) -> Refusal {
    Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, code, message)
}

fn read_key(path: &Path) -> Result<SecretKey, Refusal> {
    let unusable = |why: &dyn std::fmt::Display| {
        unprocessable("unusable_secret_file", format!("the file of the session's secret cannot be used: {why}"))
    };
    check_private_file(path).map_err(|why| unusable(&why))?;
    SecretKey::read(path).map_err(|error| unusable(&error))
}
