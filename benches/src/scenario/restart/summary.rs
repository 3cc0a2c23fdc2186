//! The summary of all workers and of the database.

use std::collections::BTreeMap;
use std::time::Duration;

use super::ledger::ActionCounts;
use super::stored_tasks::StoredTasks;
use super::worker_outcome::WorkerOutcome;
use crate::output::console;
use crate::scenario::message_counts::MessageCounts;

/// How long a restart took.
pub(super) struct RestartTime {
    /// Until the old process had ended.
    pub(super) stopped: Duration,
    /// Until all consumers were connected to the new process.
    pub(super) reconnected: Duration,
}

/// Totals over all workers.
#[derive(Default)]
pub(super) struct Summary {
    consumers: u64,
    exact: u64,
    actions: ActionCounts,
    messages: MessageCounts,
    problems: Vec<String>,
}

impl Summary {
    /// Adds up the outcomes and compares them with the database.
    pub(super) fn of(outcomes: Vec<WorkerOutcome>, stored: &BTreeMap<String, StoredTasks>) -> Self {
        let mut summary = Self::default();
        for outcome in outcomes {
            summary.consumers += 1;
            summary.exact += u64::from(outcome.exact);
            summary.actions += outcome.ledger.counts;
            summary.messages += outcome.counts;
            summary.problems.extend(outcome.problems);
            summary.problems.extend(outcome.ledger.compare(stored.get(&outcome.person)));
        }
        if summary.actions.acknowledged == 0 {
            summary.problems.push("no action was acknowledged, so nothing was tested".to_owned());
        }
        summary
    }

    pub(super) fn print(&self, logins: usize, restarts: &[RestartTime]) {
        let Self { consumers, exact, actions, messages, .. } = self;
        let ActionCounts { acknowledged, unconfirmed, rejected } = actions;
        console::print(&format!("{consumers} consumers with {logins} logins"));
        console::print(&format!(
            "actions: {acknowledged} acknowledged, {unconfirmed} unconfirmed, {rejected} rejected"
        ));
        console::print(&format!("{messages}"));
        console::print(&format!("{exact} copies equal a fresh query"));
        for RestartTime { stopped, reconnected } in restarts {
            let (stopped, reconnected) = (stopped.as_secs_f64(), reconnected.as_secs_f64());
            console::print(&format!(
                "SIGTERM: exited with 0 after {stopped:.2} s; all consumers reconnected after {reconnected:.2} s"
            ));
        }
    }

    pub(super) fn problems(&self) -> &[String] {
        &self.problems
    }
}
