//! What tests of applications and of the engine itself need: a clock that they own, a consumer in memory, and a mirror
//! that shares no code with the engine's diff.

mod clock;
mod consumer;
mod mirror;

pub use clock::ManualClock;
pub use consumer::TestConsumer;
pub use mirror::Mirror;

use crate::config::Config;
use crate::connection::Connection;
use crate::engine::Engine;

impl Config {
    /// Bounds for tests: nothing is delayed, gathered or limited in rate.
    #[must_use]
    pub fn immediate() -> Self {
        Self { debounce_ms: 0, hello_delay_ms: 0, first_patch_ms: 0, inbound_rate: None, ..Self::default() }
    }
}

impl Engine {
    /// The name by which a consumer that comes back may call a connection. A consumer learns its own from `hello`; a tab is
    /// told none.
    #[must_use]
    pub fn connection_name(&self, connection: &Connection) -> String {
        self.core().connection_names.of(connection.number())
    }

    /// Waits until the engine has nothing to do: no pass, no call, nothing on the wheel that is due.
    pub async fn settle(&self) {
        let core = self.core();
        loop {
            let listener = core.busy.listen();
            if core.busy.is_idle() && !core.wheel.is_due() {
                return;
            }
            listener.await;
        }
    }
}
