//! What do runs cost?

mod agents;
mod chunks;
mod idle;
mod others;
mod stalled;
mod stream;

use crate::cli::runs_options::RunsOptions;
use crate::failure::Failure;
use crate::measure::allocator;
use crate::output::plot::{self, Bar};
use crate::plan::benchmark::Benchmark;
use crate::plan::cell::Cell;
use crate::plan::run_case::RunCase;
use crate::result::row::Row;

/// The cells that these options ask for.
pub(crate) fn cells(options: &RunsOptions) -> Vec<Cell> {
    let cases = options.case.map_or_else(|| RunCase::ALL.to_vec(), |case| vec![case]);
    let cell = |case| {
        let sessions = options.sessions.unwrap_or(default_sessions(case));
        Cell { runs: Some(case), ..Cell::without_workload(Benchmark::Runs, sessions) }
    };
    cases.into_iter().map(cell).collect()
}

const fn default_sessions(case: RunCase) -> u32 {
    match case {
        RunCase::Stream => 1_000,
        RunCase::Stalled => 8,
        RunCase::Idle => 10_000,
    }
}

pub(super) async fn measure(cell: &Cell) -> Result<Row, Failure> {
    let mut row = Row::of(cell);
    row.active = None;
    let case = cell.runs.ok_or("a cell of runs without a case")?;
    if case.is_about_memory() {
        row.allocator = Some(allocator::name());
    }
    match case {
        RunCase::Stream => stream::measure(cell, &mut row).await?,
        RunCase::Stalled => stalled::measure(cell, &mut row).await?,
        RunCase::Idle => idle::measure(cell, &mut row).await?,
    }
    Ok(row)
}

pub(super) fn plot(rows: &[Row]) -> Result<String, Failure> {
    let bar = |row: &Row| {
        let label = format!("{} {}", row.case()?, row.sessions?);
        let bytes = row.heap_bytes_per_stalled.or(row.heap_bytes_per_run)?;
        Some(Bar { label, value: bytes })
    };
    plot::bars("Bytes of live heap per run or watcher (jemalloc)", &rows.iter().filter_map(bar).collect::<Vec<_>>())
}
