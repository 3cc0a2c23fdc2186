//! From a token to a session.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use grove_axum::{Authenticator, Refusal, UpgradeRequest, authenticate_with};
use grove_engine::{Presence, Session, Trust};
use parking_lot::Mutex;

/// The attribute with the session's organisation.
pub(crate) const ORG: &str = "org";

/// The cookie that may hold a token.
const COOKIE: &str = "session";

/// The permission to close all rooms of a project.
const ADMIN: &str = "rooms:admin";

/// Accepts every well-formed token. With a time to live, a session ends that long after its first
/// authentication; coming back does not prolong it.
pub(crate) fn authenticator(ttl: Option<Duration>, has_rooms: bool) -> impl Authenticator {
    let ends: Mutex<HashMap<String, Option<SystemTime>>> = Mutex::default();
    authenticate_with(move |request: UpgradeRequest| {
        let token = request.credential(COOKIE).filter(|token| is_valid(token));
        let session = token.ok_or_else(Refusal::unauthorized).map(|token| {
            let session = if has_rooms { session_with_rooms(&token) } else { session_of(&token) };
            let ends_at = ttl.and_then(|ttl| *ends.lock().entry(token).or_insert_with(|| now().checked_add(ttl)));
            match ends_at {
                Some(at) => session.with_expiry(at),
                None => session,
            }
        });
        std::future::ready(session)
    })
}

#[expect(clippy::disallowed_methods, reason = "a session ends at a time of day")]
fn now() -> SystemTime {
    SystemTime::now()
}

/// `[a-z0-9]+(-[a-z0-9]+)*`, and not one that starts with `bad`. It may end with `.` and `[a-z0-9]+`.
fn is_valid(token: &str) -> bool {
    let part =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let (id, ending) = token.split_once('.').unwrap_or((token, "0"));
    id.split('-').all(part) && part(ending) && !token.starts_with("bad")
}

/// The token without what makes it another one of the same session.
fn id_of(token: &str) -> &str {
    token.split('.').next().unwrap_or(token)
}

/// Whose session a well-formed token stands for.
#[must_use]
pub fn session_of(token: &str) -> Session {
    let user = user_of(token);
    Session::new(id_of(token)).with_user(user).with_attribute(ORG, org_of(user))
}

/// The same where there are rooms: with a project, trust and permissions, and with a presence card if it has a user.
fn session_with_rooms(token: &str) -> Session {
    let id = id_of(token);
    let session = Session::new(id).with_attribute(ORG, org_of(user_of(id))).with_project(project_of(id));
    let Some(user) = user_with_rooms(id) else { return session };
    let session = session.with_user(user).with_presence(Presence::new(capitalised(user)));
    let session = if user.starts_with("un") { session.with_trust(Trust::Provisional) } else { session };
    let session = if user.starts_with("adm") { session.with_permission(ADMIN) } else { session };
    let is_bot = id.split('-').skip(1).take(2).any(|part| part == "bot");
    if is_bot { session.with_permission("agent:*") } else { session }
}

/// Whose session it is where there are rooms. Some are nobody's.
pub(crate) fn user_with_rooms(session: &str) -> Option<&str> {
    Some(user_of(session)).filter(|user| !user.starts_with("anon"))
}

/// Whether a user only observes the rooms of others.
pub(crate) fn is_observer(user: &str) -> bool {
    user.starts_with("ob")
}

/// The second part may name it, after a `p`.
fn project_of(id: &str) -> &str {
    let named = id.split('-').nth(1).and_then(|part| part.strip_prefix('p'));
    named.filter(|name| name.starts_with(|first: char| first.is_ascii_lowercase())).unwrap_or("main")
}

fn capitalised(user: &str) -> String {
    let (first, rest) = user.split_at(1);
    first.to_ascii_uppercase() + rest
}

/// The part before the first `-`.
pub(crate) fn user_of(token: &str) -> &str {
    token.split(['-', '.']).next().unwrap_or(token)
}

fn org_of(user: &str) -> &'static str {
    if user.starts_with(|first| matches!(first, 'a'..='m')) { "acme" } else { "globex" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_lowercase_words_and_digits_joined_by_single_hyphens() {
        for good in ["a", "alice-1", "7", "x-9-y", "ro-b4d", "abad", "alice-1.x9"] {
            assert!(is_valid(good), "{good}");
        }
        for bad in
            ["", "-", "a-", "-a", "a--b", "Alice", "a_b", "a b", "é", "bad", "badger-1", "a.", ".a", "a.b.c", "a.b-c"]
        {
            assert!(!is_valid(bad), "{bad}");
        }
    }

    #[test]
    fn an_ending_is_part_of_no_id() {
        let session = session_of("alice.2");
        assert_eq!((session.id(), session.user()), ("alice", Some("alice")));
        assert_eq!(session_with_rooms("alice-pred.2").id(), "alice-pred");
    }

    #[test]
    fn with_rooms_a_token_says_which_project_and_how_much_trust_its_session_has() {
        for (token, user, project, trust) in [
            ("alice", Some("alice"), "main", Trust::Verified),
            ("alice-pred-1", Some("alice"), "red", Trust::Verified),
            ("alice-1-pred", Some("alice"), "main", Trust::Verified),
            ("alice-p", Some("alice"), "main", Trust::Verified),
            ("alice-p1", Some("alice"), "main", Trust::Verified),
            ("una-pred", Some("una"), "red", Trust::Provisional),
            ("anon-pred", None, "red", Trust::Untrusted),
        ] {
            let session = session_with_rooms(token);
            assert_eq!((session.user(), session.project(), session.trust()), (user, Some(project), trust), "{token}");
            assert_eq!(session.presence().is_some(), user.is_some(), "{token}");
        }
    }

    #[test]
    fn with_rooms_a_token_says_what_its_session_may_do() {
        let can = |token: &str| session_with_rooms(token).permissions().join(" ");
        assert_eq!(["adm-1", "x-bot", "x-1-bot", "x-1-2-bot", "bot"].map(can), [ADMIN, "agent:*", "agent:*", "", ""]);
    }

    #[test]
    fn the_org_follows_from_the_first_letter_of_the_user() {
        for (token, org) in [("alice-1", "acme"), ("mia-z", "acme"), ("nora", "globex"), ("7-a", "globex")] {
            assert_eq!(session_of(token).attribute(ORG), Some(org), "{token}");
        }
    }
}
