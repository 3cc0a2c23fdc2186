//! Embedded databases, each alone.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::log_writer::{count, events, text};
use crate::failure::Failure;
use crate::measure::stopwatch::Stopwatch;
use crate::plan::cell::Cell;
use crate::plan::database_kind::DatabaseKind;
use crate::result::row::Row;
use crate::results_folder::Scratch;
use crate::subject::databases::open;

/// How long events are appended in batches of each size.
const DURATION: Duration = Duration::from_secs(3);

/// How many events each log has that is read.
const EVENTS: u64 = 10_000;

/// How many events a commit has while the logs are filled.
const FILL: u64 = 4_096;

/// How often a process is killed while it appends, and for how long it does, in ms.
const ROUNDS: u32 = 6;
const APPENDS_MS: std::ops::Range<u64> = 200..900;

pub(super) async fn measure(cell: &Cell, row: &mut Row) -> Result<(), Failure> {
    let kind = cell.database.ok_or("a cell of databases without one")?;
    let rooms = cell.sessions;
    row.alone_one_by_one_per_second = Some(append(kind, rooms, 1)?);
    row.alone_per_second = Some(append(kind, rooms, 128)?);
    row.batch_events = Some(128.0);
    row.alone_in_large_batches_per_second = Some(append(kind, rooms, 1_024)?);
    read(kind, rooms, row)?;
    kill(kind, rooms, row).await
}

/// Appends in batches of this size. Returns how many events per second.
fn append(kind: DatabaseKind, rooms: u32, batch: u64) -> Result<f64, Failure> {
    let scratch = Scratch::new(&format!("{}-{batch}", kind.name()))?;
    let (mut log, text, mut all) = (open(kind, scratch.path())?, text(), 0);
    let watch = Stopwatch::start();
    while watch.elapsed() < DURATION {
        log.append(&events(all, batch, rooms, &text))?;
        all += batch;
    }
    Ok(all as f64 / watch.elapsed().as_secs_f64())
}

/// Fills the logs, opens them again, and reads them.
fn read(kind: DatabaseKind, rooms: u32, row: &mut Row) -> Result<(), Failure> {
    let scratch = Scratch::new(&format!("{}-read", kind.name()))?;
    let (text, wanted) = (text(), EVENTS * u64::from(rooms));
    let mut log = open(kind, scratch.path())?;
    let mut all = 0;
    while all < wanted {
        let batch = FILL.min(wanted - all);
        log.append(&events(all, batch, rooms, &text))?;
        all += batch;
    }
    drop(log);
    let log = open(kind, scratch.path())?;
    let watch = Stopwatch::start();
    let read = count(&*log, rooms)?;
    row.events_per_second = Some(read as f64 / watch.elapsed().as_secs_f64());
    row.events = Some(read);
    row.expect(read == wanted, || format!("{read} of {wanted} events were read"));
    row.disk_bytes_per_event = Some(scratch.bytes()? as f64 / read as f64);
    row.text_bytes_per_event = Some(text.len() as f64);
    Ok(())
}

/// Kills a process that appends, again and again.
async fn kill(kind: DatabaseKind, rooms: u32, row: &mut Row) -> Result<(), Failure> {
    let scratch = Scratch::new(&format!("{}-kill", kind.name()))?;
    let mut random = fastrand::Rng::with_seed(1);
    let mut lost = 0;
    for _ in 0..ROUNDS {
        let acknowledged = append_and_kill(kind, scratch.path(), rooms, random.u64(APPENDS_MS)).await?;
        let watch = Stopwatch::start();
        let log = open(kind, scratch.path())?;
        row.open_ms = Some((watch.elapsed_us() / 1e3).max(row.open_ms.unwrap_or_default()));
        lost += acknowledged.saturating_sub(count(&*log, rooms)?);
        row.acknowledged = Some(acknowledged);
    }
    row.lost = Some(lost);
    row.expect(lost == 0, || format!("{lost} events are missing, though they were acknowledged"));
    Ok(())
}

/// Returns how many events the process said were durable.
async fn append_and_kill(kind: DatabaseKind, directory: &Path, rooms: u32, appends_ms: u64) -> Result<u64, Failure> {
    let mut child = Command::new(std::env::current_exe()?)
        .args(["append-events", "--database", kind.name(), "--rooms", &rooms.to_string(), "--directory"])
        .arg(directory)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("the process has no standard output")?).lines();
    let mut acknowledged: u64 = lines.next_line().await?.ok_or("the process ended")?.parse()?;
    let killer = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(appends_ms)).await;
        child.kill().await
    });
    // The last line may be cut off, which makes it a smaller number.
    while let Ok(Some(line)) = lines.next_line().await {
        acknowledged = line.parse().unwrap_or(acknowledged).max(acknowledged);
    }
    killer.await??;
    Ok(acknowledged)
}
