//! One attacker.

use crate::stage::Stage;

/// What an attacker does again and again; it is given how often it did before.
pub type Strike = Box<dyn FnMut(usize) + Send>;

/// An attacker: what it is, and how it is prepared.
#[derive(Debug, Clone, Copy)]
pub struct Attacker {
    /// What it does, as a phrase: "empty continuation frames".
    pub name: &'static str,
    prepare: fn(&Stage) -> Strike,
}

impl Attacker {
    pub(crate) const fn new(name: &'static str, prepare: fn(&Stage) -> Strike) -> Self {
        Self { name, prepare }
    }

    /// Connects it, and registers what it needs.
    #[must_use]
    pub fn prepare(&self, stage: &Stage) -> Strike {
        (self.prepare)(stage)
    }
}
