//! Notices that concern nobody here.

use std::process::Stdio;
use std::time::Duration;

use grove_engine::Scope;
use grove_nats::testing::NatsServer;
use tokio::process::Command;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::instances::Instance;
use crate::consumer::{Consumer, SUBSCRIBE};
use crate::failure::Failure;
use crate::measure::stopwatch::Stopwatch;
use crate::plan::cell::Cell;
use crate::process;
use crate::result::row::Row;
use crate::subject::house::House;

/// How many notices are published per second, and how many at once.
const PER_SECOND: u64 = 100_000;
const AT_ONCE: u64 = 100;

/// How many sessions there are elsewhere.
const ELSEWHERE: u64 = 1_000_000;

const MEASURED: Duration = Duration::from_secs(5);
const MEASURED_OF_SHORT: Duration = Duration::from_secs(1);

/// With fewer, the other process was not given the time to publish them.
const LEAST: f64 = 50_000.0;

/// Publishes until the process is killed.
pub(crate) async fn publish(url: &str) -> Result<(), Failure> {
    let instance = Instance::start("elsewhere", url, 1).await?;
    instance.knows(2).await?;
    let mut ticks = interval(Duration::from_micros(1_000_000 * AT_ONCE / PER_SECOND));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for first in (0_u64..).step_by(AT_ONCE as usize) {
        ticks.tick().await;
        for number in first..first + AT_ONCE {
            instance.engine.refresh(Scope::session(format!("elsewhere-{}", number % ELSEWHERE)));
        }
    }
    Ok(())
}

pub(super) async fn measure(cell: &Cell, server: &NatsServer, row: &mut Row) -> Result<(), Failure> {
    let here = Instance::start("here", &server.url(), cell.sessions).await?;
    let mut consumers = Vec::new();
    for u in 0..cell.sessions {
        let mut consumer = Consumer::connect(&here.engine, &House::member(u), false)?;
        consumer.say(SUBSCRIBE);
        consumer.wait_for("snapshot").await?;
        consumers.push(consumer);
    }
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["publish-notices", "--url", &server.url()]).stdout(Stdio::null()).kill_on_drop(true);
    let mut publisher = command.spawn()?;
    here.knows(2).await?;
    // Until it has found its pace.
    sleep(Duration::from_secs(1)).await;
    let (watch, cpu_us, before) = (Stopwatch::start(), process::cpu_us(), here.engine.stats().notices_in);
    sleep(if cell.is_short() { MEASURED_OF_SHORT } else { MEASURED }).await;
    let (elapsed_us, cpu_us) = (watch.elapsed_us(), process::cpu_us() - cpu_us);
    let notices = (here.engine.stats().notices_in - before) as f64;
    publisher.kill().await?;
    let per_second = notices / elapsed_us * 1e6;
    row.notices_per_second = Some(per_second);
    // A machine that is busy with other things may not publish as many: what so many would cost.
    let enough = per_second >= LEAST || cell.is_short();
    row.percent_of_a_core = enough.then(|| cpu_us / elapsed_us * 100.0 * (PER_SECOND as f64 / per_second).max(1.0));
    row.expect(notices > 0.0, || "no notice arrived".to_owned());
    let patches: u64 = consumers.iter_mut().map(|consumer| consumer.take_ready().frames).sum();
    row.expect(patches == 0, || format!("{patches} frames were sent, though nothing has changed"));
    Ok(())
}
