//! Many rooms of two, in which 10,000 messages are said per second in total.

use std::time::Duration;

use grove_engine::{Message, NewRoom, Room, RoomRole};
use serde_json::json;

use super::events::{Sequence, due_us, is_message};
use crate::consumer::Consumer;
use crate::failure::Failure;
use crate::measure::latencies::Latencies;
use crate::measure::stopwatch::{Stopwatch, time_of_day_us};
use crate::plan::cell::Cell;
use crate::result::row::Row;
use crate::subject::house::House;
use crate::workload::population::user;

/// One message per so many us.
const INTERVAL_US: u64 = 100;

/// For how long, in s.
const DURATION_S: u64 = 5;

/// How long all of it may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What one participant received.
struct Heard {
    latencies_us: Vec<f64>,
    sequence: Sequence,
}

pub(super) async fn measure(cell: &Cell, row: &mut Row) -> Result<(), Failure> {
    let count = cell.sessions / 2 * 2;
    let house = House::in_real_time(count);
    let consumers = house.connect(0, count, 0)?;
    let rooms = furnish(&house, count)?;
    let total = DURATION_S * 1_000_000 / INTERVAL_US;
    let expected = |room: u64| total / rooms.len() as u64 + u64::from(room < total % rooms.len() as u64);
    let listeners: Vec<_> =
        (0..).zip(consumers).map(|(u, consumer)| tokio::spawn(listen(consumer, expected(u / 2)))).collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let said_per_second = say_all(&house, &rooms, total).await?;
    let mut latencies = Latencies::new()?;
    let (mut received, mut holes) = (0, 0);
    for listener in listeners {
        let heard = tokio::time::timeout(PATIENCE, listener).await.map_err(|_| "messages were lost")???;
        latencies.record_all_us(&heard.latencies_us);
        received += heard.sequence.count;
        holes += heard.sequence.holes;
    }
    row.expect(received == total * 2 && holes == 0, || format!("{received} of {} received, {holes} holes", total * 2));
    row.messages_per_second = Some(said_per_second);
    row.p50_ms = Some(latencies.quantile_ms(0.5));
    row.p99_ms = Some(latencies.quantile_ms(0.99));
    row.max_ms = Some(latencies.max_ms());
    Ok(())
}

fn furnish(house: &House, count: u32) -> Result<Vec<Room>, Failure> {
    let mut rooms = Vec::new();
    for owner in (0..count).step_by(2) {
        let room = house.create(owner, &NewRoom::new(format!("Room {owner}")))?;
        let admitted = house.engine.rooms().admit(&House::member(owner), room.id(), user(owner + 1), RoomRole::Member);
        admitted.map_err(|error| error.to_string())?;
        house.join(owner, &room)?;
        house.join(owner + 1, &room)?;
        rooms.push(room);
    }
    Ok(rooms)
}

/// Says everything at its time; what was due while the thread had something else to do is said late, and counts as late.
async fn say_all(house: &House, rooms: &[Room], total: u64) -> Result<f64, Failure> {
    let (start_us, watch) = (time_of_day_us(), Stopwatch::start());
    for number in 0..total {
        let due_us = number * INTERVAL_US;
        while watch.elapsed_us() < due_us as f64 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let at = (number % rooms.len() as u64) as usize;
        let message = Message::data(json!({"t": start_us + due_us}));
        let speaker = House::member(at as u32 * 2 + (number / rooms.len() as u64 % 2) as u32);
        house.engine.rooms().say(&speaker, rooms[at].id(), &message).map_err(|error| error.to_string())?;
    }
    Ok(total as f64 / watch.elapsed_us() * 1e6)
}

async fn listen(mut consumer: Consumer, expected: u64) -> Result<Heard, String> {
    let mut heard = Heard { latencies_us: Vec::with_capacity(expected as usize), sequence: Sequence::default() };
    while heard.sequence.count < expected {
        let frame = consumer.hear("event").await.map_err(|failure| failure.to_string())?;
        if is_message(&frame) {
            let due_us = due_us(&frame).ok_or("a message without its time")?;
            heard.latencies_us.push(time_of_day_us().saturating_sub(due_us) as f64);
            heard.sequence.take(&frame);
        }
    }
    Ok(heard)
}
