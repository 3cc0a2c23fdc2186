//! Which cells answer a question.

use super::Question;
use crate::cell::Cell;
use crate::options::Asked;
use crate::workload::{Likeness, Workload};

/// One cell to be measured, and with how many sessions the peer stands beside it.
pub(super) struct Planned {
    pub(super) cell: Cell,
    pub(super) peer_sessions: Option<u32>,
}

/// The peer stands beside every cell, if that was asked for.
pub(super) fn planned(asked: &Asked, cells: &[Cell]) -> Vec<Planned> {
    let peer_sessions = asked.peer.then_some(asked.peer_sessions);
    cells.iter().map(|cell| Planned { cell: cell.clone(), peer_sessions }).collect()
}

/// What a question asks about one workload when nothing else is said.
pub(super) struct InStore {
    pub(super) likenesses: &'static [Likeness],
    /// Sessions, and how many of a hundred are active.
    pub(super) sizes: &'static [(u32, u32)],
}

pub(super) const EVERY_LIKENESS: &[Likeness] = &[Likeness::Distinct, Likeness::Tenth, Likeness::One];

/// The cells of a question: what was asked for, and what is in store for that workload where nothing was.
pub(super) fn cells_of(question: Question, asked: &Asked, in_store: impl FnOnce(Workload) -> InStore) -> Vec<Cell> {
    let workload = asked.workload.unwrap_or(Workload::Inbox);
    let InStore { likenesses, sizes } = in_store(workload);
    let likenesses = asked.likeness.map_or_else(|| likenesses.to_vec(), |likeness| vec![likeness]);
    let sizes = match (asked.sessions, asked.active) {
        (Some(sessions), active) => vec![(sessions, active.unwrap_or(100))],
        (None, Some(active)) => sizes.iter().filter(|(_, stored)| *stored == 100).map(|(n, _)| (*n, active)).collect(),
        (None, None) => sizes.to_vec(),
    };
    let cell = |likeness, (sessions, active)| Cell {
        question,
        workload,
        likeness,
        sessions,
        active,
        change: None,
        gap: None,
        server: None,
        per_session: false,
        of_peer: false,
    };
    likenesses.into_iter().flat_map(|likeness| sizes.iter().map(move |size| cell(likeness, *size))).collect()
}
