//! The process of `kill`: members say something in rooms that are kept, and each line that it prints acknowledges.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use super::kept_house::{durable, furnish, house, open, room_id, say};
use crate::failure::Failure;

/// Writes until the process is killed. Prints `ready`, and then for each message its room and its number, when it is durable.
pub(crate) async fn run(directory: &Path, rooms: u32) -> Result<(), Failure> {
    let house = Arc::new(house(open(directory).await?, rooms));
    if house.engine.rooms().stats().rooms == 0 {
        furnish(&house, rooms).await?;
    }
    print("ready")?;
    let speak = |u: u32| {
        let house = Arc::clone(&house);
        tokio::spawn(async move {
            let room = room_id(u);
            for number in 0.. {
                let seq = say(&house, u, &room, number).map_err(|failure| failure.to_string())?;
                durable(&house, &room).await.map_err(|failure| failure.to_string())?;
                print(&format!("{u} {seq}")).map_err(|failure| failure.to_string())?;
            }
            Ok::<_, String>(())
        })
    };
    for speaker in (0..rooms).map(speak).collect::<Vec<_>>() {
        speaker.await??;
    }
    Ok(())
}

fn print(line: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}
