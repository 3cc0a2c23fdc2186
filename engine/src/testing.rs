//! What tests of applications and of the engine itself need: a clock that they own, and a consumer in memory that checks
//! every message with a strict [`ConsumerState`](crate::client::ConsumerState).

mod clock;
mod writer;
mod consumer;
mod reference_store;
mod store_check;
mod simulated_bus;
#[cfg(feature = "storage")]
mod disk_space;

pub use clock::ManualClock;
pub use consumer::TestConsumer;
#[cfg(feature = "storage")]
pub use disk_space::DiskSpace;
pub use simulated_bus::{SimulatedBus, Weather};
pub use store_check::check_store;
