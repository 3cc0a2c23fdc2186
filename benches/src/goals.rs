//! What the figures ought to be. A figure is compared only under the conditions for which its goal was set.

use crate::options::Change;
use crate::row::Row;
use crate::workload::{Likeness, Workload};

/// One goal and what was measured for it.
#[derive(Debug)]
pub(crate) struct Goal {
    pub(crate) what: &'static str,
    pub(crate) at_most: f64,
    pub(crate) measured: f64,
}

impl Goal {
    pub(crate) fn is_met(&self) -> bool {
        self.measured <= self.at_most
    }
}

/// The goals that a row speaks to.
pub(crate) fn of(row: &Row) -> Vec<Goal> {
    if row.workload != Some(Workload::Inbox) {
        return Vec::new();
    }
    match row.question.as_deref() {
        Some("memory") => memory(row),
        Some("refresh") => refresh(row),
        Some("resume") => resume(row),
        Some("live") => live(row),
        Some("slow") => slow(row),
        Some("churn") => churn(row),
        _ => Vec::new(),
    }
}

fn goal(what: &'static str, at_most: f64, measured: Option<f64>) -> Option<Goal> {
    Some(Goal { what, at_most, measured: measured? })
}

fn memory(row: &Row) -> Vec<Goal> {
    let (sessions, active) = (f64::from(row.sessions.unwrap_or(0)), f64::from(row.active.unwrap_or(0)) / 100.0);
    if row.per_session == Some(true) {
        let counts = sessions >= 1_000.0 && row.likeness == Some(Likeness::Distinct);
        let bytes = row.rss_bytes_per_active.filter(|_| counts);
        return goal("resident bytes, active, distinct, a provider per session", 16_000.0, bytes).into_iter().collect();
    }
    let per_active = match row.likeness {
        // Below, what the process takes anyway weighs on each.
        _ if sessions * active < 10_000.0 => None,
        Some(Likeness::Distinct) => goal("resident bytes, active, distinct", 9_000.0, row.rss_bytes_per_active),
        Some(Likeness::Tenth) => goal("resident bytes, active, tenth", 2_000.0, row.rss_bytes_per_active),
        Some(Likeness::One) => goal("resident bytes, active, one view", 1_000.0, row.rss_bytes_per_active),
        None => None,
    };
    let all = row.rss_bytes_per_active.zip(row.heap_bytes_per_idle);
    let all_mb = all.map(|(of_active, of_idle)| sessions * (active * of_active + (1.0 - active) * of_idle) / 1e6);
    let hundred_thousand = (sessions, row.active, row.likeness) == (100_000.0, Some(10), Some(Likeness::Distinct));
    let all_of_them = if hundred_thousand { goal("MB, 100,000 with a tenth active", 130.0, all_mb) } else { None };
    let idle = if sessions >= 10_000.0 { goal("heap bytes, idle", 400.0, row.heap_bytes_per_idle) } else { None };
    [per_active, idle, all_of_them].into_iter().flatten().collect()
}

fn refresh(row: &Row) -> Vec<Goal> {
    if row.sessions.unwrap_or_default() < 10_000 {
        return Vec::new();
    }
    let goal = match row.change {
        Some(Change::Private) => goal("us, private change", 50.0, row.us_per_session),
        Some(Change::Shared) => goal("us, shared change", 2.0, row.us_per_session),
        Some(Change::Scoped) | None => None,
    };
    let call = goal_of_call(row);
    goal.into_iter().chain(call).collect()
}

/// Only a pass over many is long enough to be in the way.
fn goal_of_call(row: &Row) -> Option<Goal> {
    goal("p99 ms, a call while a pass runs", 50.0, row.call_p99_ms)
}

fn resume(row: &Row) -> Vec<Goal> {
    goal("percent of a snapshot's bytes, resumed", 5.0, row.resume_percent).into_iter().collect()
}

fn live(row: &Row) -> Vec<Goal> {
    if row.connections.unwrap_or_default() < 5_000 {
        return Vec::new();
    }
    // Only where all share one view is a connection's share not mostly its tree.
    let bytes = (row.likeness == Some(Likeness::One)).then_some(row.rss_bytes_per_connection).flatten();
    let goals = [
        goal("resident bytes, live connection", 9_000.0, bytes),
        goal("p99 ms, shared change, live", 250.0, row.p99_ms),
    ];
    goals.into_iter().flatten().collect()
}

/// Over fewer consumers a p99 is the latency of one or two.
fn slow(row: &Row) -> Vec<Goal> {
    if row.connections.unwrap_or_default() < 1_000 {
        return Vec::new();
    }
    let goals = [
        goal("times the p99 of others beside stalled readers, shared change", 1.1, row.shared_p99_ratio),
        goal("times the p99 of others beside stalled readers, private change", 1.1, row.private_p99_ratio),
        goal("heap bytes, stalled reader", 200_000.0, row.heap_bytes_per_stalled),
    ];
    goals.into_iter().flatten().collect()
}

/// In a short run one map that grows by a step is more than a hundredth.
fn churn(row: &Row) -> Vec<Goal> {
    if row.sessions.unwrap_or_default() < 50_000 {
        return Vec::new();
    }
    goal("times the live heap after everybody came and left", 1.01, row.heap_ratio).into_iter().collect()
}
