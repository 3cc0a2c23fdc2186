//! All decisions that an instance knows.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;

use super::decision::{Decision, Known, Stamp, Subject, Told, Verdict};
use crate::model::Text;

/// The decisions that an instance knows, in the order in which it learnt them. Pure: those of two instances are merged in
/// any order, and as often as one likes, to the same (about each subject the latest, [merged](Decision::merged)).
#[derive(Debug)]
pub(crate) struct Decisions {
    by_subject: HashMap<Subject, Entry>,
    by_change: BTreeMap<u64, Subject>,
    /// Which of them end, and when.
    ends: BTreeSet<(u64, u64)>,
    known: Known,
    max: usize,
}

#[derive(Debug)]
struct Entry {
    change: u64,
    /// Since when somebody knows it, in ms since 1970 by the clock of this instance.
    since: u64,
    /// When it ends, by the same clock.
    until: Option<u64>,
    decision: Decision,
}

/// What has become of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Learnt {
    /// It is new, and later than what was known about its subject.
    New,
    /// It is new, but there are too many to keep it for others.
    NotKept,
    /// It was known, or a later one is, or it does not matter any more.
    Known,
    /// The clock of whoever decided it is too far ahead.
    Ahead,
}

impl Decisions {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            by_subject: HashMap::new(),
            by_change: BTreeMap::new(),
            ends: BTreeSet::new(),
            known: Known::default(),
            max,
        }
    }

    /// Something is decided here and now: later than whatever is known about the subject, whatever the clocks say.
    pub(crate) fn decide(&mut self, about: Subject, verdict: Verdict, by: &Text, now: u64) -> (Decision, Learnt) {
        let before = self.get(&about).map_or(0, |decision| decision.stamp.at.saturating_add(1));
        let decision = Decision::new(about, verdict, Stamp { at: now.max(before), by: by.clone() });
        let learnt = self.merge(&decision, now, now);
        // Those who do not know what was decided before learn it with this.
        (self.get(&decision.about).cloned().unwrap_or(decision), learnt)
    }

    /// Another instance has said this. `now` is in ms since 1970.
    pub(crate) fn learn(&mut self, told: Told, now: u64) -> Learnt {
        let Told { decision, age } = told;
        if decision.is_ahead(now) {
            return Learnt::Ahead;
        }
        if decision.is_over(age) {
            return Learnt::Known;
        }
        self.merge(&decision, now.saturating_sub(age), now)
    }

    fn merge(&mut self, decision: &Decision, since: u64, now: u64) -> Learnt {
        self.forget_ended(now);
        let before = self.by_subject.get(&decision.about);
        let decision =
            before.map_or_else(|| decision.clone(), |before| before.decision.clone().merged(decision.clone()));
        if before.is_some_and(|before| before.decision == decision) {
            return Learnt::Known;
        }
        let until = decision.matters_until(since);
        if until.is_some_and(|until| until <= now) {
            return Learnt::Known;
        }
        before.map(|before| before.change).into_iter().for_each(|change| self.forget(change));
        if self.by_subject.len() >= self.max {
            return Learnt::NotKept;
        }
        self.known.change += 1;
        self.known.digest ^= decision.digest();
        let change = self.known.change;
        self.by_change.insert(change, decision.about.clone());
        self.ends.extend(until.map(|until| (until, change)));
        self.by_subject.insert(decision.about.clone(), Entry { change, since, until, decision });
        self.validate();
        Learnt::New
    }

    fn forget_ended(&mut self, now: u64) {
        while let Some((_, change)) = self.ends.first().copied().filter(|(until, _)| *until <= now) {
            self.forget(change);
        }
    }

    fn forget(&mut self, change: u64) {
        let entry = self.by_change.remove(&change).and_then(|about| self.by_subject.remove(&about));
        let Some(Entry { until, decision, .. }) = entry else { return };
        self.known.digest ^= decision.digest();
        if let Some(until) = until {
            self.ends.remove(&(until, change));
        }
    }

    /// What holds about a subject.
    pub(crate) fn get(&self, about: &Subject) -> Option<&Decision> {
        self.by_subject.get(about).map(|entry| &entry.decision)
    }

    /// How far this instance has counted.
    pub(crate) const fn known(&self) -> Known {
        self.known
    }

    /// Some of what was learnt after a change, and up to which one that is.
    pub(crate) fn after(&self, change: u64, max: usize, now: u64) -> (Vec<Told>, u64) {
        let mut upto = self.known.change;
        let mut some = Vec::new();
        for (at, about) in self.by_change.range(change.saturating_add(1)..) {
            if some.len() == max {
                upto = at - 1;
                break;
            }
            let entry = self.by_subject.get(about);
            some.extend(entry.map(|Entry { decision, since, .. }| Told {
                decision: decision.clone(),
                age: now.saturating_sub(*since),
            }));
        }
        (some, upto)
    }

    /// Checks in debug builds, as long as there are few, that what is kept three times is the same.
    fn validate(&self) {
        if cfg!(debug_assertions) && self.by_subject.len() <= 64 {
            let is_same = |(about, entry): (&Subject, &Entry)| self.by_change.get(&entry.change) == Some(about);
            assert!(self.by_subject.iter().all(is_same) && self.by_change.len() == self.by_subject.len());
            let digests = self.by_subject.values().map(|entry| entry.decision.digest());
            assert_eq!(digests.fold(0, |all, one| all ^ one), self.known.digest);
            assert!(self.ends.len() <= self.by_subject.len() && self.by_subject.len() <= self.max);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::model::selector::Selector;

    fn about(user: u8) -> Subject {
        Subject::Access(Selector::User(user.to_string().into()))
    }

    fn decision(user: u8, at: u64, by: &str, revoked: bool) -> Decision {
        let verdict = if revoked { Verdict::Revoked(None) } else { Verdict::Allowed };
        Decision::new(about(user), verdict, Stamp { at, by: by.into() })
    }

    fn learn(all: &mut Decisions, decision: Decision, now: u64) -> Learnt {
        all.learn(decision.into(), now)
    }

    fn closed(at: u64) -> Decision {
        Decision::new(Subject::Session("s".into()), Verdict::Closed, Stamp { at, by: "a".into() })
    }

    #[test]
    fn the_latest_holds_and_what_has_ended_is_forgotten() {
        let mut all = Decisions::new(2);
        let revoked = Verdict::Revoked(Some(50));
        assert_eq!(all.decide(about(1), revoked, &"a".into(), 10).1, Learnt::New);
        assert_eq!(learn(&mut all, decision(1, 9, "z", false), 11), Learnt::Known, "it is earlier");
        let (allowed, _) = all.decide(about(1), Verdict::Allowed, &"a".into(), 3);
        assert_eq!(allowed.stamp.at, 11, "a clock that went back does not make it earlier");
        assert_eq!(learn(&mut all, decision(2, 12, "a", true), 12), Learnt::New);
        assert_eq!(learn(&mut all, decision(3, 12, "a", true), 12), Learnt::NotKept);
        assert_eq!(all.known().change, 3);
        assert_eq!(all.after(1, 9, 12).0.len(), 2, "what was replaced is not told");
        assert_eq!(all.after(0, 1, 12), (vec![Told { decision: allowed, age: 9 }], 2));
        assert_eq!(learn(&mut all, closed(12), 12 + 24 * 3_600_000), Learnt::New);
        assert_eq!(all.get(&about(1)), None, "it has ended");
    }

    #[test]
    fn the_later_end_of_two_revocations_counts_unless_one_was_withdrawn_between_them() {
        let revoked = |at, until| {
            let stamp = Stamp { at, by: "a".into() };
            Decision::new(about(1), Verdict::Revoked(until), stamp)
        };
        let until_30 = |all: &Decisions| all.get(&about(1)).unwrap().verdict == Verdict::Revoked(Some(30));
        for order in [[0, 1], [1, 0]] {
            let mut all = Decisions::new(9);
            let both = [revoked(1, None), revoked(2, Some(30))];
            order.iter().for_each(|at| assert_eq!(learn(&mut all, both[*at].clone(), 5), Learnt::New));
            assert_eq!(all.get(&about(1)).unwrap(), &revoked(2, None));
        }
        let mut all = Decisions::new(9);
        learn(&mut all, revoked(1, None), 5);
        let (told, _) = all.decide(about(1), Verdict::Revoked(Some(30)), &"b".into(), 6);
        assert_eq!(told.verdict, Verdict::Revoked(None), "those who did not know the first are told its end");
        all.decide(about(1), Verdict::Allowed, &"b".into(), 7);
        all.decide(about(1), Verdict::Revoked(Some(30)), &"b".into(), 8);
        assert!(until_30(&all));
        assert_eq!(learn(&mut all, revoked(1, None), 9), Learnt::Known, "it comes twice, and was withdrawn");
        assert!(until_30(&all));
    }

    #[test]
    fn the_end_of_a_session_matters_for_a_while_whatever_the_clock_says_of_whoever_decided_it() {
        let (mut here, mut there, now) = (Decisions::new(9), Decisions::new(9), 10_000_000);
        assert_eq!(learn(&mut here, closed(now - 600_000), now), Learnt::New);
        let told = here.after(0, 9, now + 40_000).0.remove(0);
        assert_eq!(there.learn(told.clone(), now + 40_000), Learnt::New);
        for all in [&mut here, &mut there] {
            all.decide(about(1), Verdict::Allowed, &"a".into(), now + 60_000);
            assert_eq!(all.get(&closed(0).about), None);
            assert_eq!(
                all.learn(Told { age: 59_999, ..told.clone() }, now + 60_000),
                Learnt::Known,
                "nobody learns it again"
            );
        }
    }

    #[test]
    fn what_a_clock_far_ahead_has_decided_is_refused() {
        let mut all = Decisions::new(9);
        for at in [3_600_011, u64::MAX] {
            assert_eq!(learn(&mut all, decision(1, at, "a", true), 10), Learnt::Ahead);
        }
        assert_eq!(learn(&mut all, decision(1, 3_600_010, "a", true), 10), Learnt::New);
        assert_eq!(all.decide(about(1), Verdict::Allowed, &"b".into(), 11).1, Learnt::New, "it is later all the same");
        let withdrawn = Some(Stamp { at: u64::MAX, by: "a".into() });
        assert_eq!(learn(&mut all, Decision { withdrawn, ..decision(2, 10, "a", true) }, 10), Learnt::Ahead);
    }

    proptest! {
        /// The reference is the latest of everything that was ever said about each.
        #[test]
        fn two_instances_that_told_each_other_know_the_same(
            said in prop::collection::vec((0_u8..4, 0_u64..6, 0_u8..2, any::<bool>(), any::<bool>()), 0..40),
            page in 1_usize..5,
        ) {
            let mut both = [Decisions::new(100), Decisions::new(100)];
            let mut latest = BTreeMap::new();
            for (user, at, by, revoked, to_first) in said {
                // One instance says one thing at one time about one subject.
                let at = at * 2 + u64::from(revoked);
                let one = decision(user, at, &by.to_string(), revoked);
                let held = latest.entry(user).or_insert_with(|| one.clone());
                if one.stamp > held.stamp {
                    *held = one.clone();
                }
                learn(&mut both[usize::from(!to_first)], one, 0);
            }
            for from in [0, 1, 0] {
                let mut change = 0;
                while change < both[from].known().change {
                    let (some, upto) = both[from].after(change, page, 0);
                    some.into_iter().for_each(|one| { both[1 - from].learn(one, 0); });
                    prop_assert!(upto > change);
                    change = upto;
                }
            }
            prop_assert_eq!(both[0].known().digest, both[1].known().digest);
            for (user, expected) in latest {
                let held = both[0].get(&about(user)).unwrap();
                prop_assert_eq!((held.verdict, &held.stamp), (expected.verdict, &expected.stamp));
            }
        }
    }
}
