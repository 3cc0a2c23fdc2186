//! Texts that only one user, or one session, may ever receive.

/// Whose texts may be received.
#[derive(Debug, Clone)]
pub(super) struct Secrets {
    pub(super) user: String,
    pub(super) session: String,
}

const OF_USER: &str = "secret-of-user:";
const OF_SESSION: &str = "secret-of-session:";

impl Secrets {
    /// What this user's sessions show and no other user's.
    pub(super) fn of_user(user: &str) -> String {
        format!("{OF_USER}{user};")
    }

    /// What this session shows and no other.
    pub(super) fn of_session(session: &str) -> String {
        format!("{OF_SESSION}{session};")
    }

    /// The first secret in a text that belongs to somebody else.
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
    fn what_belongs_to_another_is_found() {
        let mine = Secrets { user: "u1".to_owned(), session: "s1".to_owned() };
        let own = format!("a {} b {}", Secrets::of_user("u1"), Secrets::of_session("s1"));
        assert_eq!(mine.foreign(&own), None);
        assert_eq!(mine.foreign(&format!("{own} {}", Secrets::of_user("u12"))), Some("u12"));
        assert_eq!(mine.foreign(&format!("{own} {}", Secrets::of_session("s"))), Some("s"));
    }
}
