//! Agents at the other end of a WebSocket (rooms 6): what the two sides say to each other, and which link works on which
//! run. The socket itself follows with the runs.

mod from_agent;
mod links;
mod to_agent;
