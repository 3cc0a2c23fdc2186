//! What do several instances cost each other?

pub(crate) mod foreign;
mod instances;
mod notice;

use grove_nats::testing::NatsServer;

use crate::cli::cluster_options::ClusterOptions;
use crate::failure::Failure;
use crate::output::console;
use crate::output::plot::{self, Bar};
use crate::plan::benchmark::Benchmark;
use crate::plan::cell::Cell;
use crate::plan::cluster_case::ClusterCase;
use crate::result::row::Row;

/// The cells that these options ask for.
pub(crate) fn cells(options: &ClusterOptions) -> Vec<Cell> {
    let cases = options.case.map_or_else(|| ClusterCase::ALL.to_vec(), |case| vec![case]);
    let cell = |case| Cell { cluster: Some(case), ..Cell::without_workload(Benchmark::Cluster, options.sessions) };
    cases.into_iter().map(cell).collect()
}

pub(super) async fn measure(cell: &Cell) -> Result<Row, Failure> {
    let mut row = Row::of(cell);
    row.active = None;
    let Some(program) = NatsServer::program() else {
        console::note("`cluster` is not measured, since there is no nats-server");
        return Ok(row);
    };
    let server = NatsServer::start(&program);
    match cell.cluster.ok_or("a cell of a cluster without a case")? {
        ClusterCase::Notice => notice::measure(cell, &server, &mut row).await?,
        ClusterCase::Foreign => foreign::measure(cell, &server, &mut row).await?,
    }
    Ok(row)
}

pub(super) fn plot(rows: &[Row]) -> Result<String, Failure> {
    let bar = |row: &Row| {
        let label = format!("{} {}", row.case()?, row.sessions?);
        Some(Bar { label, value: row.p99_ms_beyond_debounce.or(row.percent_of_a_core)? })
    };
    let title = "p99 of a frame on another instance beyond the debounce, in ms; foreign notices, in % of a core";
    plot::bars(title, &rows.iter().filter_map(bar).collect::<Vec<_>>())
}
