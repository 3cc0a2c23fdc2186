//! What waits for a peer until it has acknowledged it.

use std::collections::VecDeque;

use serde_json::Value;

/// How many messages wait for one peer at most (peers 3).
const MESSAGES: usize = 100;

/// How many bytes of bodies wait for one peer at most.
const BYTES: usize = 256 << 10;

/// A message for a peer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mail {
    pub(crate) id: String,
    /// The sender's number.
    pub(crate) sender: u64,
    /// The sender's row, as the receiver sees it.
    pub(crate) from: Value,
    pub(crate) body: Value,
    /// How many bytes of JSON the body is.
    pub(crate) bytes: usize,
    /// When it was sent, in ms since 1970.
    pub(crate) at_ms: u64,
}

/// The messages that a peer has not acknowledged, oldest first: a pure type. Each is sent once on each link of the peer, until
/// it is acknowledged (U33).
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    waiting: VecDeque<Mail>,
    bytes: usize,
}

/// As much waits as may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

impl Mailbox {
    pub(crate) fn add(&mut self, mail: Mail) -> Result<&Mail, Full> {
        if self.waiting.len() >= MESSAGES || self.bytes + mail.bytes > BYTES {
            return Err(Full);
        }
        self.bytes += mail.bytes;
        let at = self.waiting.len();
        self.waiting.push_back(mail);
        Ok(&self.waiting[at])
    }

    /// The peer has taken a message. Returns it; `None` if it does not wait.
    pub(crate) fn acknowledge(&mut self, id: &str) -> Option<Mail> {
        let at = self.waiting.iter().position(|mail| mail.id == id)?;
        let mail = self.waiting.remove(at)?;
        self.bytes -= mail.bytes;
        Some(mail)
    }

    /// What a peer that came back is sent again.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &Mail> {
        self.waiting.iter()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mail(id: usize, bytes: usize) -> Mail {
        Mail { id: id.to_string(), sender: 1, from: Value::Null, body: Value::Null, bytes, at_ms: 0 }
    }

    proptest! {
        #[test]
        fn what_waits_is_what_was_added_and_not_acknowledged_within_the_bounds(
            steps in proptest::collection::vec((any::<bool>(), 0_usize..150, 0_usize..9_000), 0..400)
        ) {
            let (mut mailbox, mut model, mut next) = (Mailbox::default(), Vec::<(usize, usize)>::new(), 0);
            for (adds, which, bytes) in steps {
                if adds {
                    let sum: usize = model.iter().map(|(_, bytes)| bytes).sum();
                    let fits = model.len() < MESSAGES && sum + bytes <= BYTES;
                    prop_assert_eq!(mailbox.add(mail(next, bytes)).is_ok(), fits);
                    if fits {
                        model.push((next, bytes));
                    }
                    next += 1;
                } else {
                    let known = model.iter().position(|(id, _)| *id == which);
                    prop_assert_eq!(mailbox.acknowledge(&which.to_string()).is_some(), known.is_some());
                    known.map(|at| model.remove(at));
                }
                let ids: Vec<_> = mailbox.waiting().map(|mail| mail.id.clone()).collect();
                prop_assert_eq!(ids, model.iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>());
            }
        }
    }
}
