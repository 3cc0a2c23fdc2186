//! `grove launch`.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use grove_attest::{Card, SecretKey};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::failure::{Failure, Kind};
use crate::launch::{
    LaunchedSession, SessionFiles, Signals, Status, Voucher, deregister, exit_code, keep, serve_signer, spawn, wait,
};
use crate::output::Output;
use crate::settings::{MemberSettings, SocketSetting, own_card, read_key};
use crate::token::{Token, random_id};

/// How long the command waits for its session to be registered. It runs in any case.
const REGISTERED: Duration = Duration::from_secs(5);

#[derive(Debug, Args)]
#[command(after_help = "\
The command finds GROVE_TOKEN, GROVE_SOCKET and GROVE_PARTICIPANT in its environment, so `grove peers`, `send` and `inbox` \
act as its session. If the daemon is not there, the command runs, and the session is registered when the daemon comes.")]
pub(crate) struct Launch {
    /// How the session is shown to others
    #[arg(long, value_name = "NAME")]
    name: String,
    /// What it does, in a word
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    /// A group to which it belongs; may be given several times
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// A right that it shall have, of those that the member has; may be given several times. Without any, it has all
    #[arg(long = "right", value_name = "RIGHT")]
    rights: Vec<String>,
    /// It shall have no rights
    #[arg(long, conflicts_with = "rights")]
    no_rights: bool,
    /// For how long an attestation is valid, such as 30m or 12h; 24h at most
    #[arg(long, value_name = "TIME", default_value = "12h", value_parser = ttl)]
    ttl: Duration,
    #[command(flatten)]
    socket: SocketSetting,
    #[command(flatten)]
    member: MemberSettings,
    /// The command and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// A time such as `30m`.
fn ttl(text: &str) -> Result<Duration, String> {
    let wrong = || "a time is a number with s, m or h, such as 12h".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        _ => return Err(wrong()),
    };
    let number: u64 = text.trim_end_matches(unit).parse().map_err(|_| wrong())?;
    let ttl = Duration::from_secs(number.saturating_mul(seconds));
    let is_valid = !ttl.is_zero() && ttl <= Duration::from_secs(24 * 3_600);
    is_valid.then_some(ttl).ok_or_else(|| "an attestation is valid for 24h at most".to_owned())
}

impl Launch {
    pub(crate) async fn run(self, output: &Output) -> Result<ExitCode, Failure> {
        let not_launched = |failure: Failure| failure.of(Kind::NotLaunched);
        let socket = std::path::absolute(self.socket.path()).map_err(Failure::failed).map_err(not_launched)?;
        let mut signals = Signals::catch().map_err(Failure::failed).map_err(not_launched)?;
        // The files are removed when this returns.
        let (session, files) = self.session(&socket).map_err(not_launched)?;
        let session = Arc::new(session);
        let signer = files.signer().map_err(not_launched)?;
        let signing = tokio::spawn(serve_signer(signer, Arc::clone(&session.voucher)));
        let (status, registered) = watch::channel(Status::Unknown);
        let keeping = tokio::spawn(keep(Arc::clone(&session), socket.clone(), status));
        let ended = self.run_command((&session, &socket), registered, &mut signals, output).await;
        keeping.abort();
        deregister(&session, &socket).await;
        signing.abort();
        ended.map(ExitCode::from)
    }

    /// Runs the command when the session is registered, or cannot be now. Returns with which code to exit.
    async fn run_command(
        &self,
        (session, socket): (&LaunchedSession, &Path),
        mut registered: watch::Receiver<Status>,
        signals: &mut Signals,
        output: &Output,
    ) -> Result<u8, Failure> {
        let spinner = output.spinner("waiting for the daemon");
        let is_known = |status: &Status| match status {
            Status::Unknown => false,
            Status::Registered { .. } => true,
            Status::Not(failure) => failure.kind != Kind::Failed,
        };
        tokio::select! {
            // What is known by then counts.
            _ = timeout(REGISTERED, registered.wait_for(is_known)) => {}
            signal = signals.next() => return Ok(u8::try_from(128 + signal.as_raw()).unwrap_or(u8::MAX)),
        }
        drop(spinner);
        let status = registered.borrow().clone();
        tell(&status, output);
        let participant = match status {
            Status::Registered { participant, .. } => participant,
            Status::Unknown | Status::Not(_) => None,
        };
        let variables = [
            ("GROVE_TOKEN", Some(session.token.as_str().into())),
            ("GROVE_SOCKET", Some(socket.into())),
            ("GROVE_PARTICIPANT", participant.map(OsString::from)),
        ];
        let mut child = spawn(&self.command, &variables)?;
        let status = wait(&mut child, signals).await;
        status.map(exit_code).map_err(|error| Failure::new(Kind::NotLaunched, error))
    }

    fn session(&self, socket: &Path) -> Result<(LaunchedSession, SessionFiles), Failure> {
        let path = self.member.member_key.as_deref().ok_or_else(|| {
            Failure::failed("the member's key, which vouches for the session, is not known")
                .advice("give --member-key FILE or GROVE_MEMBER_KEY; `grove keys new FILE` makes one")
        })?;
        let member = Arc::new(read_key(path)?);
        let key = SecretKey::generate().map_err(Failure::failed)?;
        let token = Token::generate().map_err(Failure::failed)?;
        let id = random_id("s_").map_err(Failure::failed)?;
        let beside = socket.parent().ok_or_else(|| Failure::failed("the socket's path has no directory"))?;
        let files = SessionFiles::create(beside, &id, &key, &token)?;
        let rights = (self.no_rights || !self.rights.is_empty()).then(|| self.rights.clone());
        let card = Card { role: self.role.clone(), groups: self.groups.clone(), ..own_card(self.name.clone()) };
        let session = LaunchedSession {
            id,
            token,
            public_key: key.public_key(),
            secret_file: files.secret(),
            card,
            voucher: Arc::new(Voucher::new(member, key.public_key(), rights, self.ttl)),
            project: self.member.project.clone(),
            audience: self.member.audience.clone(),
        };
        Ok((session, files))
    }
}

/// Says before the command runs, and owns the terminal, why its session is not there.
fn tell(status: &Status, output: &Output) {
    match status {
        Status::Registered { reason: None, .. } => {}
        Status::Registered { reason: Some(reason), .. } => {
            output.note(&format!("the session is registered and not present yet: {reason}"));
        }
        Status::Not(failure) => output.note(&format!("the session is not registered yet: {failure}")),
        Status::Unknown => output.note("the session is not registered yet: the daemon does not answer"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_and_is_a_day_at_most() {
        for (text, seconds) in [("1s", 1), ("30m", 1_800), ("12h", 43_200), ("24h", 86_400)] {
            assert_eq!(ttl(text), Ok(Duration::from_secs(seconds)));
        }
        for wrong in ["", "h", "12", "0s", "25h", "1441m", "-1h", "1.5h", "99999999999999999999h", "1d"] {
            assert!(ttl(wrong).is_err(), "{wrong}");
        }
    }
}
