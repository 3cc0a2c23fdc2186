//! How many bytes are live on the heap, as the allocator knows it.
//!
//! A cell that measures memory runs with [`EXACT`]: nothing is cached per thread, and free pages go back at once, so
//! live bytes are exact and resident bytes do not depend on what happened before.

use std::time::Duration;

use crate::{Failure, process};

/// The variable that the allocator reads at the start.
pub(crate) const SETTINGS: &str = "_RJEM_MALLOC_CONF";

/// For measuring bytes.
pub(crate) const EXACT: &str = "tcache:false,background_thread:true,dirty_decay_ms:50,muzzy_decay_ms:0";

/// How long until free pages have gone back.
const SETTLING: Duration = Duration::from_millis(300);

/// For a server whose resident bytes are looked at after a rest.
pub(crate) const SETTLES: &str = "background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0";

/// Bytes of this process at one moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bytes {
    /// Allocated and not freed.
    pub(crate) heap: f64,
    /// Resident in memory.
    pub(crate) rss: f64,
}

impl Bytes {
    /// What is taken when free pages have gone back.
    pub(crate) async fn settled() -> Result<Self, Failure> {
        tokio::time::sleep(SETTLING).await;
        let heap = live()? as f64;
        Ok(Self { heap, rss: process::rss_bytes()? as f64 })
    }
}

/// Bytes that are allocated and not freed.
pub(crate) fn live() -> Result<usize, Failure> {
    // The statistics are as old as the epoch.
    tikv_jemalloc_ctl::epoch::advance().map_err(|error| error.to_string())?;
    Ok(tikv_jemalloc_ctl::stats::allocated::read().map_err(|error| error.to_string())?)
}
