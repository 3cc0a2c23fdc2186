//! Which cells a subcommand measures.

mod all;
mod smoke;

use crate::benchmark::{churn, cluster, connect, live, memory, peers, refresh, resume, rooms, runs, slow, storage};
use crate::cli::benchmark_command::BenchmarkCommand;
use crate::cli::output_options::OutputOptions;
use crate::plan::cell::Cell;
use crate::plan::planned_cell::PlannedCell;

/// The cells that a subcommand measures, and how their results are shown.
pub(crate) struct Suite {
    pub(crate) name: &'static str,
    pub(crate) output: OutputOptions,
    pub(crate) cells: Vec<PlannedCell>,
}

impl Suite {
    pub(crate) fn of(command: BenchmarkCommand) -> Self {
        match command {
            BenchmarkCommand::Memory { conditions, peer, output, per_session } => {
                let cells = memory::cells(&conditions).into_iter().map(|cell| Cell { per_session, ..cell });
                Self::new("memory", output, cells, peer.sessions())
            }
            BenchmarkCommand::Refresh { conditions, peer, output, change } => {
                Self::new("refresh", output, refresh::cells(&conditions, change), peer.sessions())
            }
            BenchmarkCommand::Connect { conditions, output } => {
                Self::new("connect", output, connect::cells(&conditions), None)
            }
            BenchmarkCommand::Resume { conditions, output, gap } => {
                Self::new("resume", output, resume::cells(&conditions, gap), None)
            }
            BenchmarkCommand::Live { conditions, output, server } => {
                Self::new("live", output, live::cells(&conditions, server.as_deref()), None)
            }
            BenchmarkCommand::Slow { conditions, output } => Self::new("slow", output, slow::cells(&conditions), None),
            BenchmarkCommand::Churn { conditions, output } => {
                Self::new("churn", output, churn::cells(&conditions), None)
            }
            BenchmarkCommand::Rooms { options, output } => Self::new("rooms", output, rooms::cells(&options), None),
            BenchmarkCommand::Runs { options, output } => Self::new("runs", output, runs::cells(&options), None),
            BenchmarkCommand::Storage { options, output } => {
                Self::new("storage", output, storage::cells(&options), None)
            }
            BenchmarkCommand::Peers { options, output } => Self::new("peers", output, peers::cells(&options), None),
            BenchmarkCommand::Cluster { options, output } => {
                Self::new("cluster", output, cluster::cells(&options), None)
            }
            BenchmarkCommand::Smoke(output) => Self { name: "smoke", output, cells: smoke::cells() },
            BenchmarkCommand::All(output) => Self { name: "all", output, cells: all::cells() },
        }
    }

    fn new(
        name: &'static str,
        output: OutputOptions,
        cells: impl IntoIterator<Item = Cell>,
        peer_sessions: Option<u32>,
    ) -> Self {
        Self { name, output, cells: cells.into_iter().map(|cell| PlannedCell::new(cell, peer_sessions)).collect() }
    }
}
