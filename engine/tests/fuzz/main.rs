//! Random input for everything that reads untrusted data: frames, patches of tabs, paths and parameter schemas.
//!
//! Each target runs for `FUZZ_SECONDS` (default 5) with new input every time. A failing input is shrunk and printed; add it
//! to the suite as a named test.

mod app;
mod frames;
mod json;
mod mutation;
mod node_rules;
mod paths;
mod schemas;
mod tabs;
