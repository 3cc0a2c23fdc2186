//! The people of `desk`, and their logins.

/// A person as `desk` lists them at start-up.
pub(super) struct Person {
    pub(super) name: String,
    /// Viewers may not change anything.
    pub(super) writes: bool,
    pub(super) token: String,
}

/// A credential of a person, which gives one session of the engine.
#[derive(Clone)]
pub(super) struct Login {
    pub(super) person: String,
    pub(super) writes: bool,
    pub(super) token: String,
}

impl Person {
    /// Parses `person NAME (DISPLAY, ORG, ROLE)`. The token comes in a line of its own.
    pub(super) fn from_line(line: &str) -> Option<Self> {
        let (name, rest) = line.strip_prefix("person ")?.split_once(' ')?;
        Some(Self { name: name.to_owned(), writes: !rest.ends_with("viewer)"), token: String::new() })
    }

    pub(super) fn login(&self, token: String) -> Login {
        Login { person: self.name.clone(), writes: self.writes, token }
    }
}
