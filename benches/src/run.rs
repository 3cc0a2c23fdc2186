//! Runs a suite: each cell in its own process, so that no cell inherits the heap of another.

use std::io::Write as _;
use std::process::Stdio;

use tokio::process::Command;

use crate::benchmark;
use crate::failure::Failure;
use crate::plan::cell::Cell;
use crate::plan::planned_cell::PlannedCell;
use crate::report::Report;
use crate::result::row::Row;
use crate::suite::Suite;

/// Measures all cells and reports their rows. Returns whether every check passed.
pub(crate) async fn suite(suite: Suite) -> Result<bool, Failure> {
    let mut report = Report::start(suite.name, suite.output, suite.cells.len());
    for PlannedCell { cell, peer_sessions } in suite.cells {
        report.show_progress(&cell);
        let mut row = measure_in_child(&cell).await?;
        if let Some(at_most) = peer_sessions {
            let of_peer = cell.of_peer(at_most);
            report.show_progress(&of_peer);
            row.compare_with_peer(measure_in_child(&of_peer).await?);
        }
        report.add(cell.benchmark, row);
    }
    report.finish()
}

async fn measure_in_child(cell: &Cell) -> Result<Row, Failure> {
    let (variable, settings) = cell.allocator_settings().variable();
    // `Command::output` would swallow the child's errors.
    let child = Command::new(std::env::current_exe()?)
        .arg("cell")
        .arg(serde_json::to_string(cell)?)
        .env(variable, settings)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let output = child.wait_with_output().await?;
    if !output.status.success() {
        return Err(format!("the process that measured `{}` ended with {}", cell.title(), output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// The child process: measures a cell and writes its row to standard output.
pub(crate) async fn cell(json: &str) -> Result<(), Failure> {
    let cell: Cell = serde_json::from_str(json)?;
    let row = benchmark::measure(&cell).await?;
    let mut out = std::io::stdout().lock();
    serde_json::to_writer(&mut out, &row)?;
    out.flush()?;
    Ok(())
}
