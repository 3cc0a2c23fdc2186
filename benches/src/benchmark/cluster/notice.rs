//! From a change on one instance to the frames of the consumers on another.

use std::sync::atomic::Ordering;
use std::time::Duration;

use grove_engine::Scope;
use grove_nats::testing::NatsServer;

use super::instances::{BOARD, Instance};
use crate::consumer::{Consumer, SUBSCRIBE, check_all};
use crate::failure::Failure;
use crate::measure::latencies::Latencies;
use crate::measure::stopwatch::Stopwatch;
use crate::plan::cell::Cell;
use crate::result::row::Row;
use crate::subject::grove::DEBOUNCE_MS;
use crate::subject::house::House;

const CHANGES: u32 = 100;
const CHANGES_OF_SHORT: u32 = 20;

/// The time from one change to the next.
const INTERVAL: Duration = Duration::from_millis(120);

/// How long a patch may take.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn measure(cell: &Cell, server: &NatsServer, row: &mut Row) -> Result<(), Failure> {
    let here = Instance::start("a", &server.url(), 1).await?;
    let there = Instance::start("b", &server.url(), cell.sessions).await?;
    here.knows(2).await?;
    there.knows(2).await?;
    let mut consumers = Vec::new();
    for u in 0..cell.sessions {
        let mut consumer = Consumer::connect(&there.engine, &House::member(u), true)?;
        consumer.say(SUBSCRIBE);
        consumer.wait_for("snapshot").await?;
        consumers.push(consumer);
    }
    // The first changes cost more, since everything runs for the first time. They do not count.
    time_changes(&here, &there, &mut consumers, 5).await?;
    let changes = if cell.is_short() { CHANGES_OF_SHORT } else { CHANGES };
    let latencies = time_changes(&here, &there, &mut consumers, changes).await?;
    row.p50_ms = Some(latencies.quantile_ms(0.5));
    row.p99_ms = Some(latencies.quantile_ms(0.99));
    row.p99_ms_beyond_debounce = Some(latencies.quantile_ms(0.99) - DEBOUNCE_MS as f64);
    row.add_verdict(check_all(&mut consumers).await?);
    Ok(())
}

/// Changes the number on both, and tells one of them.
async fn time_changes(
    here: &Instance,
    there: &Instance,
    consumers: &mut [Consumer],
    changes: u32,
) -> Result<Latencies, Failure> {
    let mut latencies = Latencies::new()?;
    for _ in 0..changes {
        for instance in [here, there] {
            instance.revision.fetch_add(1, Ordering::Relaxed);
        }
        let watch = Stopwatch::start();
        here.engine.refresh(Scope::all().paths([BOARD]));
        for consumer in &mut *consumers {
            let patch = tokio::time::timeout(PATIENCE, consumer.wait_for("patch")).await;
            patch.map_err(|_| "a notice was lost")??;
            latencies.record_us(watch.elapsed_us());
        }
        tokio::time::sleep(INTERVAL.saturating_sub(watch.elapsed())).await;
    }
    Ok(latencies)
}
