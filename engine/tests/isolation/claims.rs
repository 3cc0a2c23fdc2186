//! The claims of sessions, and the markers by which their data is recognised.

use std::collections::BTreeSet;

use grove_engine::Session;

use crate::random::Random;

/// The claims of one session. The numbers are small, so that many sessions are partly alike.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Claims {
    pub(crate) user: Option<u8>,
    pub(crate) project: Option<u8>,
    pub(crate) org: Option<u8>,
    pub(crate) team: Option<u8>,
    pub(crate) parent: Option<u8>,
    pub(crate) permissions: BTreeSet<u8>,
    pub(crate) has_data: bool,
}

/// A string that identifies an owner: a session (`s`), a user (`u`), and so on.
pub(crate) fn marker(kind: char, number: impl Into<usize>) -> String {
    format!("<{kind}{}>", number.into())
}

/// All markers in a text.
pub(crate) fn markers(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices('<').filter_map(|(at, _)| {
        let rest = &text[at..];
        let end = rest.find('>')?;
        let inner = &rest[1..end];
        let is_marker = inner.len() > 1 && inner.starts_with(|c: char| c.is_ascii_lowercase());
        (is_marker && inner[1..].bytes().all(|byte| byte.is_ascii_digit())).then_some(&rest[..=end])
    })
}

impl Claims {
    pub(crate) fn random(random: &mut Random) -> Self {
        let small = |random: &mut Random| random.maybe(80, |random| random.below(3) as u8);
        Self {
            user: small(random),
            project: small(random),
            org: small(random),
            team: small(random),
            parent: small(random),
            permissions: (0..3).filter(|_| random.percent(40)).collect(),
            has_data: random.percent(30),
        }
    }

    /// Claims of which most others are likely to have the same project, so that rooms have participants.
    pub(crate) fn together(random: &mut Random) -> Self {
        let (project, user) = (u8::from(random.percent(15)), random.below(3) as u8);
        Self { project: Some(project), user: Some(user), ..Self::random(random) }
    }

    /// The session with these claims; `number` identifies it.
    pub(crate) fn session(&self, number: usize) -> Session {
        let mut session = Session::new(id(number)).with_attribute("secret", marker('s', number));
        if let Some(user) = self.user {
            session = session.with_user(marker('u', user));
        }
        if let Some(project) = self.project {
            session = session.with_project(marker('p', project));
        }
        if let Some(parent) = self.parent {
            session = session.with_parent(marker('q', parent));
        }
        if let Some(org) = self.org {
            session = session.with_attribute("org", marker('o', org));
        }
        if let Some(team) = self.team {
            session = session.with_attribute("team", marker('t', team));
        }
        session = session.with_permissions(self.permissions.iter().map(|name| marker('c', *name)));
        if self.has_data { session.with_data(data(number)) } else { session }
    }

    /// The markers that this session may be sent.
    pub(crate) fn markers(&self, number: usize) -> impl Iterator<Item = String> {
        let named = [('u', self.user), ('p', self.project), ('q', self.parent), ('o', self.org), ('t', self.team)];
        let named = named.into_iter().filter_map(|(kind, number)| Some(marker(kind, number?)));
        let permissions: Vec<_> = self.permissions.iter().map(|name| marker('c', *name)).collect();
        std::iter::once(marker('s', number)).chain(named).chain(permissions)
    }
}

/// The session's id, which is also a secret.
pub(crate) fn id(number: usize) -> String {
    format!("session {}", marker('s', number))
}

/// The application data that is attached to the session.
pub(crate) fn data(number: usize) -> String {
    format!("data of {}", marker('s', number))
}
