//! Memory and latency over WebSockets.

use std::time::Duration;

use crate::cli::conditions::Conditions;
use crate::failure::Failure;
use crate::measure::latencies::Latencies;
use crate::output::plot::{self, Line};
use crate::plan::benchmark::Benchmark;
use crate::plan::cell::Cell;
use crate::plan::defaults::{Defaults, cells_of};
use crate::result::row::Row;
use crate::sockets::server_handle::ServerHandle;
use crate::sockets::socket_consumers::SocketConsumers;
use crate::sockets::timed_changes::TimedChanges;
use crate::workload::likeness::Likeness;

/// How long the server's memory gets to settle.
const SETTLE_TIME: Duration = Duration::from_secs(3);

/// How long the CPU time of the idle server is measured.
const IDLE_TIME: Duration = Duration::from_secs(5);

const SHARED_CHANGES: u32 = 5;
const PRIVATE_PER_SECOND: f64 = 500.0;
const PRIVATE_AT_MOST: u32 = 4_000;

/// The percentiles of the plot.
const PERCENTILES: [f64; 9] = [1.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.9];

pub(crate) fn cells(conditions: &Conditions, server: Option<&str>) -> Vec<Cell> {
    let defaults = |_| Defaults { likenesses: &[Likeness::One], sizes: &[(9_000, 100)] };
    let cells = cells_of(Benchmark::Live, conditions, defaults);
    cells.into_iter().map(|cell| Cell { server: server.map(str::to_owned), ..cell }).collect()
}

pub(super) async fn measure(cell: &Cell) -> Result<Row, Failure> {
    let mut row = Row::of(cell);
    let count = SocketConsumers::at_most(cell.active_sessions())?;
    row.connections = Some(count);
    let mut server = ServerHandle::start(cell).await?;
    let consumers = connect(&mut server, count, &mut row).await?;
    measure_idle(&mut server, count, &mut row).await?;
    measure_shared(cell, &mut server, &consumers, &mut row).await?;
    measure_private(&mut server, &consumers, &mut row).await?;
    row.add_verdict(consumers.verify().await?);
    server.stop().await;
    Ok(row)
}

/// Connects all consumers and measures what the server gained.
async fn connect(server: &mut ServerHandle, count: u32, row: &mut Row) -> Result<SocketConsumers, Failure> {
    tokio::time::sleep(SETTLE_TIME).await;
    let before = server.usage().await?;
    let consumers = SocketConsumers::connect(server.url(), count).await?;
    row.snapshot_bytes = Some(consumers.snapshot_bytes());
    tokio::time::sleep(SETTLE_TIME).await;
    let after = server.usage().await?;
    let per_connection = |more: u64, less: u64| Some((more as f64 - less as f64) / f64::from(count));
    row.rss_bytes_per_connection = per_connection(after.rss_bytes, before.rss_bytes);
    row.heap_bytes_per_connection = per_connection(after.heap_bytes, before.heap_bytes);
    row.allocator = Some(after.allocator);
    Ok(consumers)
}

async fn measure_idle(server: &mut ServerHandle, count: u32, row: &mut Row) -> Result<(), Failure> {
    let before_us = server.usage().await?.cpu_us;
    tokio::time::sleep(IDLE_TIME).await;
    let used_us = server.usage().await?.cpu_us - before_us;
    row.idle_cpu_us_per_connection = Some(used_us / IDLE_TIME.as_secs_f64() / f64::from(count));
    Ok(())
}

/// Changes that all sessions show, until the last consumer has them. The source is evaluated once for each.
async fn measure_shared(
    cell: &Cell,
    server: &mut ServerHandle,
    consumers: &SocketConsumers,
    row: &mut Row,
) -> Result<(), Failure> {
    let path = cell.workload.shared_path();
    let before = server.usage().await?.evaluations_of(path);
    let mut latencies = Latencies::new()?;
    for _ in 0..SHARED_CHANGES {
        latencies.record_all_us(&TimedChanges::shared(server, consumers).await?.latencies_us);
    }
    let evaluations = server.usage().await?.evaluations_of(path).saturating_sub(before);
    row.expect(evaluations == u64::from(SHARED_CHANGES), || {
        format!("`{path}` was evaluated {evaluations} times for {SHARED_CHANGES} shared changes")
    });
    row.evaluations = Some(evaluations);
    row.frames = Some(u64::from(SHARED_CHANGES) * u64::from(consumers.len()));
    row.p50_ms = Some(latencies.quantile_ms(0.5));
    row.p99_ms = Some(latencies.quantile_ms(0.99));
    row.max_ms = Some(latencies.max_ms());
    row.latencies = Some(latencies.at_percentiles(&PERCENTILES));
    Ok(())
}

/// Private changes at a constant rate, each for another user.
async fn measure_private(server: &mut ServerHandle, consumers: &SocketConsumers, row: &mut Row) -> Result<(), Failure> {
    let changes = TimedChanges::private(server, consumers, PRIVATE_PER_SECOND, PRIVATE_AT_MOST).await?;
    let mut latencies = Latencies::new()?;
    latencies.record_all_us(&changes.latencies_us);
    row.private_per_second = Some(changes.per_second);
    row.private_p50_ms = Some(latencies.quantile_ms(0.5));
    row.private_p99_ms = Some(latencies.quantile_ms(0.99));
    Ok(())
}

pub(super) fn plot(rows: &[Row]) -> Result<String, Failure> {
    let line = |row: &Row| Line {
        label: format!("{} connections", row.connections.unwrap_or_default()),
        points: row.latencies.clone().unwrap_or_default(),
    };
    let lines: Vec<Line> = rows.iter().map(line).collect();
    plot::lines("Shared change: ms from the refresh call to the last byte at the consumer", "percentile", &lines)
}
