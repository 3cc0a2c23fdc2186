//! The bytes that are signed (peers 2, 7).

use crate::public_key::PublicKey;

/// What is signed, field by field: each is its length as 4 bytes, big-endian, and its bytes. So no two sequences of fields
/// have the same bytes, and the tag in front makes sure that what was signed for one purpose is not used for another (S4.18).
#[derive(Debug, Default)]
pub(crate) struct Signed(Vec<u8>);

impl Signed {
    fn new(tag: &str, audience: &str, project: &str) -> Self {
        Self::default().text(tag).text(audience).text(project)
    }

    fn field(mut self, bytes: &[u8]) -> Self {
        // What is signed comes from frames, which are much shorter.
        let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.0.extend_from_slice(&len.to_be_bytes());
        self.0.extend_from_slice(bytes);
        self
    }

    fn text(self, text: &str) -> Self {
        self.field(text.as_bytes())
    }

    fn key(self, key: &PublicKey) -> Self {
        self.field(key.as_bytes())
    }

    fn number(self, number: u64) -> Self {
        self.field(&number.to_be_bytes())
    }

    /// The count, and then each name.
    fn names<'n>(self, names: impl ExactSizeIterator<Item = &'n str>) -> Self {
        let count = (names.len() as u64).to_be_bytes().to_vec();
        let list = names.fold(Self(count), Self::text);
        self.field(&list.0)
    }
}

/// What a member signs for a session key. The names are sorted by bytes, and none occurs twice.
#[derive(Debug)]
pub(crate) struct Attested<'a> {
    pub(crate) audience: &'a str,
    pub(crate) project: &'a str,
    pub(crate) member: &'a PublicKey,
    pub(crate) session: &'a PublicKey,
    pub(crate) not_before_ms: u64,
    pub(crate) expires_at_ms: u64,
    pub(crate) rights: Option<&'a [String]>,
}

impl Attested<'_> {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let signed = Signed::new("grove-attest-v1", self.audience, self.project)
            .key(self.member)
            .key(self.session)
            .number(self.not_before_ms)
            .number(self.expires_at_ms);
        match self.rights {
            Some(rights) => signed.names(rights.iter().map(String::as_str)).0,
            None => signed.0,
        }
    }
}

/// What a session signs to prove that it holds its key.
pub(crate) fn session_proof(audience: &str, project: &str, session: &PublicKey, nonce: &[u8; 32]) -> Vec<u8> {
    Signed::new("grove-hello-v1", audience, project).key(session).field(nonce).0
}

/// What a member signs to prove that it holds its key.
pub(crate) fn member_proof(audience: &str, project: &str, member: &PublicKey, nonce: &[u8; 32]) -> Vec<u8> {
    Signed::new("grove-member-v1", audience, project).key(member).field(nonce).0
}
