//! Which runs of a room are in progress, and what is kept of them.

use serde_json::json;

use super::super::run::delivery::{Delivery, OnTimeout};
use super::*;

const BOUNDS: RunBounds = RunBounds {
    waiting: 2,
    ended: 3,
    ended_output_bytes: 8,
    inputs: 1,
    output: OutputBounds { bytes: 100, chunk_bytes: 100 },
    history: HistoryBounds { entries: 10, bytes: 100 },
};

fn asked(id: &str) -> Asked {
    Asked::example(id, json!(id))
}

const fn at(now_ms: u64) -> When {
    When { now_ms, unix_ms: now_ms }
}

fn done(runs: &mut Runs, id: &str, now: u64) {
    assert_eq!(runs.finish(id, 1, Ok(json!("result")), at(now), 0), Next::Ended);
    runs.forget();
}

#[test]
fn a_serial_room_takes_one_at_a_time_in_order() {
    let mut runs = Runs::new(Queue::Serial, BOUNDS);
    assert_eq!(runs.start(asked("r1")), Ok(()));
    assert_eq!((runs.due(0), runs.begin("r1", at(0))), (vec!["r1".into()], true));
    let started = ["r2", "r3", "r4"].map(|id| runs.start(asked(id)));
    assert_eq!(started, [Ok(()), Ok(()), Err(NotStarted::Full)]);
    assert!(!runs.begin("r2", at(0)));
    assert!(runs.due(0).is_empty());
    done(&mut runs, "r1", 1);
    assert_eq!(runs.due(1), ["r2"]);
    assert_eq!(runs.cancel("r2", at(2)), Next::Ended);
    assert_eq!((runs.due(2), runs.last_outcome()), (vec!["r3".into()], Some(RunStatus::Cancelled)));
}

#[test]
fn a_successor_takes_the_place_of_the_run_before() {
    let mut runs = Runs::new(Queue::Serial, BOUNDS);
    let asked = |id| Asked { delivery: Some(Delivery::default()), ..asked(id) };
    assert_eq!(["r1", "r2"].map(|id| runs.start(asked(id))), [Ok(()), Ok(())]);
    runs.begin("r1", at(0));
    done(&mut runs, "r1", 1);
    runs.succeed("r1", Asked { rerun_of: Some("r1".into()), ..asked("r1b") }, Some(100));
    assert_eq!((runs.due(50), runs.due(100)), (vec![], vec!["r1b".into()]));
    assert!(runs.begin("r1b", at(100)));
    assert_eq!(runs.get("r1b").map(Run::attempt), Some(2));
    let texts: Vec<_> = runs.history().entries().into_iter().map(|entry| entry.text).collect();
    assert_eq!(texts, ["r1", "result"], "the work was asked for once");
}

#[test]
fn a_room_that_rejects_is_occupied_and_a_parallel_one_is_not() {
    let mut runs = Runs::new(Queue::Reject, BOUNDS);
    runs.start(asked("r1")).unwrap();
    assert_eq!(runs.start(asked("r2")), Err(NotStarted::Occupied));
    runs.begin("r1", at(0));
    done(&mut runs, "r1", 1);
    assert_eq!(runs.start(asked("r2")), Ok(()));
    let mut runs = Runs::new(Queue::Parallel, BOUNDS);
    for id in ["r1", "r2", "r3"] {
        runs.start(asked(id)).unwrap();
        assert!(runs.begin(id, at(0)));
    }
    for id in ["r4", "r5", "r6"] {
        runs.start(asked(id)).unwrap();
    }
    assert!(runs.are_too_many());
    runs.withdraw("r6");
    assert_eq!((runs.running(), runs.queued(), runs.are_too_many()), (3, 2, false));
}

#[test]
fn the_last_that_ended_are_kept_and_those_that_have_not() {
    let mut runs = Runs::new(Queue::Parallel, BOUNDS);
    for number in 0..6 {
        let id = format!("r{number}");
        runs.start(asked(&id)).unwrap();
        runs.begin(&id, at(0));
        runs.write(&id, 1, "12345", at(0));
    }
    for number in [5, 1, 2, 3, 4] {
        done(&mut runs, &format!("r{number}"), 1);
    }
    let kept: Vec<_> = runs.all().map(|run| (run.asked.id.to_string(), run.output.bytes())).collect();
    let expected = [("r0", 5), ("r2", 0), ("r3", 0), ("r4", 5)].map(|(id, bytes)| (id.to_owned(), bytes));
    // All ended at the same time: of those, the one that was created last counts as the latest.
    assert_eq!(kept[0], expected[0]);
    assert_eq!(kept.len(), 4);
    assert!(kept.iter().skip(1).map(|(_, bytes)| bytes).sum::<usize>() <= BOUNDS.ended_output_bytes);
}

#[test]
fn inputs_wait_for_a_run_up_to_a_bound_and_are_gone_with_it() {
    let mut runs = Runs::new(Queue::Serial, BOUNDS);
    runs.start(asked("r1")).unwrap();
    runs.begin("r1", at(0));
    assert!(runs.push_input("r1", json!(1)) && !runs.push_input("r1", json!(2)));
    assert_eq!((runs.take_input("r1", 2), runs.take_input("r1", 1)), (None, Some(json!(1))));
    assert!(runs.push_input("r1", json!(3)));
    done(&mut runs, "r1", 1);
    assert_eq!(runs.take_input("r1", 1), None);
}

#[derive(Debug, Clone, Copy)]
enum Happens {
    Start,
    Begin,
    Done,
    /// With a delivery that lets another run take its place.
    Retryable,
    Cancel,
    Stop,
}

/// The reference: what waits or is in progress, in the order in which it is to be dispatched, and how the last one ended.
#[derive(Debug, Default)]
struct Reference {
    unended: Vec<(String, Status)>,
    last: Option<RunStatus>,
    history: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Queued,
    Running,
    /// It is in progress, and somebody has cancelled it.
    Cancelled,
}

impl Reference {
    fn count(&self, wanted: impl Fn(Status) -> bool) -> usize {
        self.unended.iter().filter(|(_, status)| wanted(*status)).count()
    }

    fn start(&mut self, id: &str, queue: Queue) -> Result<(), NotStarted> {
        let (queued, is_free) = (self.count(|status| status == Status::Queued), self.unended.is_empty());
        match queue {
            Queue::Reject if !is_free => return Err(NotStarted::Occupied),
            Queue::Serial if !is_free && queued >= BOUNDS.waiting => return Err(NotStarted::Full),
            _ => self.unended.push((id.to_owned(), Status::Queued)),
        }
        Ok(())
    }

    fn due(&self, queue: Queue) -> Vec<Text> {
        let front = if queue == Queue::Parallel { self.unended.len() } else { 1 };
        let due = self.unended.iter().take(front).filter(|(_, status)| *status == Status::Queued);
        due.map(|(id, _)| id.as_str().into()).collect()
    }

    fn happens(&mut self, at: usize, what: Happens) {
        let status = self.unended[at].1;
        let ended = match (what, status) {
            (Happens::Done | Happens::Retryable, Status::Cancelled) | (Happens::Cancel, Status::Queued) => {
                RunStatus::Cancelled
            }
            (Happens::Done, Status::Running) => RunStatus::Done,
            (Happens::Retryable, Status::Running) | (Happens::Stop, _) => RunStatus::Failed,
            (Happens::Cancel, _) => {
                self.unended[at].1 = Status::Cancelled;
                return;
            }
            _ => return,
        };
        self.history += usize::from(ended == RunStatus::Done);
        self.last = Some(ended);
        let reruns = matches!((what, status), (Happens::Retryable, Status::Running));
        if reruns {
            self.unended[at] = (format!("{}'", self.unended[at].0), Status::Queued);
        } else {
            self.unended.remove(at);
        }
    }
}

fn happens(runs: &mut Runs, id: &str, what: Happens) {
    let attempt = runs.get(id).map_or(1, Run::attempt);
    let next = match what {
        Happens::Done => runs.finish(id, attempt, Ok(json!("result")), at(1), 0),
        Happens::Retryable => runs.finish(id, attempt, Err(RunError::retryable("x", "")), at(1), 0),
        Happens::Cancel => runs.cancel(id, at(1)),
        Happens::Stop => runs.stop(id, RunError::new("x", ""), at(1)),
        Happens::Start | Happens::Begin => Next::Nothing,
    };
    if matches!(next, Next::Rerun { .. }) {
        let before = Arc::clone(&runs.get(id).unwrap().asked);
        let successor = Asked { id: format!("{id}'").into(), rerun_of: Some(id.into()), ..(*before).clone() };
        runs.succeed(id, successor, None);
    }
    runs.forget();
}

#[test]
fn the_runs_of_a_room_are_dispatched_as_the_reference_says() {
    let mut random = 7_u64;
    let mut below = |bound: usize| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (random >> 33) as usize % bound
    };
    let all = [Happens::Begin, Happens::Done, Happens::Retryable, Happens::Cancel, Happens::Stop];
    for case in 0..3_000 {
        let queue = [Queue::Serial, Queue::Reject, Queue::Parallel][below(3)];
        let (mut runs, mut reference) = (Runs::new(queue, BOUNDS), Reference::default());
        for number in 0..below(40) {
            let what = if reference.unended.is_empty() || below(3) == 0 { Happens::Start } else { all[below(5)] };
            match what {
                Happens::Start => {
                    let id = format!("r{number}");
                    let rerun = Delivery::default().max_attempts(100).on_timeout(OnTimeout::Rerun);
                    let started = runs.start(Asked { delivery: Some(rerun), ..asked(&id) });
                    assert_eq!(started, reference.start(&id, queue), "case {case}");
                }
                Happens::Begin => {
                    let at_place = below(reference.unended.len());
                    let id = reference.unended[at_place].0.clone();
                    let is_due = reference.due(queue).contains(&id.as_str().into());
                    assert_eq!(runs.begin(&id, at(0)), is_due, "case {case}: {id}");
                    if is_due {
                        reference.unended[at_place].1 = Status::Running;
                        reference.history += usize::from(!id.contains('\''));
                    }
                }
                _ => {
                    let at_place = below(reference.unended.len());
                    let id = reference.unended[at_place].0.clone();
                    reference.happens(at_place, what);
                    happens(&mut runs, &id, what);
                }
            }
            let running = reference.count(|status| status != Status::Queued);
            let seen = (runs.due(1), runs.running(), runs.queued(), runs.last_outcome());
            let queued = reference.unended.len() - running;
            assert_eq!(seen, (reference.due(queue), running, queued, reference.last), "case {case}: {what:?} {runs:?}");
            let ended = runs.all().filter(|run| run.status().is_ended()).count();
            assert!(ended <= BOUNDS.ended, "case {case}");
            assert!(runs.history().entries().len() <= reference.history, "case {case}");
        }
    }
}
