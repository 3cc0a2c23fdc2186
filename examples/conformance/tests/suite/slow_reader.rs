//! A consumer that does not read costs little, delays nobody, and has the right tree when it reads again.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::running::Running;

/// How many changes the slow reader misses.
const CHANGES: u64 = 10_000;

/// In how many rounds the changes are made.
const ROUNDS: u64 = 40;

/// Nodes that change in each round as well, to exceed the sockets' own buffers.
const LONG: [&str; 4] = ["/doc", "/prio/hi", "/prio/plain", "/mix/i1"];

/// The size of the text in each of these nodes, in bytes.
const LENGTH: u64 = 60_000;

/// How much may wait in the outbox of a slow reader, in bytes.
const WAITING: u64 = 64 << 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "whether another session is delayed is measured in real time")]
async fn a_reader_that_misses_ten_thousand_changes_uses_bounded_memory_and_ends_with_the_exact_tree() {
    let app = Running::start().await;
    let mut slow = app.subscribed("alice-1").await;
    let mut fast = app.subscribed("alice-1").await;
    let mut other = app.subscribed("zoe-1").await;
    let before = app.stats().await["tree_bytes"].as_u64().unwrap();
    let mut slowest = Duration::ZERO;
    for round in 0..ROUNDS {
        fast.drive_ok("burst", json!({"n": CHANGES / ROUNDS})).await;
        let text = format!("{round:>width$}", width = LENGTH as usize);
        for node in LONG {
            fast.drive_ok("set", json!({"node": node, "key": "title", "value": text})).await;
        }
        let start = Instant::now();
        other.drive_ok("set", json!({"node": "/doc", "key": "title", "value": round})).await;
        slowest = slowest.max(start.elapsed());
        let stats = app.stats().await;
        let (outbox, trees) = (stats["outbox_bytes"].as_u64().unwrap(), stats["tree_bytes"].as_u64().unwrap());
        assert!(outbox < WAITING, "{outbox} bytes wait in round {round}");
        // The current tree, the previous one, and the one last sent to the slow reader, each with the long texts.
        assert!(trees < before + 4 * LENGTH * LONG.len() as u64, "{trees} bytes of trees, {before} at the start");
    }
    assert!(slowest < Duration::from_secs(2), "another session waited {slowest:?}");
    assert_eq!(fast.at("/todos/t1")["properties"]["title"], format!("burst-{}", CHANGES / ROUNDS));
    fast.check().await;
    other.check().await;
    // It reads again, and gets the latest state without all intermediate ones.
    let expected = fast.at("/mix/i1");
    let mut received = 0_u64;
    while slow.at("/mix/i1") != expected {
        slow.receive().await;
        received += 1;
    }
    assert!(received < CHANGES, "{received} messages for {CHANGES} changes");
    slow.check().await;
    assert_eq!(slow.tree(), fast.tree());
}
