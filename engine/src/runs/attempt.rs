//! One attempt at a run, as those see it who work on it.

use super::latch::Latch;
use crate::model::Text;
use crate::sync::{Listening, Signal};

/// One attempt at a run. What comes from any but the current one is dropped.
#[derive(Debug)]
pub(crate) struct Attempt {
    pub(crate) run: Text,
    pub(crate) number: u32,
    /// Somebody cancelled the run: the agent should return.
    pub(crate) cancelled: Latch,
    /// It counts no more: its future is dropped.
    pub(crate) ended: Latch,
    /// Somebody sent an input.
    inputs: Signal,
}

impl Attempt {
    pub(crate) fn new(run: Text, number: u32) -> Self {
        Self { run, number, cancelled: Latch::default(), ended: Latch::default(), inputs: Signal::new() }
    }

    /// There is an input to take.
    pub(crate) fn input_came(&self) {
        self.inputs.notify(usize::MAX);
    }

    pub(crate) fn listen_for_input(&self) -> Listening {
        self.inputs.listen()
    }

    /// It counts no more, and nobody waits for anything of it.
    pub(crate) fn end(&self) {
        self.ended.set();
        self.cancelled.set();
    }
}
