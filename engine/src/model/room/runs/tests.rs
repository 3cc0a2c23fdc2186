//! Which runs of a room are in progress, and what is kept of them.

use serde_json::json;

use super::super::run::delivery::Delivery;
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
