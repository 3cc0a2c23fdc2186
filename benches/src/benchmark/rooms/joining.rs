//! Sessions that join and leave one room, while everybody in it shows the whole tree.

use grove_engine::{Access, NewRoom, Room};

use crate::consumer::{Consumer, SUBSCRIBE, check_all, take_all};
use crate::failure::Failure;
use crate::measure::stopwatch::Stopwatch;
use crate::plan::cell::Cell;
use crate::result::row::Row;
use crate::subject::house::House;

/// The fastest of so many counts.
const ROUNDS: u32 = 200;

/// How many sessions join within one debounce window.
const GUESTS: u32 = 10;

/// How many consumers record their frames.
const RECORDED: u32 = 32;

/// What the consumers received in one debounce window.
#[derive(Debug, Default, Clone, Copy)]
struct Window {
    events: u64,
    patches: u64,
    patch_bytes: u64,
}

pub(super) async fn measure(cell: &Cell, row: &mut Row) -> Result<(), Failure> {
    let house = House::with_manual_clock(cell.sessions + GUESTS);
    let mut consumers = house.connect(0, cell.sessions, RECORDED)?;
    let room = house.create(0, &NewRoom::new("Room").access(Access::Project))?;
    house.join_each((0..cell.sessions).map(|u| (u, &room)), &mut consumers)?;
    consumers.iter().for_each(|consumer| consumer.say(SUBSCRIBE));
    look(&house, &mut consumers).await;
    let mut guests = house.connect(cell.sessions, GUESTS, 0)?;
    look_at_windows(cell, &house, &room, &mut consumers, row).await?;
    take_all(&mut guests);
    time_steps(cell, &house, &room, &mut consumers, row).await?;
    row.add_verdict(check_all(&mut consumers).await?);
    Ok(())
}

/// What everybody receives if one guest joins, and if all do, within one debounce window.
async fn look_at_windows(
    cell: &Cell,
    house: &House,
    room: &Room,
    consumers: &mut [Consumer],
    row: &mut Row,
) -> Result<(), Failure> {
    look(house, consumers).await;
    house.join(cell.sessions, room)?;
    let one = look(house, consumers).await;
    for guest in 1..GUESTS {
        house.join(cell.sessions + guest, room)?;
    }
    let all = look(house, consumers).await;
    for guest in 0..GUESTS {
        house.leave(cell.sessions + guest, room)?;
    }
    let left = look(house, consumers).await;
    let count = u64::from(cell.sessions);
    row.expect(one.events == count && one.patches == count, || format!("{one:?} of one guest"));
    row.expect(all.patches == count && left.patches == count, || format!("{all:?} and {left:?} of the guests"));
    row.frame_bytes = Some(one.patch_bytes as f64 / f64::from(cell.sessions));
    row.patch_bytes_of_another = Some((all.patch_bytes as f64 / f64::from(cell.sessions)) / f64::from(GUESTS - 1));
    Ok(())
}

/// How long each call takes, the events to everybody included.
async fn time_steps(
    cell: &Cell,
    house: &House,
    room: &Room,
    consumers: &mut [Consumer],
    row: &mut Row,
) -> Result<(), Failure> {
    let (mut join_us, mut leave_us) = (f64::MAX, f64::MAX);
    let mut events = 0;
    for _ in 0..ROUNDS {
        let watch = Stopwatch::start();
        house.join(cell.sessions, room)?;
        join_us = join_us.min(watch.elapsed_us());
        events += look(house, consumers).await.events;
        let watch = Stopwatch::start();
        house.leave(cell.sessions, room)?;
        leave_us = leave_us.min(watch.elapsed_us());
        events += look(house, consumers).await.events;
    }
    (row.join_us, row.leave_us) = (Some(join_us), Some(leave_us));
    let expected = u64::from(ROUNDS) * 2 * u64::from(cell.sessions);
    row.expect(events == expected, || format!("{events} of {expected} events were received"));
    Ok(())
}

/// Lets a debounce window pass and takes everything.
async fn look(house: &House, consumers: &mut [Consumer]) -> Window {
    house.refresh().await;
    let mut window = Window::default();
    for consumer in consumers {
        consumer.take_each(|frame| {
            window.events += u64::from(frame.starts_with(r#"{"type":"event""#));
            if frame.starts_with(r#"{"type":"patch""#) {
                window.patches += 1;
                window.patch_bytes += frame.len() as u64;
            }
        });
    }
    window
}
