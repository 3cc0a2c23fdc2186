//! Signs attestations of one session key.

use std::sync::Arc;
use std::time::Duration;

use grove_attest::{Attestation, NewAttestation, PublicKey, SecretKey};
use parking_lot::Mutex;

/// Signs attestations of one session key. The member's secret goes no further (S4.20).
#[derive(Debug)]
pub(crate) struct Voucher {
    member: Arc<SecretKey>,
    session: PublicKey,
    rights: Option<Vec<String>>,
    ttl: Duration,
    /// For which server and project; known when the daemon has said so, unless they were given.
    scope: Mutex<Option<(String, String)>>,
}

impl Voucher {
    pub(crate) const fn new(
        member: Arc<SecretKey>,
        session: PublicKey,
        rights: Option<Vec<String>>,
        ttl: Duration,
    ) -> Self {
        Self { member, session, rights, ttl, scope: Mutex::new(None) }
    }

    /// For which server and project the next ones are.
    pub(crate) fn set_scope(&self, audience: String, project: String) {
        *self.scope.lock() = Some((audience, project));
    }

    /// An attestation from now on; none as long as it is not known for which server.
    pub(crate) fn attest(&self, now_ms: u64) -> Option<Attestation> {
        let (audience, project) = self.scope.lock().clone()?;
        let new = NewAttestation::new(audience, project, self.session, now_ms).ttl(self.ttl);
        let new = match &self.rights {
            Some(rights) => new.rights(rights.iter().map(String::as_str)),
            None => new,
        };
        Some(Attestation::sign(&self.member, &new))
    }
}
