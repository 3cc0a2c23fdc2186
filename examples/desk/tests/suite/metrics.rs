//! What operators see of a desk at work.

use std::time::Duration;

use axum::Router;
use grove_engine::Scope;

use crate::browser::Browser;
use crate::running::{Running, within_deadline};

/// What an operator has to be able to see (issue 5.8), and what the desk has of it at least.
const SEEN: [(&str, f64); 14] = [
    ("grove_sessions", 3.0),
    ("grove_trees", 3.0),
    ("grove_tree_bytes", 1_000.0),
    ("grove_connections", 3.0),
    ("grove_evaluations_total{path=\"/tasks\"}", 3.0),
    ("grove_evaluations_shared_total", 1.0),
    ("grove_pass_seconds_count", 1.0),
    ("grove_frames_total{kind=\"snapshot\"}", 3.0),
    ("grove_frames_total{kind=\"patch\"}", 1.0),
    ("grove_frame_bytes_total{kind=\"snapshot\"}", 1_000.0),
    ("grove_outbox_bytes", 0.0),
    ("grove_invokes_total{status=\"ok\"}", 1.0),
    ("grove_connects_total", 3.0),
    ("grove_refusals_total{status=\"401\"}", 1.0),
];

fn value(scrape: &str, sample: &str) -> Option<f64> {
    scrape.lines().find_map(|line| line.strip_prefix(sample)?.trim().parse().ok())
}

/// Waits until a scrape has at least this value.
async fn shows(operator: &Browser, sample: &str, least: f64) {
    let shown = async {
        while value(&operator.get("/metrics").await.1, sample).is_none_or(|value| value < least) {
            tokio::task::yield_now().await;
        }
    };
    within_deadline(sample, shown).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scrape_shows_what_people_and_their_ais_did() {
    let running = Running::start().await;
    let operators: Router = grove_axum::metrics(running.desk.engine().clone());
    let operator = Browser::with_cookie(operators, "");
    // Two of one org share its board.
    let alice = running.agent("alice").await;
    let _others = [running.agent("amir").await, running.agent("zoe").await];
    assert_eq!(running.upgrade("?token=nobody", "").await, 401);
    alice.invoke("/tasks", "add", serde_json::json!({"title": "Look at the metrics"})).await.unwrap();
    running.desk.engine().refresh_now(Scope::all()).await;
    for (sample, least) in SEEN {
        shows(&operator, sample, least).await;
    }
    running.desk.engine().shutdown(Duration::ZERO).await;
    shows(&operator, "grove_disconnects_total{reason=\"closing\"}", 3.0).await;
}
