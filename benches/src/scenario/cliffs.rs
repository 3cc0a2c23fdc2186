//! Does any input cost more than in proportion to its size?

mod input;
mod inputs;

use super::verdict;
use crate::cli::cliffs_options::CliffsOptions;
use crate::failure::Failure;
use crate::output::console;

/// How much more the largest size may cost than the smallest, per n log n.
const SLACK: f64 = 4.0;

/// Less than this many us are taken for this many: what takes less is lost in noise.
const FLOOR_US: f64 = 100.0;

/// Returns whether none costs more.
pub(crate) async fn run(options: CliffsOptions) -> Result<bool, Failure> {
    let mut problems = Vec::new();
    for input in inputs::all() {
        let sizes = if options.short { &input.sizes[..2] } else { input.sizes };
        let mut costs = Vec::new();
        for size in sizes {
            let us = (input.measure)(*size).await?;
            costs.push((*size, us.max(FLOOR_US) / in_proportion(*size)));
            console::print(&format!("{size:>8}  {:>12.3} ms  {}", us / 1e3, input.name));
        }
        if let (Some((smallest, least)), Some((largest, most))) = (costs.first(), costs.last()) {
            let growth = most / least;
            console::print(&format!("          {growth:>12.2}     times as much per n log n\n"));
            if growth > SLACK && input.is_mended {
                let name = input.name;
                problems.push(format!("{name}: {largest} cost {growth:.1} times as much per n log n as {smallest}"));
            }
        }
    }
    Ok(verdict::print(&problems))
}

fn in_proportion(n: usize) -> f64 {
    let n = n as f64;
    n * n.log2()
}
