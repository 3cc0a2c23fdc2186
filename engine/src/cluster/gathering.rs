//! Notices that wait for a moment, so that a storm of changes makes few messages.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use super::notice::{Notice, Reason};
use super::topic::Topic;
use crate::model::Text;
use crate::model::selector::Selector;

/// Notices for the same sessions and commit are one.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    whom: Selector,
    after: Option<Text>,
}

#[derive(Debug)]
struct Rest {
    paths: Option<Vec<Text>>,
    reason: Reason,
}

/// What waits to be published, by topic.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    by_topic: BTreeMap<Topic, IndexMap<Key, Rest>>,
    count: usize,
}

impl Gathering {
    /// Adds a notice. If more than `max` would wait, those of its topic become one that means all of them.
    pub(crate) fn add(&mut self, topic: &Topic, notice: Notice, max: usize) {
        let Notice { whom, paths, reason, after } = notice;
        let waiting = self.by_topic.entry(topic.clone()).or_default();
        if let Some(known) = waiting.get_mut(&Key { whom: whom.clone(), after: after.clone() }) {
            known.merge(paths);
            return;
        }
        if self.count < max {
            waiting.insert(Key { whom, after }, Rest { paths, reason });
            self.count += 1;
            return;
        }
        self.count -= waiting.len();
        waiting.clear();
        waiting.insert(Key { whom: Notice::everybody(topic), after }, Rest { paths: None, reason });
        self.count += 1;
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Takes all, in lists of about so many bytes; what is too long for one means all of its topic instead.
    pub(crate) fn take(&mut self, max_bytes: usize) -> Vec<(Topic, Vec<Notice>)> {
        let mut lists = Vec::new();
        for (topic, waiting) in std::mem::take(self).by_topic {
            let (mut list, mut bytes) = (Vec::new(), 0);
            for (Key { whom, after }, Rest { paths, reason }) in waiting {
                let notice = shortened(Notice { whom, paths, reason, after }, &topic, max_bytes);
                if !list.is_empty() && bytes + notice.bytes() > max_bytes {
                    lists.push((topic.clone(), std::mem::take(&mut list)));
                    bytes = 0;
                }
                bytes += notice.bytes();
                list.push(notice);
            }
            if !list.is_empty() {
                lists.push((topic, list));
            }
        }
        lists
    }
}

impl Rest {
    fn merge(&mut self, paths: Option<Vec<Text>>) {
        match (&mut self.paths, paths) {
            (Some(mine), Some(theirs)) => {
                mine.extend(theirs);
                mine.sort_unstable();
                mine.dedup();
            }
            (mine, _) => *mine = None,
        }
    }
}

fn shortened(notice: Notice, topic: &Topic, max_bytes: usize) -> Notice {
    if notice.bytes() <= max_bytes {
        return notice;
    }
    let notice = Notice { paths: None, ..notice };
    if notice.bytes() <= max_bytes {
        return notice;
    }
    Notice { whom: Notice::everybody(topic), after: None, ..notice }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(user: &str, paths: Option<&str>) -> Notice {
        let paths = paths.map(|path| vec![path.into()]);
        Notice { whom: Selector::User(user.into()), paths, reason: Reason::Refresh, after: None }
    }

    #[test]
    fn those_for_the_same_sessions_are_one_and_too_many_are_one_for_all() {
        let mut gathering = Gathering::default();
        for path in [Some("b"), Some("a"), Some("b")] {
            gathering.add(&Topic::Notices, notice("u", path), 3);
        }
        let [(Topic::Notices, taken)] = &gathering.take(10_000)[..] else { panic!("one list") };
        assert_eq!(taken[..], [Notice { paths: Some(vec!["a".into(), "b".into()]), ..notice("u", None) }]);
        assert!(gathering.is_empty());
        (0..9).for_each(|user| gathering.add(&Topic::Notices, notice(&user.to_string(), None), 3));
        let [(Topic::Notices, taken)] = &gathering.take(10_000)[..] else { panic!("one list") };
        assert!(taken.len() <= 3 && taken[0].whom == Selector::All, "{taken:?}");
    }

    #[test]
    fn what_does_not_fit_a_message_means_more() {
        let mut gathering = Gathering::default();
        gathering.add(&Topic::Notices, notice("u", Some(&"p".repeat(500))), 9);
        gathering.add(&Topic::Notices, notice(&"v".repeat(500), None), 9);
        (0..10).for_each(|user| gathering.add(&Topic::Notices, notice(&user.to_string(), None), 99));
        let lists = gathering.take(300);
        assert_eq!((&lists[0].1[0], &lists[0].1[1].whom), (&notice("u", None), &Selector::All));
        assert!(lists.len() > 2 && lists.iter().all(|(_, list)| list.iter().map(Notice::bytes).sum::<usize>() <= 300));
    }
}
