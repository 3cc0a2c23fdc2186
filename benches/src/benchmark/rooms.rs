//! What do rooms cost?

mod events;
mod exchange;
mod joining;
mod leases;
mod live;
mod memory;
mod message;
mod off;
mod participants;
mod record;

use crate::cli::rooms_options::RoomsOptions;
use crate::failure::Failure;
use crate::measure::allocator;
use crate::output::plot::{self, Bar};
use crate::plan::benchmark::Benchmark;
use crate::plan::cell::Cell;
use crate::plan::room_case::RoomCase;
use crate::result::row::Row;

/// The cells that these options ask for.
pub(crate) fn cells(options: &RoomsOptions) -> Vec<Cell> {
    let cases = options.case.map_or_else(|| RoomCase::ALL.to_vec(), |case| vec![case]);
    cases.into_iter().flat_map(|case| cells_of(case, options)).collect()
}

fn cells_of(case: RoomCase, options: &RoomsOptions) -> Vec<Cell> {
    let sessions = options.sessions.map_or_else(|| default_sessions(case).to_vec(), |sessions| vec![sessions]);
    sessions.into_iter().map(|sessions| cell(case, sessions)).collect()
}

const fn default_sessions(case: RoomCase) -> &'static [u32] {
    match case {
        RoomCase::Off | RoomCase::Record | RoomCase::Crowd | RoomCase::Pairs => &[10_000],
        RoomCase::Message => &[1_000],
        RoomCase::Exchange => &[200, 10_000],
        RoomCase::Joining => &[100, 1_000],
        RoomCase::Leases => &[100_000],
        RoomCase::Memory => &[5_000],
        RoomCase::Live => &[9_000],
    }
}

fn cell(case: RoomCase, sessions: u32) -> Cell {
    Cell { rooms: Some(case), ..Cell::without_workload(Benchmark::Rooms, sessions) }
}

pub(super) async fn measure(cell: &Cell) -> Result<Row, Failure> {
    let mut row = Row::of(cell);
    row.active = None;
    let case = cell.rooms.ok_or("a cell of rooms without a case")?;
    row.per_room = Some(case.per_room(cell.sessions));
    if case.is_about_memory() {
        row.allocator = Some(allocator::name());
    }
    match case {
        RoomCase::Off => off::measure(cell, &mut row).await?,
        RoomCase::Record => record::measure(cell, &mut row).await?,
        RoomCase::Crowd | RoomCase::Pairs => participants::measure(cell, case, &mut row).await?,
        RoomCase::Message => message::measure(cell, &mut row)?,
        RoomCase::Exchange => exchange::measure(cell, &mut row).await?,
        RoomCase::Joining => joining::measure(cell, &mut row).await?,
        RoomCase::Leases => leases::measure(cell, &mut row).await?,
        RoomCase::Memory => memory::measure(cell, &mut row).await?,
        RoomCase::Live => live::measure(cell, &mut row).await?,
    }
    Ok(row)
}

pub(super) fn plot(rows: &[Row]) -> Result<String, Failure> {
    let bar = |row: &Row| {
        let (case, sessions) = (row.rooms?.name(), row.sessions?);
        let bytes = row.heap_bytes_per_room.or(row.heap_bytes_per_participant)?;
        Some(Bar { label: format!("{case} {sessions}"), value: bytes })
    };
    plot::bars(
        "Bytes of live heap per room or participant (jemalloc)",
        &rows.iter().filter_map(bar).collect::<Vec<_>>(),
    )
}
