//! The memory of rooms, each with its owner.

use std::time::Duration;

use grove_engine::{NewRoom, Provider as _, RoomQuery};

use crate::failure::Failure;
use crate::measure::memory_usage::MemoryUsage;
use crate::plan::cell::Cell;
use crate::result::row::Row;
use crate::subject::house::House;

pub(super) async fn measure(cell: &Cell, row: &mut Row) -> Result<(), Failure> {
    let house = House::with_manual_clock(cell.sessions);
    for u in 0..cell.sessions {
        house.engine.open_session(&House::member(u)).map_err(|error| error.to_string())?;
    }
    let before = MemoryUsage::settled().await?.heap;
    for u in 0..cell.sessions {
        house.create(u, &NewRoom::new(format!("Room {u}")))?;
    }
    house.rest().await;
    let after = MemoryUsage::settled().await?.heap;
    row.heap_bytes_per_room = Some((after - before) / f64::from(cell.sessions));
    let rooms = house.engine.rooms();
    row.expect(rooms.stats().rooms == cell.sessions as usize, || format!("{:?}", rooms.stats()));
    close_all(cell, &house, row).await?;
    row.heap_bytes_left = Some(MemoryUsage::settled().await?.heap - before);
    Ok(())
}

/// Closes all rooms and lets the time pass for which they are still shown.
async fn close_all(cell: &Cell, house: &House, row: &mut Row) -> Result<(), Failure> {
    let rooms = house.engine.rooms();
    for u in 0..cell.sessions {
        let (owner, query) = (House::member(u), RoomQuery::default());
        let page = rooms.list(&owner, &query).map_err(|error| error.to_string())?;
        row.expect(page.rooms.len() == 1, || format!("member {u} has {} rooms", page.rooms.len()));
        for room in page.rooms {
            rooms.close(&owner, room.id(), None).await.map_err(|error| error.to_string())?;
        }
    }
    house.clock.advance(house.engine.config().rooms.ended_room_retention.as_millis() as u64);
    house.engine.settle().await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    house.engine.settle().await;
    row.expect(rooms.stats().rooms == 0, || format!("rooms are left: {:?}", rooms.stats()));
    Ok(())
}
