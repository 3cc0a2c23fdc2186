//! How long does a call take while a pass over everybody runs?

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use grove_engine::Scope;

use crate::Failure;
use crate::cell::Cell;
use crate::consumer::Consumer;
use crate::question::rounds::Latencies;
use crate::row::Row;
use crate::stopwatch::Moment;
use crate::subject::Subject;

/// How many passes follow one another, so that there are enough calls.
const PASSES: u32 = 3;

/// Calls of one consumer, one after another, while passes render every session. Each call is timed from the frame that
/// goes in to the result that comes out, its own refresh and patch included.
pub(super) async fn meanwhile(
    cell: &Cell,
    subject: &Subject,
    consumers: &mut [Consumer],
    row: &mut Row,
) -> Result<(), Failure> {
    let over = Arc::new(AtomicBool::new(false));
    let passes = {
        let (engine, people, over) = (subject.engine.clone(), Arc::clone(&subject.population), Arc::clone(&over));
        let path = cell.workload.private_path();
        tokio::spawn(async move {
            for _ in 0..PASSES {
                people.change_everybody();
                engine.refresh_now(Scope::all().paths([path])).await;
            }
            over.store(true, Ordering::SeqCst);
        })
    };
    let caller = &mut consumers[0];
    let mut latencies = Latencies::new()?;
    let mut calls = 0;
    while !over.load(Ordering::SeqCst) {
        let start = Moment::now();
        caller.say(&cell.workload.call(calls));
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
