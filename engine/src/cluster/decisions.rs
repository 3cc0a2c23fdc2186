//! All decisions that an instance knows.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;

use super::decision::{Decision, Known, Stamp, Subject, Verdict};
use crate::model::Text;

/// The decisions that an instance knows, in the order in which it learnt them. Pure: those of two instances are merged in
/// any order, and as often as one likes, to the same (the latest about each subject).
#[derive(Debug)]
pub(crate) struct Decisions {
    by_subject: HashMap<Subject, (u64, Decision)>,
    by_change: BTreeMap<u64, Subject>,
    /// Which of them end, and when.
    ends: BTreeSet<(u64, u64)>,
    known: Known,
    max: usize,
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
        let before = self.by_subject.get(&about).map_or(0, |(_, decision)| decision.stamp.at + 1);
        let decision = Decision { about, verdict, stamp: Stamp { at: now.max(before), by: by.clone() } };
        let learnt = self.learn(decision.clone(), now);
        (decision, learnt)
    }

    /// Another instance has said this. `now` is in ms since 1970.
    pub(crate) fn learn(&mut self, decision: Decision, now: u64) -> Learnt {
        self.forget_ended(now);
        let until = decision.matters_until();
        if until.is_some_and(|until| until <= now) {
            return Learnt::Known;
        }
        if let Some((change, before)) = self.by_subject.get(&decision.about) {
            if before.stamp >= decision.stamp {
                return Learnt::Known;
            }
            self.forget(*change);
        }
        if self.by_subject.len() >= self.max {
            return Learnt::NotKept;
        }
        self.known.change += 1;
        self.known.digest ^= decision.digest();
        self.by_change.insert(self.known.change, decision.about.clone());
        self.ends.extend(until.map(|until| (until, self.known.change)));
        self.by_subject.insert(decision.about.clone(), (self.known.change, decision));
        self.validate();
        Learnt::New
    }

    fn forget_ended(&mut self, now: u64) {
        while let Some((_, change)) = self.ends.first().copied().filter(|(until, _)| *until <= now) {
            self.forget(change);
        }
    }

    fn forget(&mut self, change: u64) {
        let Some((_, decision)) = self.by_change.remove(&change).and_then(|about| self.by_subject.remove(&about))
        else {
            return;
        };
        self.known.digest ^= decision.digest();
        if let Some(until) = decision.matters_until() {
            self.ends.remove(&(until, change));
        }
    }

    /// What holds about a subject.
    pub(crate) fn get(&self, about: &Subject) -> Option<&Decision> {
        self.by_subject.get(about).map(|(_, decision)| decision)
    }

    /// How far this instance has counted.
    pub(crate) const fn known(&self) -> Known {
        self.known
    }

    /// Some of what was learnt after a change, and up to which one that is.
    pub(crate) fn after(&self, change: u64, max: usize) -> (Vec<Decision>, u64) {
        let mut upto = self.known.change;
        let mut some = Vec::new();
        for (at, about) in self.by_change.range(change.saturating_add(1)..) {
            if some.len() == max {
                upto = at - 1;
                break;
            }
            some.extend(self.get(about).cloned());
        }
        (some, upto)
    }

    /// Checks in debug builds, as long as there are few, that what is kept three times is the same.
    fn validate(&self) {
        if cfg!(debug_assertions) && self.by_subject.len() <= 64 {
            let is_same =
                |(about, (change, _)): (&Subject, &(u64, Decision))| self.by_change.get(change) == Some(about);
            assert!(self.by_subject.iter().all(is_same) && self.by_change.len() == self.by_subject.len());
            let digests = self.by_subject.values().map(|(_, decision)| decision.digest());
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
        Decision { about: about(user), verdict, stamp: Stamp { at, by: by.into() } }
    }

    #[test]
    fn the_latest_holds_and_what_has_ended_is_forgotten() {
        let mut all = Decisions::new(2);
        let revoked = Verdict::Revoked(Some(50));
        assert_eq!(all.decide(about(1), revoked, &"a".into(), 10).1, Learnt::New);
        assert_eq!(all.learn(decision(1, 9, "z", false), 11), Learnt::Known, "it is earlier");
        let (allowed, _) = all.decide(about(1), Verdict::Allowed, &"a".into(), 3);
        assert_eq!(allowed.stamp.at, 11, "a clock that went back does not make it earlier");
        assert_eq!(all.learn(decision(2, 12, "a", true), 12), Learnt::New);
        assert_eq!(all.learn(decision(3, 12, "a", true), 12), Learnt::NotKept);
        assert_eq!(all.known().change, 3);
        assert_eq!(all.after(1, 9).0.len(), 2, "what was replaced is not told");
        assert_eq!(all.after(0, 1), (vec![allowed], 2));
        let closed = |at| Decision {
            about: Subject::Session("s".into()),
            verdict: Verdict::Closed,
            stamp: Stamp { at, by: "a".into() },
        };
        assert_eq!(all.learn(closed(12), 12 + 24 * 3_600_000), Learnt::Known, "too late");
        assert_eq!(all.get(&about(1)), None, "it has ended");
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
                both[usize::from(!to_first)].learn(one, 0);
            }
            for from in [0, 1, 0] {
                let mut change = 0;
                while change < both[from].known().change {
                    let (some, upto) = both[from].after(change, page);
                    some.into_iter().for_each(|one| { both[1 - from].learn(one, 0); });
                    prop_assert!(upto > change);
                    change = upto;
                }
            }
            prop_assert_eq!(both[0].known().digest, both[1].known().digest);
            for (user, expected) in latest {
                prop_assert_eq!(both[0].get(&about(user)), Some(&expected));
            }
        }
    }
}
