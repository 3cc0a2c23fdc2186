//! What does it look like over real sockets?

mod crowd;
mod remote;
pub(crate) mod server;
pub(super) mod slow;

use std::time::Duration;

use self::crowd::Crowd;
use self::remote::{Remote, Usage};
use super::Question;
use super::plan::{InStore, cells_of};
use super::rounds::Latencies;
use crate::cell::Cell;
use crate::options::Asked;
use crate::plot::{self, Line};
use crate::row::Row;
use crate::stopwatch::Moment;
use crate::workload::Likeness;
use crate::{Failure, process, report};

pub(crate) const PROSE: &str = "\
The server in its own process, this one as client with real WebSocket consumers, each subscribed to the whole tree of
its own session. Bytes per connection are the server's, over what it had before they came: session, tree, subscription,
socket and both its tasks. Then: CPU of the idle server; a change that all show alike, timed from the refresh call to
each consumer's last byte, the gathering of changes (50 ms by default) included; private changes at a steady rate,
timed alike. Baseline: the goals, since the peer keeps no sessions.";

/// Files that either process has open beside its consumers' sockets.
const OTHER_FILES: u32 = 200;

/// How long memory gets to settle, and how long the idle server is watched.
const REST: Duration = Duration::from_secs(3);
const IDLE: Duration = Duration::from_secs(5);

/// How often the shared change is made.
const SHARED_ROUNDS: u32 = 5;

/// Private changes: how many per second are wanted, and how many there are at most.
const PRIVATE_PER_SECOND: f64 = 500.0;
const PRIVATE_AT_MOST: u32 = 4_000;

/// The percentiles of the plot.
const PERCENTILES: [f64; 9] = [1.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9];

pub(crate) fn cells(asked: &Asked, server: Option<&str>) -> Vec<Cell> {
    let cells = cells_of(Question::Live, asked, |_| InStore { likenesses: &[Likeness::One], sizes: &[(9_000, 100)] });
    cells.into_iter().map(|cell| Cell { server: server.map(str::to_owned), ..cell }).collect()
}

pub(crate) async fn measure(cell: &Cell) -> Result<Row, Failure> {
    let mut row = Row::of(cell);
    let count = allowed(cell.active_sessions())?;
    row.connections = Some(count);
    let mut remote = Remote::reach(cell).await?;
    tokio::time::sleep(REST).await;
    let empty = remote.usage().await?;
    let crowd = Crowd::gather(remote.url(), count).await?;
    row.snapshot_bytes = Some(crowd.snapshot_bytes());
    tokio::time::sleep(REST).await;
    let full = remote.usage().await?;
    let per_connection = |more: u64, less: u64| Some((more as f64 - less as f64) / f64::from(count));
    row.rss_bytes_per_connection = per_connection(full.rss_bytes, empty.rss_bytes);
    row.heap_bytes_per_connection = per_connection(full.heap_bytes, empty.heap_bytes);
    idle(&mut remote, count, &mut row).await?;
    shared(cell, &mut remote, &crowd, &full, &mut row).await?;
    private(&mut remote, &crowd, &mut row).await?;
    row.set_verdict(crowd.check().await?);
    remote.stop().await;
    Ok(row)
}

/// As many consumers as this process may have files.
fn allowed(wanted: u32) -> Result<u32, Failure> {
    let room = process::open_files_limit()?.saturating_sub(OTHER_FILES);
    if wanted > room {
        report::remark(&format!("{wanted} consumers need more open files than `ulimit -n` allows: taking {room}"));
    }
    Ok(wanted.min(room))
}

async fn idle(remote: &mut Remote, count: u32, row: &mut Row) -> Result<(), Failure> {
    let before = remote.usage().await?;
    tokio::time::sleep(IDLE).await;
    let used_us = remote.usage().await?.cpu_us - before.cpu_us;
    row.idle_cpu_us_per_connection = Some(used_us / IDLE.as_secs_f64() / f64::from(count));
    Ok(())
}

/// A change that all show alike, until the last consumer has it. The source runs once each time.
async fn shared(cell: &Cell, remote: &mut Remote, crowd: &Crowd, before: &Usage, row: &mut Row) -> Result<(), Failure> {
    let mut latencies = Latencies::new()?;
    let mut frames = 0;
    for _ in 0..SHARED_ROUNDS {
        let made = remote.change_shared().await?;
        let arrivals = crowd.wait_for_shared(made.count).await?;
        frames += arrivals.len() as u64;
        for at_us in arrivals {
            latencies.record_us(at_us.saturating_sub(made.at_us) as f64);
        }
    }
    let path = cell.workload.shared_path();
    let runs = remote.usage().await?.runs_of(path).saturating_sub(before.runs_of(path));
    row.expect(runs == u64::from(SHARED_ROUNDS), || {
        format!("the shared source ran {runs} times for {SHARED_ROUNDS} changes")
    });
    row.evaluations = Some(runs);
    row.frames = Some(frames);
    row.p50_ms = Some(latencies.quantile_ms(0.5));
    row.p99_ms = Some(latencies.quantile_ms(0.99));
    row.max_ms = Some(latencies.max_ms());
    let points = PERCENTILES.map(|percent| (percent, latencies.quantile_ms(percent / 100.0)));
    row.latencies = Some(points.to_vec());
    Ok(())
}

/// Private changes at a steady rate, each for another user.
async fn private(remote: &mut Remote, crowd: &Crowd, row: &mut Row) -> Result<(), Failure> {
    let count = crowd.len().min(PRIVATE_AT_MOST);
    let mut latencies = Latencies::new()?;
    let mut tick = tokio::time::interval(Duration::from_secs_f64(1.0 / PRIVATE_PER_SECOND));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
    let seen_before = crowd.frames();
    let mut made = Vec::with_capacity(count as usize);
    let start = Moment::now();
    for u in 0..count {
        tick.tick().await;
        made.push((u, remote.change_private(u).await?.at_us));
    }
    row.private_per_second = Some(f64::from(count) / start.elapsed().as_secs_f64());
    for (u, at_us) in made {
        let arrived_us = crowd.wait_for_next(u, seen_before[u as usize]).await?;
        latencies.record_us(arrived_us.saturating_sub(at_us) as f64);
    }
    row.private_p50_ms = Some(latencies.quantile_ms(0.5));
    row.private_p99_ms = Some(latencies.quantile_ms(0.99));
    Ok(())
}

pub(crate) fn draw(rows: &[Row]) -> Result<String, Failure> {
    let line = |row: &Row| Line {
        label: format!("{} connections", row.connections.unwrap_or_default()),
        points: row.latencies.clone().unwrap_or_default(),
    };
    let lines: Vec<Line> = rows.iter().map(line).collect();
    plot::lines("ms from the refresh call to the last byte at the client, shared change", "percentile", &lines)
}
