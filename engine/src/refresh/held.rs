//! For what a job waits that cannot be rendered yet, and what happens if that takes too long.

use std::sync::Arc;

use super::gathered::Job;
use super::source_trace::Waiting;
use crate::model::Text;
use crate::render::evaluate::Rendered;
use crate::sessions::waiters::Countdown;

/// What a job waits for. It holds neither a thread nor the turn of its session meanwhile.
#[derive(Debug)]
pub(super) enum Held {
    /// Another session evaluates what may be this one's result.
    ByLeader(Waiting<Rendered>),
    /// As many evaluations of a path are slow as may be.
    ByPath(Text, Arc<Countdown>),
}

impl Held {
    /// Waits until it is worth to try again.
    pub(super) async fn wait(&self) {
        match self {
            Self::ByLeader(waiting) => waiting.countdown.wait().await,
            Self::ByPath(_, countdown) => countdown.wait().await,
        }
    }

    /// It takes too long: the job evaluates for itself, or leaves that path as it is.
    pub(super) fn give_up(self, job: &mut Job) {
        match self {
            Self::ByLeader(waiting) => waiting.give_up(),
            Self::ByPath(path, _) => job.given_up.push(path),
        }
    }
}
