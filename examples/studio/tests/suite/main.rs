//! The program as people use it: its README, its tree for an independent consumer, its model.

mod command_line;
mod fake_model;
mod model;
mod proofread;
mod readme;
mod rooms;
mod studio;
