//! For how long a session that shows no sign of life still counts.

use hashbrown::HashMap;

use super::due::Due;

/// When what happens, in ms since the last sign of life.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LeaseTimes {
    /// A silent connection is pinged.
    ping_ms: u64,
    /// The session is shown as offline.
    offline_ms: u64,
    /// It has left.
    left_ms: u64,
    /// Leases are looked at at multiples of this.
    tick_ms: u64,
}

/// Connections are pinged at least this often, in ms (rooms 5).
const MOST_PING_MS: u64 = 15_000;

impl LeaseTimes {
    /// A participant is shown as offline when it has been silent for `offline_ms`, and no more than a tenth of that later
    /// (rooms 10). Most of that tenth is waited for: whoever shows a sign of life every `offline_ms`, but for a small
    /// jitter, never toggles (S0.15).
    pub(crate) fn new(offline_ms: u64, left_ms: u64) -> Self {
        let grace_ms = offline_ms * 7 / 100;
        Self {
            ping_ms: MOST_PING_MS.min(offline_ms / 2).max(1),
            offline_ms: offline_ms + grace_ms,
            left_ms: left_ms.max(offline_ms + grace_ms + 1),
            tick_ms: (offline_ms / 50).max(1),
        }
    }
}

/// The leases of an instance: a pure type, which is told the time and what was heard. A session is looked at when it is due,
/// which is at most as often as its connections are pinged; a sign of life costs nothing here.
#[derive(Debug)]
pub(crate) struct Leases<T> {
    times: LeaseTimes,
    leases: HashMap<usize, Lease<T>>,
    due: Due,
}

#[derive(Debug)]
struct Lease<T> {
    session: T,
    /// The last sign of life that is known of here.
    heard_ms: u64,
    is_offline: bool,
    due_ms: u64,
}

/// What follows from a look at a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Looked {
    /// Nothing.
    Fine,
    /// Connections that have been silent for this many ms are to be pinged.
    Ping(u64),
    /// It is offline from now on; its connections are to be pinged.
    Offline,
    /// It is back.
    Online,
    /// It has left.
    Lost,
}

impl<T: Clone> Leases<T> {
    pub(crate) fn new(times: LeaseTimes) -> Self {
        Self { times, leases: HashMap::new(), due: Due::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.leases.len()
    }

    /// A session has a lease from now on, if it had none.
    pub(crate) fn hold(&mut self, id: usize, session: T, now_ms: u64) {
        let due_ms = self.times.round(now_ms.saturating_add(self.times.ping_ms));
        self.leases.entry(id).or_insert_with(|| {
            self.due.add(due_ms, id);
            Lease { session, heard_ms: now_ms, is_offline: false, due_ms }
        });
    }

    /// A session has no lease any more.
    pub(crate) fn release(&mut self, id: usize) {
        if let Some(lease) = self.leases.remove(&id) {
            self.due.remove(lease.due_ms, id);
        }
    }

    /// A connection ended on which there was a sign of life then.
    pub(crate) fn heard(&mut self, id: usize, at_ms: u64) {
        if let Some(lease) = self.leases.get_mut(&id) {
            lease.heard_ms = lease.heard_ms.max(at_ms);
        }
    }

    /// A session shows a sign of life now. Returns whether it was offline.
    pub(crate) fn came_back(&mut self, id: usize, now_ms: u64) -> bool {
        self.heard(id, now_ms);
        self.leases.get_mut(&id).is_some_and(|lease| std::mem::take(&mut lease.is_offline))
    }

    /// The timer fired: the sessions that are to be looked at.
    pub(crate) fn take_due(&mut self, now_ms: u64) -> Vec<(usize, T)> {
        let due = self.due.take(now_ms);
        due.into_iter().filter_map(|id| Some((id, self.leases.get(&id)?.session.clone()))).collect()
    }

    /// Looks at a session that is due, whose connections last showed a sign of life then.
    pub(crate) fn look(&mut self, id: usize, heard_ms: Option<u64>, now_ms: u64) -> Looked {
        let times = self.times;
        let Some(lease) = self.leases.get_mut(&id) else { return Looked::Fine };
        lease.heard_ms = lease.heard_ms.max(heard_ms.unwrap_or(0));
        let silent_ms = now_ms.saturating_sub(lease.heard_ms);
        if silent_ms >= times.left_ms {
            self.release(id);
            return Looked::Lost;
        }
        let was_offline = std::mem::replace(&mut lease.is_offline, silent_ms >= times.offline_ms);
        let ends_ms = lease.heard_ms + if lease.is_offline { times.left_ms } else { times.offline_ms };
        let pings_ms = now_ms.saturating_add(times.ping_ms);
        lease.due_ms = times.round(ends_ms.min(pings_ms));
        self.due.add(lease.due_ms, id);
        match (was_offline, lease.is_offline) {
            (false, true) => Looked::Offline,
            (true, false) => Looked::Online,
            _ => Looked::Ping(times.ping_ms),
        }
    }

    /// Whether a session is offline. One without a lease is not.
    pub(crate) fn is_offline(&self, id: usize) -> bool {
        self.leases.get(&id).is_some_and(|lease| lease.is_offline)
    }

    /// When the timer has to fire, if it does not yet.
    pub(crate) fn next_timer(&mut self) -> Option<u64> {
        self.due.next_timer()
    }
}

impl LeaseTimes {
    /// Later by less than a tick, so that many are looked at together.
    const fn round(&self, at_ms: u64) -> u64 {
        at_ms.div_ceil(self.tick_ms).saturating_mul(self.tick_ms)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    const OFFLINE_MS: u64 = 30_000;
    const LEFT_MS: u64 = 90_000;
    const TICK_MS: u64 = OFFLINE_MS / 10;

    fn leases() -> Leases<usize> {
        Leases::new(LeaseTimes::new(OFFLINE_MS, LEFT_MS))
    }

    /// Lets the time pass in steps, with what was heard of each session last; returns what was noticed, and when.
    fn pass(leases: &mut Leases<usize>, to_ms: u64, heard: impl Fn(usize, u64) -> u64) -> Vec<(u64, usize, Looked)> {
        let mut noticed = Vec::new();
        for now_ms in (0..=to_ms).step_by(100) {
            for (id, _) in leases.take_due(now_ms) {
                let looked = leases.look(id, Some(heard(id, now_ms)), now_ms);
                noticed.push((now_ms, id, looked));
            }
        }
        noticed.retain(|(.., looked)| !matches!(looked, Looked::Fine | Looked::Ping(_)));
        noticed
    }

    #[test]
    fn a_silent_session_is_offline_and_then_left_each_within_a_tick() {
        let mut leases = leases();
        leases.hold(1, 1, 0);
        let noticed = pass(&mut leases, 200_000, |_, _| 0);
        let [(offline, _, Looked::Offline), (left, _, Looked::Lost)] = noticed[..] else { panic!("{noticed:?}") };
        assert!((OFFLINE_MS..=OFFLINE_MS + TICK_MS).contains(&offline), "{offline}");
        assert!((LEFT_MS..=LEFT_MS + TICK_MS).contains(&left), "{left}");
        assert_eq!((leases.len(), leases.next_timer()), (0, None));
    }

    #[test]
    fn signs_exactly_every_thirty_seconds_with_a_second_of_jitter_never_toggle() {
        let mut leases = leases();
        leases.hold(1, 1, 0);
        let sign = |number: u64| (number * OFFLINE_MS + number * 7_919 % 2_000).saturating_sub(1_000);
        let heard = |_, now_ms: u64| (0..).map(sign).take_while(|at_ms| *at_ms <= now_ms).last().unwrap();
        assert_eq!(pass(&mut leases, 100 * OFFLINE_MS, heard), []);
    }

    #[test]
    fn nothing_is_looked_at_before_it_is_due_and_one_timer_is_set_for_all() {
        let mut leases = leases();
        let mut timers = 0;
        for id in 0..100_000 {
            leases.hold(id, id, id as u64 % 15_000);
            timers += usize::from(leases.next_timer().is_some());
        }
        assert_eq!((timers, leases.take_due(14_999).len()), (1, 0));
        let due = leases.take_due(15_000).len();
        assert!((1..=7).contains(&due), "{due}");
    }

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Sign(usize),
        Wait(u64),
        Reconnect(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        let wait = prop_oneof![0..3_000_u64, 0..40_000_u64].prop_map(Step::Wait);
        prop_oneof![1 => (0..3_usize).prop_map(Step::Sign), 3 => wait, 1 => (0..3_usize).prop_map(Step::Reconnect)]
    }

    /// What a session is to others, as its events say.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Shown {
        Online,
        Offline,
        Left,
    }

    proptest! {
        /// The reference knows the time of each sign, and looks at all sessions all the time.
        #[test]
        fn sessions_are_shown_as_their_signs_of_life_say(steps in prop::collection::vec(step(), 0..60)) {
            let (mut leases, mut now_ms) = (leases(), 0);
            let mut sessions: BTreeMap<usize, (u64, Shown)> = (0..3).map(|id| (id, (0, Shown::Online))).collect();
            sessions.keys().for_each(|id| leases.hold(*id, *id, 0));
            for step in steps {
                match step {
                    Step::Sign(id) => sessions.get_mut(&id).unwrap().0 = now_ms,
                    Step::Reconnect(id) => {
                        let session = sessions.get_mut(&id).unwrap();
                        let was_offline = session.1 == Shown::Offline;
                        prop_assert_eq!(leases.came_back(id, now_ms), was_offline);
                        *session = (now_ms, if session.1 == Shown::Left { Shown::Left } else { Shown::Online });
                    }
                    Step::Wait(ms) => {
                        for _ in 0..ms.div_ceil(100) {
                            now_ms += 100;
                            for (id, _) in leases.take_due(now_ms) {
                                let (heard_ms, shown) = sessions.get_mut(&id).unwrap();
                                let (expected, next) = match leases.look(id, Some(*heard_ms), now_ms) {
                                    Looked::Offline => (Shown::Online, Shown::Offline),
                                    Looked::Online => (Shown::Offline, Shown::Online),
                                    Looked::Lost => (*shown, Shown::Left),
                                    Looked::Fine | Looked::Ping(_) => (*shown, *shown),
                                };
                                prop_assert_eq!(*shown, expected);
                                *shown = next;
                            }
                        }
                    }
                }
                for (heard_ms, shown) in sessions.values() {
                    let silent_ms = now_ms - heard_ms;
                    match shown {
                        Shown::Online => prop_assert!(silent_ms <= OFFLINE_MS + TICK_MS),
                        // One that was offline and is heard is noticed at its next look; its connection tells it at once.
                        Shown::Offline => prop_assert!(silent_ms <= LEFT_MS + TICK_MS),
                        Shown::Left => {}
                    }
                }
            }
        }
    }
}
