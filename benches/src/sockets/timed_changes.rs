//! Changes at the server, timed until they have arrived at the consumers.

use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::server_handle::ServerHandle;
use super::socket_consumers::SocketConsumers;
use crate::failure::Failure;
use crate::measure::stopwatch::Stopwatch;

/// Latencies of changes, from the refresh call to a consumer's last byte, in us.
pub(crate) struct TimedChanges {
    pub(crate) latencies_us: Vec<f64>,
    /// The rate at which changes were made.
    pub(crate) per_second: f64,
}

impl TimedChanges {
    /// One change that all consumers show, with the latency of each consumer.
    pub(crate) async fn shared(server: &mut ServerHandle, consumers: &SocketConsumers) -> Result<Self, Failure> {
        let frames = consumers.frames();
        let start = Stopwatch::start();
        let made_us = server.change_shared().await?;
        let per_second = 1.0 / start.elapsed().as_secs_f64();
        let made = (0..).zip(&frames).map(|(u, _)| (u, made_us)).collect();
        Ok(Self { latencies_us: latencies(consumers, &frames, made).await?, per_second })
    }

    /// Private changes at a constant rate, each for another user, at most this many.
    pub(crate) async fn private(
        server: &mut ServerHandle,
        consumers: &SocketConsumers,
        per_second: f64,
        at_most: u32,
    ) -> Result<Self, Failure> {
        let count = consumers.len().min(at_most);
        let mut tick = tokio::time::interval(Duration::from_secs_f64(1.0 / per_second));
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let frames = consumers.frames();
        let mut made = Vec::with_capacity(count as usize);
        let start = Stopwatch::start();
        for u in 0..count {
            tick.tick().await;
            made.push((u, server.change_private(u).await?));
        }
        let per_second = f64::from(count) / start.elapsed().as_secs_f64();
        Ok(Self { latencies_us: latencies(consumers, &frames, made).await?, per_second })
    }
}

/// Waits for the next frame of each member. `made` has when the member's change was made.
async fn latencies(consumers: &SocketConsumers, frames: &[u32], made: Vec<(u32, u64)>) -> Result<Vec<f64>, Failure> {
    let mut latencies_us = Vec::with_capacity(made.len());
    for (u, made_us) in made {
        let arrived_us = consumers.wait_for_next(u, frames[u as usize]).await?;
        latencies_us.push(arrived_us.saturating_sub(made_us) as f64);
    }
    Ok(latencies_us)
}
