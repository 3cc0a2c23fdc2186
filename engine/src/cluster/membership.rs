//! Who is there, by who was heard (cluster 2).

use hashbrown::HashMap;

use super::instance::Instance;
use crate::model::Text;

/// How long an instance that is gone is remembered, in ms: what is left of an earlier life must not pass for a later one.
const REMEMBERED_MS: u64 = 10 * 60_000;

/// When an instance counts as what, and how many there may be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// After how much silence it is suspect, in ms.
    pub(crate) suspect_ms: u64,
    /// After how much silence it is gone, in ms.
    pub(crate) gone_ms: u64,
    /// How many are known at most.
    pub(crate) instances: usize,
}

/// How far the silence of an instance has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Alive,
    /// It may be gone.
    Suspect,
    /// What lived there alone has ended.
    Gone,
}

/// What hearing somebody, or hearing nobody, has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// It was not known.
    Joined(Instance),
    /// It was gone, and the same life of it is heard again.
    Returned(Instance),
    /// Another life of it is heard.
    Restarted(Instance),
    Suspect(Instance),
    Gone(Instance),
}

/// What somebody is who is heard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It is known, and nothing has changed.
    Known,
    Changed(Change),
    /// It is left of an earlier life.
    Outlived,
    /// Another process has the name of this one.
    Namesake,
    /// There are too many instances to know one more.
    TooMany,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    incarnation: u64,
    heard_ms: u64,
    standing: Standing,
    /// Whether it has said that it leaves.
    has_left: bool,
}

/// The other instances, as this one has heard them. Time is told to it.
#[derive(Debug)]
pub(crate) struct Membership {
    this: Instance,
    patience: Patience,
    known: HashMap<Text, Known>,
}

/// Whether this life of an instance has said that it leaves.
const fn is_end(known: Known, of: &Instance) -> bool {
    known.has_left && known.incarnation == of.incarnation
}

impl Membership {
    pub(crate) fn new(this: Instance, patience: Patience) -> Self {
        Self { this, patience, known: HashMap::new() }
    }

    /// Whether that is this life of this instance.
    pub(crate) fn is_this(&self, of: &Instance) -> bool {
        *of == self.this
    }

    /// Somebody is heard.
    pub(crate) fn heard(&mut self, from: &Instance, now_ms: u64) -> Heard {
        if from.name == self.this.name {
            let is_this = from.incarnation == self.this.incarnation;
            return if is_this { Heard::Known } else { self.namesake(from) };
        }
        if !self.known.contains_key(&from.name) && !self.has_room() {
            return Heard::TooMany;
        }
        let heard =
            Known { incarnation: from.incarnation, heard_ms: now_ms, standing: Standing::Alive, has_left: false };
        let before = self.known.get(&from.name).copied();
        // A life that has left has ended, whatever is late of what it said before.
        let is_over = |before: Known| before.incarnation > from.incarnation || is_end(before, from);
        if before.is_some_and(is_over) {
            return Heard::Outlived;
        }
        self.known.insert(from.name.clone(), heard);
        self.validate();
        match before {
            None => Heard::Changed(Change::Joined(from.clone())),
            Some(before) if before.incarnation < from.incarnation => Heard::Changed(Change::Restarted(from.clone())),
            Some(before) if before.standing == Standing::Gone => Heard::Changed(Change::Returned(from.clone())),
            Some(_) => Heard::Known,
        }
    }

    /// An earlier life of this instance may still be heard for a while; one that is not over has the name of this one.
    const fn namesake(&self, from: &Instance) -> Heard {
        if from.incarnation < self.this.incarnation { Heard::Outlived } else { Heard::Namesake }
    }

    /// Makes room by forgetting whoever is gone, if need be.
    fn has_room(&mut self) -> bool {
        if self.known.len() >= self.patience.instances {
            let gone = self.known.iter().filter(|(_, known)| known.standing == Standing::Gone);
            let longest = gone.min_by_key(|(_, known)| known.heard_ms).map(|(name, _)| name.clone());
            longest.map(|name| self.known.remove(&name));
        }
        self.known.len() < self.patience.instances
    }

    /// Somebody says that it leaves.
    pub(crate) fn left(&mut self, from: &Instance) -> Option<Change> {
        let known = self.known.get_mut(&from.name).filter(|known| known.incarnation == from.incarnation)?;
        if known.standing == Standing::Gone {
            return None;
        }
        known.standing = Standing::Gone;
        known.has_left = true;
        Some(Change::Gone(from.clone()))
    }

    /// Time has passed.
    pub(crate) fn look(&mut self, now_ms: u64) -> Vec<Change> {
        let mut changes = Vec::new();
        let Patience { suspect_ms, gone_ms, .. } = self.patience;
        self.known.retain(|name, known| {
            let silent_ms = now_ms.saturating_sub(known.heard_ms);
            let instance = || Instance { name: name.clone(), incarnation: known.incarnation };
            let standing = match known.standing {
                Standing::Gone => return silent_ms < REMEMBERED_MS.max(gone_ms),
                _ if silent_ms >= gone_ms => Standing::Gone,
                _ if silent_ms >= suspect_ms => Standing::Suspect,
                _ => Standing::Alive,
            };
            match (known.standing, standing) {
                (_, Standing::Gone) => changes.push(Change::Gone(instance())),
                (Standing::Alive, Standing::Suspect) => changes.push(Change::Suspect(instance())),
                _ => {}
            }
            known.standing = standing;
            true
        });
        self.validate();
        changes
    }

    /// When somebody's silence has gone further, if nobody is heard until then.
    pub(crate) fn due_ms(&self) -> Option<u64> {
        let due = |known: &Known| match known.standing {
            Standing::Alive => Some(known.heard_ms.saturating_add(self.patience.suspect_ms)),
            Standing::Suspect => Some(known.heard_ms.saturating_add(self.patience.gone_ms)),
            Standing::Gone => None,
        };
        self.known.values().filter_map(due).min()
    }

    /// The one with this name, unless it is gone.
    pub(crate) fn get(&self, name: &str) -> Option<Instance> {
        let (name, known) = self.known.get_key_value(name).filter(|(_, known)| known.standing != Standing::Gone)?;
        Some(Instance { name: name.clone(), incarnation: known.incarnation })
    }

    /// Everybody else who is not gone, by name.
    pub(crate) fn present(&self) -> Vec<Instance> {
        let mut present: Vec<_> = self.known.keys().filter_map(|name| self.get(name)).collect();
        present.sort_unstable();
        present
    }

    /// Whether somebody who was there has been silent for so long, and not long enough to be forgotten.
    pub(crate) fn misses_anybody(&self, silent_ms: u64, now_ms: u64) -> bool {
        let is_missed = |known: &Known| !known.has_left && now_ms.saturating_sub(known.heard_ms) >= silent_ms;
        self.known.values().any(is_missed)
    }

    /// Checks in debug builds what must hold after every step.
    fn validate(&self) {
        debug_assert!(self.known.len() <= self.patience.instances, "no more are known than may be");
        debug_assert!(!self.known.contains_key(&self.this.name), "it does not know itself");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PATIENCE: Patience = Patience { suspect_ms: 10, gone_ms: 15, instances: 3 };

    fn instance(name: &str, incarnation: u64) -> Instance {
        Instance { name: name.into(), incarnation }
    }

    fn membership() -> Membership {
        Membership::new(instance("this", 5), PATIENCE)
    }

    #[test]
    fn silence_makes_suspect_and_then_gone_and_a_word_makes_alive() {
        let (mut all, a) = (membership(), instance("a", 1));
        assert_eq!(all.heard(&a, 0), Heard::Changed(Change::Joined(a.clone())));
        assert_eq!(all.due_ms(), Some(10));
        assert_eq!(all.look(9), []);
        assert_eq!(all.look(10), [Change::Suspect(a.clone())]);
        assert_eq!(all.get("a").as_ref(), Some(&a), "it may only be slow");
        assert_eq!(all.heard(&a, 11), Heard::Known);
        assert_eq!(all.look(26), [Change::Gone(a.clone())], "whoever looks late sees one step");
        assert_eq!((all.present(), all.get("a"), all.due_ms()), (vec![], None, None));
        assert_eq!(all.heard(&a, 30), Heard::Changed(Change::Returned(a.clone())));
        assert_eq!(all.left(&a), Some(Change::Gone(a.clone())));
        assert_eq!(all.left(&a), None);
        assert_eq!((all.heard(&a, 31), all.get("a")), (Heard::Outlived, None), "what is late does not bring it back");
        let next = instance("a", 2);
        assert_eq!(all.heard(&next, 32), Heard::Changed(Change::Restarted(next)));
    }

    #[test]
    fn a_later_life_replaces_an_earlier_one_and_never_the_other_way() {
        let (mut all, first, second) = (membership(), instance("a", 1), instance("a", 2));
        all.heard(&first, 0);
        assert_eq!(all.heard(&second, 1), Heard::Changed(Change::Restarted(second.clone())));
        assert_eq!(all.heard(&first, 2), Heard::Outlived);
        assert_eq!(all.left(&first), None);
        assert_eq!(all.get("a"), Some(second));
        assert_eq!(all.heard(&instance("this", 4), 3), Heard::Outlived);
        assert_eq!(all.heard(&instance("this", 6), 3), Heard::Namesake);
    }

    #[test]
    fn whoever_is_gone_makes_room_for_others() {
        let mut all = membership();
        for name in ["a", "b", "c"] {
            all.heard(&instance(name, 1), 0);
        }
        assert_eq!(all.heard(&instance("d", 1), 1), Heard::TooMany);
        all.look(15);
        assert_eq!(all.heard(&instance("d", 1), 16), Heard::Changed(Change::Joined(instance("d", 1))));
    }

    /// Who is there, by the whole history of who was heard when.
    fn reference(history: &[(usize, u64, u64)], now_ms: u64) -> Vec<Instance> {
        let mut present = Vec::new();
        for name in 0..3 {
            let mut newest: Option<(u64, u64)> = None;
            for (_, incarnation, at_ms) in history.iter().filter(|(of, ..)| *of == name) {
                if newest.is_none_or(|(known, _)| *incarnation >= known) {
                    newest = Some((*incarnation, *at_ms));
                }
            }
            present.extend(
                newest
                    .filter(|(_, at_ms)| now_ms - at_ms < PATIENCE.gone_ms)
                    .map(|(incarnation, _)| instance(["a", "b", "c"][name], incarnation)),
            );
        }
        present
    }

    proptest! {
        #[test]
        fn whoever_was_heard_last_is_there_whatever_the_order(
            steps in prop::collection::vec((0_usize..3, 0_u64..4, 0_u64..8, any::<bool>()), 1..60)
        ) {
            let (mut all, mut history, mut now_ms) = (membership(), Vec::new(), 0);
            for (name, incarnation, passed_ms, looks) in steps {
                now_ms += passed_ms;
                all.heard(&instance(["a", "b", "c"][name], incarnation), now_ms);
                history.push((name, incarnation, now_ms));
                if looks {
                    all.look(now_ms);
                    prop_assert_eq!(all.present(), reference(&history, now_ms));
                }
            }
        }
    }
}
