//! What the client reported and nobody has been told yet: bounded, whatever a server does.

use std::collections::VecDeque;

use async_nats::{ClientError, Event, ServerError};
use grove_engine::Topic;
use std::collections::HashSet;

/// How many refusals and errors wait at most: the server reports one per attempt, so there are more only in a burst.
const WAITING: usize = 4_096;

/// What the client reported and nobody has been told yet.
#[derive(Debug, Default)]
pub(crate) struct News {
    /// How many connections there have been, and whether there is one.
    pub(crate) connections: u64,
    pub(crate) up: bool,
    /// Why there is none.
    pub(crate) why: String,
    /// Whether an attempt failed or a connection was lost since the last time somebody looked.
    pub(crate) failed: bool,
    /// Whether messages for this instance were dropped.
    pub(crate) lost: bool,
    pub(crate) ending: bool,
    /// Subjects, and whether the refusal is one to subscribe.
    pub(crate) refused: VecDeque<(String, bool)>,
    pub(crate) errors: VecDeque<String>,
    /// Topics that were subscribed to or unsubscribed from.
    pub(crate) changed: HashSet<Topic>,
    pub(crate) stopping: bool,
}

impl News {
    pub(crate) fn add(&mut self, event: Event) {
        match event {
            Event::Connected => {
                self.connections += 1;
                self.up = true;
            }
            Event::Disconnected | Event::Closed => self.down(None),
            Event::LameDuckMode => self.ending = true,
            Event::SlowConsumer(_) | Event::ServerError(ServerError::SlowConsumer(_)) => self.lost = true,
            Event::ServerError(ServerError::AuthorizationViolation) => {
                self.why = "the server does not accept the credentials".to_owned();
            }
            Event::ServerError(ServerError::Other(text)) => self.server_error(text),
            // An attempt that failed is reported as an error of the client.
            Event::ClientError(ClientError::Other(text)) if !self.up => self.down(Some(text)),
            Event::ClientError(error) => push(&mut self.errors, error.to_string()),
            Event::Draining => {}
        }
    }

    fn down(&mut self, why: Option<String>) {
        self.up = false;
        self.failed = true;
        match why {
            Some(why) => self.why = why,
            None if self.why.is_empty() => "the connection ended".clone_into(&mut self.why),
            None => {}
        }
    }

    fn server_error(&mut self, text: String) {
        match refusal(&text) {
            Some(refusal) => push(&mut self.refused, refusal),
            // It ends the connection: the reason is worth more than that it ended.
            None if text.to_lowercase().contains("authentication") => self.why = text,
            None => push(&mut self.errors, text),
        }
    }
}

fn push<T>(waiting: &mut VecDeque<T>, one: T) {
    if waiting.len() < WAITING {
        waiting.push_back(one);
    }
}

/// Which subject a server refuses, and whether to subscribe to it: `Permissions Violation for Subscription to "a.b"`.
fn refusal(text: &str) -> Option<(String, bool)> {
    let rest = text.trim_matches('\'').strip_prefix("Permissions Violation for ")?;
    let (what, rest) = rest.split_once(" to \"")?;
    let (subject, _) = rest.split_once('"')?;
    Some((subject.to_owned(), what == "Subscription"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn other(text: &str) -> Event {
        Event::ServerError(ServerError::Other(text.to_owned()))
    }

    #[test]
    fn refusals_name_their_subject() {
        let mut news = News::default();
        news.add(other("Permissions Violation for Subscription to \"a.b\""));
        news.add(other("'Permissions Violation for Publish to \"c\"'"));
        news.add(other("Permissions Violation for Subscription to \"d\" using queue \"q\""));
        let refused =
            [("a.b", true), ("c", false), ("d", true)].map(|(subject, subscribe)| (subject.to_owned(), subscribe));
        assert_eq!(news.refused, refused);
    }

    #[test]
    fn the_reason_of_the_server_is_kept_when_the_connection_ends() {
        let mut news = News::default();
        news.add(Event::Connected);
        news.add(other("User Authentication Expired"));
        assert!(news.up && !news.failed);
        news.add(Event::Disconnected);
        assert!(!news.up && news.failed);
        assert_eq!(news.why, "User Authentication Expired");
    }

    #[test]
    fn however_much_is_refused_only_so_much_waits() {
        let mut news = News::default();
        for number in 0..5_000 {
            news.add(other(&format!("Permissions Violation for Publish to \"{number}\"")));
            news.add(other("something"));
        }
        assert_eq!((news.refused.len(), news.errors.len()), (WAITING, WAITING));
    }
}
