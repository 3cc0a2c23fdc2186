//! Credentials for participants who connect to the servers themselves (SEC11, S0.34).

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use nkeys::{KeyPair, KeyPairType};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha512_256};

use crate::permissions::Permissions;
use crate::subjects::Subjects;

/// How many subscriptions a participant may have: those allowed, and each of them twice while a client reconnects.
const SUBSCRIPTIONS: u64 = 4;

/// The key of the account for participants, with which their credentials are signed.
pub struct AccountKey {
    key: KeyPair,
    /// The account, if the key is one of its signing keys.
    account: Option<String>,
}

/// Why credentials cannot be minted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MintError {
    /// The seed is not one of an account.
    #[error("the account key must be the seed of an account, which begins with `SA`")]
    AccountKey,
    /// The name of the account is not its public key.
    #[error("an account is named by its public key, which begins with `A`")]
    Account,
    /// They would have expired already.
    #[error("the credentials would have expired already")]
    Expired,
}

/// Credentials of one participant for one room. `Debug` shows neither the JWT nor the seed.
#[derive(Clone, Serialize)]
pub struct Minted {
    /// The JWT of the user, which the servers verify.
    pub jwt: String,
    /// The seed of the user's key, with which the client signs what the server sends it.
    pub seed: String,
    /// When they expire, in ms since 1970.
    pub expires_at: u64,
    /// What the user may.
    #[serde(flatten)]
    pub permissions: Permissions,
}

impl AccountKey {
    /// Returns the key of an account by its seed (`SA..`).
    ///
    /// # Errors
    ///
    /// If it is not the seed of an account.
    pub fn from_seed(seed: &str) -> Result<Self, MintError> {
        let key = KeyPair::from_seed(seed.trim()).map_err(|_| MintError::AccountKey)?;
        match key.key_pair_type() {
            KeyPairType::Account => Ok(Self { key, account: None }),
            _ => Err(MintError::AccountKey),
        }
    }

    /// Says that this is a signing key of that account, named by its public key (`A..`).
    ///
    /// # Errors
    ///
    /// If that is not the public key of an account.
    pub fn signing_for(mut self, account: &str) -> Result<Self, MintError> {
        let named = KeyPair::from_public_key(account).map_err(|_| MintError::Account)?;
        match named.key_pair_type() {
            KeyPairType::Account => self.account = Some(account.to_owned()),
            _ => return Err(MintError::Account),
        }
        Ok(self)
    }

    /// Mints credentials with which one participant may send to one room and receive its events, until they expire, and
    /// nothing else. Each time it is another user.
    ///
    /// # Errors
    ///
    /// If they would have expired at `now`.
    pub fn mint(
        &self,
        subjects: &Subjects,
        participant: &str,
        (project, room): (&str, &str),
        expires_at: SystemTime,
        now: SystemTime,
    ) -> Result<Minted, MintError> {
        if expires_at <= now {
            return Err(MintError::Expired);
        }
        let (now, expires_at) = (since_1970(now), since_1970(expires_at));
        let user = KeyPair::new_user();
        let permissions = Permissions::of_participant(subjects, project, room, &user.public_key());
        let mut nats = json!({
            "pub": {"allow": permissions.publish},
            "sub": {"allow": permissions.subscribe},
            "subs": SUBSCRIPTIONS, "data": -1, "payload": -1, "type": "user", "version": 2,
        });
        if let Some(account) = &self.account {
            nats["issuer_account"] = json!(account);
        }
        let claims = json!({
            "jti": "", "iat": now.as_secs(), "iss": self.key.public_key(), "name": participant,
            // Rather a second too early than too late.
            "sub": user.public_key(), "exp": expires_at.as_secs(), "nats": nats,
        });
        let seed = user.seed().map_err(|_| MintError::AccountKey)?;
        let expires_at = u64::try_from(expires_at.as_millis()).unwrap_or(u64::MAX);
        Ok(Minted { jwt: sign(&self.key, claims)?, seed, expires_at, permissions })
    }
}

fn since_1970(time: SystemTime) -> Duration {
    time.duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The form of JWT that the servers know: its id is the hash of its claims.
fn sign(key: &KeyPair, mut claims: Value) -> Result<String, MintError> {
    claims["jti"] = json!(BASE32_NOPAD.encode(&Sha512_256::digest(claims.to_string())));
    let header = json!({"typ": "JWT", "alg": "ed25519-nkey"});
    let part = |part: &Value| BASE64URL_NOPAD.encode(part.to_string().as_bytes());
    let signed = format!("{}.{}", part(&header), part(&claims));
    let signature = key.sign(signed.as_bytes()).map_err(|_| MintError::AccountKey)?;
    Ok(format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature)))
}

impl Minted {
    /// Returns them in the form of a credentials file.
    #[must_use]
    pub fn file(&self) -> String {
        format!(
            "-----BEGIN NATS USER JWT-----\n{}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
            self.jwt, self.seed
        )
    }
}

impl fmt::Debug for Minted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Minted")
            .field("expires_at", &self.expires_at)
            .field("permissions", &self.permissions)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountKey").field("public_key", &self.key.public_key()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minted() -> (AccountKey, Minted) {
        let seed = KeyPair::new_account().seed().unwrap();
        let key = AccountKey::from_seed(&seed).unwrap();
        let subjects = Subjects::below(Subjects::DEFAULT_PREFIX).unwrap();
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        let minted = key.mint(&subjects, "p1", ("a.b", "r1"), at(2_000), at(1_000)).unwrap();
        assert_eq!(key.mint(&subjects, "p1", ("a", "r1"), at(1_000), at(1_000)).unwrap_err(), MintError::Expired);
        (key, minted)
    }

    #[test]
    fn the_jwt_names_exact_subjects_and_when_it_expires() {
        let (key, minted) = minted();
        let parts: Vec<&str> = minted.jwt.split('.').collect();
        let decoded = |at: usize| BASE64URL_NOPAD.decode(parts[at].as_bytes()).unwrap();
        let claims: Value = serde_json::from_slice(&decoded(1)).unwrap();
        let user = KeyPair::from_seed(&minted.seed).unwrap().public_key();
        assert_eq!((&claims["iat"], &claims["exp"]), (&json!(1_000), &json!(2_000)));
        assert_eq!((&claims["sub"], &claims["name"]), (&json!(user), &json!("p1")));
        assert_eq!(claims["nats"]["pub"], json!({"allow": ["grove.v1.=YS5i.room.r1.in"]}));
        let reply = format!("grove.v1.=YS5i.room.r1.reply.{user}");
        assert_eq!(claims["nats"]["sub"], json!({"allow": ["grove.v1.=YS5i.room.r1.ev", reply]}));
        key.key.verify(format!("{}.{}", parts[0], parts[1]).as_bytes(), &decoded(2)).unwrap();
    }

    #[test]
    fn only_the_seed_of_an_account_signs_and_nothing_shows_a_secret() {
        assert_eq!(AccountKey::from_seed(&KeyPair::new_user().seed().unwrap()).unwrap_err(), MintError::AccountKey);
        assert_eq!(AccountKey::from_seed("hidden").unwrap_err(), MintError::AccountKey);
        let (key, minted) = minted();
        let seed = key.key.seed().unwrap();
        let shown = format!("{key:?} {minted:?}");
        for secret in [&seed, &minted.seed, &minted.jwt] {
            assert!(!shown.contains(secret.as_str()), "{shown}");
        }
        let user = KeyPair::new_user().public_key();
        assert_eq!(key.signing_for(&user).unwrap_err(), MintError::Account);
    }
}
