//! How each benchmark measures: its cells, one measurement, and its plot.

pub(crate) mod churn;
pub(crate) mod cluster;
pub(crate) mod connect;
pub(crate) mod live;
pub(crate) mod memory;
pub(crate) mod peers;
pub(crate) mod refresh;
pub(crate) mod resume;
pub(crate) mod rooms;
pub(crate) mod runs;
pub(crate) mod slow;
pub(crate) mod storage;

use crate::failure::Failure;
use crate::plan::benchmark::Benchmark;
use crate::plan::cell::Cell;
use crate::result::row::Row;

/// Measures a cell in this process.
pub(crate) async fn measure(cell: &Cell) -> Result<Row, Failure> {
    match (cell.benchmark, cell.of_peer) {
        (Benchmark::Memory, false) => memory::measure(cell).await,
        (Benchmark::Memory, true) => memory::peer::measure(cell).await,
        (Benchmark::Refresh, false) => refresh::measure(cell).await,
        (Benchmark::Refresh, true) => refresh::peer::measure(cell),
        (Benchmark::Connect, _) => connect::measure(cell).await,
        (Benchmark::Resume, _) => resume::measure(cell).await,
        (Benchmark::Live, _) => live::measure(cell).await,
        (Benchmark::Slow, _) => slow::measure(cell).await,
        (Benchmark::Churn, _) => churn::measure(cell).await,
        (Benchmark::Rooms, _) => rooms::measure(cell).await,
        (Benchmark::Runs, _) => runs::measure(cell).await,
        (Benchmark::Storage, _) => storage::measure(cell).await,
        (Benchmark::Peers, _) => peers::measure(cell).await,
        (Benchmark::Cluster, _) => cluster::measure(cell).await,
    }
}

/// Plots the rows of a benchmark. Returns SVG.
pub(crate) fn plot(benchmark: Benchmark, rows: &[Row]) -> Result<String, Failure> {
    match benchmark {
        Benchmark::Memory => memory::plot(rows),
        Benchmark::Refresh => refresh::plot(rows),
        Benchmark::Connect => connect::plot(rows),
        Benchmark::Resume => resume::plot(rows),
        Benchmark::Live => live::plot(rows),
        Benchmark::Slow => slow::plot(rows),
        Benchmark::Churn => churn::plot(rows),
        Benchmark::Rooms => rooms::plot(rows),
        Benchmark::Runs => runs::plot(rows),
        Benchmark::Storage => storage::plot(rows),
        Benchmark::Peers => peers::plot(rows),
        Benchmark::Cluster => cluster::plot(rows),
    }
}
