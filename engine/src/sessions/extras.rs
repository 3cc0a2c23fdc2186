//! What few sessions have at a time.

use super::overlay::Overlay;
use super::paths::Paths;
use super::recent_passes::RecentPasses;
use super::resume_points::ResumePoints;
use super::side_turns::SideTurns;
use super::waiters::Waiters;
use crate::model::Text;

/// What few sessions have at a time; it stands apart, so that most cost nothing for it.
#[derive(Debug, Default)]
pub(super) struct Extras {
    pub(super) resume_points: ResumePoints,
    /// What only this session has.
    pub(super) overlay: Option<Overlay>,
    /// What a pass shall render after the one that has the turn.
    pub(super) follow_up: Option<(Paths, Waiters)>,
    /// Which passes began while older ones still ran.
    pub(super) recent: RecentPasses,
    /// Turns beside the main one.
    pub(super) side_turns: SideTurns,
    /// The number of the session's latest task. It stays: a number never means another task.
    pub(super) last_task: u64,
}

impl Extras {
    pub(super) fn is_empty(&self) -> bool {
        let nothing_waits = self.resume_points.is_empty() && self.follow_up.is_none();
        let nothing_runs = self.recent.is_empty() && self.side_turns.is_empty();
        nothing_waits && nothing_runs && self.overlay.is_none() && self.last_task == 0
    }

    /// The id of the next task.
    pub(super) fn next_task(&mut self) -> Text {
        self.last_task += 1;
        format!("task-{}", self.last_task).into()
    }

    /// Adds to what is rendered after the pass that has the turn, with those who wait for it.
    pub(super) fn follow_up(&mut self, paths: &Paths, waiters: Waiters) {
        match &mut self.follow_up {
            Some((wanted, others)) => {
                wanted.merge(paths);
                others.merge(waiters);
            }
            None => self.follow_up = Some((paths.clone(), waiters)),
        }
    }
}
