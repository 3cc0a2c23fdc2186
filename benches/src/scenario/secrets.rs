//! Strings that only one user or one session may ever receive.

/// Whose strings may be received.
#[derive(Debug, Clone)]
pub(super) struct Secrets {
    pub(super) user: String,
    pub(super) session: String,
}

const OF_USER: &str = "secret-of-user:";
const OF_SESSION: &str = "secret-of-session:";

impl Secrets {
    /// What only the sessions of this user show.
    pub(super) fn of_user(user: &str) -> String {
        format!("{OF_USER}{user};")
    }

    /// What only this session shows.
    pub(super) fn of_session(session: &str) -> String {
        format!("{OF_SESSION}{session};")
    }

    /// The owner of the first secret in a message that belongs to another user or session.
    pub(super) fn foreign<'t>(&self, text: &'t str) -> Option<&'t str> {
        first_other(text, OF_USER, &self.user).or_else(|| first_other(text, OF_SESSION, &self.session))
    }
}

fn first_other<'t>(text: &'t str, prefix: &str, own: &str) -> Option<&'t str> {
    let owners = text.match_indices(prefix).map(|(at, _)| &text[at + prefix.len()..]);
    owners.filter_map(|rest| rest.split(';').next()).find(|owner| *owner != own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_others_are_found() {
        let secrets = Secrets { user: "u1".to_owned(), session: "s1".to_owned() };
        let own = format!("a {} b {}", Secrets::of_user("u1"), Secrets::of_session("s1"));
        assert_eq!(secrets.foreign(&own), None);
        assert_eq!(secrets.foreign(&format!("{own} {}", Secrets::of_user("u12"))), Some("u12"));
        assert_eq!(secrets.foreign(&format!("{own} {}", Secrets::of_session("s"))), Some("s"));
    }
}
