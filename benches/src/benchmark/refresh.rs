//! How long does a change take to become frames?

mod calls;
pub(super) mod peer;
mod rounds;
mod scoped;

use std::collections::BTreeMap;

use crate::cli::conditions::Conditions;
use crate::consumer::{check_all, size_of_tree, take_all};
use crate::failure::Failure;
use crate::output::plot::{self, Line};
use crate::output::plot_label;
use crate::plan::benchmark::Benchmark;
use crate::plan::cell::Cell;
use crate::plan::change::Change;
use crate::plan::defaults::{Defaults, cells_of};
use crate::result::row::Row;
use crate::subject::grove::Grove;
use crate::workload::Workload;
use crate::workload::likeness::Likeness;

pub(crate) fn cells(conditions: &Conditions, change: Option<Change>) -> Vec<Cell> {
    let cells = cells_of(Benchmark::Refresh, conditions, |workload| match workload {
        Workload::Inbox => {
            Defaults { likenesses: &Likeness::ALL, sizes: &[(1_000, 100), (10_000, 100), (100_000, 100)] }
        }
        Workload::Mail => Defaults { likenesses: &[Likeness::Distinct], sizes: &[(1_000, 100)] },
    });
    let changes = change.map_or_else(|| Change::ALL.to_vec(), |change| vec![change]);
    let with_changes =
        |cell: Cell| changes.clone().into_iter().map(move |change| Cell { change: Some(change), ..cell.clone() });
    cells.into_iter().flat_map(with_changes).collect()
}

pub(super) async fn measure(cell: &Cell) -> Result<Row, Failure> {
    let mut row = Row::of(cell);
    let grove = Grove::with_manual_clock(cell);
    let mut consumers = grove.connect(cell)?;
    row.snapshot_bytes = Some(grove.subscribe(&mut consumers).await?);
    row.set_size(size_of_tree(&consumers[0].query().await?));
    match cell.change {
        Some(Change::Scoped) => scoped::measure(cell, &grove, &mut consumers, &mut row).await?,
        Some(Change::Private | Change::Shared) | None => rounds::measure(cell, &grove, &mut consumers, &mut row).await,
    }
    if cell.change == Some(Change::Private) {
        calls::measure(cell, &grove, &mut consumers[0], &mut row).await?;
        take_all(&mut consumers);
    }
    row.add_verdict(check_all(&mut consumers).await?);
    Ok(row)
}

pub(super) fn plot(rows: &[Row]) -> Result<String, Failure> {
    let mut lines: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for row in rows {
        let (Some(sessions), Some(us)) = (row.sessions, row.us_per_session) else { continue };
        lines.entry(plot_label::conditions_without_size(row)).or_default().push((f64::from(sessions), us));
    }
    let lines: Vec<Line> = lines.into_iter().map(|(label, points)| Line { label, points }).collect();
    plot::lines("us per session from the change to the frame", "sessions", &lines)
}
