//! What the operating system reports about this process.

use std::fs;

use rustix::param::{clock_ticks_per_second, page_size};
use rustix::time::{ClockId, clock_gettime};

use crate::failure::Failure;

/// Resident bytes of this process that are not backed by a file.
pub(crate) fn rss_bytes() -> Result<u64, Failure> {
    rss_bytes_in("/proc/self/statm")
}

/// The same of another process.
pub(crate) fn rss_bytes_of(process: u32) -> Result<u64, Failure> {
    rss_bytes_in(&format!("/proc/{process}/statm"))
}

fn rss_bytes_in(path: &str) -> Result<u64, Failure> {
    let statm = fs::read_to_string(path)?;
    let field = |at: usize| statm.split_whitespace().nth(at).and_then(|pages| pages.parse::<u64>().ok());
    let (Some(resident), Some(shared)) = (field(1), field(2)) else {
        return Err("/proc/PID/statm has no resident and shared page counts".into());
    };
    Ok((resident - shared) * page_size() as u64)
}

/// CPU time that this process has used on all cores, in user and kernel mode, in us.
pub(crate) fn cpu_us() -> f64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    used.tv_sec as f64 * 1e6 + used.tv_nsec as f64 / 1e3
}

/// The same of another process, to a hundredth of a second.
pub(crate) fn cpu_us_of(process: u32) -> Result<f64, Failure> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name of the program stands in parentheses and may hold anything.
    let (_, fields) = stat.rsplit_once(')').ok_or("/proc/PID/stat has no name")?;
    let ticks = |at: usize| fields.split_whitespace().nth(at).and_then(|ticks| ticks.parse::<f64>().ok());
    let (user, kernel) = ticks(11).zip(ticks(12)).ok_or("/proc/PID/stat has no times")?;
    Ok((user + kernel) * 1e6 / clock_ticks_per_second() as f64)
}

/// How many file descriptors this process may have open.
pub(crate) fn open_files_limit() -> Result<u32, Failure> {
    let limits = fs::read_to_string("/proc/self/limits")?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next());
    Ok(soft.and_then(|soft| soft.parse().ok()).unwrap_or(u32::MAX))
}

/// How many threads a measurement uses, for Grove and for the peer alike.
pub(crate) fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}
