//! A change for one user at a time.

use grove_engine::Scope;

use crate::consumer::Consumer;
use crate::failure::Failure;
use crate::measure::latencies::Latencies;
use crate::measure::stopwatch::Stopwatch;
use crate::plan::cell::Cell;
use crate::process::cpu_us;
use crate::result::row::Row;
use crate::subject::grove::Grove;
use crate::workload::population::user;

/// How many users change, one after another.
const USERS: u32 = 1_000;

/// Where all sessions share one view, the change affects all of them, but only one user is refreshed, and only that
/// user's tree is new.
pub(super) async fn measure(
    cell: &Cell,
    grove: &Grove,
    consumers: &mut [Consumer],
    row: &mut Row,
) -> Result<(), Failure> {
    let count = USERS.min(consumers.len() as u32);
    let (before, cpu_before) = (grove.work(), cpu_us());
    let mut latencies = Latencies::new()?;
    let mut frames = 0;
    for turn in 0..count {
        // Spread over all, so that successive users are not neighbours in memory.
        let at = (u64::from(turn) * consumers.len() as u64 / u64::from(count)) as u32;
        let start = Stopwatch::start();
        change_one(cell, grove, cell.member(at)).await;
        frames += consumers[at as usize].take_ready().frames;
        latencies.record_us(start.elapsed_us());
    }
    let work = grove.work().since(&before);
    row.cpu_us_per_session = Some((cpu_us() - cpu_before) / f64::from(count));
    row.expect(work.all_evaluations() == u64::from(count), || {
        format!("{count} refreshes made {} evaluations", work.all_evaluations())
    });
    row.expect(frames == u64::from(count), || format!("{count} refreshes gave {frames} frames"));
    row.set_work(work);
    row.frames = Some(frames);
    row.us_per_session = Some(latencies.mean_us());
    row.p50_ms = Some(latencies.quantile_ms(0.5));
    row.p99_ms = Some(latencies.quantile_ms(0.99));
    Ok(())
}

async fn change_one(cell: &Cell, grove: &Grove, u: u32) {
    grove.population.change_private(u);
    grove.engine.refresh_now(Scope::user(user(u)).paths([cell.workload.private_path()])).await;
}
