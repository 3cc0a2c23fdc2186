//! What peers ask for.

use grove_engine::Session;
use serde_json::{Value, json};

use super::Inner;
use super::arriving::session;
use crate::access_token::random_id;
use crate::card::Card;
use crate::frames::{self, Request};
use crate::link_handle::LinkHandle;
use crate::mailbox::Mail;
use crate::project_feed::ProjectFeed;
use crate::public_key::PublicKey;
use crate::registry::{Entry, Registry};

/// How long the body of a message may be, in bytes of JSON (peers 3).
const BODY_BYTES: usize = 16 << 10;

/// What follows from a request.
pub(crate) enum Answer {
    Nothing,
    Frame(String),
    /// The peer leaves.
    Bye,
}

impl Inner {
    /// Answers one frame of a peer.
    pub(crate) fn answer(&self, number: u64, text: &str) -> Answer {
        let request = match Request::parse(text) {
            Ok(request) => request,
            Err((id, refused)) => {
                return Answer::Frame(frames::error(id.as_ref(), refused.code(), &refused.to_string()));
            }
        };
        match request {
            Request::Ping => Answer::Frame(frames::pong()),
            Request::List { id } => Answer::Frame(frames::peers(&id, &self.rows_for(number))),
            Request::Send { id, to, body } => Answer::Frame(match self.send(number, &to, body) {
                Ok(message) => frames::sent(&id, &message),
                Err((code, why)) => frames::error(Some(&id), code, why),
            }),
            Request::Ack { message } => self.acknowledge(number, &message),
            Request::Card { card } => self.set_card(number, card),
            Request::Bye => Answer::Bye,
        }
    }

    /// The rows of a peer's project, as it sees them. To ask makes none (S4.3).
    fn rows_for(&self, number: u64) -> Vec<Value> {
        let peer =
            self.registry.lock().get(number).map(|entry| (entry.peer.project.clone(), entry.peer.member.clone()));
        peer.map(|(project, member)| self.rows(&project, &member)).unwrap_or_default()
    }

    /// The rows of a session's project, as it sees them. Without a user there are none (U32).
    pub(crate) fn rows_of(&self, session: &Session) -> Vec<Value> {
        let project = session.project().unwrap_or_default();
        session.user().map(|user| self.rows(project, user)).unwrap_or_default()
    }

    fn rows(&self, project: &str, member: &str) -> Vec<Value> {
        let shown = |(_, entry): (u64, &Entry<LinkHandle>)| {
            let row = entry.row.clone()?;
            Some((row, entry.peer.session_key, entry.peer.member == member))
        };
        let shown: Vec<_> = self.registry.lock().of_project(project).filter_map(shown).collect();
        // Without the lock: there may be thousands.
        shown.iter().map(|(row, key, is_own)| frames::row(row, key.as_ref(), *is_own)).collect()
    }

    /// A message waits for its receiver until that has acknowledged it. Returns its id.
    fn send(&self, number: u64, to: &str, body: Value) -> Result<String, (&'static str, &'static str)> {
        let bytes = body.to_string().len();
        if bytes > BODY_BYTES {
            return Err(("too_large", "the body has more than 16 KiB"));
        }
        let id = random_id("msg_").map_err(|_| ("unavailable", "the system has no randomness"))?;
        let at_ms = self.now_ms();
        let mut registry = self.registry.lock();
        let sender = registry.get(number).ok_or(("unauthorized", "the peer was removed"))?;
        let project = sender.peer.project.clone();
        let named = to.parse::<PublicKey>().ok().and_then(|key| registry.of_key(&project, &key));
        let receiver =
            named.or_else(|| registry.of_participant(to)).and_then(|number| Some((number, registry.get(number)?)));
        let Some((receiver, _)) = receiver.filter(|(_, entry)| entry.peer.project == project && entry.row.is_some())
        else {
            return Err(("not_found", "there is no such peer"));
        };
        let from = from(&registry, number, receiver).unwrap_or_default();
        let entry = registry.get_mut(receiver).ok_or(("not_found", "there is no such peer"))?;
        let mail = Mail { id: id.clone(), sender: number, from, body, bytes, at_ms };
        let mail = entry.mailbox.add(mail).map_err(|_| ("busy", "as many messages wait for the peer as may"))?;
        let frame = frames::message(mail);
        if let Some(link) = &entry.link {
            link.send(frame);
        }
        Ok(id)
    }

    /// A message was taken: its sender is told, if it is still there.
    fn acknowledge(&self, number: u64, message: &str) -> Answer {
        let mut registry = self.registry.lock();
        let taken = registry.get_mut(number).and_then(|entry| entry.mailbox.acknowledge(message));
        let Some(mail) = taken else {
            return Answer::Frame(frames::error(None, "not_found", "no such message waits"));
        };
        if let Some(link) = registry.get(mail.sender).and_then(|sender| sender.link.as_ref()) {
            link.send(frames::acked(message));
        }
        Answer::Nothing
    }

    /// A peer is shown otherwise from now on; one without a row gets one.
    fn set_card(&self, number: u64, card: Card) -> Answer {
        let Some(peer) = self.registry.lock().get(number).map(|entry| entry.peer.clone()) else {
            return Answer::Nothing;
        };
        let attributes = self.attributes_of(&peer);
        let mut registry = self.registry.lock();
        let Some(entry) = registry.get_mut(number) else { return Answer::Nothing };
        entry.peer.card = Some(card.cut());
        entry.session = session(entry.session.id(), &entry.peer, attributes);
        let session = entry.session.clone();
        drop(registry);
        self.engine.update_session(&session);
        self.refresh_row(number);
        Answer::Nothing
    }
}

/// The sender's row as the receiver sees it. A sender that is not shown is named by its member alone.
fn from(registry: &Registry<LinkHandle, ProjectFeed>, sender: u64, receiver: u64) -> Option<Value> {
    let (sender, receiver) = (registry.get(sender)?, registry.get(receiver)?);
    let is_own = sender.peer.member == receiver.peer.member;
    Some(match &sender.row {
        Some(row) => frames::row(row, sender.peer.session_key.as_ref(), is_own),
        None => json!({"participant": null, "kind": "daemon", "name": sender.peer.member}),
    })
}
