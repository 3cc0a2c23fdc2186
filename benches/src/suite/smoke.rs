//! Every benchmark at small sizes, for continuous integration.

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

/// With how many sessions the peer is measured.
const PEER_SESSIONS: u32 = 50;

pub(super) fn cells() -> Vec<PlannedCell> {
    let mut cells = Vec::new();
    for likeness in Likeness::ALL {
        let inbox = conditions(Workload::Inbox, likeness, 500);
        cells.extend(memory::cells(&inbox));
        cells.extend(refresh::cells(&inbox, None));
        cells.extend(connect::cells(&inbox));
        cells.extend(resume::cells(&inbox, None));
    }
    let mail = conditions(Workload::Mail, Likeness::Distinct, 100);
    cells.extend(memory::cells(&mail));
    cells.extend(refresh::cells(&mail, None));
    cells.extend(resume::cells(&mail, None));
    let per_session = memory::cells(&conditions(Workload::Inbox, Likeness::Distinct, 200));
    cells.extend(per_session.into_iter().map(|cell| Cell { per_session: true, ..cell }));
    cells.extend(live::cells(&conditions(Workload::Inbox, Likeness::One, 200), None));
    cells.extend(slow::cells(&conditions(Workload::Inbox, Likeness::Distinct, 110)));
    cells.extend(churn::cells(&conditions(Workload::Inbox, Likeness::Distinct, 5_000)));
    cells.extend(rooms::cells(&RoomsOptions { sessions: Some(200), ..RoomsOptions::default() }));
    cells.extend(runs::cells(&RunsOptions { sessions: Some(20), ..RunsOptions::default() }));
    cells.extend(storage::cells(&StorageOptions { sessions: Some(20), ..StorageOptions::default() }));
    cells.extend(peers::cells(&PeersOptions { sessions: Some(100), ..PeersOptions::default() }));
    cells.extend(cluster::cells(&ClusterOptions { sessions: 20, case: None }));
    let has_peer = |cell: &Cell| cell.likeness == Likeness::Distinct && !cell.per_session && cell.case().is_none();
    let peer_sessions = |cell: &Cell| has_peer(cell).then_some(PEER_SESSIONS);
    cells.into_iter().map(|cell| PlannedCell::new(cell.clone(), peer_sessions(&cell))).collect()
}

fn conditions(workload: Workload, likeness: Likeness, sessions: u32) -> Conditions {
    Conditions { workload: Some(workload), likeness: Some(likeness), sessions: Some(sessions), ..Conditions::default() }
}
