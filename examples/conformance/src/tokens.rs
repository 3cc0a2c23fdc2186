//! From a token to a session.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use grove_axum::{Authenticator, Refusal, UpgradeRequest, authenticate_with};
use grove_engine::Session;
use parking_lot::Mutex;

/// The attribute with the session's organisation.
pub(crate) const ORG: &str = "org";

/// The cookie that may hold a token.
const COOKIE: &str = "session";

/// Accepts every well-formed token. With a time to live, a session ends that long after its first
/// authentication; coming back does not prolong it.
pub(crate) fn authenticator(ttl: Option<Duration>) -> impl Authenticator {
    let ends: Mutex<HashMap<String, Option<SystemTime>>> = Mutex::default();
    authenticate_with(move |request: UpgradeRequest| {
        let token = request.credential(COOKIE).filter(|token| is_valid(token));
        let session = token.ok_or_else(Refusal::unauthorized).map(|token| {
            let session = session_of(&token);
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

/// `[a-z0-9]+(-[a-z0-9]+)*`, and not one that starts with `bad`.
fn is_valid(token: &str) -> bool {
    let part =
        |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    token.split('-').all(part) && !token.starts_with("bad")
}

/// Whose session a well-formed token stands for.
#[must_use]
pub fn session_of(token: &str) -> Session {
    let user = user_of(token);
    Session::new(token).with_user(user).with_attribute(ORG, org_of(user))
}

/// The part before the first `-`.
pub(crate) fn user_of(token: &str) -> &str {
    token.split('-').next().unwrap_or(token)
}

fn org_of(user: &str) -> &'static str {
    if user.starts_with(|first| matches!(first, 'a'..='m')) { "acme" } else { "globex" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_lowercase_words_and_digits_joined_by_single_hyphens() {
        for good in ["a", "alice-1", "7", "x-9-y", "ro-b4d", "abad"] {
            assert!(is_valid(good), "{good}");
        }
        for bad in ["", "-", "a-", "-a", "a--b", "Alice", "a_b", "a b", "é", "bad", "badger-1"] {
            assert!(!is_valid(bad), "{bad}");
        }
    }

    #[test]
    fn the_org_follows_from_the_first_letter_of_the_user() {
        for (token, org) in [("alice-1", "acme"), ("mia-z", "acme"), ("nora", "globex"), ("7-a", "globex")] {
            assert_eq!(session_of(token).attribute(ORG), Some(org), "{token}");
        }
    }
}
