//! Which peers there are: a pure type.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use grove_engine::{PresenceRow, Session};

use crate::access_token::{AccessToken, TokenDigest};
use crate::checking::ProvenPeer;
use crate::mailbox::Mailbox;
use crate::public_key::PublicKey;

/// A peer, for as long as it has a link or may come back.
#[derive(Debug)]
pub(crate) struct Entry<L> {
    pub(crate) peer: ProvenPeer,
    pub(crate) session: Session,
    pub(crate) token: AccessToken,
    /// What the others were told of it last.
    pub(crate) row: Option<Arc<PresenceRow>>,
    pub(crate) link: Option<L>,
    /// How many links it has had; tells a link whether it is still the peer's.
    pub(crate) links: u64,
    pub(crate) mailbox: Mailbox,
}

/// Which peers there are, by number in order of arrival. A session key has one entry; every program of a member's own has one
/// of its own.
///
/// | step | what follows |
/// |---|---|
/// | `add` | there is one more, without a link; refused if there are as many as may be |
/// | `link` | its link is this one; the one before is returned |
/// | `unlink` | it has no link, if that was its link |
/// | `show` | others see it as this; its participant id is known |
/// | `remove` | it is gone, with its token and what waits for it |
#[derive(Debug)]
pub(crate) struct Registry<L, F> {
    entries: BTreeMap<u64, Entry<L>>,
    by_key: HashMap<(String, PublicKey), u64>,
    by_participant: HashMap<String, u64>,
    by_token: HashMap<TokenDigest, u64>,
    by_project: HashMap<String, Project<F>>,
    next: u64,
    max: usize,
}

/// The peers of one project.
#[derive(Debug, Default)]
struct Project<F> {
    numbers: BTreeSet<u64>,
    /// What they share, as long as there is one of them.
    feed: F,
}

/// There are as many as there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Full;

impl<L, F: Clone + Default> Registry<L, F> {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            entries: BTreeMap::new(),
            by_key: HashMap::new(),
            by_participant: HashMap::new(),
            by_token: HashMap::new(),
            by_project: HashMap::new(),
            next: 0,
            max,
        }
    }

    pub(crate) fn set_max(&mut self, max: usize) {
        self.max = max;
    }

    pub(crate) fn get(&self, number: u64) -> Option<&Entry<L>> {
        self.entries.get(&number)
    }

    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut Entry<L>> {
        self.entries.get_mut(&number)
    }

    /// The peer with this session key, which may have no link now.
    pub(crate) fn of_key(&self, project: &str, key: &PublicKey) -> Option<u64> {
        self.by_key.get(&(project.to_owned(), *key)).copied()
    }

    pub(crate) fn of_participant(&self, participant: &str) -> Option<u64> {
        self.by_participant.get(participant).copied()
    }

    pub(crate) fn of_token(&self, digest: &TokenDigest) -> Option<u64> {
        self.by_token.get(digest).copied()
    }

    /// The peers of a project, in order of arrival.
    pub(crate) fn of_project(&self, project: &str) -> impl Iterator<Item = (u64, &Entry<L>)> {
        let numbers = self.by_project.get(project).into_iter().flat_map(|of| &of.numbers);
        numbers.filter_map(|number| Some((*number, self.entries.get(number)?)))
    }

    /// What the peers of a project share, if there is one.
    pub(crate) fn feed_of(&self, project: &str) -> Option<F> {
        self.by_project.get(project).map(|of| of.feed.clone())
    }

    pub(crate) fn add(&mut self, peer: ProvenPeer, session: Session, token: AccessToken) -> Result<u64, Full> {
        if self.entries.len() >= self.max {
            return Err(Full);
        }
        let number = self.next;
        self.next += 1;
        if let Some(key) = peer.session_key {
            self.by_key.insert((peer.project.clone(), key), number);
        }
        self.by_token.insert(token.digest(), number);
        self.by_project.entry(peer.project.clone()).or_default().numbers.insert(number);
        let entry = Entry { peer, session, token, row: None, link: None, links: 0, mailbox: Mailbox::default() };
        self.entries.insert(number, entry);
        Ok(number)
    }

    /// Returns which of its links this is, and the one before; `None` if it is gone.
    pub(crate) fn link(&mut self, number: u64, link: L) -> Option<(u64, Option<L>)> {
        let entry = self.entries.get_mut(&number)?;
        entry.links += 1;
        Some((entry.links, entry.link.replace(link)))
    }

    /// Returns whether that was its link.
    pub(crate) fn unlink(&mut self, number: u64, which: u64) -> bool {
        let entry = self.entries.get_mut(&number).filter(|entry| entry.links == which);
        entry.is_some_and(|entry| entry.link.take().is_some())
    }

    /// Others see it as this from now on. Returns what they saw before.
    pub(crate) fn show(&mut self, number: u64, row: Arc<PresenceRow>) -> Option<Arc<PresenceRow>> {
        let entry = self.entries.get_mut(&number)?;
        let participant = row.participant.to_string();
        let before = entry.row.replace(row);
        if let Some(before) = &before {
            self.by_participant.remove(before.participant.as_str());
        }
        self.by_participant.insert(participant, number);
        before
    }

    pub(crate) fn remove(&mut self, number: u64) -> Option<Entry<L>> {
        let entry = self.entries.remove(&number)?;
        if let Some(key) = entry.peer.session_key {
            self.by_key.remove(&(entry.peer.project.clone(), key));
        }
        if let Some(row) = &entry.row {
            self.by_participant.remove(row.participant.as_str());
        }
        self.by_token.remove(&entry.token.digest());
        if let Some(of) = self.by_project.get_mut(&entry.peer.project) {
            of.numbers.remove(&number);
            if of.numbers.is_empty() {
                self.by_project.remove(&entry.peer.project);
            }
        }
        Some(entry)
    }

    /// Every index leads to what is there, and nothing else.
    #[cfg(test)]
    pub(crate) fn validate(&self) {
        assert_eq!(self.by_token.len(), self.entries.len());
        assert_eq!(self.by_project.values().map(|of| of.numbers.len()).sum::<usize>(), self.entries.len());
        assert_eq!(self.by_key.len(), self.entries.values().filter(|entry| entry.peer.session_key.is_some()).count());
        assert_eq!(self.by_participant.len(), self.entries.values().filter(|entry| entry.row.is_some()).count());
        for (number, entry) in &self.entries {
            assert_eq!(self.by_token.get(&entry.token.digest()), Some(number));
            assert!(self.by_project[&entry.peer.project].numbers.contains(number));
            assert!(entry.link.is_none() || entry.links > 0);
            if let Some(row) = &entry.row {
                assert_eq!(self.by_participant.get(row.participant.as_str()), Some(number));
            }
            if let Some(key) = entry.peer.session_key {
                assert_eq!(self.of_key(&entry.peer.project, &key), Some(*number));
            }
        }
        assert!(self.entries.len() <= self.max);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::secret_key::SecretKey;

    fn peer(which: u8) -> ProvenPeer {
        let key = SecretKey::from_seed(&[which; 32]).public_key();
        ProvenPeer {
            project: format!("p{}", which % 2),
            member: format!("m{}", which % 3),
            member_key: key,
            session_key: (!which.is_multiple_of(4)).then_some(key),
            rights: Vec::new(),
            expires_at_ms: None,
            card: None,
        }
    }

    proptest! {
        #[test]
        fn every_index_leads_to_what_is_there(steps in proptest::collection::vec((0_u8..4, 0_u8..8), 0..60)) {
            let mut registry = Registry::<u64, ()>::new(5);
            let mut there: Vec<(u64, u8)> = Vec::new();
            for (step, which) in steps {
                let known = there.iter().find(|(_, of)| *of == which).map(|(number, _)| *number);
                match (step, known) {
                    (0, None) => {
                        let session = Session::new(format!("s{which}"));
                        let added = registry.add(peer(which), session, AccessToken::generate().unwrap());
                        prop_assert_eq!(added.is_ok(), there.len() < 5);
                        there.extend(added.ok().map(|number| (number, which)));
                    }
                    (1, Some(number)) => {
                        let links = registry.get(number).unwrap().links;
                        let before = registry.get(number).unwrap().link;
                        prop_assert_eq!(registry.link(number, links), Some((links + 1, before)));
                        prop_assert!(!registry.unlink(number, links), "that was not its latest link");
                    }
                    (2, Some(number)) => {
                        let (links, had) = registry.get(number).map(|entry| (entry.links, entry.link.is_some())).unwrap();
                        prop_assert_eq!(registry.unlink(number, links), had);
                    }
                    (3, Some(number)) => {
                        prop_assert!(registry.remove(number).is_some() && registry.remove(number).is_none());
                        there.retain(|(of, _)| *of != number);
                    }
                    _ => {}
                }
                registry.validate();
                prop_assert_eq!(registry.entries.keys().copied().collect::<Vec<_>>(), there.iter().map(|(number, _)| *number).collect::<Vec<_>>());
            }
        }
    }
}
