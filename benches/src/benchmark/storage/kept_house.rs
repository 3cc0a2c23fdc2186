//! An engine whose rooms are kept in a directory.

use std::path::Path;
use std::time::Duration;

use grove_engine::{Config, Message, NewRoom, Room, RoomOptions, Storage, StorageError};
use serde_json::json;

use crate::failure::Failure;
use crate::subject::house::House;

/// How long an engine may take to let go of its directory.
const PATIENCE: Duration = Duration::from_secs(30);

fn config(rooms: u32) -> Config {
    let mut config = House::config(rooms);
    config.rooms.keep_events = 10_000_000;
    config
}

/// Opens what is kept in a directory, as soon as nobody else has it open.
pub(super) async fn open(directory: &Path) -> Result<Storage, Failure> {
    let open = async {
        loop {
            match Storage::open(directory) {
                // The engine that had it has just ended.
                Err(StorageError::Unavailable(_)) => tokio::time::sleep(Duration::from_millis(5)).await,
                opened => return opened,
            }
        }
    };
    Ok(tokio::time::timeout(PATIENCE, open).await??)
}

/// An engine with so many rooms at most, in real time.
pub(super) fn house(storage: Storage, rooms: u32) -> House {
    House::in_real_time_with(config(rooms), RoomOptions::new().storage(storage))
}

/// The id of the room of member `u`.
pub(super) fn room_id(u: u32) -> String {
    format!("r{u}")
}

/// A replayable room for each of so many members, who own them.
pub(super) async fn furnish(house: &House, count: u32) -> Result<Vec<Room>, Failure> {
    let mut rooms = Vec::with_capacity(count as usize);
    for u in 0..count {
        rooms.push(house.create(u, &NewRoom::new(format!("Room {u}")).id(room_id(u)).replayable(true))?);
        if u % DURABLE_EVERY == 0 {
            durable(house, &room_id(u)).await?;
        }
    }
    if let Some(room) = rooms.last() {
        durable(house, room.id()).await?;
    }
    Ok(rooms)
}

/// How many changes may wait at once.
pub(super) const DURABLE_EVERY: u32 = 1_000;

pub(super) async fn durable(house: &House, room: &str) -> Result<(), Failure> {
    Ok(house.engine.rooms().durable(room).await.map_err(|error| error.to_string())?)
}

/// Member `u` says something in a room. Returns the number of the event.
pub(super) fn say(house: &House, u: u32, room: &str, number: u64) -> Result<u64, Failure> {
    let text = format!("Message {number}: has anybody looked at the quarterly report?");
    let message = Message::data(json!({"text": text, "number": number}));
    let said = house.engine.rooms().say(&House::member(u), room, &message).map_err(|error| error.to_string())?;
    Ok(said.seq.unwrap_or_default())
}
