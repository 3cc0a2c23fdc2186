//! A link that is opened again and again, until its session is over.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use grove_client::BackOff;
use grove_client::peer::{FromServer, PeerError, PeerLink, PeerLinkEnded, ToServer};
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep};

use super::answer::Refusal;
use super::ask::{Ask, Question};
use super::identity::Identity;
use super::inbox::Inbox;
use super::link_state::{LinkState, Present};
use super::upstream::Upstream;
use crate::settings::now_ms;

/// The longest first pause before a link is opened again; the shortest is half of it (peers 4).
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// A link that was up for so long was no failure: the pauses begin anew.
const STEADY: Duration = Duration::from_secs(5);

/// How many questions may wait for their answers on one link.
const ASKED: usize = 256;

/// A link, and what it works with.
#[derive(Debug)]
pub(crate) struct RunningLink {
    pub(crate) identity: Arc<Identity>,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) acks: mpsc::Receiver<String>,
    pub(crate) asks: mpsc::Receiver<Ask>,
    pub(crate) state: watch::Sender<LinkState>,
    pub(crate) closing: watch::Receiver<bool>,
}

/// What follows when a link has ended, or could not be opened.
enum Next {
    /// Open it again, after a pause.
    Again,
    /// Open it again when the member's link was opened again.
    WhenMemberReturns,
    /// Never.
    Never,
    /// The session is over.
    Over,
}

type Answers = HashMap<u64, oneshot::Sender<Result<Value, Refusal>>>;

impl RunningLink {
    /// Keeps the link until it is to be closed.
    pub(crate) async fn run(mut self) {
        let (mut back_off, mut is_refused) = (BackOff::starting_at(FIRST_PAUSE), false);
        let mut closing = self.closing.clone();
        let mut member_links = self.upstream.member_links();
        loop {
            member_links.mark_unchanged();
            let opened = tokio::select! {
                opened = self.open(is_refused) => opened,
                () = until_closed(&mut closing) => break,
            };
            let next = match opened {
                Ok((link, since)) => {
                    is_refused = false;
                    let next = self.speak(link).await;
                    if since.elapsed() >= STEADY {
                        back_off.reset();
                    }
                    next
                }
                Err(error) => {
                    is_refused = matches!(error, PeerError::Refused { .. });
                    self.not_opened(&error, &mut back_off)
                }
            };
            let wait = async {
                match next {
                    Next::Again => sleep(back_off.next_pause()).await,
                    Next::WhenMemberReturns => drop(member_links.changed().await),
                    Next::Never => std::future::pending().await,
                    Next::Over => {}
                }
            };
            tokio::select! {
                () = wait => if matches!(next, Next::Over) { break },
                () = until_closed(&mut closing) => break,
            }
        }
        self.inbox.close();
        self.state.send_replace(LinkState::Closed);
    }

    /// Opens the link, and says that it is up.
    async fn open(&self, is_refused: bool) -> Result<(PeerLink, Instant), PeerError> {
        self.identity.prepare(now_ms(), is_refused).await;
        let mut audience = String::new();
        let hello = |challenge: &grove_attest::ChallengeFrame| {
            self.upstream.check(challenge)?;
            audience.clone_from(&challenge.audience);
            Ok(self.identity.hello(challenge, &self.upstream.project)?)
        };
        let (link, welcome) = PeerLink::connect(&self.upstream.url, hello).await?;
        match self.identity.is_member() {
            true => self.upstream.member_is_welcome(audience),
            false => self.upstream.session_is_welcome(),
        }
        tracing::debug!(target: "grove", participant = welcome.participant, "a link is up");
        let (participant, member, access_token) = (welcome.participant, welcome.member, welcome.access_token);
        self.state.send_replace(LinkState::Up(Present { participant, member, access_token }));
        Ok((link, Instant::now()))
    }

    fn not_opened(&self, error: &PeerError, back_off: &mut BackOff) -> Next {
        let code = match error {
            PeerError::Refused { code, .. } => code.as_str(),
            PeerError::NotAnswered(_) => "not_answered",
            _ => "unreachable",
        };
        let is_session = !self.identity.is_member();
        if code == "unknown_message_type" && is_session {
            self.upstream.report_no_sessions();
            self.state.send_replace(LinkState::Unsupported);
            return Next::WhenMemberReturns;
        }
        if code == "revoked" && is_session {
            self.state.send_replace(LinkState::Revoked);
            // If it was the member's access, it may be given back.
            return Next::WhenMemberReturns;
        }
        // A server that is there and does not want this peer is not asked often.
        if !matches!(error, PeerError::Unreachable(_)) {
            back_off.exhaust();
        }
        let state = LinkState::Connecting(Some((code.to_owned(), error.to_string())));
        let is_other = self.state.send_if_modified(|held| {
            *held != state && {
                *held = state;
                true
            }
        });
        if is_other {
            tracing::warn!(target: "grove", name = self.identity.card().name, "no link: {error}");
        }
        Next::Again
    }

    /// Both directions of a link, until it ends.
    async fn speak(&mut self, mut link: PeerLink) -> Next {
        let (mut answers, mut next_id) = (Answers::new(), 0);
        loop {
            answers.retain(|_, answer| !answer.is_closed());
            let Self { closing, acks, asks, .. } = self;
            let ended = tokio::select! {
                () = until_closed(closing) => {
                    link.bye().await;
                    return Next::Over;
                }
                Some(message) = acks.recv() => link.send(&ToServer::ack(message)).await.err(),
                Some(ask) = asks.recv(), if answers.len() < ASKED => {
                    next_id += 1;
                    put(&self.identity, &mut link, ask, (&mut answers, next_id)).await.err()
                }
                frame = link.next() => match frame {
                    Ok(FromServer::Replaced) => {
                        self.state.send_replace(LinkState::Replaced);
                        return Next::Never;
                    }
                    Ok(frame) => {
                        hear(&self.inbox, frame, &mut answers);
                        None
                    }
                    Err(ended) => Some(ended),
                },
            };
            if let Some(ended) = ended {
                self.state.send_replace(LinkState::Connecting(Some(("lost".to_owned(), ended.to_string()))));
                tracing::info!(target: "grove", name = self.identity.card().name, "{ended}");
                return Next::Again;
            }
        }
    }
}

/// Ends when the session is over.
async fn until_closed(closing: &mut watch::Receiver<bool>) {
    drop(closing.wait_for(|closing| *closing).await);
}

/// Puts a question to the server.
async fn put(
    identity: &Identity,
    link: &mut PeerLink,
    ask: Ask,
    (answers, id): (&mut Answers, u64),
) -> Result<(), PeerLinkEnded> {
    let frame = match ask.question {
        Question::Card => return link.send(&ToServer::Card { card: identity.card() }).await,
        // Whoever asked was told already that it did not work.
        _ if ask.answer.is_closed() => return Ok(()),
        Question::List => ToServer::List { id },
        Question::Send { to, body } => ToServer::Send { id, to, body },
    };
    answers.insert(id, ask.answer);
    link.send(&frame).await
}

/// Takes something that the server says.
fn hear(inbox: &Inbox, frame: FromServer, answers: &mut Answers) {
    let (id, answer) = match frame {
        FromServer::Message(mail) => return inbox.arrive(&mail),
        FromServer::Peers { id, peers } => (id, Ok(json!({ "peers": peers }))),
        FromServer::Sent { id, message, status } => (id, Ok(json!({"message": message, "status": status}))),
        FromServer::Error { id: Some(id), code, message } => (id, Err(Refusal::by_server(&code, &message))),
        FromServer::Error { id: None, code, message } => {
            tracing::debug!(target: "grove", code, message, "the server did not take a frame");
            return;
        }
        _ => return,
    };
    if let Some(asked) = id.as_u64().and_then(|id| answers.remove(&id)) {
        // Whoever asked may be gone.
        let _ = asked.send(answer);
    }
}
