//! What the system says about a process.

use std::fs;

use crate::Failure;

/// The kernel counts CPU time in hundredths of a second for everybody, whatever it ticks in.
const TICK_US: u64 = 10_000;

/// The size of a page on the machines that this runs on.
const PAGE_BYTES: u64 = 4096;

/// Resident bytes of this process that no file backs.
pub(crate) fn rss_bytes() -> Result<u64, Failure> {
    let statm = fs::read_to_string("/proc/self/statm")?;
    let field = |at: usize| statm.split_whitespace().nth(at).and_then(|pages| pages.parse::<u64>().ok());
    let (Some(resident), Some(shared)) = (field(1), field(2)) else { return Err("statm cannot be read".into()) };
    Ok((resident - shared) * PAGE_BYTES)
}

/// CPU time that this process has used, on all cores and in the kernel too, in us.
pub(crate) fn cpu_us() -> Result<u64, Failure> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The second field is a name in brackets that may hold anything.
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks = after_name.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok());
    Ok(ticks.sum::<u64>() * TICK_US)
}

/// How many files this process may have open.
pub(crate) fn open_files_limit() -> Result<u32, Failure> {
    let limits = fs::read_to_string("/proc/self/limits")?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next());
    Ok(soft.and_then(|soft| soft.parse().ok()).unwrap_or(u32::MAX))
}

/// How many threads a measurement uses, for Grove and for its peer alike.
pub(crate) fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}
