//! Keeps a session registered: the daemon may come later, and may be started anew (S4.22).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use grove_attest::Card;
use grove_client::BackOff;
use hyper::Method;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::sleep;

use super::voucher::Voucher;
use crate::failure::{Failure, Kind};
use crate::local::Local;
use crate::process::Process;
use crate::settings::now_ms;
use crate::token::Token;

/// The first pause before the daemon is tried again, and the longest: a session is missed after 30 s.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How often a session is registered again although the daemon runs: it keeps an entry for 24 hours.
const RENEW: Duration = Duration::from_secs(6 * 3_600);

/// A session that is to be registered.
#[derive(Debug)]
pub(crate) struct LaunchedSession {
    pub(crate) id: String,
    pub(crate) token: Token,
    pub(crate) public_key: grove_attest::PublicKey,
    pub(crate) secret_file: PathBuf,
    pub(crate) card: Card,
    pub(crate) voucher: Arc<Voucher>,
    /// In which project, and at which server, if that was said.
    pub(crate) project: Option<String>,
    pub(crate) audience: Option<String>,
}

/// How the registration is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Status {
    /// It was not tried yet.
    Unknown,
    /// It is registered, as this participant if it is present, or with this reason why it is not.
    Registered { participant: Option<String>, reason: Option<String> },
    /// It is not, for this reason.
    Not(Failure),
}

/// Registers a session, and again whenever the daemon is another one.
pub(crate) async fn keep(session: Arc<LaunchedSession>, socket: PathBuf, status: watch::Sender<Status>) {
    let mut back_off = BackOff::starting_at(FIRST_PAUSE);
    loop {
        match register(&session, &socket).await {
            Ok((mut daemon, registered)) => {
                back_off.reset();
                status.send_replace(registered);
                tokio::select! {
                    () = daemon.ended() => {}
                    () = sleep(RENEW) => continue,
                }
            }
            Err(failure) => drop(status.send_replace(Status::Not(failure))),
        }
        sleep(back_off.next_pause().min(LONGEST_PAUSE)).await;
    }
}

/// Registers a session. Returns the connection, which lasts as long as the daemon.
async fn register(session: &LaunchedSession, socket: &Path) -> Result<(Local, Status), Failure> {
    let mut daemon = Local::connect(socket).await?;
    let about = daemon.request((Method::GET, "/v1/daemon"), None, None).await?;
    let project = agreed("project", session.project.as_deref(), about["project"].as_str())?;
    let audience = agreed("name of the server", session.audience.as_deref(), about["audience"].as_str())?;
    session.voucher.set_scope(audience, project);
    let process = Process::own();
    let body = json!({
        "session_id": session.id, "session_public_key": session.public_key,
        "session_secret_file": session.secret_file, "attestation": session.voucher.attest(now_ms()),
        "card": session.card, "pid": process.pid, "pid_started_at": process.started_at,
        "token": session.token.as_str(),
    });
    let answer = daemon.request((Method::POST, "/v1/sessions/register"), None, Some(&body)).await?;
    Ok((daemon, registered(&answer)))
}

fn registered(answer: &Value) -> Status {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let participant = text(&answer["participant"]);
    let reason = text(&answer["link"]["message"]).filter(|_| participant.is_none());
    Status::Registered { participant, reason }
}

/// What was said here and what the daemon says must be the same: nothing is signed for another server or project.
fn agreed(what: &str, here: Option<&str>, daemon: Option<&str>) -> Result<String, Failure> {
    match (here, daemon) {
        (Some(here), Some(daemon)) if here != daemon => {
            let message = format!("the {what} is `{here}` here and `{daemon}` at the daemon");
            Err(Failure::new(Kind::Refused, message)
                .advice("use the daemon's, or start a daemon with another --socket"))
        }
        (Some(known), _) | (None, Some(known)) => Ok(known.to_owned()),
        (None, None) => {
            Err(Failure::failed(format!("the daemon has not reached its server, so the {what} is not known")))
        }
    }
}

/// The session is over. Without a daemon, nobody needs to know.
pub(crate) async fn deregister(session: &LaunchedSession, socket: &Path) {
    let gone = async {
        let path = format!("/v1/sessions/{}", session.token.as_str());
        Local::connect(socket).await?.request((Method::DELETE, &path), None, None).await
    };
    // If the daemon does not answer, its reaper finds out.
    let _ = tokio::time::timeout(LONGEST_PAUSE, gone).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_signed_for_a_server_or_project_other_than_was_said() {
        assert_eq!(agreed("project", Some("a"), Some("a")).as_deref(), Ok("a"));
        assert_eq!(agreed("project", Some("a"), None).as_deref(), Ok("a"));
        assert_eq!(agreed("project", None, Some("b")).as_deref(), Ok("b"));
        assert_eq!(agreed("project", Some("a"), Some("b")).unwrap_err().kind, Kind::Refused);
        assert!(agreed("project", None, None).is_err());
    }
}
