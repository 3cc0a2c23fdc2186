//! Every question as it is without options, for both workloads, and the peer once for each of them.

use super::live::slow;
use super::plan::Planned;
use super::{churn, connect, live, memory, refresh, resume};
use crate::cell::Cell;
use crate::options::Asked;
use crate::workload::{Likeness, Workload};

pub(super) fn plan() -> Vec<Planned> {
    let mut cells = Vec::new();
    for workload in [Workload::Inbox, Workload::Mail] {
        let asked = Asked { workload: Some(workload), ..Asked::default() };
        cells.extend(memory::cells(&asked));
        cells.extend(refresh::cells(&asked, None));
        cells.extend(connect::cells(&asked));
        cells.extend(resume::cells(&asked, None));
    }
    // The other mode, where it is dearest.
    let own = Asked { likeness: Some(Likeness::Distinct), sessions: Some(10_000), ..Asked::default() };
    cells.extend(memory::cells(&own).into_iter().map(|cell| Cell { per_session: true, ..cell }));
    cells.extend(live::cells(&Asked::default(), None));
    cells.extend(slow::cells(&Asked::default()));
    cells.extend(churn::cells(&Asked::default()));
    let peer_sessions = |cell: &Cell| match (cell.workload, cell.likeness, cell.sessions, cell.active) {
        (Workload::Inbox, Likeness::Distinct, 10_000, 100) => Some(2_000),
        (Workload::Mail, Likeness::Distinct, 1_000, 100) => Some(200),
        _ => None,
    };
    cells.into_iter().map(|cell| Planned { peer_sessions: peer_sessions(&cell), cell }).collect()
}
