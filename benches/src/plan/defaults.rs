//! The cells of a benchmark: what the command line asks for, and defaults for the rest.

use super::benchmark::Benchmark;
use super::cell::Cell;
use crate::cli::conditions::Conditions;
use crate::workload::Workload;
use crate::workload::likeness::Likeness;

/// The default conditions of a benchmark for one workload.
pub(crate) struct Defaults {
    pub(crate) likenesses: &'static [Likeness],
    /// Pairs of the number of sessions and the percentage that is active.
    pub(crate) sizes: &'static [(u32, u32)],
}

impl Defaults {
    fn sizes_for(&self, conditions: &Conditions) -> Vec<(u32, u32)> {
        match (conditions.sessions, conditions.active) {
            (Some(sessions), active) => vec![(sessions, active.unwrap_or(100))],
            (None, Some(active)) => {
                let fully_active = self.sizes.iter().filter(|(_, default)| *default == 100);
                fully_active.map(|(sessions, _)| (*sessions, active)).collect()
            }
            (None, None) => self.sizes.to_vec(),
        }
    }
}

/// The cells of a benchmark under these conditions.
pub(crate) fn cells_of(
    benchmark: Benchmark,
    conditions: &Conditions,
    defaults: impl FnOnce(Workload) -> Defaults,
) -> Vec<Cell> {
    let workload = conditions.workload.unwrap_or(Workload::Inbox);
    let defaults = defaults(workload);
    let sizes = defaults.sizes_for(conditions);
    let likenesses = conditions.likeness.map_or_else(|| defaults.likenesses.to_vec(), |likeness| vec![likeness]);
    let cell = |likeness, (sessions, active)| Cell {
        workload,
        likeness,
        active,
        ..Cell::without_workload(benchmark, sessions)
    };
    likenesses.into_iter().flat_map(|likeness| sizes.iter().map(move |size| cell(likeness, *size))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(conditions: &Conditions) -> Vec<(u32, u32)> {
        let defaults = |_| Defaults { likenesses: &[Likeness::One], sizes: &[(1_000, 100), (50_000, 15)] };
        let cells = cells_of(Benchmark::Memory, conditions, defaults);
        cells.iter().map(|cell| (cell.sessions, cell.active)).collect()
    }

    #[test]
    fn what_the_command_line_names_replaces_the_defaults() {
        assert_eq!(sizes(&Conditions::default()), [(1_000, 100), (50_000, 15)]);
        assert_eq!(sizes(&Conditions { sessions: Some(7), ..Conditions::default() }), [(7, 100)]);
        assert_eq!(sizes(&Conditions { active: Some(3), ..Conditions::default() }), [(1_000, 3)]);
    }
}
