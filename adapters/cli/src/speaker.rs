//! Who speaks to others: the launched session in which this runs, by the daemon, or the member by a link of its own.

use std::path::Path;

use grove_attest::Card;
use grove_client::peer::{FromServer, PeerError, PeerLink, ToServer};
use hyper::Method;
use serde_json::{Value, json};

use crate::failure::{Failure, Kind};
use crate::local::Local;
use crate::settings::{MemberSettings, Membership, SocketSetting, session_token};
use crate::token::Token;

/// Who speaks to others.
#[derive(Debug)]
pub(crate) enum Speaker {
    /// The launched session.
    Session(Box<Local>, Token),
    /// The member.
    Member(Box<PeerLink>),
}

impl Speaker {
    /// The session of this process's environment, or else the member.
    ///
    /// # Errors
    /// If whoever it is cannot be reached.
    pub(crate) async fn find(socket: &SocketSetting, member: &MemberSettings) -> Result<Self, Failure> {
        match session_token()? {
            Some(token) => Self::session(&socket.path(), token).await,
            None => Ok(Self::Member(Box::new(open_member(&member.membership()?, None).await?))),
        }
    }

    async fn session(socket: &Path, token: Token) -> Result<Self, Failure> {
        Ok(Self::Session(Box::new(Local::connect(socket).await?), token))
    }

    /// The rows of the project.
    ///
    /// # Errors
    /// If they cannot be had.
    pub(crate) async fn peers(&mut self) -> Result<Vec<Value>, Failure> {
        let answer = match self {
            Self::Session(local, token) => local.request((Method::GET, "/v1/peers"), Some(token), None).await?,
            Self::Member(link) => ask(link, ToServer::List { id: 1 }).await?,
        };
        Ok(answer["peers"].as_array().cloned().unwrap_or_default())
    }

    /// Sends a message to a participant or a session key. Returns its id and its status.
    ///
    /// # Errors
    /// If it is refused.
    pub(crate) async fn send(&mut self, to: String, body: Value) -> Result<Value, Failure> {
        match self {
            Self::Session(local, token) => {
                let message = json!({"to": to, "body": body});
                local.request((Method::POST, "/v1/send"), Some(token), Some(&message)).await
            }
            Self::Member(link) => ask(link, ToServer::Send { id: 1, to, body }).await,
        }
    }
}

/// A link of the member's own. It has a row only with a card: a query makes none (S4.3).
///
/// # Errors
/// If the server cannot be reached or refuses.
pub(crate) async fn open_member(membership: &Membership, card: Option<Card>) -> Result<PeerLink, Failure> {
    let hello = |challenge: &grove_attest::ChallengeFrame| {
        if let Some(expected) = membership.audience.as_ref().filter(|expected| **expected != challenge.audience) {
            return Err(format!("it calls itself `{}` and not `{expected}`", challenge.audience).into());
        }
        let hello = grove_attest::PeerHello::member(&membership.key, challenge, membership.project.as_str())?;
        Ok(match card {
            Some(card) => hello.card(card),
            None => hello,
        })
    };
    let opened = PeerLink::connect(&membership.url, hello).await;
    opened.map(|(link, _)| link).map_err(|error| not_opened(&membership.url, &membership.project, &error))
}

fn not_opened(url: &str, project: &str, error: &PeerError) -> Failure {
    let kind = match error {
        PeerError::Refused { .. } | PeerError::NotAnswered(_) => Kind::Refused,
        _ => Kind::Unreachable,
    };
    let failure = Failure::new(kind, format!("cannot open a link to {url}: {error}"));
    match error {
        PeerError::Refused { code, .. } if code == "unauthorized" => {
            failure.advice(format!("ask whoever runs the server to add your public key to the project `{project}`"))
        }
        PeerError::NoLink { .. } => failure.advice("check --server: a server without peers has no such link"),
        PeerError::Unreachable(_) => failure.advice("check --server and whether it runs"),
        _ => failure,
    }
}

/// Asks on a link of the member's own, and leaves what else comes.
async fn ask(link: &mut PeerLink, question: ToServer) -> Result<Value, Failure> {
    let lost =
        |why: &dyn std::fmt::Display| Failure::new(Kind::Unreachable, format!("the server did not answer: {why}"));
    let answered = tokio::time::timeout(std::time::Duration::from_secs(10), async {
        link.send(&question).await.map_err(|ended| lost(&ended))?;
        loop {
            match link.next().await.map_err(|ended| lost(&ended))? {
                FromServer::Peers { peers, .. } => return Ok(json!({ "peers": peers })),
                FromServer::Sent { message, status, .. } => return Ok(json!({"message": message, "status": status})),
                FromServer::Error { id: Some(_), code, message } => {
                    let kind = if code == "not_found" { Kind::NotFound } else { Kind::Refused };
                    return Err(Failure::new(kind, format!("the server refuses: {message} ({code})")));
                }
                _ => {}
            }
        }
    });
    answered.await.unwrap_or_else(|_| Err(lost(&"it took longer than 10 s")))
}
