//! Hostile consumers, tabs and applications, and a victim that must not notice them.
//!
//! "Others are not disturbed" is one check with many attackers: the engine's suite (`undisturbed`) checks that the
//! victim's copy is exact, that nobody else is closed and that nothing grows; `grove-bench disturb` measures how much
//! later the victim's frames and results come.
//!
//! A new attacker is one entry in [`all`]: a name, and a function that prepares it on a [`Stage`] and returns what it
//! does at each strike.

mod peer;
mod stage;
mod attacker;
mod mutilated_frames;
mod applications;
mod modules;
mod consumers;
mod tabs;
mod victim;

pub use attacker::{Attacker, Strike};
pub use mutilated_frames::MutilatedFrames;
pub use peer::Peer;
pub use stage::{HOSTILE_USER, Stage};
pub use victim::Victim;

/// All attackers.
#[must_use]
pub fn all() -> Vec<Attacker> {
    [consumers::all(), tabs::all(), applications::all(), modules::all()].concat()
}
