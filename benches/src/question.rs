//! What can be asked. Each question has a file: its cells, how one is measured, and what its plot shows.

mod all;
mod churn;
mod connect;
pub(crate) mod live;
mod memory;
mod plan;
mod refresh;
mod resume;
mod rounds;
mod smoke;

use serde::{Deserialize, Serialize};

use self::live::slow;
use self::plan::{Planned, planned};
use crate::Failure;
use crate::cell::Cell;
use crate::options::{Command, Shown};
use crate::report::Report;
use crate::row::Row;

/// What is asked of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Question {
    Memory,
    Refresh,
    Connect,
    Resume,
    Live,
    Slow,
    Churn,
}

impl Question {
    /// In the order in which answers are shown.
    pub(crate) const EACH: [Self; 7] =
        [Self::Memory, Self::Refresh, Self::Connect, Self::Resume, Self::Live, Self::Slow, Self::Churn];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Refresh => "refresh",
            Self::Connect => "connect",
            Self::Resume => "resume",
            Self::Live => "live",
            Self::Slow => "slow",
            Self::Churn => "churn",
        }
    }

    /// What is measured and what the baseline is.
    pub(crate) const fn prose(self) -> &'static str {
        match self {
            Self::Memory => memory::PROSE,
            Self::Refresh => refresh::PROSE,
            Self::Connect => connect::PROSE,
            Self::Resume => resume::PROSE,
            Self::Live => live::PROSE,
            Self::Slow => slow::PROSE,
            Self::Churn => churn::PROSE,
        }
    }

    /// Measures one cell of this question, here.
    pub(crate) async fn measure(self, cell: &Cell) -> Result<Row, Failure> {
        match (self, cell.of_peer) {
            (Self::Memory, false) => memory::measure(cell).await,
            (Self::Memory, true) => memory::measure_peer(cell).await,
            (Self::Refresh, false) => refresh::measure(cell).await,
            (Self::Refresh, true) => refresh::measure_peer(cell),
            (Self::Connect, _) => connect::measure(cell).await,
            (Self::Resume, _) => resume::measure(cell).await,
            (Self::Live, _) => live::measure(cell).await,
            (Self::Slow, _) => slow::measure(cell).await,
            (Self::Churn, _) => churn::measure(cell).await,
        }
    }

    /// Whether the peer can be asked as well.
    const fn has_peer(self) -> bool {
        matches!(self, Self::Memory | Self::Refresh)
    }

    pub(crate) fn draw(self, rows: &[Row]) -> Result<String, Failure> {
        match self {
            Self::Memory => memory::draw(rows),
            Self::Refresh => refresh::draw(rows),
            Self::Connect => connect::draw(rows),
            Self::Resume => resume::draw(rows),
            Self::Live => live::draw(rows),
            Self::Slow => slow::draw(rows),
            Self::Churn => churn::draw(rows),
        }
    }
}

/// Measures what was asked and shows it. True if everything happened as it had to.
pub(crate) async fn answer(asked: Command) -> Result<bool, Failure> {
    let (name, shown, plan) = match asked {
        Command::Memory { asked, per_session } => {
            let cells: Vec<Cell> = memory::cells(&asked).into_iter().map(|cell| Cell { per_session, ..cell }).collect();
            ("memory", asked.shown, planned(&asked, &cells))
        }
        Command::Refresh { asked, change } => {
            ("refresh", asked.shown, planned(&asked, &refresh::cells(&asked, change)))
        }
        Command::Connect(asked) => ("connect", asked.shown, planned(&asked, &connect::cells(&asked))),
        Command::Resume { asked, gap } => ("resume", asked.shown, planned(&asked, &resume::cells(&asked, gap))),
        Command::Live { asked, server } => {
            ("live", asked.shown, planned(&asked, &live::cells(&asked, server.as_deref())))
        }
        Command::Slow(asked) => ("slow", asked.shown, planned(&asked, &slow::cells(&asked))),
        Command::Churn(asked) => ("churn", asked.shown, planned(&asked, &churn::cells(&asked))),
        Command::Smoke(shown) => ("smoke", shown, smoke::plan()),
        Command::All(shown) => ("all", shown, all::plan()),
        Command::Cell { .. }
        | Command::Serve(_)
        | Command::Restart(_)
        | Command::Soak(_)
        | Command::SoakServer { .. } => unreachable!("no question"),
    };
    run(name, shown, plan).await
}

async fn run(name: &str, shown: Shown, plan: Vec<Planned>) -> Result<bool, Failure> {
    let mut report = Report::begin(name, shown.json, plan.len());
    for Planned { cell, peer_sessions } in plan {
        report.next(&cell);
        let mut row = cell.measure().await?;
        if let Some(at_most) = peer_sessions.filter(|_| cell.question.has_peer()) {
            let of_peer = cell.of_peer(at_most);
            report.next(&of_peer);
            row.put_beside(of_peer.measure().await?);
        }
        report.add(cell.question, row);
    }
    report.end()
}
