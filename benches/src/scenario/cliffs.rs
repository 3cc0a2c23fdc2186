//! Does any input cost more than in proportion to its size?

mod input;
mod inputs;

use super::verdict;
use crate::cli::cliffs_options::CliffsOptions;
use crate::failure::Failure;
use crate::output::console;
use input::{Cost, Input};

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
            let cost = (input.measure)(*size).await?;
            console::print(&line(&input, *size, cost));
            costs.push((*size, cost));
        }
        if let (Some(smallest), Some(largest)) = (costs.first(), costs.last()) {
            problems.extend(problem(&input, *smallest, *largest));
        }
    }
    Ok(verdict::print(&problems))
}

fn line(input: &Input, size: usize, cost: f64) -> String {
    let name = input.name;
    match input.cost {
        Cost::Time => format!("{size:>8}  {:>12.3} ms     {name}", cost / 1e3),
        Cost::ConstantWork => format!("{size:>8}  {cost:>12} times  {name}"),
    }
}

/// What is wrong with how the cost grows, if anything is.
fn problem(input: &Input, (smallest, least): (usize, f64), (largest, most): (usize, f64)) -> Option<String> {
    let name = input.name;
    match input.cost {
        Cost::Time => {
            let growth = per_n_log_n(largest, most) / per_n_log_n(smallest, least);
            console::print(&format!("          {growth:>12.2} times as much per n log n\n"));
            let words = format!("{name}: {largest} cost {growth:.1} times as much per n log n as {smallest}");
            (growth > SLACK).then_some(words)
        }
        Cost::ConstantWork => {
            console::print("");
            (most > least).then(|| format!("{name}: {least} times with {smallest}, but {most} times with {largest}"))
        }
    }
}

fn per_n_log_n(n: usize, us: f64) -> f64 {
    let n = n as f64;
    us.max(FLOOR_US) / (n * n.log2())
}
