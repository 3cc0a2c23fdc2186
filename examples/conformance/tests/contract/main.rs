//! Every rule of the wire contract that the app can demonstrate, as cases in data files.
//!
//! The cases are in `engine/tests/suite/conformance/`, one file for each section, described in its `README.md`. Each is
//! played against the app in both provider modes, without a socket and over a real one.

use std::collections::HashSet;

use futures_util::{FutureExt, StreamExt};

use crate::case::{Case, all};
use crate::peer::Transport;

mod case;
#[path = "../suite/mirror.rs"]
mod mirror;
mod pattern;
mod peer;
mod play;
mod web;

/// How many cases run concurrently. They spend most of their time waiting.
const AT_ONCE: usize = 12;

async fn play_all(transport: Transport, arguments: &[&str]) {
    let applies = |case: &Case| {
        (!case.shared_only || arguments.is_empty()) && (!case.memory_only || transport == Transport::Memory)
    };
    let cases: Vec<Case> = all().into_iter().filter(applies).collect();
    let failures: Vec<String> = futures_util::stream::iter(cases)
        .map(|case| async move {
            let played = std::panic::AssertUnwindSafe(play::play(&case, transport, arguments)).catch_unwind().await;
            played.err().map(|_| format!("{}: {}", case.rule, case.name))
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(failures.is_empty(), "these cases failed, for the reasons above:\n{}", failures.join("\n"));
}

#[tokio::test]
async fn the_contract_holds_in_process() {
    play_all(Transport::Memory, &[]).await;
}

#[tokio::test]
async fn the_contract_holds_over_a_websocket() {
    play_all(Transport::Socket, &[]).await;
}

#[tokio::test]
async fn the_contract_holds_in_process_with_a_provider_for_each_session() {
    play_all(Transport::Memory, &["--per-session"]).await;
}

#[tokio::test]
async fn the_contract_holds_over_a_websocket_with_a_provider_for_each_session() {
    play_all(Transport::Socket, &["--per-session"]).await;
}

#[test]
fn every_case_has_a_unique_name_and_a_rule_of_its_files_sections() {
    let mut names = HashSet::new();
    for case in all() {
        let file = case.file.split('-').next().unwrap_or_default();
        assert!(case.rule.starts_with(file) || file.split('_').any(|part| case.rule.starts_with(part)), "{case:?}");
        assert!(names.insert(case.name.clone()), "two cases have the name: {}", case.name);
    }
}
