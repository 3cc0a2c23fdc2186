//! Settings that several commands have: where the daemon is, which server, and as whom (peers 7).

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use clap::Args;
use grove_attest::{Card, SecretKey};

use crate::address::peers_url;
use crate::failure::Failure;
use crate::same_user;
use crate::token::Token;

/// Where the daemon listens.
#[derive(Debug, Clone, Args)]
pub(crate) struct SocketSetting {
    /// The daemon's socket; by default `grove/daemon.sock` in $XDG_RUNTIME_DIR
    #[arg(long, env = "GROVE_SOCKET", value_name = "PATH")]
    socket: Option<PathBuf>,
}

/// Which server, and as whom; needed outside of a launched session.
#[derive(Debug, Clone, Args)]
pub(crate) struct MemberSettings {
    /// The server's address, such as wss://app.example
    #[arg(long, env = "GROVE_SERVER", value_name = "URL", value_parser = server)]
    pub(crate) server: Option<String>,
    /// The project in which to be present
    #[arg(long, env = "GROVE_PROJECT", value_name = "NAME")]
    pub(crate) project: Option<String>,
    /// The file with the member's secret key, which `grove keys new` writes
    #[arg(long, env = "GROVE_MEMBER_KEY", value_name = "FILE")]
    pub(crate) member_key: Option<PathBuf>,
    /// The name of the server in what is signed; a server that calls itself otherwise is not answered
    #[arg(long, env = "GROVE_AUDIENCE", value_name = "NAME")]
    pub(crate) audience: Option<String>,
}

/// A member of a project at a server.
#[derive(Debug, Clone)]
pub(crate) struct Membership {
    /// The address of the link for peers.
    pub(crate) url: String,
    pub(crate) project: String,
    pub(crate) key: Arc<SecretKey>,
    pub(crate) audience: Option<String>,
}

/// Checks an address, for clap.
fn server(text: &str) -> Result<String, String> {
    peers_url(text).map(|_| text.to_owned())
}

impl SocketSetting {
    pub(crate) fn path(&self) -> PathBuf {
        self.socket.clone().unwrap_or_else(|| runtime_directory().join("daemon.sock"))
    }
}

/// Where our sockets and the files of sessions are by default. Without a runtime directory of the user's, it is one below the
/// directory for temporary files; it must be private either way, which is checked before it is used.
fn runtime_directory() -> PathBuf {
    match env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute()) {
        Some(path) => path.join("grove"),
        None => env::temp_dir().join(format!("grove-{}", same_user::own_uid())),
    }
}

impl MemberSettings {
    /// # Errors
    /// If a setting is missing, or the key cannot be read.
    pub(crate) fn membership(&self) -> Result<Membership, Failure> {
        let missing = |what: &str, how: &str| {
            Failure::failed(format!("{what} is not known"))
                .advice(format!("give {how}; what runs inside of a launched session needs neither"))
        };
        let server = self.server.as_ref().ok_or_else(|| missing("the server", "--server URL or GROVE_SERVER"))?;
        let project = self.project.as_ref().ok_or_else(|| missing("the project", "--project NAME or GROVE_PROJECT"))?;
        let path = self
            .member_key
            .as_ref()
            .ok_or_else(|| missing("the member's key", "--member-key FILE or GROVE_MEMBER_KEY"))?;
        Ok(Membership {
            url: peers_url(server).map_err(Failure::failed)?,
            project: project.clone(),
            key: Arc::new(read_key(path)?),
            audience: self.audience.clone(),
        })
    }
}

/// Reads a secret key of ours.
///
/// # Errors
/// If there is none, or others can read it.
pub(crate) fn read_key(path: &Path) -> Result<SecretKey, Failure> {
    SecretKey::read(path).map_err(|error| {
        let failure = Failure::failed(format!("cannot read the key in {}: {error}", path.display()));
        if path.exists() { failure } else { failure.advice(format!("grove keys new {}", path.display())) }
    })
}

/// The token of the launched session in which this runs.
///
/// # Errors
/// If there is something else where it should be.
pub(crate) fn session_token() -> Result<Option<Token>, Failure> {
    let Some(text) = env::var_os("GROVE_TOKEN").filter(|text| !text.is_empty()) else { return Ok(None) };
    let token = text.to_str().and_then(Token::parse);
    let wrong = || {
        Failure::failed("GROVE_TOKEN is not 64 lower-case hex digits")
            .advice("unset it to act as the member, or run the command by `grove launch`")
    };
    token.ok_or_else(wrong).map(Some)
}

/// The card of this process.
pub(crate) fn own_card(name: String) -> Card {
    Card { name, pid: Some(std::process::id()), host: Some(host()), cwd: working_directory(), ..Card::default() }
}

/// The folder in which this process works.
pub(crate) fn working_directory() -> Option<String> {
    Some(env::current_dir().ok()?.to_string_lossy().into_owned())
}

/// The name of this machine.
pub(crate) fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The name of this user on this machine.
pub(crate) fn user_at_host() -> String {
    let user = env::var("USER").or_else(|_| env::var("LOGNAME")).unwrap_or_else(|_| "user".to_owned());
    format!("{user}@{}", host())
}

/// The time of day, in ms since 1970.
#[expect(clippy::disallowed_methods, reason = "attestations are for a time of day; what is tested takes it as a value")]
pub(crate) fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
