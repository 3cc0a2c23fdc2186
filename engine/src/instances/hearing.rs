//! Who is there, what of theirs was missed, and when this instance speaks next.

use crate::clock::millis;
use crate::cluster::gaps::Gaps;
use crate::cluster::instance::Instance;
use crate::cluster::membership::{Change, Heard, Membership, Patience};
use crate::cluster::numbers::Number;
use crate::cluster::repairs::{Repair, Repairs};
use crate::cluster::topic::Topic;
use crate::cluster::wire::Heartbeat;
use crate::config::ClusterLimits;
use crate::event::RepairCause;

/// For how long after something was published heartbeats come more often, in ms: each may be lost as well.
const REPEATED_MS: u64 = 10_000;

/// For how many times the silence of somebody who is gone the marks of a topic are repeated: whoever has heard none of them
/// takes this instance for gone, and repairs everything when it is heard again.
const MARKED: u64 = 4;

/// When this instance says that it lives.
#[derive(Debug, Clone, Copy)]
struct Pace {
    heartbeat_ms: u64,
    repeat_ms: u64,
    marked_ms: u64,
}

/// What is known of the other instances. Pure: time and messages are told to it.
#[derive(Debug)]
pub(crate) struct Hearing {
    pub(crate) membership: Membership,
    gaps: Gaps,
    pub(crate) repairs: Repairs,
    pace: Pace,
    /// When the last heartbeat went, and the last one with all marks.
    beat_ms: Option<u64>,
    full_ms: Option<u64>,
    /// When it began to speak to somebody new.
    eager_ms: u64,
}

impl Hearing {
    pub(crate) fn new(this: Instance, limits: &ClusterLimits) -> Self {
        let gone_ms = millis(limits.gone_after);
        let patience = Patience { suspect_ms: millis(limits.suspect_after), gone_ms, instances: limits.instances };
        Self {
            membership: Membership::new(this, patience),
            gaps: Gaps::default(),
            repairs: Repairs::new(millis(limits.repair_delay), millis(limits.repair_interval)),
            pace: Pace {
                heartbeat_ms: millis(limits.heartbeat_interval),
                repeat_ms: millis(limits.repeat_interval),
                marked_ms: gone_ms.saturating_mul(MARKED),
            },
            beat_ms: None,
            full_ms: None,
            eager_ms: 0,
        }
    }

    /// A heartbeat came. `receives` says whether what is published on a topic is received here.
    pub(crate) fn heartbeat(&mut self, beat: &Heartbeat, now_ms: u64, receives: impl Fn(&Topic) -> bool) -> Heard {
        let mut heard = self.membership.heard(&beat.from, now_ms);
        if self.membership.is_this(&beat.from) {
            // What it has published itself it has not missed.
            return heard;
        }
        if let Heard::Changed(change) = &heard {
            self.follow(change, now_ms);
        }
        if matches!(heard, Heard::Known | Heard::Changed(_)) {
            for (topic, number) in beat.marks().filter(|(topic, _)| receives(topic)) {
                if self.gaps.marked(&beat.from.name, &topic, number) {
                    self.repair(&topic, RepairCause::Mark, now_ms);
                }
            }
            if let Some(change) = beat.leaves.then(|| self.membership.left(&beat.from)).flatten() {
                self.follow(&change, now_ms);
                heard = Heard::Changed(change);
            }
        }
        heard
    }

    /// A message came that is numbered. One of somebody who is not known yet is not counted: the first heartbeat shows what
    /// was missed until then.
    pub(crate) fn message(&mut self, from: &Instance, topic: &Topic, at: Number, now_ms: u64) {
        let is_known = self.membership.get(&from.name).is_some_and(|known| known == *from);
        if is_known && self.gaps.received(&from.name, topic, at) {
            self.repair(topic, RepairCause::Gap, now_ms);
        }
    }

    /// What is published on a topic may have been missed.
    pub(crate) fn repair(&mut self, topic: &Topic, cause: RepairCause, now_ms: u64) {
        if let Some(what) = Repair::of(topic) {
            self.repairs.request(what, cause, now_ms);
        }
    }

    /// Forgets how far others have counted on topics that are not received any more.
    pub(crate) fn retain_topics(&mut self, receives: impl Fn(&Topic) -> bool) {
        self.gaps.retain(receives);
    }

    /// Time has passed.
    pub(crate) fn look(&mut self, now_ms: u64) -> Vec<Change> {
        let changes = self.membership.look(now_ms);
        changes.iter().for_each(|change| self.follow(change, now_ms));
        changes
    }

    fn follow(&mut self, change: &Change, now_ms: u64) {
        let (of, cause) = match change {
            Change::Joined(_) => {
                self.speak_soon();
                return;
            }
            Change::Suspect(_) => return,
            Change::Returned(of) => (of, RepairCause::Returned),
            Change::Restarted(of) => (of, RepairCause::Restarted),
            Change::Gone(of) => (of, RepairCause::Gone),
        };
        self.gaps.forget(&of.name);
        self.repairs.request(Repair::All, cause, now_ms);
        if cause != RepairCause::Gone {
            self.speak_soon();
        }
    }

    /// Somebody does not know this instance yet, or may have missed what it said.
    pub(crate) const fn speak_soon(&mut self) {
        (self.beat_ms, self.full_ms) = (None, None);
    }

    /// When a heartbeat is due, if something was published last at `latest_ms`.
    pub(crate) fn beat_due_ms(&self, latest_ms: Option<u64>, now_ms: u64) -> u64 {
        let (Some(beat_ms), Some(full_ms)) = (self.beat_ms, self.full_ms) else { return now_ms };
        let is_recent = now_ms < latest_ms.unwrap_or_default().max(self.eager_ms).saturating_add(REPEATED_MS);
        let missed_ms = self.pace.heartbeat_ms.saturating_add(self.pace.repeat_ms);
        let repeats = is_recent || self.membership.misses_anybody(missed_ms, now_ms);
        let full_ms = full_ms.saturating_add(self.pace.heartbeat_ms);
        if repeats { full_ms.min(beat_ms.saturating_add(self.pace.repeat_ms)) } else { full_ms }
    }

    /// If a heartbeat is due, the time since which it marks what was published.
    pub(crate) fn beat(&mut self, latest_ms: Option<u64>, now_ms: u64) -> Option<u64> {
        if now_ms < self.beat_due_ms(latest_ms, now_ms) {
            return None;
        }
        let is_full = self.full_ms.is_none_or(|full_ms| now_ms >= full_ms.saturating_add(self.pace.heartbeat_ms));
        if self.beat_ms.is_none() {
            self.eager_ms = now_ms;
        }
        self.beat_ms = Some(now_ms);
        if is_full {
            self.full_ms = Some(now_ms);
        }
        Some(now_ms.saturating_sub(if is_full { self.pace.marked_ms } else { REPEATED_MS }))
    }

    /// Since when it matters what was published.
    pub(crate) const fn marked_since_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.pace.marked_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(name: &str) -> Instance {
        Instance { name: name.into(), incarnation: 1 }
    }

    #[test]
    fn it_speaks_more_often_while_somebody_may_have_missed_something() {
        let mut hearing = Hearing::new(instance("this"), &ClusterLimits::default());
        let beats = |hearing: &mut Hearing, latest_ms, times: std::ops::Range<u64>| {
            let due = |now_ms: &u64| hearing.beat(latest_ms, *now_ms).is_some();
            times.step_by(100).filter(due).count()
        };
        assert_eq!(beats(&mut hearing, None, 0..10_000), 20, "as long as it is new");
        assert_eq!(beats(&mut hearing, None, 10_000..30_000), 4, "every 5 s");
        let published = beats(&mut hearing, Some(30_000), 30_000..40_000);
        assert!((19..=21).contains(&published), "{published}");
        hearing.heartbeat(&Heartbeat::new(instance("a")), 40_000, |_| true);
        beats(&mut hearing, None, 40_000..60_000);
        hearing.look(60_000);
        assert!(hearing.beat_due_ms(None, 60_000) <= 60_400, "somebody who was there is silent");
    }

    #[test]
    fn an_instance_misses_nothing_of_its_own() {
        let mut hearing = Hearing::new(instance("this"), &ClusterLimits::default());
        let mut beat = Heartbeat::new(instance("this"));
        beat.mark(&Topic::Notices, 7);
        assert_eq!((hearing.heartbeat(&beat, 0, |_| true), hearing.repairs.due_ms()), (Heard::Known, None));
        beat.from.name = "other".into();
        hearing.heartbeat(&beat, 0, |_| true);
        beat.mark(&Topic::Notices, 8);
        hearing.heartbeat(&beat, 1, |_| true);
        assert!(hearing.repairs.due_ms().is_some(), "what another one has published it may have missed");
    }

    #[test]
    fn the_last_words_of_whoever_is_gone_may_be_lost() {
        let mut hearing = Hearing::new(instance("this"), &ClusterLimits::default());
        let mut beat = Heartbeat::new(instance("a"));
        assert_eq!(hearing.heartbeat(&beat, 0, |_| true), Heard::Changed(Change::Joined(instance("a"))));
        assert_eq!(hearing.repairs.due_ms(), None);
        beat.leaves = true;
        assert_eq!(hearing.heartbeat(&beat, 10, |_| true), Heard::Changed(Change::Gone(instance("a"))));
        assert_eq!(hearing.repairs.take_due(110), [(Repair::All, RepairCause::Gone)]);
    }
}
