//! What do stalled readers cost the server and the other consumers?

mod series;
mod stalled_reader;

use std::ops::Range;
use std::time::Duration;

use self::series::Series;
use self::stalled_reader::StalledReader;
use crate::cli::conditions::Conditions;
use crate::failure::Failure;
use crate::output::plot::{self, Line};
use crate::plan::benchmark::Benchmark;
use crate::plan::cell::Cell;
use crate::plan::defaults::{Defaults, cells_of};
use crate::result::row::Row;
use crate::sockets::server_handle::ServerHandle;
use crate::sockets::socket_consumers::SocketConsumers;
use crate::workload::likeness::Likeness;

/// One stalled reader for this many consumers.
const ONE_IN: u32 = 10;

/// How many rounds there are without and with stalled readers.
const ROUNDS: usize = 3;

/// How long kernel buffers get to fill, and the server to notice that the stalled readers have gone.
const SETTLE_TIME: Duration = Duration::from_secs(1);

pub(crate) fn cells(conditions: &Conditions) -> Vec<Cell> {
    let defaults = |_| Defaults { likenesses: &[Likeness::Distinct], sizes: &[(1_100, 100)] };
    cells_of(Benchmark::Slow, conditions, defaults)
}

pub(super) async fn measure(cell: &Cell) -> Result<Row, Failure> {
    let mut row = Row::of(cell);
    // The stalled readers have the sessions behind those of the consumers.
    let count = SocketConsumers::at_most(cell.active_sessions())? * ONE_IN / (ONE_IN + 1);
    let stalled = (count / ONE_IN).max(1);
    (row.connections, row.stalled) = (Some(count), Some(stalled));
    let mut server = ServerHandle::start(cell).await?;
    let consumers = SocketConsumers::connect(server.url(), count).await?;
    let (mut without, mut with) = (Series::new()?, Series::new()?);
    // The first round costs more, since everything runs for the first time. It does not count.
    Series::new()?.run_round(&mut server, &consumers).await?;
    for _ in 0..ROUNDS {
        without.run_round(&mut server, &consumers).await?;
        let readers = stall(&mut server, count..count + stalled, &mut row).await?;
        with.run_round(&mut server, &consumers).await?;
        drop(readers);
        tokio::time::sleep(SETTLE_TIME).await;
    }
    fill(&mut row, &without, &with);
    row.add_verdict(consumers.verify().await?);
    server.stop().await;
    Ok(row)
}

/// Connects stalled readers and measures what the server gained.
async fn stall(server: &mut ServerHandle, members: Range<u32>, row: &mut Row) -> Result<Vec<StalledReader>, Failure> {
    let before = server.usage().await?;
    let mut readers = Vec::with_capacity(members.len());
    for u in members {
        readers.push(StalledReader::connect(server.url(), u).await?);
    }
    tokio::time::sleep(SETTLE_TIME).await;
    let after = server.usage().await?;
    let per_reader = |more: u64, less: u64| Some((more as f64 - less as f64) / readers.len() as f64);
    row.heap_bytes_per_stalled = per_reader(after.heap_bytes, before.heap_bytes);
    row.rss_bytes_per_stalled = per_reader(after.rss_bytes, before.rss_bytes);
    row.allocator = Some(after.allocator);
    Ok(readers)
}

fn fill(row: &mut Row, without: &Series, with: &Series) {
    row.p50_ms = Some(without.shared_p50_ms());
    row.p99_ms = Some(without.shared_p99_ms());
    row.private_p50_ms = Some(without.private_p50_ms());
    row.private_p99_ms = Some(without.private_p99_ms());
    row.stalled_p50_ms = Some(with.shared_p50_ms());
    row.stalled_p99_ms = Some(with.shared_p99_ms());
    row.stalled_private_p50_ms = Some(with.private_p50_ms());
    row.stalled_private_p99_ms = Some(with.private_p99_ms());
    row.shared_p99_ratio = Some(with.shared_p99_ms() / without.shared_p99_ms());
    row.private_p99_ratio = Some(with.private_p99_ms() / without.private_p99_ms());
    row.latencies = Some(without.private_latencies());
    row.stalled_latencies = Some(with.private_latencies());
}

pub(super) fn plot(rows: &[Row]) -> Result<String, Failure> {
    let lines = rows.iter().flat_map(|row| {
        let (consumers, stalled) = (row.connections.unwrap_or_default(), row.stalled.unwrap_or_default());
        let line = |label: String, points: &Option<Vec<(f64, f64)>>| Line {
            label,
            points: points.clone().unwrap_or_default(),
        };
        [
            line(format!("{consumers} consumers"), &row.latencies),
            line(format!("with {stalled} stalled readers"), &row.stalled_latencies),
        ]
    });
    let title = "Private change: ms from the refresh call to the last byte at the consumer";
    plot::lines(title, "percentile", &lines.collect::<Vec<_>>())
}
