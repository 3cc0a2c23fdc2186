//! Every bound: its unit, its default, and what happens when it is reached.

pub(crate) mod error;
pub(crate) mod execution;
pub(crate) mod limit;
pub(crate) mod limits;
pub(crate) mod memory;
pub(crate) mod sizes;
pub(crate) mod times;
pub(crate) mod rooms;
pub(crate) mod runs;
pub(crate) mod cluster;

#[cfg(feature = "testing")]
use std::time::Duration;

pub use cluster::ClusterLimits;
pub use error::ConfigError;
pub use execution::Execution;
pub use limit::Limit;
pub use limits::Limits;
pub use memory::Memory;
pub use rooms::RoomLimits;
pub use runs::RunLimits;
pub use sizes::Sizes;
pub use times::Times;

/// The engine's bounds, in groups. Start from [`Config::default`] and change what you need.
///
/// The engine validates it when it is built; [`ConfigError`] names the field that cannot be used.
///
/// ```
/// use std::time::Duration;
///
/// use grove_engine::Config;
///
/// let mut config = Config::default();
/// config.times.debounce = Duration::from_millis(20);
/// config.limits.sessions = 10_000;
/// assert_eq!(config.validate(), Ok(()));
/// ```
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Config {
    /// How long things take or last.
    pub times: Times,
    /// How many there may be of each thing.
    pub limits: Limits,
    /// How large one message, tree or queue may be.
    pub sizes: Sizes,
    /// What all sessions together may keep in memory.
    pub memory: Memory,
    /// How much application code runs at the same time.
    pub execution: Execution,
    /// How long things in rooms last, and how many there may be of each.
    pub rooms: RoomLimits,
    /// How many runs a room may have, and how large what they take and give may be.
    pub runs: RunLimits,
    /// How instances keep each other up to date.
    pub cluster: ClusterLimits,
}

impl Config {
    /// Checks every field.
    ///
    /// # Errors
    /// [`ConfigError`] names the first field that cannot be used, and says why.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.times.validate()?;
        self.limits.validate()?;
        self.sizes.validate()?;
        self.memory.validate()?;
        self.execution.validate()?;
        self.rooms.validate()?;
        self.runs.validate()?;
        self.cluster.validate()
    }

    /// Limits for tests: nothing is delayed, gathered or limited in rate.
    #[cfg(feature = "testing")]
    #[must_use]
    pub fn immediate() -> Self {
        let mut config = Self::default();
        config.times.debounce = Duration::ZERO;
        config.times.hello_delay = Duration::ZERO;
        config.times.first_patch_delay = Duration::ZERO;
        config.limits.messages_per_second = None;
        config
    }

    /// The largest message that a peer of either kind may send, in bytes: a tab sends its whole tree.
    #[must_use]
    pub fn message_limit(&self, is_tab: bool) -> usize {
        if is_tab { self.sizes.message_bytes.max(self.sizes.tab_bytes) } else { self.sizes.message_bytes }
    }
}
