//! Who was there, after they have left (S4.31).

use grove_engine::Session;
use serde_json::{Value, json};

use super::{Inner, Peers};
use crate::left_peer::LeftPeer;
use crate::link_handle::LinkHandle;
use crate::member::MembersError;
use crate::registry::Entry;
use crate::rfc3339;

impl Peers {
    /// Those of a session's project who have left within 30 days, as far as the members keep them, the latest first; at most
    /// so many. Where they worked, and under which key, is told of those of the session's own user; without a user there are
    /// none (U32).
    ///
    /// # Errors
    /// If the members cannot be reached.
    pub fn left(&self, session: &Session, most: usize) -> Result<Vec<LeftPeer>, MembersError> {
        let Some(user) = session.user() else { return Ok(Vec::new()) };
        let project = session.project().unwrap_or_default();
        let mut left = self.inner.members.left(project, self.inner.now_ms(), most)?;
        for peer in left.iter_mut().filter(|peer| peer.member != *user) {
            peer.session_key = None;
            (peer.card.cwd, peer.card.pid, peer.card.host) = (None, None, None);
        }
        Ok(left)
    }
}

impl Inner {
    /// A peer is gone, and is remembered if it was shown.
    pub(super) fn keep_left(&self, entry: &Entry<LinkHandle>) {
        let Some((row, card)) = entry.row.as_ref().zip(entry.peer.card.clone()) else { return };
        let peer = LeftPeer {
            participant: row.participant.to_string(),
            member: entry.peer.member.clone(),
            is_session: entry.peer.session_key.is_some(),
            session_key: entry.peer.session_key,
            card,
            connected_at: row.connected_at.clone(),
            left_at_ms: self.now_ms(),
        };
        if let Err(why) = self.members.keep_left(&entry.peer.project, &peer) {
            tracing::warn!(target: "grove", %why, "a peer that has left is not remembered");
        }
    }
}

/// The row of one that has left, like those of who is there.
pub(crate) fn row(peer: &LeftPeer) -> Value {
    let LeftPeer { participant, is_session, session_key, card, connected_at, left_at_ms, .. } = peer;
    let kind = if *is_session { "session" } else { "daemon" };
    let mut row = json!({
        "participant": participant, "kind": kind, "name": card.name, "role": card.role, "groups": card.groups,
        "status": "left", "connected_at": connected_at, "left_at": rfc3339::format(*left_at_ms),
    });
    for (key, value) in [("cwd", json!(card.cwd)), ("pid", json!(card.pid)), ("host", json!(card.host))] {
        if !value.is_null() {
            row[key] = value;
        }
    }
    if let Some(key) = session_key {
        row["session_public_key"] = json!(key);
    }
    row
}
