//! The latencies of all rounds of one kind.

use crate::failure::Failure;
use crate::measure::latencies::{Latencies, median};
use crate::sockets::server_handle::ServerHandle;
use crate::sockets::socket_consumers::SocketConsumers;
use crate::sockets::timed_changes::TimedChanges;

const SHARED_CHANGES: usize = 10;
const PRIVATE_PER_SECOND: f64 = 250.0;
const PRIVATE_AT_MOST: u32 = 1_000;

/// The percentiles of the plot.
const PERCENTILES: [f64; 7] = [1.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0];

/// Latencies of one kind of change, over several rounds.
struct Distribution {
    all: Latencies,
    /// The p99 of each round, in ms.
    p99s: Vec<f64>,
}

/// The latencies of several rounds.
pub(super) struct Series {
    shared: Distribution,
    private: Distribution,
}

impl Distribution {
    fn new() -> Result<Self, Failure> {
        Ok(Self { all: Latencies::new()?, p99s: Vec::new() })
    }

    fn record_round(&mut self, latencies_us: &[f64]) -> Result<(), Failure> {
        let mut round = Latencies::new()?;
        round.record_all_us(latencies_us);
        self.all.record_all_us(latencies_us);
        self.p99s.push(round.quantile_ms(0.99));
        Ok(())
    }
}

impl Series {
    pub(super) fn new() -> Result<Self, Failure> {
        Ok(Self { shared: Distribution::new()?, private: Distribution::new()? })
    }

    /// Shared changes, and then private ones at a constant rate.
    pub(super) async fn run_round(
        &mut self,
        server: &mut ServerHandle,
        consumers: &SocketConsumers,
    ) -> Result<(), Failure> {
        let mut shared = Vec::new();
        for _ in 0..SHARED_CHANGES {
            shared.extend(TimedChanges::shared(server, consumers).await?.latencies_us);
        }
        self.shared.record_round(&shared)?;
        let private = TimedChanges::private(server, consumers, PRIVATE_PER_SECOND, PRIVATE_AT_MOST).await?;
        self.private.record_round(&private.latencies_us)
    }

    pub(super) fn shared_p50_ms(&self) -> f64 {
        self.shared.all.quantile_ms(0.5)
    }

    /// The median of the rounds' p99.
    pub(super) fn shared_p99_ms(&self) -> f64 {
        median(self.shared.p99s.clone())
    }

    pub(super) fn private_p50_ms(&self) -> f64 {
        self.private.all.quantile_ms(0.5)
    }

    /// The median of the rounds' p99.
    pub(super) fn private_p99_ms(&self) -> f64 {
        median(self.private.p99s.clone())
    }

    /// The latencies of private changes, for the plot.
    pub(super) fn private_latencies(&self) -> Vec<(f64, f64)> {
        self.private.all.at_percentiles(&PERCENTILES)
    }
}
