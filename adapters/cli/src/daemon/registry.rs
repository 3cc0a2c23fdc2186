//! Which sessions are registered: a pure type.

use std::collections::HashMap;
use std::sync::Weak;
use std::time::Duration;

use grove_attest::{Card, PublicKey};

use crate::process::Process;
use crate::token::TokenDigest;

/// A registered session.
#[derive(Debug, Clone)]
pub(crate) struct Entry<L> {
    pub(crate) session_id: String,
    pub(crate) token: TokenDigest,
    pub(crate) public_key: PublicKey,
    pub(crate) card: Card,
    pub(crate) process: Process,
    /// The connection on which it was registered last, as long as it is open.
    pub(crate) owner: Weak<()>,
    /// When it was registered last, on the daemon's clock.
    pub(crate) since: Duration,
    pub(crate) link: L,
}

/// Which sessions are registered. Nothing of it outlives the process (S4.22).
///
/// | step | what follows |
/// |---|---|
/// | `add` | there is one more; one with the same id is replaced and returned, and its token is unknown from then on |
/// | `renew` | one that shows its own token and key stays, with its link, as if it were new |
/// | `remove` | it is gone, if it is still the one that is meant |
#[derive(Debug)]
pub(crate) struct Registry<L> {
    entries: HashMap<String, Entry<L>>,
    by_token: HashMap<TokenDigest, String>,
    max: usize,
}

/// Why a session cannot be registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotAdded {
    /// There are as many as there may be.
    Full,
    /// The token is another session's.
    TokenTaken,
}

impl<L> Registry<L> {
    pub(crate) fn new(max: usize) -> Self {
        Self { entries: HashMap::new(), by_token: HashMap::new(), max }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Entry<L>> {
        self.entries.values()
    }

    /// The session with this token, found in one step, and compared in constant time (S4.41).
    pub(crate) fn of_token(&self, token: &TokenDigest) -> Option<&Entry<L>> {
        self.entries.get(self.by_token.get(token)?).filter(|entry| entry.token.is(token))
    }

    pub(crate) fn add(&mut self, entry: Entry<L>) -> Result<Option<Entry<L>>, NotAdded> {
        let replaces = self.entries.contains_key(&entry.session_id);
        if !replaces && self.entries.len() >= self.max {
            return Err(NotAdded::Full);
        }
        if self.by_token.get(&entry.token).is_some_and(|other| *other != entry.session_id) {
            return Err(NotAdded::TokenTaken);
        }
        let replaced = self.entries.remove(&entry.session_id);
        if let Some(replaced) = &replaced {
            self.by_token.remove(&replaced.token);
        }
        self.by_token.insert(entry.token, entry.session_id.clone());
        self.entries.insert(entry.session_id.clone(), entry);
        Ok(replaced)
    }

    /// The session with this id, token and key, which stays; `None` if there is none.
    pub(crate) fn renew(
        &mut self,
        (session_id, token, public_key): (&str, &TokenDigest, &PublicKey),
        (card, process, owner, since): (Card, Process, Weak<()>, Duration),
    ) -> Option<&Entry<L>> {
        let entry = self.entries.get_mut(session_id)?;
        if !entry.token.is(token) || entry.public_key != *public_key {
            return None;
        }
        (entry.card, entry.process, entry.owner, entry.since) = (card, process, owner, since);
        Some(entry)
    }

    /// Removes a session, if it has this token by now, and this is true of its link.
    pub(crate) fn remove(
        &mut self,
        (session_id, token): (&str, &TokenDigest),
        is_meant: impl FnOnce(&L) -> bool,
    ) -> Option<Entry<L>> {
        self.entries.get(session_id).filter(|entry| entry.token.is(token) && is_meant(&entry.link))?;
        self.by_token.remove(token);
        self.entries.remove(session_id)
    }
}

#[cfg(test)]
mod tests {
    use grove_attest::SecretKey;
    use proptest::prelude::*;

    use super::*;
    use crate::token::Token;

    fn entry(session: u8, token: u8, link: usize) -> Entry<usize> {
        Entry {
            session_id: format!("s{session}"),
            token: digest(token),
            public_key: key(session),
            card: Card::new("x"),
            process: Process { pid: 1, started_at: None },
            owner: Weak::new(),
            since: Duration::ZERO,
            link,
        }
    }

    fn key(session: u8) -> PublicKey {
        SecretKey::from_seed(&[session; 32]).public_key()
    }

    fn digest(token: u8) -> TokenDigest {
        Token::parse(&format!("{token:02x}").repeat(32)).unwrap().digest()
    }

    proptest! {
        #[test]
        fn a_token_leads_to_its_own_session_or_to_none(
            steps in proptest::collection::vec((0_u8..3, 0_u8..6, 0_u8..8), 0..80)
        ) {
            let mut registry = Registry::new(4);
            let mut model = HashMap::<u8, (u8, usize)>::new();
            for (number, (step, session, token)) in steps.into_iter().enumerate() {
                match step {
                    0 => {
                        let taken = model.iter().any(|(other, (held, _))| *other != session && *held == token);
                        let is_full = !model.contains_key(&session) && model.len() == 4;
                        let added = registry.add(entry(session, token, number)).map(|replaced| replaced.map(|entry| entry.link));
                        if is_full {
                            prop_assert_eq!(added, Err(NotAdded::Full));
                        } else if taken {
                            prop_assert_eq!(added, Err(NotAdded::TokenTaken));
                        } else {
                            let replaced = model.insert(session, (token, number));
                            prop_assert_eq!(added, Ok(replaced.map(|(_, link)| link)));
                        }
                    }
                    1 => {
                        let is_own = model.get(&session).is_some_and(|(held, _)| *held == token);
                        prop_assert_eq!(registry.remove((&format!("s{session}"), &digest(token)), |_| true).is_some(), is_own);
                        if is_own {
                            model.remove(&session);
                        }
                    }
                    _ => {
                        let is_own = model.get(&session).is_some_and(|(held, _)| *held == token);
                        let id = format!("s{session}");
                        let new = || (Card::new("y"), Process { pid: 2, started_at: None }, Weak::new(), Duration::from_secs(1));
                        let renewed = registry.renew((&id, &digest(token), &key(session)), new()).map(|entry| entry.link);
                        prop_assert_eq!(renewed, is_own.then(|| model[&session].1));
                        prop_assert!(registry.renew((&id, &digest(token), &key(session + 1)), new()).is_none());
                    }
                }
                prop_assert_eq!(registry.iter().count(), model.len());
                prop_assert_eq!(registry.by_token.len(), model.len());
                for token in 0..8 {
                    let found = registry.of_token(&digest(token)).map(|entry| entry.session_id.clone());
                    let wanted = model.iter().find(|(_, (held, _))| *held == token).map(|(session, _)| format!("s{session}"));
                    prop_assert_eq!(found, wanted);
                }
            }
        }
    }
}
