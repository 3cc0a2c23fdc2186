//! Commits concurrent with subscriptions, queries, calls, and other commits.

use crate::sync::{Ordering, Runtime};

use shuttle::future::block_on;

use super::{App, alice, check, join};
use crate::model::session::Session;
use crate::refresh::scope::Scope;
use crate::render::descriptor::Descriptor;
use crate::render::source::Source;

#[test]
fn a_subscription_started_during_commits_ends_with_the_latest_tree() {
    check(|| {
        let app = App::new();
        let mut first = app.consumer(&alice());
        let changes = app.spawn(|app| {
            app.increment();
            app.increment_soon();
            app.increment();
        });
        let late = app.spawn(|app| {
            let mut late = app.consumer(&alice());
            late.subscribe();
            late.receive_until(|consumer| consumer.number() == Some(3));
            late.check_copy();
        });
        first.subscribe();
        first.receive_until(|consumer| consumer.number() == Some(3));
        join([changes, late]);
        first.check_copy();
    });
}

#[test]
fn a_connection_opened_during_a_commit_misses_no_change() {
    check(|| {
        let app = App::new();
        let _first = app.subscribed(&alice());
        // The critical moment is short, so several changes are tried.
        for round in 1..=6 {
            let change = app.spawn(App::increment_only);
            let mut late = app.consumer(&alice());
            let sender = late.sender();
            let subscribing = app.spawn(move |_| sender.subscribe());
            late.receive_until(|consumer| consumer.number() == Some(round));
            join([change, subscribing]);
        }
    });
}

#[test]
fn a_query_reply_shows_every_earlier_commit_and_versions_never_decrease() {
    check(|| {
        let app = App::new();
        let mut consumer = app.subscribed(&alice());
        let (sender, other) = (consumer.sender(), consumer.sender());
        let querying = app.spawn(move |app| {
            for id in ["one", "two"] {
                let at_least = app.increment();
                sender.query(&format!("{id}>={at_least}"));
            }
        });
        let concurrent = app.spawn(move |app| {
            let at_least = app.increment();
            other.query(&format!("three>={at_least}"));
        });
        consumer.receive_until(|consumer| consumer.replies().count() == 3 && consumer.number() == Some(3));
        for (id, reply) in consumer.replies() {
            let at_least: u64 = id.split_once(">=").and_then(|(_, least)| least.parse().ok()).unwrap();
            assert!(reply["tree"]["properties"]["n"].as_u64().unwrap() >= at_least, "{id}: {reply}");
        }
        join([querying, concurrent]);
        consumer.check_copy();
    });
}

#[test]
fn the_patches_of_a_call_precede_its_result_whatever_else_is_committed() {
    check(|| {
        let app = App::new();
        let mut consumer = app.subscribed(&alice());
        let sender = consumer.sender();
        let calling = app.spawn(move |_| ["a", "b"].iter().for_each(|id| sender.add(id)));
        let concurrent = app.spawn(|app| app.increment_soon());
        consumer.receive_until(|consumer| ["a", "b"].iter().all(|id| consumer.reply(id).is_some()));
        for id in ["a", "b"] {
            let added = consumer.reply(id).unwrap()["data"].as_u64().unwrap();
            assert!(consumer.number_at(id).unwrap() >= added, "{id}: the result {added} precedes its patch");
        }
        join([calling, concurrent]);
        consumer.receive_until(|consumer| consumer.number() == Some(3));
        consumer.check_copy();
    });
}

#[test]
fn when_a_refresh_returns_its_change_is_committed_despite_concurrent_passes() {
    check(|| {
        let app = App::new();
        let mut consumer = app.subscribed(&alice());
        let change = |app: &App| {
            let number = app.increment();
            assert!(app.committed(&alice()) >= number, "a refresh returned before its change was committed");
        };
        let threads = [app.spawn(change), app.spawn(change), app.spawn(App::increment_soon)];
        consumer.receive_until(|consumer| consumer.number() == Some(3));
        join(threads);
        consumer.check_copy();
    });
}

#[test]
fn an_overtaken_pass_never_restores_older_content() {
    check(|| {
        let app = App::new();
        let (mut consumer, _other) = (app.subscribed(&alice()), app.subscribed(&Session::new("t")));
        // This pass evaluates once for both sessions, perhaps before the session's own refresh.
        let all = app.spawn(App::increment_only);
        let own = app.spawn(|app| {
            let number = app.number.fetch_add(1, Ordering::SeqCst) + 1;
            block_on(app.engine.refresh_now(Scope::session("s")));
            assert!(app.committed(&alice()) >= number, "older content was restored");
        });
        consumer.receive_until(|consumer| consumer.number() == Some(2));
        join([all, own]);
        consumer.check_copy();
        assert_eq!(consumer.number(), Some(2));
    });
}

#[test]
fn a_pass_that_begins_while_async_functions_start_loses_no_job_of_another() {
    check(|| {
        let app = App::new();
        let (mut consumer, _other) = (app.subscribed(&alice()), app.subscribed(&Session::new("t")));
        // Each pass has one session that can be rendered at once, and one whose async function has to run before.
        let source = Source::new_async(|_| async { Descriptor::status() });
        app.engine.register_for("t", "own", source).unwrap_or_else(|error| panic!("{error}"));
        let threads = [(); 3].map(|()| app.spawn(App::increment_soon));
        consumer.receive_until(|consumer| consumer.number() == Some(3));
        join(threads);
        consumer.check_copy();
    });
}

#[test]
fn a_cancelled_refresh_blocks_nobody() {
    check(|| {
        let app = App::new();
        let mut consumer = app.subscribed(&alice());
        let engine = app.engine.clone();
        let cancelled = Runtime::current().spawn(async move { engine.refresh_now(Scope::all()).await });
        let change = app.spawn(App::increment_only);
        cancelled.abort();
        consumer.receive_until(|consumer| consumer.number() == Some(1));
        join([change]);
        consumer.check_copy();
    });
}
