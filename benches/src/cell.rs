//! One measurement, in a process of its own: no cell finds the heap as another left it.

use std::io::Write as _;
use std::process::Stdio;

use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::options::Change;
use crate::question::Question;
use crate::row::Row;
use crate::workload::{Likeness, Workload};
use crate::{Failure, heap};

/// What is measured under which conditions.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Cell {
    pub(crate) question: Question,
    pub(crate) workload: Workload,
    pub(crate) likeness: Likeness,
    /// How many sessions are known.
    pub(crate) sessions: u32,
    /// How many of a hundred have a subscribed consumer.
    pub(crate) active: u32,
    pub(crate) change: Option<Change>,
    /// How many changes happen while consumers of `resume` are away.
    pub(crate) gap: Option<u32>,
    /// The server of `live`: a binary or a URL.
    pub(crate) server: Option<String>,
    /// Whether each session has a provider of its own.
    pub(crate) per_session: bool,
    /// Whether the peer is measured and not Grove.
    pub(crate) of_peer: bool,
}

impl Cell {
    /// How many sessions have a subscribed consumer.
    pub(crate) const fn active_sessions(&self) -> u32 {
        let active = self.sessions as u64 * self.active as u64 / 100;
        if active == 0 { 1 } else { active as u32 }
    }

    /// Which member the `at`th active session belongs to. They are spread over all, so that those who are alike stay
    /// alike in the same proportion.
    pub(crate) fn member(&self, at: u32) -> u32 {
        (u64::from(at) * u64::from(self.sessions) / u64::from(self.active_sessions())) as u32
    }

    /// The same conditions for the peer, with as many sessions as it can be given, all active.
    pub(crate) fn of_peer(&self, at_most: u32) -> Self {
        let sessions = self.active_sessions().min(at_most);
        Self { sessions, active: 100, per_session: false, of_peer: true, ..self.clone() }
    }

    /// In a few words, for the progress bar.
    pub(crate) fn title(&self) -> String {
        let who = match (self.of_peer, self.per_session) {
            (true, _) => "slop-ai ",
            (false, true) => "per session ",
            (false, false) => "",
        };
        let change = self.change.map_or(String::new(), |change| format!(" {change:?}").to_lowercase());
        let gap = self.gap.map_or(String::new(), |gap| format!(" after {gap}"));
        format!(
            "{who}{}{change}{gap} {} {} {}@{}%",
            self.question.name(),
            self.workload.name(),
            self.likeness.name(),
            self.sessions,
            self.active
        )
    }

    /// Measures in a process of its own.
    pub(crate) async fn measure(&self) -> Result<Row, Failure> {
        let settings = if matches!(self.question, Question::Memory | Question::Churn) { heap::EXACT } else { "" };
        let output = Command::new(std::env::current_exe()?)
            .arg("cell")
            .arg(serde_json::to_string(self)?)
            .env(heap::SETTINGS, settings)
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .output()
            .await?;
        if !output.status.success() {
            return Err(format!("`{}` ended with {}", self.title(), output.status).into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

/// Measures the cell in this process and writes its row.
pub(crate) async fn measure_here(cell: &str) -> Result<(), Failure> {
    let cell: Cell = serde_json::from_str(cell)?;
    let row = cell.question.measure(&cell).await?;
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, &row)?;
    out.flush()?;
    Ok(())
}
