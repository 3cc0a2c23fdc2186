//! Problems that repeat, of which only some are reported.

use std::sync::Arc;

use super::between::ClusterEvent;
use super::problems::Admitted;
use super::{Event, Observers};
use crate::model::Text;
use crate::render::sanitise::violation::{Violation, Violations, cut};

impl Observers {
    /// Reports what was wrong with what a source gave, unless there was too much of it lately.
    pub(crate) fn sanitised(&self, source: &Text, violations: &Violations, now_ms: impl FnOnce() -> u64) {
        let found = violations.kept.len() as u64 + violations.more;
        if found == 0 {
            return;
        }
        // The clock may be the application's: it is not read under the lock.
        let now_ms = now_ms();
        let admitted = self.problems.lock().admit(source, found, now_ms);
        let mut kept = violations.kept.iter().cloned();
        self.report(admitted, "problems", |in_all| match in_all {
            Some((problems, what)) => Event::Sanitised { path: format!("/{source}"), what, problems },
            None => {
                let Violation { path, what } = kept.next().unwrap_or_default();
                Event::Sanitised { path, what, problems: 1 }
            }
        });
    }

    /// Reports that a descriptor function failed for a session, unless its source did so too often lately.
    pub(crate) fn source_failed(&self, path: &Text, session: &Text, why: &Arc<str>, now_ms: u64) {
        let admitted = self.failures.lock().admit(path, 1, now_ms);
        self.report(admitted, "failures", |in_all| match in_all {
            Some((failures, why)) => {
                Event::SourceFailed { path: path.clone(), session: Text::default(), why: why.into(), failures }
            }
            None => {
                let (session, why) = (session.clone(), cut(format_args!("{why}")).into());
                Event::SourceFailed { path: path.clone(), session, why, failures: 1 }
            }
        });
    }

    /// Reports that a descriptor function asked for a refresh, unless it did so too often lately.
    pub(crate) fn refresh_refused(&self, path: &Text, why: &str, now_ms: u64) {
        let admitted = self.refused.lock().admit(path, 1, now_ms);
        self.report(admitted, "requests", |in_all| {
            let (requests, why) = in_all.unwrap_or_else(|| (1, why.to_owned()));
            Event::RefreshRefused { path: path.clone(), why, requests }
        });
    }

    /// Reports that a message of another instance was dropped, unless too many of its topic were lately.
    pub(crate) fn bus_message_dropped(&self, topic: &'static str, why: &str, now_ms: u64) {
        let admitted = self.dropped.lock().admit(&Text::const_new(topic), 1, now_ms);
        self.report(admitted, "messages", |in_all| {
            let (messages, why) = in_all.unwrap_or_else(|| (1, why.to_owned()));
            Event::Cluster(ClusterEvent::MessageDropped { topic, why, messages })
        });
    }

    /// Reports what is admitted: one by one, or some as a number with a sentence.
    fn report(&self, admitted: Admitted, what: &str, mut event: impl FnMut(Option<(u64, String)>) -> Event) {
        let Admitted { counted_before, reported, as_number } = admitted;
        if counted_before > 0 {
            let words = format!("{counted_before} more {what} were counted and not reported");
            self.warn(&event(Some((counted_before, words))));
        }
        (0..reported).for_each(|_| self.warn(&event(None)));
        if as_number > 0 {
            let words = format!("{as_number} more {what} were found; for a minute such {what} are only counted");
            self.warn(&event(Some((as_number, words))));
        }
    }
}
