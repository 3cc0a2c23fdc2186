//! Who this application is for the servers.

use std::fs;
use std::path::{Path, PathBuf};

use async_nats::{Auth, AuthError};
use nkeys::{KeyPair, KeyPairType};

use crate::config_error::ConfigError;
use crate::secret::Secret;

/// Who this application is for the servers.
#[derive(Debug, Clone, Default)]
pub(crate) enum Identity {
    #[default]
    Nobody,
    User {
        name: String,
        password: Secret,
    },
    Token(Secret),
    /// The seed of a user.
    Key(Secret),
    /// A file with the JWT and the seed of a user. It is read again for each connection, so that it can be renewed.
    Credentials(PathBuf),
}

impl Identity {
    /// Whether it can be used: what a file contains is looked at once.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        match self {
            Self::Key(seed) => user_key(seed.reveal()).map(drop).ok_or(ConfigError::Key),
            Self::Credentials(path) => read(path).map(drop).map_err(|why| ConfigError::File {
                what: "the credentials file",
                path: path.clone(),
                why,
            }),
            Self::Nobody | Self::User { .. } | Self::Token(_) => Ok(()),
        }
    }

    /// Returns what a server is told that has sent this nonce.
    pub(crate) fn answer(&self, nonce: &[u8]) -> Result<Auth, AuthError> {
        let mut auth = Auth::new();
        match self {
            Self::Nobody => {}
            Self::User { name, password } => {
                auth.username = Some(name.clone());
                auth.password = Some(password.reveal().to_owned());
            }
            Self::Token(token) => auth.token = Some(token.reveal().to_owned()),
            Self::Key(seed) => {
                let key = user_key(seed.reveal()).ok_or_else(|| AuthError::new("the key is not the seed of a user"))?;
                auth.signature = Some(key.sign(nonce).map_err(AuthError::new)?);
                auth.nkey = Some(key.public_key());
            }
            Self::Credentials(path) => {
                let (jwt, key) = read(path).map_err(AuthError::new)?;
                auth.signature = Some(key.sign(nonce).map_err(AuthError::new)?);
                auth.jwt = Some(jwt);
            }
        }
        Ok(auth)
    }
}

fn user_key(seed: &str) -> Option<KeyPair> {
    let key = KeyPair::from_seed(seed.trim()).ok()?;
    matches!(key.key_pair_type(), KeyPairType::User).then_some(key)
}

/// The texts of the errors quote nothing of the file.
fn read(path: &Path) -> Result<(String, KeyPair), String> {
    let text = fs::read_to_string(path).map_err(|error| error.kind().to_string())?;
    let jwt = block(&text, "NATS USER JWT").ok_or("it has no block `NATS USER JWT`")?;
    let seed = block(&text, "USER NKEY SEED").ok_or("it has no block `USER NKEY SEED`")?;
    let key = user_key(seed).ok_or("its seed is not the one of a user")?;
    Ok((jwt.to_owned(), key))
}

/// The text between two lines of dashes, of which the first names it.
fn block<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = text.lines().map(str::trim);
    lines.find(|line| line.starts_with("---") && line.contains("BEGIN") && line.contains(name))?;
    lines.find(|line| !line.is_empty()).filter(|line| !line.starts_with("---"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_blocks_of_a_credentials_file_are_found() {
        let text = "-----BEGIN NATS USER JWT-----\r\neyJ0.x.y\r\n------END NATS USER JWT------\n\n*** IMPORTANT ***\n\n\
                    -----BEGIN USER NKEY SEED-----\n\nSUAB\n------END USER NKEY SEED------\n";
        assert_eq!(block(text, "NATS USER JWT"), Some("eyJ0.x.y"));
        assert_eq!(block(text, "USER NKEY SEED"), Some("SUAB"));
        assert_eq!(block(text, "OTHER"), None);
        assert_eq!(block("-----BEGIN NATS USER JWT-----\n-----END NATS USER JWT-----", "NATS USER JWT"), None);
    }

    #[test]
    fn only_the_seed_of_a_user_is_a_key() {
        let seed = |key: KeyPair| Identity::Key(key.seed().unwrap().into());
        assert!(seed(KeyPair::new_user()).check().is_ok());
        assert!(matches!(seed(KeyPair::new_account()).check(), Err(ConfigError::Key)));
        assert!(matches!(Identity::Key("SUX".to_owned().into()).check(), Err(ConfigError::Key)));
    }
}
