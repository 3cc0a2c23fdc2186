//! The links that share the name of an agent, and which of them works on which run.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::protocol::from_agent::About;

/// One link among those of a name: the number of its connection.
pub(crate) type LinkId = u64;

/// The links of one name: a pure type. Each attempt at a run is at one link, waits for one, is stranded or is over.
///
/// | step | what it does |
/// |---|---|
/// | `connect` | one more link, or another number of runs for one; attempts that wait go to it, the oldest first, as many as it takes; nothing is stranded any more |
/// | `dispatch` | the attempt goes to the least busy link with a free place, or waits |
/// | `end` | the attempt is over, wherever it is; the oldest that waits takes its place |
/// | `disconnect` | the link is gone; its attempts are returned, and stranded if there is no other link |
#[derive(Debug, Default)]
pub(crate) struct Links {
    links: BTreeMap<LinkId, Link>,
    /// At which link each attempt is.
    at: BTreeMap<About, LinkId>,
    /// In order of arrival.
    waiting: VecDeque<About>,
    /// Their link was lost, and there is no other one.
    stranded: BTreeSet<About>,
}

#[derive(Debug)]
struct Link {
    concurrency: usize,
    attempts: BTreeSet<About>,
}

/// An attempt that goes to a link now.
pub(crate) type Assigned = (LinkId, About);

impl Links {
    /// Whether there is no link.
    pub(crate) fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// How many links there are.
    pub(crate) fn len(&self) -> usize {
        self.links.len()
    }

    /// How many attempts there may be at once at all links.
    pub(crate) fn capacity(&self) -> usize {
        self.links.values().map(|link| link.concurrency).sum()
    }

    /// Whether an attempt is at this link: what another one says about it is dropped.
    pub(crate) fn is_at(&self, link: LinkId, about: &About) -> bool {
        self.at.get(about) == Some(&link)
    }

    /// One more link, which works on so many runs at once, or one that takes another number from now on. Returns what goes
    /// to which link, and what was stranded until now.
    pub(crate) fn connect(&mut self, id: LinkId, concurrency: usize) -> (Vec<Assigned>, BTreeSet<About>) {
        let link = self.links.entry(id).or_insert_with(|| Link { concurrency, attempts: BTreeSet::new() });
        link.concurrency = concurrency;
        let stranded = std::mem::take(&mut self.stranded);
        (self.assign_waiting(), stranded)
    }

    /// An attempt begins. Returns the link to which it goes; `None` if it waits for one.
    pub(crate) fn dispatch(&mut self, about: About) -> Option<LinkId> {
        if self.waiting.is_empty()
            && let Some(link) = self.least_busy()
        {
            self.assign(link, about);
            self.validate();
            return Some(link);
        }
        self.waiting.push_back(about);
        self.validate();
        None
    }

    /// An attempt is over. Returns the link at which it was, and what takes its place.
    pub(crate) fn end(&mut self, about: &About) -> (Option<LinkId>, Vec<Assigned>) {
        let Some(link) = self.at.remove(about) else {
            self.waiting.retain(|waiting| waiting != about);
            self.stranded.remove(about);
            return (None, Vec::new());
        };
        if let Some(link) = self.links.get_mut(&link) {
            link.attempts.remove(about);
        }
        (Some(link), self.assign_waiting())
    }

    /// A link is gone. Returns the attempts that it had.
    pub(crate) fn disconnect(&mut self, link: LinkId) -> Vec<About> {
        let Some(link) = self.links.remove(&link) else { return Vec::new() };
        for about in &link.attempts {
            self.at.remove(about);
        }
        if self.links.is_empty() {
            self.stranded.extend(link.attempts.iter().cloned());
        }
        self.validate();
        link.attempts.into_iter().collect()
    }

    /// The attempts that wait for a link.
    pub(crate) fn waiting(&self) -> impl Iterator<Item = &About> {
        self.waiting.iter()
    }

    fn assign_waiting(&mut self) -> Vec<Assigned> {
        let mut assigned = Vec::new();
        while let Some(link) = self.least_busy()
            && let Some(about) = self.waiting.pop_front()
        {
            self.assign(link, about.clone());
            assigned.push((link, about));
        }
        self.validate();
        assigned
    }

    /// The link with the fewest attempts among those with a free place; of equally busy ones the oldest.
    fn least_busy(&self) -> Option<LinkId> {
        let free = self.links.iter().filter(|(_, link)| link.attempts.len() < link.concurrency);
        free.min_by_key(|(_, link)| link.attempts.len()).map(|(id, _)| *id)
    }

    fn assign(&mut self, to: LinkId, about: About) {
        if let Some(link) = self.links.get_mut(&to) {
            link.attempts.insert(about.clone());
            self.at.insert(about, to);
        }
    }

    /// Checks what holds after every step.
    fn validate(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        for (about, link) in &self.at {
            assert!(self.links[link].attempts.contains(about), "an attempt is where it is said to be");
        }
        let assigned: usize = self.links.values().map(|link| link.attempts.len()).sum();
        assert_eq!(assigned, self.at.len(), "an attempt is at one link");
        assert!(self.waiting.iter().all(|about| !self.at.contains_key(about)), "what waits is at no link");
        assert!(self.stranded.is_empty() || self.links.is_empty(), "nothing is stranded where there is a link");
        assert!(self.waiting.is_empty() || self.least_busy().is_none(), "nothing waits beside a free place");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers from a seed, evenly enough.
    struct Random(u64);

    impl Random {
        fn below(&mut self, bound: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(self.0 >> 33).unwrap() % bound
        }
    }

    fn about(run: usize) -> About {
        About { run: format!("r{run:04}").into(), attempt: 1 }
    }

    #[test]
    fn the_least_busy_link_gets_the_next_run() {
        let mut links = Links::default();
        assert_eq!((links.dispatch(about(0)), links.capacity()), (None, 0));
        assert_eq!(links.connect(1, 2).0, [(1, about(0))]);
        links.connect(2, 3);
        let more: Vec<_> = (1..6).map(|run| links.dispatch(about(run))).collect();
        let expected = [Some(2), Some(1), Some(2), Some(2), None];
        assert_eq!((more.as_slice(), links.len(), links.capacity()), (&expected[..], 2, 5));
        assert!(links.is_at(2, &about(1)) && !links.is_at(1, &about(1)));
        assert_eq!(links.end(&about(0)), (Some(1), vec![(1, about(5))]));
        assert_eq!(links.end(&about(0)), (None, vec![]), "it is over");
    }

    #[test]
    fn a_link_that_is_gone_leaves_its_attempts_and_no_others() {
        let mut links = Links::default();
        for id in [1, 2] {
            links.connect(id, 1);
        }
        let placed: Vec<_> = (0..3).map(|run| links.dispatch(about(run))).collect();
        assert_eq!(placed, [Some(1), Some(2), None]);
        assert_eq!(links.disconnect(1), [about(0)]);
        assert_eq!(links.disconnect(1), []);
        // What waits goes on waiting; a stale attempt is at no link.
        assert!(!links.is_at(1, &about(0)));
        assert_eq!(links.end(&about(2)), (None, vec![]), "it was cancelled while it waited");
        assert_eq!(links.end(&about(1)), (Some(2), vec![]));
    }

    #[test]
    fn what_the_last_link_leaves_is_stranded_until_there_is_another_or_it_is_over() {
        let mut links = Links::default();
        links.connect(1, 3);
        for run in 0..3 {
            links.dispatch(about(run));
        }
        links.end(&about(2));
        assert_eq!(links.disconnect(1), [about(0), about(1)]);
        links.end(&about(1));
        assert_eq!(links.connect(2, 1), (vec![], BTreeSet::from([about(0)])));
        assert_eq!(links.connect(3, 1).1, BTreeSet::new(), "it was told once");
    }

    #[test]
    fn a_link_may_take_another_number_of_runs() {
        let mut links = Links::default();
        links.connect(1, 3);
        let placed: Vec<_> = (0..4).map(|run| links.dispatch(about(run))).collect();
        assert_eq!(placed, [Some(1), Some(1), Some(1), None]);
        assert_eq!((links.connect(1, 1).0, links.capacity()), (vec![], 1), "it keeps what it has");
        assert_eq!(links.end(&about(0)).1, []);
        assert_eq!(links.connect(1, 4).0, [(1, about(3))]);
    }

    /// Every attempt ends once, whatever the order, as in a list of what is where.
    #[test]
    fn no_attempt_is_lost_or_at_two_links() {
        for seed in 0..300 {
            let (mut random, mut links) = (Random(seed), Links::default());
            // The reference: attempts with their link, and links with what they take.
            let mut known: Vec<(About, Option<LinkId>)> = Vec::new();
            let mut open: Vec<(LinkId, usize)> = Vec::new();
            for run in 0..60 {
                match random.below(10) {
                    0..=1 => {
                        let (id, concurrency) = (run as LinkId, 1 + random.below(3));
                        open.push((id, concurrency));
                        place(&mut known, links.connect(id, concurrency).0);
                    }
                    2 if !open.is_empty() => {
                        let (gone, _) = open.remove(random.below(open.len()));
                        let mut lost = links.disconnect(gone);
                        lost.sort();
                        let mut expected: Vec<_> =
                            known.extract_if(.., |(_, at)| *at == Some(gone)).map(|(about, _)| about).collect();
                        expected.sort();
                        assert_eq!(lost, expected);
                    }
                    3..=5 if !known.is_empty() => {
                        let (ended, at) = known.remove(random.below(known.len()));
                        let (was_at, assigned) = links.end(&ended);
                        assert_eq!(was_at, at);
                        place(&mut known, assigned);
                    }
                    _ => {
                        let at = links.dispatch(about(run));
                        let load = |id: LinkId| known.iter().filter(|(_, at)| *at == Some(id)).count();
                        let free = open.iter().filter(|(id, concurrency)| load(*id) < *concurrency);
                        assert_eq!(at, free.min_by_key(|(id, _)| load(*id)).map(|(id, _)| *id));
                        known.push((about(run), at));
                    }
                }
            }
        }
    }

    /// What waited longest was assigned first.
    fn place(known: &mut [(About, Option<LinkId>)], assigned: Vec<Assigned>) {
        for (link, about) in assigned {
            let oldest = known.iter_mut().find(|(_, at)| at.is_none()).expect("something waited");
            assert_eq!(oldest.0, about);
            oldest.1 = Some(link);
        }
    }
}
