//! The runs of rooms, as an application and its adapters start and follow them.

use serde_json::Value;

use super::Rooms;
use crate::error::ActionError;
use crate::model::Text;
use crate::model::room::history::HistoryEntry;
use crate::model::room::new_run::NewRun;
use crate::model::room::run_view::{RunOutput, RunView};
use crate::model::session::Session;

impl Rooms {
    /// A member starts a run of the room's agent. Returns its id; events of the room and [`Rooms::run_of`] say how it goes.
    /// The session need not have joined. Under a call id that the session used within 10 minutes nothing is started: that
    /// run's id is returned (SEC32).
    ///
    /// # Errors
    /// `not_found`, `unauthorized` for an observer, `conflict` if the room has ended, or takes one run at a time and
    /// rejects others, `unknown_agent` if the room has none, or it or the fallback is not registered, `invalid_params`,
    /// `busy` if as many runs wait as may, or the session has too many tasks.
    pub fn run(&self, session: &Session, room: &str, new: &NewRun) -> Result<Text, ActionError> {
        self.service_for(session)?.run(session, room, (new, self.trace_id.as_deref()))
    }

    /// One run, with its result.
    ///
    /// # Errors
    /// `not_found`.
    pub fn run_of(&self, session: &Session, room: &str, run: &str) -> Result<RunView, ActionError> {
        self.service_for(session)?.run_of(session, room, run)
    }

    /// The runs of a room, oldest first: those that have not ended, and the last ones that have (`runs.ended_per_room`).
    ///
    /// # Errors
    /// `not_found`.
    pub fn runs(&self, session: &Session, room: &str) -> Result<Vec<RunView>, ActionError> {
        Ok(self.get(session, room)?.runs())
    }

    /// What a run has streamed: at most `limit` characters from one on.
    ///
    /// # Errors
    /// `not_found`.
    pub fn output(
        &self,
        session: &Session,
        room: &str,
        run: &str,
        offset: u64,
        limit: u64,
    ) -> Result<RunOutput, ActionError> {
        self.service_for(session)?.output(session, room, run, (offset, limit))
    }

    /// The user who started a run, or the owner of the room, cancels it: one that waits ends at once, and the agent of
    /// another one has 10 s to return.
    ///
    /// # Errors
    /// `not_found`, `unauthorized`, `conflict` if the run has ended.
    pub fn cancel_run(&self, session: &Session, room: &str, run: impl Into<Text>) -> Result<(), ActionError> {
        self.service_for(session)?.cancel_run(session, room, &run.into())
    }

    /// A member sends an input to a run, which its agent takes by [`RunContext::next_input`](crate::RunContext::next_input)
    /// (S3.7).
    ///
    /// # Errors
    /// `not_found`, `unauthorized`, `invalid_params` if it is too long, `conflict` if the run has ended, `busy` if as many
    /// inputs wait as may.
    pub fn send_input(
        &self,
        session: &Session,
        room: &str,
        run: impl Into<Text>,
        data: Value,
    ) -> Result<(), ActionError> {
        self.service_for(session)?.send_input(session, room, &run.into(), data)
    }

    /// What was said between a room and its agents, in order: a copy.
    ///
    /// # Errors
    /// `not_found`.
    pub fn history(&self, session: &Session, room: &str) -> Result<Vec<HistoryEntry>, ActionError> {
        self.service_for(session)?.history(session, room)
    }

    /// A member clears the history, and nothing else.
    ///
    /// # Errors
    /// `not_found`, `unauthorized`, `conflict` if the room has ended.
    pub fn clear_history(&self, session: &Session, room: &str) -> Result<(), ActionError> {
        self.service_for(session)?.clear_history(session, room)
    }
}
