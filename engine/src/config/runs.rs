//! How many runs a room may have, and how large what they take and give may be.

use std::time::Duration;

use super::error::{ConfigError, at_least, duration, positive};
use super::rooms::EVENT_ENVELOPE_BYTES;
use super::sizes::Sizes;
use crate::model::room::history::HistoryBounds;
use crate::model::room::run::output::OutputBounds;
use crate::model::room::runs::RunBounds;

/// The bounds of runs. They matter only if there are rooms (`EngineBuilder::rooms`).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct RunLimits {
    /// How many runs of one room may wait. Default 16. One more is refused with `busy`.
    pub waiting_per_room: usize,
    /// How many runs that have ended a room shows. Default 32. The oldest are forgotten.
    pub ended_per_room: usize,
    /// How long an input, a result, and what a tool takes or returns may each be, in bytes of JSON. Default 64 KiB. A longer
    /// input is refused with `invalid_params`; a run with a longer result, and a tool call with longer arguments or a longer
    /// result, has failed with `too_large`.
    pub value_bytes: usize,
    /// How long the output of a run may be, in bytes. Default 1 MiB. The excess is cut off and counted.
    pub output_bytes: usize,
    /// How many bytes of the outputs of runs that have ended a room keeps. Default 4 MiB. The oldest are dropped.
    pub ended_output_bytes: usize,
    /// How long one chunk may be, in bytes of its text. Default 16 KiB. A longer one is split.
    pub chunk_bytes: usize,
    /// How many inputs may wait for a run. Default 64. One more is refused with `busy`.
    pub inputs_per_run: usize,
    /// How many entries the history of a room may have. Default 200. The oldest are evicted.
    pub history_entries: usize,
    /// How many bytes of texts the history of a room may have. Default 256 KiB. The oldest entries are evicted.
    pub history_bytes: usize,
    /// How long a run that no link of its agent works on waits for one, if it has no window of its own; and for how long an
    /// agent without a link still gets runs. Default 30 s.
    pub link_wait: Duration,
    /// How many agents one link may be. Default 16. One more is refused with `busy`.
    pub agents_per_link: usize,
    /// How many runs one link may work on at once for one agent, whatever it asks for. Default 1,024. It gets no more.
    pub runs_per_link: usize,
    /// The largest message that a link may send, in bytes. Default 1 MiB. A larger one closes the connection (1009).
    pub link_message_bytes: usize,
    /// How long a run that was started before the engine was waits for its agent to be registered, if its delivery has no
    /// window. Default 30 s. Then it is as if its window had expired; without a delivery it fails with `unknown_agent`.
    pub absent_agent_timeout: Duration,
}

/// How many bytes of JSON a byte of text may take.
const ESCAPED: usize = 6;

impl Default for RunLimits {
    fn default() -> Self {
        Self {
            waiting_per_room: 16,
            ended_per_room: 32,
            value_bytes: 64 << 10,
            output_bytes: 1 << 20,
            ended_output_bytes: 4 << 20,
            chunk_bytes: 16 << 10,
            inputs_per_run: 64,
            history_entries: 200,
            history_bytes: 256 << 10,
            link_wait: Duration::from_secs(30),
            agents_per_link: 16,
            runs_per_link: 1_024,
            link_message_bytes: 1 << 20,
            absent_agent_timeout: Duration::from_secs(30),
        }
    }
}

impl RunLimits {
    /// Zero switches off what is optional (waiting, old runs and their outputs, inputs, history).
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        positive("runs.value_bytes", self.value_bytes)?;
        positive("runs.output_bytes", self.output_bytes)?;
        positive("runs.chunk_bytes", self.chunk_bytes)?;
        positive("runs.agents_per_link", self.agents_per_link)?;
        positive("runs.runs_per_link", self.runs_per_link)?;
        positive("runs.link_message_bytes", self.link_message_bytes)?;
        duration("runs.absent_agent_timeout", self.absent_agent_timeout)
    }

    /// The bounds of the runs of one room.
    pub(crate) const fn bounds(&self) -> RunBounds {
        RunBounds {
            waiting: self.waiting_per_room,
            ended: self.ended_per_room,
            ended_output_bytes: self.ended_output_bytes,
            inputs: self.inputs_per_run,
            output: OutputBounds { bytes: self.output_bytes, chunk_bytes: self.chunk_bytes },
            history: HistoryBounds { entries: self.history_entries, bytes: self.history_bytes },
        }
    }

    /// Whether the events of runs fit the frames of an engine.
    pub(crate) fn fit(&self, sizes: &Sizes) -> Result<(), ConfigError> {
        let body = self.value_bytes.max(self.chunk_bytes.saturating_mul(ESCAPED));
        let problem = "must hold an event of a run: `runs.value_bytes`, or six times `runs.chunk_bytes`, and 32 KiB";
        at_least("sizes.frame_bytes", sizes.frame_bytes, body.saturating_add(EVENT_ENVELOPE_BYTES), problem)
    }
}
