//! How to reach the servers, and within which bounds.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use async_nats::ServerAddr;
use async_nats::rustls::pki_types::pem::PemObject;
use async_nats::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use url::Url;

use crate::config_error::ConfigError;
use crate::event::NatsEvent;
use crate::identity::Identity;
use crate::subjects::Subjects;

pub(crate) type Observer = Arc<dyn Fn(&NatsEvent) + Send + Sync>;

/// How to reach the servers, and within which bounds. What it shows with `Debug` contains no secret.
#[derive(Clone)]
pub struct NatsOptions {
    urls: Vec<String>,
    identities: Vec<Identity>,
    pub(crate) name: String,
    prefix: String,
    pub(crate) tls: Tls,
    /// How many messages wait for the connection at most; further ones are dropped. 8,192 unless set.
    pub queued_messages: usize,
    /// How many bytes wait for the connection at most; further messages are dropped. 8 MiB unless set.
    pub queued_bytes: usize,
    /// How many messages of one topic wait for the engine at most; further ones are dropped, and the engine refreshes all.
    /// 16,384 unless set.
    pub received_messages: usize,
    /// How many requests of other instances are worked on at once; others wait. 256 unless set.
    pub requests_served: usize,
    /// How many requests to other instances wait for a reply at once; others wait for their turn. 1,024 unless set.
    pub requests_in_flight: usize,
    /// How long one attempt to connect may take. 5 s unless set.
    pub connect_timeout: Duration,
    /// The longest pause between two attempts to connect. 4 s unless set.
    pub longest_pause: Duration,
    /// How long `connect` waits for a first connection before it fails. It does not wait unless set: an application starts
    /// whether the servers are there or not.
    pub require_within: Option<Duration>,
    pub(crate) observer: Option<Observer>,
}

/// How connections are encrypted.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tls {
    pub(crate) required: bool,
    pub(crate) first: bool,
    pub(crate) authorities: Option<PathBuf>,
    pub(crate) client: Option<(PathBuf, PathBuf)>,
}

/// What has been checked.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) servers: Vec<ServerAddr>,
    pub(crate) identity: Identity,
    pub(crate) subjects: Subjects,
}

impl NatsOptions {
    /// Returns options for the servers with these URLs, separated by commas: `nats://host:port`, or `tls://host:port` where
    /// the connection must be encrypted. A user and password, or a token, may be part of the URL.
    #[must_use]
    pub fn new(urls: &str) -> Self {
        Self {
            urls: urls.split(',').map(str::trim).filter(|url| !url.is_empty()).map(str::to_owned).collect(),
            identities: Vec::new(),
            name: "grove".to_owned(),
            prefix: Subjects::DEFAULT_PREFIX.to_owned(),
            tls: Tls::default(),
            queued_messages: 8_192,
            queued_bytes: 8 << 20,
            received_messages: 16_384,
            requests_served: 256,
            requests_in_flight: 1_024,
            connect_timeout: Duration::from_secs(5),
            longest_pause: Duration::from_secs(4),
            require_within: None,
            observer: None,
        }
    }

    /// The name of the connection, for the server's own lists and logs.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// What all subjects begin with: `grove.v1` unless set. Applications that share an account of a server need different
    /// prefixes.
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Authenticates with the JWT and the seed of a credentials file. The file is read again for each connection, so it may
    /// be renewed while the application runs.
    #[must_use]
    pub fn credentials_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.identities.push(Identity::Credentials(path.into()));
        self
    }

    /// Authenticates with a user and a password.
    #[must_use]
    pub fn user_and_password(mut self, name: impl Into<String>, password: impl Into<String>) -> Self {
        self.identities.push(Identity::User { name: name.into(), password: password.into().into() });
        self
    }

    /// Authenticates with a token.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.identities.push(Identity::Token(token.into().into()));
        self
    }

    /// Authenticates with a key, by its seed (`SU..`).
    #[must_use]
    pub fn nkey(mut self, seed: impl Into<String>) -> Self {
        self.identities.push(Identity::Key(seed.into().into()));
        self
    }

    /// Refuses connections that are not encrypted.
    #[must_use]
    pub const fn require_tls(mut self) -> Self {
        self.tls.required = true;
        self
    }

    /// Encrypts before the server has sent anything, for servers with `handshake_first`.
    #[must_use]
    pub const fn tls_first(mut self) -> Self {
        self.tls.required = true;
        self.tls.first = true;
        self
    }

    /// Trusts the authorities of this PEM file instead of those of the machine. Encryption is required then.
    #[must_use]
    pub fn authorities(mut self, path: impl Into<PathBuf>) -> Self {
        self.tls.required = true;
        self.tls.authorities = Some(path.into());
        self
    }

    /// Shows the servers a certificate, with its key (PEM files). Encryption is required then. Both are read again for each
    /// connection.
    #[must_use]
    pub fn client_certificate(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.tls.required = true;
        self.tls.client = Some((certificate.into(), key.into()));
        self
    }

    /// Tells what happens to the connection, besides the log. It must return soon.
    #[must_use]
    pub fn on_event(mut self, observer: impl Fn(&NatsEvent) + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    pub(crate) fn check(&self) -> Result<Checked, ConfigError> {
        self.check_bounds()?;
        let mut identities = self.identities.clone();
        let mut servers = Vec::new();
        for (at, url) in self.urls.iter().enumerate() {
            let (server, identity) = server(url).map_err(|why| ConfigError::Url { number: at + 1, why })?;
            servers.push(server);
            // Several servers of one cluster are usually given with the same user.
            identities.extend(identity.filter(|_| at == 0));
        }
        if servers.is_empty() {
            return Err(ConfigError::NoServer);
        }
        if identities.len() > 1 {
            return Err(ConfigError::SeveralIdentities);
        }
        let identity = identities.pop().unwrap_or_default();
        identity.check()?;
        self.tls.check()?;
        Ok(Checked { servers, identity, subjects: Subjects::below(&self.prefix).ok_or(ConfigError::Prefix)? })
    }

    fn check_bounds(&self) -> Result<(), ConfigError> {
        let bounds = [
            ("queued_messages", self.queued_messages),
            ("queued_bytes", self.queued_bytes),
            ("received_messages", self.received_messages),
            ("requests_served", self.requests_served),
            ("requests_in_flight", self.requests_in_flight),
            ("connect_timeout", usize::from(!self.connect_timeout.is_zero())),
            ("longest_pause", usize::from(!self.longest_pause.is_zero())),
        ];
        match bounds.iter().find(|(_, bound)| *bound == 0) {
            Some((name, _)) => Err(ConfigError::Zero(name)),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for NatsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts: Vec<String> =
            self.urls.iter().map(|url| server(url).map_or_else(|why| why, |(at, _)| host(&at))).collect();
        f.debug_struct("NatsOptions")
            .field("servers", &hosts)
            .field("identity", &self.identities)
            .field("name", &self.name)
            .field("prefix", &self.prefix)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

impl Tls {
    fn check(&self) -> Result<(), ConfigError> {
        if let Some(path) = &self.authorities {
            check_certificates("the file of authorities", path)?;
        }
        if let Some((certificate, key)) = &self.client {
            check_certificates("the client certificate", certificate)?;
            let read = File::open(key).map_err(|error| error.kind().to_string());
            let read = read.and_then(|file| {
                PrivateKeyDer::from_pem_reader(io::BufReader::new(file)).map_err(|_| "it has no private key".to_owned())
            });
            read.map_err(|why| ConfigError::File { what: "the client's key", path: key.clone(), why })?;
        }
        Ok(())
    }
}

fn check_certificates(what: &'static str, path: &Path) -> Result<(), ConfigError> {
    let wrong = |why: String| ConfigError::File { what, path: path.to_owned(), why };
    let file = File::open(path).map_err(|error| wrong(error.kind().to_string()))?;
    let mut certificates = CertificateDer::pem_reader_iter(io::BufReader::new(file));
    match certificates.next() {
        Some(Ok(_)) => Ok(()),
        _ => Err(wrong("it has no certificate".to_owned())),
    }
}

/// The address without a user, and who the URL says this is. The reason quotes nothing of the URL.
fn server(url: &str) -> Result<(ServerAddr, Option<Identity>), String> {
    let with_scheme = if url.contains("://") { url.to_owned() } else { format!("nats://{url}") };
    let mut parsed = Url::parse(&with_scheme).map_err(|error| error.to_string())?;
    if !matches!(parsed.scheme(), "nats" | "tls") {
        return Err("its scheme must be `nats` or `tls`".to_owned());
    }
    if parsed.host_str().is_none_or(str::is_empty) {
        return Err("it has no host".to_owned());
    }
    let text = |part: &str| percent_decoded(part).ok_or_else(|| "its user is not UTF-8".to_owned());
    let identity = match (parsed.username(), parsed.password()) {
        ("", None) => None,
        (token, None) => Some(Identity::Token(text(token)?.into())),
        (name, Some(password)) => Some(Identity::User { name: text(name)?, password: text(password)?.into() }),
    };
    let _ = parsed.set_username("");
    let _ = parsed.set_password(None);
    let address = ServerAddr::from_url(parsed).map_err(|error| error.to_string())?;
    Ok((address, identity))
}

fn percent_decoded(text: &str) -> Option<String> {
    percent_encoding::percent_decode_str(text).decode_utf8().ok().map(Into::into)
}

fn host(address: &ServerAddr) -> String {
    format!("{}:{}", address.host(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error_of(options: &NatsOptions) -> String {
        options.check().unwrap_err().to_string()
    }

    #[test]
    fn several_servers_may_be_given_with_one_identity() {
        let checked = NatsOptions::new("nats://me:se%21cret@one:1, tls://me:se%21cret@two,three").check().unwrap();
        assert_eq!(checked.servers.iter().map(host).collect::<Vec<_>>(), ["one:1", "two:4222", "three:4222"]);
        let Identity::User { name, password } = checked.identity else { panic!("{:?}", checked.identity) };
        assert_eq!((name.as_str(), password.reveal()), ("me", "se!cret"));
        let token = NatsOptions::new("tok@one").check().unwrap().identity;
        assert!(matches!(token, Identity::Token(token) if token.reveal() == "tok"));
    }

    #[test]
    fn a_mistake_in_the_options_is_a_sentence_without_secrets() {
        let one = || NatsOptions::new("one");
        assert_eq!(error_of(&NatsOptions::new(" , ")), "name at least one server, for example `nats://localhost:4222`");
        for bad in ["http://hidden@one", "nats://hidden:hidden@", "nats://hidden@one:99999", "nats://[hidden"] {
            let text = error_of(&NatsOptions::new(&format!("ok,{bad}")));
            assert!(text.starts_with("server 2 has no URL"), "{text}");
            assert!(!text.contains("hidden"), "{text}");
        }
        let both = error_of(&one().token("hidden").user_and_password("me", "hidden"));
        assert!(both.starts_with("give one way to authenticate"), "{both}");
        let missing = error_of(&one().credentials_file("/nowhere/x.creds"));
        assert_eq!(missing, "the credentials file `/nowhere/x.creds` cannot be used: entity not found");
        let missing = error_of(&one().authorities("/nowhere/ca.pem"));
        assert_eq!(missing, "the file of authorities `/nowhere/ca.pem` cannot be used: entity not found");
        assert!(error_of(&one().prefix("a.*")).starts_with("the prefix must be tokens"));
        let mut bound = one();
        bound.queued_bytes = 0;
        assert_eq!(error_of(&bound), "`queued_bytes` must be at least 1");
    }

    #[test]
    fn no_secret_is_shown() {
        let options = NatsOptions::new("nats://me:hidden@one,hidden@two,nats://:hidden@[")
            .token("hidden")
            .nkey("hidden")
            .user_and_password("me", "hidden");
        let shown = format!("{options:?} {:#?}", NatsOptions::new("me:hidden@one").check().unwrap());
        assert!(shown.contains("one:4222") && !shown.contains("hidden"), "{shown}");
    }
}
