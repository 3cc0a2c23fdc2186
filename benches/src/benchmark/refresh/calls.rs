//! How long does a call take while passes over all sessions run?

use grove_engine::Scope;
use tokio::task::JoinHandle;

use crate::consumer::Consumer;
use crate::failure::Failure;
use crate::measure::latencies::Latencies;
use crate::measure::stopwatch::Stopwatch;
use crate::plan::cell::Cell;
use crate::result::row::Row;
use crate::subject::grove::Grove;

/// How many passes follow one another, so that there are enough calls.
const PASSES: u32 = 3;

/// Calls of one consumer, one after another, while passes render every session. Each call is timed from the frame that
/// goes in to the result that comes out, including its own refresh and patch.
pub(super) async fn measure(cell: &Cell, grove: &Grove, caller: &mut Consumer, row: &mut Row) -> Result<(), Failure> {
    let passes = start_passes(cell, grove);
    let mut latencies = Latencies::new()?;
    let mut calls = 0;
    while !passes.is_finished() {
        let start = Stopwatch::start();
        caller.say(&cell.workload.invoke(calls));
        caller.wait_for("result").await?;
        latencies.record_us(start.elapsed_us());
        calls += 1;
    }
    passes.await?;
    row.calls = Some(calls);
    row.call_p50_ms = Some(latencies.quantile_ms(0.5));
    row.call_p99_ms = Some(latencies.quantile_ms(0.99));
    Ok(())
}

fn start_passes(cell: &Cell, grove: &Grove) -> JoinHandle<()> {
    let (engine, population, path) = (grove.engine.clone(), grove.population.clone(), cell.workload.private_path());
    tokio::spawn(async move {
        for _ in 0..PASSES {
            population.change_all_private();
            engine.refresh_now(Scope::all().paths([path])).await;
        }
    })
}
