//! What a thread does next: each lane with something to do has its turn.

use std::collections::VecDeque;
use std::sync::Arc;

use super::crew::Crew;
use super::gathered::Job;
use super::pass::Pass;
use super::schedule::{Lane, Staff};
use crate::in_flight::Work;

/// What a thread does next.
#[derive(Debug)]
pub(super) enum Next {
    /// Whatever this pass has left, one job after the other, until another lane has something to do.
    Jobs(Arc<Pass>),
    /// A job that has waited and can go on.
    Job(Arc<Pass>, Job),
    /// Begin a pass with what has gathered.
    Begin(Lane, Work),
    /// There is nothing to do, or there are too many threads: this one ends.
    Leave,
}

/// The lanes, and the threads that serve them.
#[derive(Debug)]
pub(super) struct Lanes {
    lanes: [Line; Lane::ALL.len()],
    /// Whose turn it was, of the lanes that each staff serves.
    last: [usize; Staff::ALL.len()],
    pub(super) crew: Crew,
    closed: bool,
}

/// What one lane has to do. At most one pass hands out jobs at a time; what is requested meanwhile gathers for the next.
#[derive(Debug, Default)]
struct Line {
    /// The pass that hands out its jobs. Those that were handed out may still run when the next pass begins.
    current: Option<Arc<Pass>>,
    resumed: VecDeque<(Arc<Pass>, Job)>,
    /// Something has gathered whose time has come.
    due: Option<Work>,
    /// A pass is being put together, or waits until its async functions have started.
    beginning: bool,
}

impl Line {
    fn can_begin(&self) -> bool {
        self.due.is_some() && !self.beginning && !self.has_current()
    }

    fn has_current(&self) -> bool {
        self.current.as_ref().is_some_and(|pass| pass.jobs.left() > 0)
    }

    fn things_to_do(&self) -> usize {
        let current = self.current.as_ref().map_or(0, |pass| pass.jobs.left());
        // What is due counts before its turn has come: whoever hands out the last job calls nobody.
        self.resumed.len() + current + usize::from(self.due.is_some() && !self.beginning)
    }

    fn next(&mut self, lane: Lane) -> Option<Next> {
        if let Some((pass, job)) = self.resumed.pop_front() {
            return Some(Next::Job(pass, job));
        }
        if let Some(pass) = self.current.as_ref().filter(|pass| pass.jobs.left() > 0) {
            return Some(Next::Jobs(Arc::clone(pass)));
        }
        if self.can_begin() {
            self.beginning = true;
            return self.due.take().map(|work| Next::Begin(lane, work));
        }
        None
    }
}

impl Lanes {
    pub(super) fn new(crew: Crew) -> Self {
        Self { lanes: Default::default(), last: Default::default(), crew, closed: false }
    }

    const fn line(&mut self, lane: Lane) -> &mut Line {
        &mut self.lanes[lane as usize]
    }

    /// What has gathered in a lane is to be rendered. `work` counts it as such. False if nothing begins any more.
    pub(super) fn due(&mut self, lane: Lane, work: Work) -> bool {
        if !self.closed {
            self.line(lane).due.get_or_insert(work);
        }
        !self.closed
    }

    /// Hands out the jobs of a pass, before it has begun: another one could begin as soon as it has, and of two that hand
    /// out jobs one would take the other's place. Returns the one before, to be dropped without a lock.
    pub(super) fn hand_out(&mut self, pass: &Arc<Pass>) -> Option<Arc<Pass>> {
        let line = self.line(pass.lane);
        debug_assert!(line.beginning && !line.has_current(), "jobs that another pass has left would be lost");
        line.current.replace(Arc::clone(pass))
    }

    /// All jobs of a pass are handed out. Returns it, to be dropped without a lock.
    pub(super) fn exhausted(&mut self, pass: &Arc<Pass>) -> Option<Arc<Pass>> {
        self.line(pass.lane).current.take_if(|current| Arc::ptr_eq(current, pass))
    }

    /// A pass has begun; the next one may when its jobs are handed out.
    pub(super) fn begun(&mut self, lane: Lane) {
        self.line(lane).beginning = false;
    }

    /// A job that has waited can go on.
    pub(super) fn resume(&mut self, pass: Arc<Pass>, job: Job) {
        self.line(pass.lane).resumed.push_back((pass, job));
    }

    /// Nothing begins any more.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.lanes.iter_mut().for_each(|line| line.due = None);
    }

    fn of(&self, staff: Staff) -> impl Iterator<Item = &Line> {
        Lane::ALL.into_iter().zip(&self.lanes).filter(move |(lane, _)| lane.staff() == staff).map(|(_, line)| line)
    }

    pub(super) fn things_to_do(&self, staff: Staff) -> usize {
        self.of(staff).map(Line::things_to_do).sum()
    }

    /// How many sessions the passes that hand out their jobs have left.
    pub(super) fn sessions_left(&self) -> usize {
        self.lanes.iter().filter_map(|line| line.current.as_ref()).map(|pass| pass.sessions_left()).sum()
    }

    /// Whether a thread that works on one pass had better look what else there is to do.
    pub(super) fn wants_attention(&self, staff: Staff) -> bool {
        let busy = self.of(staff).filter(|line| line.things_to_do() > 0).count();
        busy > 1 || self.crew.is_too_large(staff)
    }

    /// What a thread does next.
    pub(super) fn next(&mut self, staff: Staff) -> Next {
        if !self.crew.is_too_large(staff) {
            let all = (self.last[staff as usize] + 1..).take(Lane::ALL.len()).map(|at| at % Lane::ALL.len());
            for at in all.filter(|at| Lane::ALL[*at].staff() == staff) {
                if let Some(next) = self.lanes[at].next(Lane::ALL[at]) {
                    self.last[staff as usize] = at;
                    return next;
                }
            }
        }
        self.crew.leave(staff);
        Next::Leave
    }
}
