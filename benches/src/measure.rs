//! Measuring instruments: time, latency distributions and memory.

pub(crate) mod allocator;
pub(crate) mod latencies;
pub(crate) mod memory_usage;
pub(crate) mod stopwatch;
