//! The app over real sockets, as a hand-written consumer sees it.

mod board;
mod consumer;
mod control;
mod crash;
mod driver;
mod hostile;
mod http;
mod inbox;
mod mirror;
mod per_session;
mod process;
mod registration;
mod rooms;
mod rooms_acting;
mod rooms_creating;
mod rooms_ending;
mod rooms_events;
mod rooms_joining;
mod rooms_per_session;
mod rooms_presence;
mod running;
mod runs;
mod sessions;
mod shape;
mod slow_reader;
mod todos;
