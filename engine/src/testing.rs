//! What tests of applications and of the engine itself need: a clock that they own, and a consumer in memory that checks
//! every message with a strict [`ConsumerState`](crate::client::ConsumerState).

mod clock;
mod consumer;
mod writer;

pub use clock::ManualClock;
pub use consumer::TestConsumer;

use std::time::Duration;

use crate::config::Config;
use crate::connection::Connection;
use crate::engine::Engine;

impl Config {
    /// Bounds for tests: nothing is delayed, gathered or limited in rate.
    #[must_use]
    pub fn immediate() -> Self {
        let mut config = Self::default();
        config.times.debounce = Duration::ZERO;
        config.times.hello_delay = Duration::ZERO;
        config.times.first_patch_delay = Duration::ZERO;
        config.limits.messages_per_second = None;
        config
    }
}

impl Engine {
    /// The name by which a consumer that comes back may call a connection. A consumer learns its own from `hello`; a tab is
    /// told none.
    #[must_use]
    pub fn connection_name(&self, connection: &Connection) -> String {
        self.parts().greeter.connection_name(connection.number())
    }

    /// Waits until the engine has nothing to do: no pass, no call, nothing on the wheel that is due.
    pub async fn settle(&self) {
        let parts = self.parts();
        let in_flight = &parts.background.in_flight;
        loop {
            let listener = in_flight.listen();
            if in_flight.is_idle() && !parts.timers.is_due() {
                return;
            }
            listener.await;
        }
    }
}
