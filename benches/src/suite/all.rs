//! Every benchmark with its defaults, for both workloads, and the peer once for each of them.

use crate::benchmark::{churn, cluster, connect, live, memory, peers, refresh, resume, rooms, runs, slow, storage};
use crate::cli::cluster_options::ClusterOptions;
use crate::cli::conditions::Conditions;
use crate::cli::peers_options::PeersOptions;
use crate::cli::rooms_options::RoomsOptions;
use crate::cli::runs_options::RunsOptions;
use crate::cli::storage_options::StorageOptions;
use crate::plan::cell::Cell;
use crate::plan::planned_cell::PlannedCell;
use crate::workload::Workload;
use crate::workload::likeness::Likeness;

pub(super) fn cells() -> Vec<PlannedCell> {
    let mut cells = Vec::new();
    for workload in [Workload::Inbox, Workload::Mail] {
        let conditions = Conditions { workload: Some(workload), ..Conditions::default() };
        cells.extend(memory::cells(&conditions));
        cells.extend(refresh::cells(&conditions, None));
        cells.extend(connect::cells(&conditions));
        cells.extend(resume::cells(&conditions, None));
    }
    // A provider per session, where sessions take most memory.
    let distinct = Conditions { likeness: Some(Likeness::Distinct), sessions: Some(10_000), ..Conditions::default() };
    cells.extend(memory::cells(&distinct).into_iter().map(|cell| Cell { per_session: true, ..cell }));
    cells.extend(live::cells(&Conditions::default(), None));
    cells.extend(slow::cells(&Conditions::default()));
    cells.extend(churn::cells(&Conditions::default()));
    cells.extend(rooms::cells(&RoomsOptions::default()));
    cells.extend(runs::cells(&RunsOptions::default()));
    cells.extend(storage::cells(&StorageOptions::default()));
    cells.extend(peers::cells(&PeersOptions::default()));
    cells.extend(cluster::cells(&ClusterOptions { sessions: 1_000, case: None }));
    cells.into_iter().map(|cell| PlannedCell::new(cell.clone(), peer_sessions(&cell))).collect()
}

/// With how many sessions the peer is measured beside a cell, if it is.
fn peer_sessions(cell: &Cell) -> Option<u32> {
    match (cell.workload, cell.likeness, cell.sessions, cell.active) {
        _ if !cell.benchmark.has_peer() => None,
        (Workload::Inbox, Likeness::Distinct, 10_000, 100) => Some(2_000),
        (Workload::Mail, Likeness::Distinct, 1_000, 100) => Some(200),
        _ => None,
    }
}
