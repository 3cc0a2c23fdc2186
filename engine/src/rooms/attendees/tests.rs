//! Signs of life and events against what is noticed.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const OFFLINE_MS: u64 = 30_000;
const LEFT_MS: u64 = 90_000;
const TICK_MS: u64 = OFFLINE_MS / 10;

impl Attendee for usize {
    fn id(&self) -> usize {
        *self
    }
}

fn attendees() -> Attendees<usize> {
    Attendees::new(LeaseTimes::new(OFFLINE_MS, LEFT_MS), 30_000)
}

/// Lets the time pass in steps, with what was heard of each session last; returns what was noticed, and when.
fn pass(leases: &mut Attendees<usize>, to_ms: u64, heard: impl Fn(usize, u64) -> u64) -> Vec<(u64, usize, Looked)> {
    let mut noticed = Vec::new();
    for now_ms in (0..=to_ms).step_by(100) {
        for id in leases.take_due(now_ms) {
            let looked = leases.look(id, (Some(heard(id, now_ms)), None), now_ms).lease;
            noticed.push((now_ms, id, looked));
        }
    }
    noticed.retain(|(.., looked)| !matches!(looked, Looked::Fine | Looked::Ping(_)));
    noticed
}

#[test]
fn a_silent_session_is_offline_and_then_left_each_within_a_tick() {
    let mut leases = attendees();
    leases.hold(1, 0);
    let noticed = pass(&mut leases, 200_000, |_, _| 0);
    let [(offline, _, Looked::Offline), (left, _, Looked::Lost)] = noticed[..] else { panic!("{noticed:?}") };
    assert!((OFFLINE_MS..=OFFLINE_MS + TICK_MS).contains(&offline), "{offline}");
    assert!((LEFT_MS..=LEFT_MS + TICK_MS).contains(&left), "{left}");
    assert_eq!((leases.leases(), leases.next_timer()), (0, None));
}

#[test]
fn signs_exactly_every_thirty_seconds_with_a_second_of_jitter_never_toggle() {
    let mut leases = attendees();
    leases.hold(1, 0);
    let sign = |number: u64| (number * OFFLINE_MS + number * 7_919 % 2_000).saturating_sub(1_000);
    let heard = |_, now_ms: u64| (0..).map(sign).take_while(|at_ms| *at_ms <= now_ms).last().unwrap();
    assert_eq!(pass(&mut leases, 100 * OFFLINE_MS, heard), []);
}

/// It does nothing but answer pings, a little later, and begins at any time between two ticks.
#[test]
fn a_session_that_answers_pings_is_pinged_in_time_and_once_for_each_look() {
    for offline_ms in [50, 1_000, 1_337, 30_000] {
        for (begins_ms, answers_ms) in [(0, 0), (1, offline_ms / 100), (offline_ms / 3, offline_ms / 4)] {
            let mut leases = Attendees::new(LeaseTimes::new(offline_ms, 3 * offline_ms), 1_000_000_000);
            let (ping_ms, tick_ms) = (15_000.min(offline_ms / 2), (offline_ms / 50).max(1));
            let (mut heard_ms, mut answer_ms, mut looks, mut pings) = (begins_ms, None, 0, 0);
            leases.hold(1, begins_ms);
            let end_ms = begins_ms + 20 * offline_ms;
            for now_ms in begins_ms..end_ms {
                if answer_ms == Some(now_ms) {
                    (heard_ms, answer_ms) = (now_ms, None);
                }
                for id in leases.take_due(now_ms) {
                    looks += 1;
                    let looked = leases.look(id, (Some(heard_ms), None), now_ms).lease;
                    let Looked::Ping(silent_ms) = looked else { panic!("{looked:?} after {}", now_ms - heard_ms) };
                    if now_ms - heard_ms >= silent_ms {
                        pings += 1;
                        answer_ms.get_or_insert(now_ms + answers_ms + 1);
                    }
                }
                let silent_ms = now_ms - heard_ms;
                assert!(silent_ms <= ping_ms + 2 * tick_ms + answers_ms + 1, "{offline_ms}: {silent_ms}");
            }
            let most = (end_ms - begins_ms) / (ping_ms - tick_ms) + 1;
            assert!(pings <= most && looks <= 2 * pings, "{offline_ms}: {looks} looks, {pings} pings of {most}");
        }
    }
}

#[test]
fn nothing_is_looked_at_before_it_is_due_and_one_timer_is_set_for_all() {
    let mut leases = attendees();
    let mut timers = 0;
    for id in 0..100_000 {
        leases.hold(id, id as u64 % 15_000);
        timers += usize::from(leases.next_timer().is_some());
    }
    assert_eq!((timers, leases.take_due(14_999).len()), (1, 0));
    let due = leases.take_due(15_000).len();
    assert!((1..=7).contains(&due), "{due}");
}

#[test]
fn a_session_is_due_an_interval_after_what_it_received_last_and_never_after_it_left() {
    let mut attendees = Attendees::new(LeaseTimes::new(1_000_000, 2_000_000), 30);
    let quiet = |attendees: &mut Attendees<usize>, sent_ms, now_ms| {
        attendees.look(1, (Some(now_ms), Some(sent_ms)), now_ms).is_quiet
    };
    attendees.join(1, 0);
    attendees.join(1, 5);
    assert_eq!((attendees.next_timer(), attendees.next_timer()), (Some(30), None));
    assert_eq!(attendees.take_due(30), [1]);
    assert!(!quiet(&mut attendees, 20, 30), "something was sent");
    assert_eq!((attendees.next_timer(), attendees.take_due(49).len(), attendees.take_due(50).len()), (Some(50), 0, 1));
    assert!(quiet(&mut attendees, 20, 50));
    assert_eq!(attendees.next_timer(), Some(80));
    assert!(!attendees.leave(1) && attendees.has_joined(1) && attendees.leave(1));
    attendees.release(1);
    assert_eq!((attendees.take_due(1_000_000).len(), attendees.next_timer(), attendees.entries.len()), (0, None, 0));
    assert!(!quiet(&mut attendees, 0, 1_000));
}

#[test]
fn whoever_is_gone_leaves_no_room_behind() {
    let mut attendees = attendees();
    for id in 0..10_000 {
        attendees.join(id, 0);
    }
    assert_eq!((attendees.leases(), attendees.entries.len()), (10_000, 10_000));
    for id in 0..10_000 {
        assert!(attendees.leave(id));
        attendees.release(id);
    }
    assert_eq!(attendees.leases(), 0);
    assert!(attendees.entries.capacity() < 100 && attendees.by_id.capacity() < 300);
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
        let (mut leases, mut now_ms) = (attendees(), 0);
        let mut sessions: BTreeMap<usize, (u64, Shown)> = (0..3).map(|id| (id, (0, Shown::Online))).collect();
        sessions.keys().for_each(|id| leases.hold(*id, 0));
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
                        for id in leases.take_due(now_ms) {
                            let (heard_ms, shown) = sessions.get_mut(&id).unwrap();
                            let (expected, next) = match leases.look(id, (Some(*heard_ms), None), now_ms).lease {
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
