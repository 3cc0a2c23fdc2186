//! What does it cost to keep what happens in rooms?

mod append;
mod databases;
mod kept_house;
mod kill;
mod replay;
mod restart;
pub(crate) mod log_writer;
pub(crate) mod storage_writer;

use crate::cli::storage_options::StorageOptions;
use crate::failure::Failure;
use crate::output::plot::{self, Bar};
use crate::plan::benchmark::Benchmark;
use crate::plan::cell::Cell;
use crate::plan::database_kind::DatabaseKind;
use crate::plan::storage_case::StorageCase;
use crate::result::row::Row;

/// The cells that these options ask for.
pub(crate) fn cells(options: &StorageOptions) -> Vec<Cell> {
    let cases = options.case.map_or_else(|| StorageCase::ALL.to_vec(), |case| vec![case]);
    let cell = |case| {
        let sessions = options.sessions.unwrap_or(default_sessions(case));
        Cell { storage: Some(case), ..Cell::without_workload(Benchmark::Storage, sessions) }
    };
    cases.into_iter().map(cell).flat_map(for_each_database).collect()
}

/// One cell for each database, if they are compared.
fn for_each_database(cell: Cell) -> Vec<Cell> {
    if cell.storage != Some(StorageCase::Databases) {
        return vec![cell];
    }
    DatabaseKind::ALL.map(|kind| Cell { database: Some(kind), ..cell.clone() }).into()
}

const fn default_sessions(case: StorageCase) -> u32 {
    match case {
        StorageCase::Append => 256,
        StorageCase::Replay | StorageCase::Databases => 100,
        StorageCase::Restart => 100_000,
        StorageCase::Kill => 64,
    }
}

pub(super) async fn measure(cell: &Cell) -> Result<Row, Failure> {
    let mut row = Row::of(cell);
    row.active = None;
    match cell.storage.ok_or("a cell of storage without a case")? {
        StorageCase::Append => append::measure(cell, &mut row).await?,
        StorageCase::Replay => replay::measure(cell, &mut row).await?,
        StorageCase::Restart => restart::measure(cell, &mut row).await?,
        StorageCase::Kill => kill::measure(cell, &mut row).await?,
        StorageCase::Databases => databases::measure(cell, &mut row).await?,
    }
    Ok(row)
}

pub(super) fn plot(rows: &[Row]) -> Result<String, Failure> {
    let bars = rows.iter().flat_map(|row| {
        let case = row.case().unwrap_or_default();
        let bar = |what: &str, value: Option<f64>| Some(Bar { label: format!("{case} {what}"), value: value? });
        let by = [("", row.events_per_second), ("by the database alone", row.alone_per_second)];
        by.map(|(what, value)| bar(what, value)).into_iter().flatten()
    });
    plot::bars("Events per second", &bars.collect::<Vec<_>>())
}
