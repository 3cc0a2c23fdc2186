//! What a credential is to the session that is open under its id.

use std::cmp::Ordering;
use std::time::SystemTime;

use crate::model::Text;
use crate::model::session::Context;

/// What a credential is to the claims that an open session has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Evidence {
    /// It is another user's or project's: nobody becomes somebody else (SEC2).
    Foreign,
    /// It is for the same session, which has newer claims already. They hold on.
    Older,
    /// Its claims hold from now on.
    Newest,
}

/// From whom new claims come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Authority {
    /// A credential that a peer brought: whichever is newer holds.
    Credential,
    /// The application itself: what it says is the newest, and it may give the session to another user.
    Application,
}

impl Evidence {
    /// Compares what a session is to get with what it has.
    pub(super) fn of(held: &Context, brought: &Context, from: Authority, now: SystemTime) -> Self {
        if from == Authority::Application {
            return Self::Newest;
        }
        if !continues(held, brought) {
            return Self::Foreign;
        }
        let logs_in = held.user() != brought.user() || held.project() != brought.project();
        let is_over = held.expires_at().is_some_and(|at| at <= now);
        if logs_in || is_over || compare(held, brought).is_le() { Self::Newest } else { Self::Older }
    }
}

/// Whether a credential is for the same session as before: an anonymous session can log in, but nobody becomes somebody
/// else.
fn continues(held: &Context, brought: &Context) -> bool {
    let same = |held: Option<&Text>, brought: Option<&Text>| held.is_none() || held == brought;
    same(held.user(), brought.user()) && same(held.project(), brought.project())
}

/// Which of two credentials is newer: by the time of issue if both have one, and then by the expiry, where none is later
/// than any.
fn compare(held: &Context, brought: &Context) -> Ordering {
    let issued =
        held.issued_at().zip(brought.issued_at()).map_or(Ordering::Equal, |(held, brought)| held.cmp(&brought));
    issued.then_with(|| match (held.expires_at(), brought.expires_at()) {
        (Some(held), Some(brought)) => held.cmp(&brought),
        (held, brought) => held.is_none().cmp(&brought.is_none()),
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;
    use crate::model::session::Session;

    fn at(s: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(s)
    }

    fn session(user: Option<&str>, issued: Option<u64>, expires: Option<u64>) -> Session {
        let mut session = Session::new("s");
        if let Some(user) = user {
            session = session.with_user(user);
        }
        if let Some(s) = issued {
            session = session.with_issued_at(at(s));
        }
        if let Some(s) = expires {
            session = session.with_expiry(at(s));
        }
        session
    }

    fn evidence(held: &Session, brought: &Session) -> Evidence {
        Evidence::of(held.context(), brought.context(), Authority::Credential, at(0))
    }

    #[test]
    fn the_time_of_issue_decides_and_then_the_expiry() {
        for (held, brought, expected) in [
            ((Some(1), Some(90)), (Some(2), Some(50)), Evidence::Newest),
            ((Some(2), Some(50)), (Some(1), Some(90)), Evidence::Older),
            ((Some(1), Some(50)), (Some(1), Some(90)), Evidence::Newest),
            ((Some(1), Some(90)), (Some(1), Some(50)), Evidence::Older),
            ((None, Some(90)), (Some(1), Some(50)), Evidence::Older),
            ((Some(1), Some(50)), (None, Some(90)), Evidence::Newest),
            ((None, None), (None, Some(90)), Evidence::Older),
            ((None, Some(90)), (None, None), Evidence::Newest),
            ((None, None), (None, None), Evidence::Newest),
        ] {
            let session = |(issued, expires)| session(Some("alice"), issued, expires);
            assert_eq!(evidence(&session(held), &session(brought)), expected, "{held:?} {brought:?}");
        }
    }

    #[test]
    fn a_login_counts_whatever_the_visitor_had_and_nobody_becomes_somebody_else() {
        let [nobody, alice, bob] = [None, Some("alice"), Some("bob")].map(|user| session(user, None, None));
        let brief = session(Some("alice"), None, Some(5));
        assert_eq!(evidence(&nobody, &brief), Evidence::Newest);
        assert_eq!(evidence(&alice, &brief), Evidence::Older);
        assert_eq!((evidence(&alice, &bob), evidence(&alice, &nobody)), (Evidence::Foreign, Evidence::Foreign));
        let application = |held: &Session, brought: &Session| {
            Evidence::of(held.context(), brought.context(), Authority::Application, at(0))
        };
        assert_eq!((application(&alice, &brief), application(&alice, &bob)), (Evidence::Newest, Evidence::Newest));
    }

    #[test]
    fn claims_whose_time_is_over_are_newer_than_nothing() {
        let (held, brought) = (session(None, Some(9), Some(10)), session(None, Some(1), Some(90)));
        assert_eq!(evidence(&held, &brought), Evidence::Older);
        assert_eq!(Evidence::of(held.context(), brought.context(), Authority::Credential, at(10)), Evidence::Newest);
    }

    proptest! {
        #[test]
        fn of_two_credentials_one_is_newer_or_they_are_equal(
            one in (prop::option::of(0..3u64), prop::option::of(1..4u64)),
            other in (prop::option::of(0..3u64), prop::option::of(1..4u64)),
        ) {
            let [one, other] = [one, other].map(|(issued, expires)| session(None, issued, expires));
            let both = (evidence(&one, &other), evidence(&other, &one));
            prop_assert!(both != (Evidence::Older, Evidence::Older));
        }
    }
}
