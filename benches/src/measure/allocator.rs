//! The allocator of this program, and the settings under which a process measures memory.

use crate::failure::Failure;

/// The environment variable from which jemalloc reads its settings at start-up.
const SETTINGS_VARIABLE: &str = "_RJEM_MALLOC_CONF";

/// Settings of jemalloc for one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AllocatorSettings {
    /// The defaults of jemalloc, for measuring time.
    Default,
    /// No thread caches, and free pages go back to the system at once: live bytes are exact, and resident bytes do not
    /// depend on what happened before.
    Exact,
    /// For a server whose resident bytes are read a few seconds after the last load.
    FastDecay,
}

impl AllocatorSettings {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "",
            Self::Exact => "tcache:false,background_thread:true,dirty_decay_ms:50,muzzy_decay_ms:0",
            Self::FastDecay => "background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0",
        }
    }

    /// The environment variable to set for a child process, and its value.
    pub(crate) const fn variable(self) -> (&'static str, &'static str) {
        (SETTINGS_VARIABLE, self.as_str())
    }
}

/// The allocator of this process and its settings, as memory figures name it.
pub(crate) fn name() -> String {
    name_with(&std::env::var(SETTINGS_VARIABLE).unwrap_or_default())
}

/// Names the settings that change figures, and leaves out the others.
fn name_with(settings: &str) -> String {
    let relevant = settings.split(',').filter(|setting| setting.starts_with("tcache") || setting.starts_with("dirty"));
    let relevant: Vec<&str> = relevant.collect();
    if relevant.is_empty() { "jemalloc".to_owned() } else { format!("jemalloc {}", relevant.join(",")) }
}

/// Bytes that are allocated and not freed.
pub(crate) fn live_bytes() -> Result<usize, Failure> {
    // The statistics are cached until the epoch advances.
    tikv_jemalloc_ctl::epoch::advance().map_err(|error| error.to_string())?;
    Ok(tikv_jemalloc_ctl::stats::allocated::read().map_err(|error| error.to_string())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_tells_the_settings_that_change_memory_figures() {
        assert_eq!(name_with(AllocatorSettings::Exact.as_str()), "jemalloc tcache:false,dirty_decay_ms:50");
        assert_eq!(name_with(AllocatorSettings::FastDecay.as_str()), "jemalloc dirty_decay_ms:1000");
        assert_eq!(name_with(AllocatorSettings::Default.as_str()), "jemalloc");
    }
}
