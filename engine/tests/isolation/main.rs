//! Random populations, sources, changes, claims, tabs and views, to find a byte that reaches a session which may not see
//! it.
//!
//! What a session shows is a function of what its sources read of it and of the application's data, so it can be worked
//! out for each session alone, by code that shares nothing and keeps nothing. Every claim and every datum holds a marker
//! that says whose it is. Each frame is searched for markers of others, and each mirror and answer is compared with what
//! the session would get if it were alone.
//!
//! A *case* is one session and one change or read that was checked for it. `ISOLATION_CASES` says how many there are
//! (default 10,000). What fails says its seed; `ISOLATION_SEED` begins there. A million:
//! `ISOLATION_CASES=1000000 cargo test --release -p grove-engine --all-features --test isolation -- --nocapture`.

mod person;
mod program;
mod random;
#[path = "../suite/reference.rs"]
mod reference;
mod story;
mod world;

use std::hash::{BuildHasher, RandomState};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use random::Random;
use story::Story;
use world::{Done, World};

/// How many cases are checked if nothing else is said.
const CASES: u64 = 10_000;

fn asked(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the figure and the seed are for whoever runs it")]
fn no_session_is_sent_data_of_another_and_each_sees_what_it_would_see_alone() {
    let wanted = asked("ISOLATION_CASES").unwrap_or(CASES);
    let mut seed = asked("ISOLATION_SEED").unwrap_or_else(|| RandomState::new().hash_one(0_u64));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let (mut checked, mut stories) = (Done::default(), 0_u64);
    while checked.cases < wanted {
        let story = Story::random(&mut Random::new(seed));
        match catch_unwind(AssertUnwindSafe(|| runtime.block_on(World::live(&story)))) {
            Ok(done) => checked += done,
            Err(panic) => {
                eprintln!("ISOLATION_SEED={seed}\n{story:#?}");
                resume_unwind(panic);
            }
        }
        (seed, stories) = (seed.wrapping_add(1), stories + 1);
    }
    let Done { cases, bytes } = checked;
    println!("{cases} cases in {stories} stories, {bytes} bytes searched, no foreign one among them");
}
