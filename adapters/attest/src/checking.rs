//! Who a peer is: every check, in the order of the contract (peers 3, 7).

use crate::attestation::{CLOCK_SKEW_MS, MAX_TTL_MS};
use crate::card::Card;
use crate::challenge::Challenge;
use crate::hello::PeerHello;
use crate::member::{Member, Members, MembersError, Standing};
use crate::public_key::PublicKey;
use crate::refused::Refused;
use crate::signed;

/// Checks what peers say about themselves.
#[derive(Debug, Clone, Copy)]
pub struct Checking<'m> {
    members: &'m dyn Members,
}

/// Who a peer is, as far as it has proven.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProvenPeer {
    /// In which project.
    pub project: String,
    /// The member's id.
    pub member: String,
    /// The key of the member.
    pub member_key: PublicKey,
    /// The key of the session, unless it is a program of the member's own.
    pub session_key: Option<PublicKey>,
    /// What it may do, by name, sorted: the rights of the member, and of these only those that the attestation names (U34).
    pub rights: Vec<String>,
    /// Until when the attestation is valid, in ms since 1970.
    pub expires_at_ms: Option<u64>,
    /// How it is shown.
    pub card: Option<Card>,
}

/// What a hello proves, whoever the keys belong to. All of it is looked at, so that what is said about a project takes the
/// same time for those that exist and those that do not.
#[derive(Debug, Clone, Copy)]
struct Proofs {
    is_attested: bool,
    is_for_these_keys: bool,
    holds_key: bool,
}

/// What the members say about the keys of a peer.
#[derive(Debug)]
struct Known {
    standing: Standing,
    is_session_revoked: bool,
}

impl<'m> Checking<'m> {
    /// With those members.
    #[must_use]
    pub const fn new(members: &'m dyn Members) -> Self {
        Self { members }
    }

    /// Checks the first frame of a peer, at this time in ms since 1970. The challenge is used up.
    ///
    /// # Errors
    /// Why it is refused.
    pub fn check(&self, challenge: &mut Challenge, frame: &str, now_ms: u64) -> Result<ProvenPeer, Refused> {
        let is_in_time = challenge.answer(now_ms);
        let hello = PeerHello::parse(frame)?;
        let proofs = Proofs::of(&hello, challenge, is_in_time);
        let member = self.member(&hello, proofs)?;
        if let PeerHello::Session { attestation, .. } = &hello {
            check_times(attestation.not_before_ms, attestation.expires_at_ms, now_ms)?;
        }
        proofs.check()?;
        Ok(proven(hello, member))
    }

    /// Whether a peer that has proven who it is may act still: its member has the key and the rights, and the session key is
    /// not revoked.
    ///
    /// # Errors
    /// `revoked` if not, `capacity` if that cannot be told.
    #[cfg_attr(not(feature = "axum"), expect(dead_code, reason = "only a link lasts"))]
    pub(crate) fn still(&self, peer: &ProvenPeer) -> Result<(), Refused> {
        let known = self.look_up(&peer.project, (&peer.member_key, peer.session_key.as_ref()))?;
        match known {
            Known { standing: Standing::Member(member), is_session_revoked: false }
                if member.id == peer.member && peer.rights.iter().all(|right| member.has(right)) =>
            {
                Ok(())
            }
            _ => Err(Refused::Revoked),
        }
    }

    /// The member on whose behalf the peer acts. That a key was revoked learns only who proves to hold it.
    fn member(&self, hello: &PeerHello, proofs: Proofs) -> Result<Member, Refused> {
        let (project, keys) = match hello {
            PeerHello::Session { project, member_public_key, session_public_key, .. } => {
                (project, (member_public_key, Some(session_public_key)))
            }
            PeerHello::Member { project, member_public_key, .. } => (project, (member_public_key, None)),
        };
        let Known { standing, is_session_revoked } = self.look_up(project, keys)?;
        match standing {
            Standing::Unknown => Err(Refused::Unauthorized),
            Standing::Removed if proofs.are_good() => Err(Refused::Revoked),
            Standing::Removed => Err(Refused::Unauthorized),
            Standing::Member(_) if is_session_revoked && proofs.are_good() => Err(Refused::Revoked),
            Standing::Member(member) => Ok(member),
        }
    }

    /// What is known of a member's key and a session key. Both are looked up, whatever the first says.
    fn look_up(&self, project: &str, (member, session): (&PublicKey, Option<&PublicKey>)) -> Result<Known, Refused> {
        // Of a project that exists or not: whoever comes back later may find the members.
        let unreachable = |_: MembersError| Refused::Capacity;
        let standing = self.members.find(project, member);
        let is_revoked = |key: &PublicKey| self.members.is_session_revoked(project, key);
        let is_session_revoked = session.map_or(Ok(false), is_revoked).map_err(unreachable)?;
        Ok(Known { standing: standing.map_err(unreachable)?, is_session_revoked })
    }
}

impl Proofs {
    fn of(hello: &PeerHello, challenge: &Challenge, is_in_time: bool) -> Self {
        let (audience, nonce) = (challenge.audience(), challenge.nonce());
        match hello {
            PeerHello::Session { project, session_public_key, member_public_key, attestation, signature, .. } => {
                let proof = signed::session_proof(audience, project, session_public_key, nonce);
                Self {
                    is_attested: attestation.is_signed(audience, project),
                    is_for_these_keys: attestation.session_public_key == *session_public_key
                        && attestation.member_public_key == *member_public_key,
                    holds_key: session_public_key.verifies(&proof, signature) && is_in_time,
                }
            }
            PeerHello::Member { project, member_public_key, signature, .. } => {
                let proof = signed::member_proof(audience, project, member_public_key, nonce);
                let holds_key = member_public_key.verifies(&proof, signature) && is_in_time;
                Self { is_attested: true, is_for_these_keys: true, holds_key }
            }
        }
    }

    const fn are_good(self) -> bool {
        self.is_attested && self.is_for_these_keys && self.holds_key
    }

    const fn check(self) -> Result<(), Refused> {
        match self {
            Self { is_attested: false, .. } => Err(Refused::BadSignature),
            Self { is_for_these_keys: false, .. } => Err(Refused::AttestationMismatch),
            Self { holds_key: false, .. } => Err(Refused::BadProof),
            _ => Ok(()),
        }
    }
}

fn check_times(not_before_ms: u64, expires_at_ms: u64, now_ms: u64) -> Result<(), Refused> {
    if expires_at_ms.saturating_sub(not_before_ms) > MAX_TTL_MS {
        return Err(Refused::TtlTooLong);
    }
    if now_ms.saturating_add(CLOCK_SKEW_MS) < not_before_ms {
        return Err(Refused::NotYetValid);
    }
    if now_ms > expires_at_ms.saturating_add(CLOCK_SKEW_MS) {
        return Err(Refused::Expired);
    }
    Ok(())
}

fn proven(hello: PeerHello, member: Member) -> ProvenPeer {
    let Member { id, public_key, rights } = member;
    match hello {
        PeerHello::Session { project, session_public_key, attestation, card, .. } => {
            let asked = attestation.rights;
            let is_asked = |right: &String| asked.as_ref().is_none_or(|asked| asked.binary_search(right).is_ok());
            ProvenPeer {
                project,
                member: id,
                member_key: public_key,
                session_key: Some(session_public_key),
                rights: rights.into_iter().filter(is_asked).collect(),
                expires_at_ms: Some(attestation.expires_at_ms),
                card: Some(card.cut()),
            }
        }
        PeerHello::Member { project, card, .. } => ProvenPeer {
            project,
            member: id,
            member_key: public_key,
            session_key: None,
            rights,
            expires_at_ms: None,
            card: card.map(Card::cut),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attestation::{Attestation, NewAttestation};
    use crate::memory_members::MemoryMembers;
    use crate::public_key::VERIFIED;
    use crate::secret_key::SecretKey;

    const NOW_MS: u64 = 1_775_484_010_123;

    /// How long a refusal takes tells nothing: what takes long is done in any case.
    #[test]
    fn both_signatures_are_verified_whoever_asks_for_whatever_project_and_whatever_else_is_wrong() {
        let [member, session] = [[1; 32], [2; 32]].map(|seed| SecretKey::from_seed(&seed));
        let members = MemoryMembers::new();
        members.add("acme", Member::new("ann", member.public_key())).unwrap();
        members.add("left", Member::new("ann", member.public_key())).unwrap();
        members.remove("left", "ann").unwrap();
        let faults: [(&str, u64, bool, &str); 6] = [
            ("acme", 0, false, "ok"),
            ("nowhere", 0, false, "unauthorized"),
            ("left", 0, false, "revoked"),
            ("left", 0, true, "unauthorized"),
            ("acme", 3 * MAX_TTL_MS, false, "expired"),
            ("acme", 0, true, "bad_signature"),
        ];
        for (project, age_ms, is_tampered, expected) in faults {
            let mut challenge = Challenge::new("desk", NOW_MS).unwrap();
            let signed_for = if is_tampered { "other" } else { project };
            let new = NewAttestation::new("desk", signed_for, session.public_key(), NOW_MS - age_ms);
            let attestation = Attestation::sign(&member, &new);
            let hello = PeerHello::session(&session, &challenge.frame(), project, attestation).unwrap();
            let text = hello.card(Card::new("worker")).to_json();
            VERIFIED.set(0);
            let checked = Checking::new(&members).check(&mut challenge, &text, NOW_MS);
            assert_eq!(checked.as_ref().map_or_else(Refused::code, |_| "ok"), expected);
            assert_eq!(VERIFIED.get(), 2, "{expected}");
        }
    }
}
