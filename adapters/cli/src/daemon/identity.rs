//! As whom a link is opened.

use std::path::PathBuf;
use std::sync::Arc;

use grove_attest::{Attestation, Card, ChallengeFrame, PeerHello, SecretKey};
use parking_lot::Mutex;

use super::signer_client::{fresh, is_old};

/// As whom a link is opened.
#[derive(Debug)]
pub(crate) enum Identity {
    /// As the member.
    Member { key: Arc<SecretKey>, card: Card },
    /// As a session.
    Session(Box<SessionIdentity>),
}

/// As a session: its key, and what may change while it is registered.
#[derive(Debug)]
pub(crate) struct SessionIdentity {
    /// Kept here and nowhere else; overwritten when the session is over.
    key: SecretKey,
    signer: Option<PathBuf>,
    shown: Mutex<(Attestation, Card)>,
}

impl SessionIdentity {
    pub(crate) fn new(key: SecretKey, signer: Option<PathBuf>, attestation: Attestation, card: Card) -> Self {
        Self { key, signer, shown: Mutex::new((attestation, card)) }
    }

    /// It was registered again. Whether the card is another one.
    pub(crate) fn renew(&self, attestation: Attestation, card: Card) -> bool {
        let mut shown = self.shown.lock();
        let is_other = shown.1 != card;
        *shown = (attestation, card);
        is_other
    }

    fn card(&self) -> Card {
        self.shown.lock().1.clone()
    }
}

impl Identity {
    /// Before a link is opened: asks the launcher for a fresh attestation if the old one is over soon, or the server did not
    /// take it.
    pub(crate) async fn prepare(&self, now_ms: u64, is_refused: bool) {
        let Self::Session(session) = self else { return };
        let Some(signer) = &session.signer else { return };
        let is_wanted = is_refused || is_old(&session.shown.lock().0, now_ms);
        if is_wanted && let Some(attestation) = fresh(signer, &session.key.public_key()).await {
            session.shown.lock().0 = attestation;
        }
    }

    /// Answers a challenge.
    pub(crate) fn hello(
        &self,
        challenge: &ChallengeFrame,
        project: &str,
    ) -> Result<PeerHello, grove_attest::WrongChallenge> {
        match self {
            Self::Member { key, card } => Ok(PeerHello::member(key, challenge, project)?.card(card.clone())),
            Self::Session(session) => {
                let (attestation, card) = session.shown.lock().clone();
                Ok(PeerHello::session(&session.key, challenge, project, attestation)?.card(card))
            }
        }
    }

    pub(crate) fn card(&self) -> Card {
        match self {
            Self::Member { card, .. } => card.clone(),
            Self::Session(session) => session.card(),
        }
    }

    pub(crate) const fn is_member(&self) -> bool {
        matches!(self, Self::Member { .. })
    }
}
