//! An engine that starts with rooms that were kept.

use super::kept_house::{furnish, house, open, room_id, say};
use crate::consumer::Consumer;
use crate::failure::Failure;
use crate::measure::stopwatch::Stopwatch;
use crate::plan::cell::Cell;
use crate::result::row::Row;
use crate::results_folder::Scratch;
use crate::subject::house::House;

pub(super) async fn measure(cell: &Cell, row: &mut Row) -> Result<(), Failure> {
    let scratch = Scratch::new("restart")?;
    let before = house(open(scratch.path()).await?, cell.sessions);
    drop(furnish(&before, cell.sessions).await?);
    drop(before);
    // Waits until the engine has let go of it.
    drop(open(scratch.path()).await?);
    let watch = Stopwatch::start();
    let storage = open(scratch.path()).await?;
    row.open_ms = Some(watch.elapsed_us() / 1e3);
    let house = house(storage, cell.sessions);
    let last = cell.sessions - 1;
    let mut consumer = Consumer::connect(&house.engine, &House::member(last), false)?;
    consumer.wait_for("hello").await?;
    row.first_frame_ms = Some(watch.elapsed_us() / 1e3);
    let rooms = house.engine.rooms().stats().rooms;
    row.expect(rooms == cell.sessions as usize, || format!("{rooms} of {} rooms are there", cell.sessions));
    for u in [0, last / 2, last] {
        let seq = say(&house, u, &room_id(u), 0)?;
        row.expect(seq == 2, || format!("the first message of room {u} is event {seq}"));
    }
    Ok(())
}
