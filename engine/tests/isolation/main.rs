//! Random sessions, sources, changes, claims, tabs, views and rooms, to find a byte that reaches a session which may not see it.
//!
//! What a session shows is a function of what its sources read of it and of the application's data. So it can be computed
//! for each session alone, by code that shares and caches nothing. Every claim and all data contain a marker that identifies
//! the owner. Each frame is searched for markers of others, and each mirror and reply is compared with what the session
//! would get if it were alone.
//!
//! A *case* is one session and one change or request that was checked for it. `ISOLATION_CASES` is the number of cases
//! (default 10,000). A failure prints its seed; `ISOLATION_SEED` starts there. For a million cases:
//! `ISOLATION_CASES=1000000 cargo test --release -p grove-engine --all-features --test isolation -- --nocapture`.

mod claims;
mod random;
#[path = "../suite/reference.rs"]
mod reference;
mod rooms;
mod script;
mod simulation;
mod source_model;
mod viewer;

use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use random::Random;
use script::Script;
use simulation::{Simulation, Totals};

/// How many cases are checked by default.
const CASES: u64 = 10_000;

fn number_from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the totals and the seed are for the person who runs it")]
fn no_session_receives_data_of_another_and_each_sees_what_it_would_see_alone() {
    let cases = number_from_env("ISOLATION_CASES").unwrap_or(CASES);
    let mut seed = number_from_env("ISOLATION_SEED").unwrap_or_else(|| RandomState::new().hash_one(0_u64));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (mut totals, mut scripts) = (Totals::default(), 0_u64);
    while totals.cases < cases {
        let script = Script::random(&mut Random::new(seed));
        match catch_unwind(AssertUnwindSafe(|| runtime.block_on(Simulation::run(&script)))) {
            Ok(checked) => totals += checked,
            Err(panic) => {
                eprintln!("ISOLATION_SEED={seed}\n{script:#?}");
                resume_unwind(panic);
            }
        }
        (seed, scripts) = (seed.wrapping_add(1), scripts + 1);
    }
    let Totals { cases, bytes, events } = totals;
    println!("{cases} cases in {scripts} scripts, {bytes} bytes searched, none of another session");
    println!("{events} events of rooms, none missing, doubled or out of order");
}
