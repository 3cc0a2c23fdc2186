//! A consumer that does not read costs little, holds up nobody, and has the right tree when it reads again.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::running::Running;

/// How many changes it misses.
const CHANGES: u64 = 10_000;

/// In how many rounds.
const ROUNDS: u64 = 40;

/// What changes in each round besides: so much that the sockets' own buffers do not hold it all.
const LONG: [&str; 4] = ["/doc", "/prio/hi", "/prio/plain", "/mix/i1"];

/// How long each of these becomes, in bytes.
const LENGTH: u64 = 60_000;

/// What may wait for a reader who does not read, in bytes.
const WAITING: u64 = 64 << 10;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::disallowed_methods, reason = "whether somebody is held up is a matter of real time")]
async fn a_reader_that_misses_ten_thousand_changes_uses_bounded_memory_and_ends_with_the_exact_tree() {
    let app = Running::start().await;
    let mut slow = app.watching("alice-1").await;
    let mut brisk = app.watching("alice-1").await;
    let mut other = app.watching("zoe-1").await;
    let before = app.stats().await["tree_bytes"].as_u64().unwrap();
    let mut slowest = Duration::ZERO;
    for round in 0..ROUNDS {
        brisk.make("burst", json!({"n": CHANGES / ROUNDS})).await;
        let text = format!("{round:>width$}", width = LENGTH as usize);
        for node in LONG {
            brisk.make("set", json!({"node": node, "key": "title", "value": text})).await;
        }
        let start = Instant::now();
        other.make("set", json!({"node": "/doc", "key": "title", "value": round})).await;
        slowest = slowest.max(start.elapsed());
        let stats = app.stats().await;
        let (outbox, trees) = (stats["outbox_bytes"].as_u64().unwrap(), stats["tree_bytes"].as_u64().unwrap());
        assert!(outbox < WAITING, "{outbox} bytes wait in round {round}");
        // The tree now, the one before, and the one that the slow one was last sent; each with the long texts.
        assert!(trees < before + 4 * LENGTH * LONG.len() as u64, "{trees} bytes of trees, {before} at first");
    }
    assert!(slowest < Duration::from_secs(2), "another session waited {slowest:?}");
    assert_eq!(brisk.at("/todos/t1")["properties"]["title"], format!("burst-{}", CHANGES / ROUNDS));
    brisk.check().await;
    other.check().await;
    // It reads again, and sees the newest state without all that lay between.
    let wanted = brisk.at("/mix/i1");
    let mut heard = 0_u64;
    while slow.at("/mix/i1") != wanted {
        slow.hear().await;
        heard += 1;
    }
    assert!(heard < CHANGES, "{heard} messages for {CHANGES} changes");
    slow.check().await;
    assert_eq!(slow.tree(), brisk.tree());
}
