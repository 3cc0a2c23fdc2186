//! What was missed, by the numbers of what was received.

use hashbrown::HashMap;

use super::numbers::Number;
use super::topic::Topic;
use crate::model::Text;

/// How far each instance was heard on each topic that this one has subscribed to. Whatever is not certain to have been
/// received counts as missed; what comes twice or late is no gap.
#[derive(Debug, Default)]
pub(crate) struct Gaps {
    by_sender: HashMap<Text, HashMap<Topic, u64>>,
}

impl Gaps {
    /// A message was received. True if one before it was not.
    pub(crate) fn received(&mut self, sender: &Text, topic: &Topic, at: Number) -> bool {
        let last = self.last(sender, topic);
        let misses = at.after > *last;
        *last = (*last).max(at.number);
        misses
    }

    /// An instance says that this is the last number on a topic. True if it was not received.
    pub(crate) fn marked(&mut self, sender: &Text, topic: &Topic, number: u64) -> bool {
        self.received(sender, topic, Number { number, after: number })
    }

    fn last(&mut self, sender: &Text, topic: &Topic) -> &mut u64 {
        self.by_sender.entry(sender.clone()).or_default().entry(topic.clone()).or_default()
    }

    /// An instance begins a new life, or is gone: it numbers anew.
    pub(crate) fn forget(&mut self, sender: &str) {
        self.by_sender.remove(sender);
    }

    /// Forgets the topics of which nothing is received any more.
    pub(crate) fn retain(&mut self, receives: impl Fn(&Topic) -> bool) {
        self.by_sender.values_mut().for_each(|topics| topics.retain(|topic, _| receives(topic)));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::numbers::Numbers;
    use super::*;

    const fn number(number: u64, after: u64) -> Number {
        Number { number, after }
    }

    #[test]
    fn a_lost_message_is_noticed_by_the_next_one_or_by_the_mark() {
        let (mut gaps, a, topic) = (Gaps::default(), Text::from("a"), Topic::Notices);
        assert!(!gaps.received(&a, &topic, number(1, 0)));
        assert!(!gaps.received(&a, &topic, number(4, 1)), "the numbers between are of other topics");
        assert!(gaps.received(&a, &topic, number(7, 5)));
        assert!(!gaps.received(&a, &topic, number(5, 4)), "it was late, and what follows it was repaired");
        assert!(!gaps.received(&a, &topic, number(7, 5)), "it came twice");
        assert!(!gaps.marked(&a, &topic, 7));
        assert!(gaps.marked(&a, &topic, 8) && !gaps.marked(&a, &topic, 8), "it is noticed once");
        assert!(gaps.received(&"b".into(), &topic, number(9, 8)), "what came before is not known");
        gaps.forget("a");
        assert!(!gaps.received(&a, &topic, number(1, 0)));
    }

    proptest! {
        /// The reference keeps every number: whatever is missing when the mark arrives must have been noticed.
        #[test]
        fn nothing_is_missed_in_silence(
            sent in prop::collection::vec((0_usize..3, any::<prop::sample::Index>(), 0_u8..3), 1..40)
        ) {
            let topics = [Topic::Notices, Topic::ProjectNotices("p".into()), Topic::ProjectNotices("q".into())];
            let (mut numbers, mut wire) = (Numbers::default(), Vec::new());
            for (topic, place, copies) in sent {
                let at = numbers.next(&topics[topic], 0);
                for _ in 0..copies {
                    wire.insert(place.index(wire.len() + 1), (topic, at));
                }
                wire.extend((copies == 0).then_some((topic, number(0, 0))));
            }
            let (mut gaps, sender) = (Gaps::default(), Text::from("a"));
            let mut seen = [const { BTreeSet::new() }; 3];
            let mut noticed = [false; 3];
            for (topic, at) in wire.into_iter().filter(|(_, at)| at.number > 0) {
                noticed[topic] |= gaps.received(&sender, &topics[topic], at);
                seen[topic].insert(at.number);
            }
            for (topic, last) in numbers.marks(0) {
                let at = topics.iter().position(|known| known == topic).unwrap();
                noticed[at] |= gaps.marked(&sender, topic, last);
                prop_assert!(noticed[at] || seen[at].last() == Some(&last));
            }
            prop_assert!((0..3).all(|at| !gaps.marked(&sender, &topics[at], *seen[at].last().unwrap_or(&0))));
        }
    }
}
