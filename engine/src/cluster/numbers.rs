//! How messages are numbered where they are sent.

use std::collections::HashMap;

use super::topic::Topic;

/// The number of a message, and of the one before it on the same topic. An instance numbers all that it publishes in one
/// row, so that the numbers of a topic increase, with gaps that the second number explains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Number {
    pub(crate) number: u64,
    /// Zero if there is none, or if it was so long ago that nobody waits for it any more.
    pub(crate) after: u64,
}

/// The last number of each topic on which this life of the instance has published lately.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    last: u64,
    /// When something was published last.
    latest_ms: Option<u64>,
    topics: HashMap<Topic, Last>,
}

#[derive(Debug, Clone, Copy)]
struct Last {
    number: u64,
    at_ms: u64,
}

impl Numbers {
    /// Numbers the next message on a topic.
    pub(crate) fn next(&mut self, topic: &Topic, now_ms: u64) -> Number {
        self.last += 1;
        self.latest_ms = self.latest_ms.max(Some(now_ms));
        let last = Last { number: self.last, at_ms: now_ms };
        let before = self.topics.insert(topic.clone(), last);
        Number { number: self.last, after: before.map_or(0, |before| before.number) }
    }

    /// The last number of each topic on which something was published since then.
    pub(crate) fn marks(&self, since_ms: u64) -> impl Iterator<Item = (&Topic, u64)> {
        let recent = self.topics.iter().filter(move |(_, last)| last.at_ms >= since_ms);
        recent.map(|(topic, last)| (topic, last.number))
    }

    /// Forgets topics on which nothing was published since then: whoever has missed that long has missed the instance
    /// itself, and repairs everything when it is heard again.
    pub(crate) fn forget_before(&mut self, since_ms: u64) {
        self.topics.retain(|_, last| last.at_ms >= since_ms);
    }

    /// When something was published last.
    pub(crate) const fn latest_ms(&self) -> Option<u64> {
        self.latest_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_a_topic_increase_and_each_names_the_one_before() {
        let mut numbers = Numbers::default();
        let (any, p) = (Topic::Notices, Topic::ProjectNotices("p".into()));
        let number = |number, after| Number { number, after };
        assert_eq!(numbers.next(&any, 0), number(1, 0));
        assert_eq!(numbers.next(&p, 1), number(2, 0));
        assert_eq!(numbers.next(&any, 5), number(3, 1));
        assert_eq!(numbers.marks(2).collect::<Vec<_>>(), [(&any, 3)]);
        numbers.forget_before(2);
        assert_eq!(numbers.next(&p, 9), number(4, 0), "what was forgotten is waited for by nobody");
        assert_eq!(numbers.latest_ms(), Some(9));
    }
}
