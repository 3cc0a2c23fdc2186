//! A process that is killed again and again while it writes.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::kept_house::{house, open, room_id};
use crate::failure::Failure;
use crate::measure::stopwatch::Stopwatch;
use crate::plan::cell::Cell;
use crate::result::row::Row;
use crate::results_folder::Scratch;
use crate::subject::house::House;

/// How often the process is killed, and in a short run.
const ROUNDS: u32 = 10;
const FEW_ROUNDS: u32 = 3;

/// For how long it writes, in ms.
const WRITES_MS: std::ops::Range<u64> = 200..900;

pub(super) async fn measure(cell: &Cell, row: &mut Row) -> Result<(), Failure> {
    let scratch = Scratch::new("kill")?;
    let mut random = fastrand::Rng::with_seed(1);
    let (mut all, mut acknowledged) = (0, vec![0; cell.sessions as usize]);
    for _ in 0..if cell.is_short() { FEW_ROUNDS } else { ROUNDS } {
        all += write_and_kill(scratch.path(), &mut acknowledged, random.u64(WRITES_MS)).await?;
        check(scratch.path(), &acknowledged, row).await?;
    }
    row.acknowledged = Some(all);
    Ok(())
}

/// Lets a process write, and kills it. Notes the number of the last message of each room that it acknowledged. Returns how
/// many it acknowledged.
async fn write_and_kill(directory: &Path, acknowledged: &mut [u64], writes_ms: u64) -> Result<u64, Failure> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["write-rooms", "--rooms", &acknowledged.len().to_string(), "--directory"])
        .arg(directory)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("the process has no standard output")?).lines();
    if lines.next_line().await?.as_deref() != Some("ready") {
        return Err("the process ended before it was ready".into());
    }
    let killer = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(writes_ms)).await;
        child.kill().await
    });
    let mut count = 0;
    // The last line may be cut off.
    while let Ok(Some(line)) = lines.next_line().await {
        let parsed =
            line.split_once(' ').and_then(|(u, seq)| Some((u.parse::<usize>().ok()?, seq.parse::<u64>().ok()?)));
        let Some((u, seq)) = parsed else { continue };
        if let Some(last) = acknowledged.get_mut(u).filter(|last| **last < seq) {
            *last = seq;
        }
        count += 1;
    }
    killer.await??;
    Ok(count)
}

/// Every log is contiguous and has what was acknowledged.
async fn check(directory: &Path, acknowledged: &[u64], row: &mut Row) -> Result<(), Failure> {
    let watch = Stopwatch::start();
    let storage = open(directory).await?;
    row.open_ms = Some((watch.elapsed_us() / 1e3).max(row.open_ms.unwrap_or_default()));
    let house = house(storage, acknowledged.len() as u32);
    row.first_frame_ms = Some((watch.elapsed_us() / 1e3).max(row.first_frame_ms.unwrap_or_default()));
    for (u, last) in (0..).zip(acknowledged) {
        let (mut after, mut count) = (0, 0);
        loop {
            let page = house.engine.rooms().replay(&House::member(u), &room_id(u), after, Some(1_000)).await;
            let page = page.map_err(|error| error.to_string())?;
            for event in &page.events {
                count += 1;
                row.expect(event["seq"] == count, || format!("event {count} of room {u} is {event}"));
            }
            match page.next {
                Some(next) => after = next,
                None => break,
            }
        }
        let lost = last.saturating_sub(count);
        row.lost = Some(row.lost.unwrap_or_default() + lost);
        row.expect(lost == 0, || format!("{lost} messages of room {u} are missing, though they were acknowledged"));
    }
    Ok(())
}
