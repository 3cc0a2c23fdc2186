//! Commits against subscribing, asking, calling, and other commits.

use crate::sync::Ordering;

use shuttle::future::block_on;

use super::{App, alice, check, join};
use crate::model::session::Session;
use crate::refresh::scope::Scope;

#[test]
fn a_subscription_started_during_commits_ends_with_the_latest_tree() {
    check(|| {
        let app = App::new();
        let mut first = app.consumer(&alice());
        let changes = app.meanwhile(|app| {
            app.raise();
            app.raise_soon();
            app.raise();
        });
        let late = app.meanwhile(|app| {
            let mut late = app.consumer(&alice());
            late.subscribe();
            late.until(|consumer| consumer.shown() == Some(3));
            late.check_copy();
        });
        first.subscribe();
        first.until(|consumer| consumer.shown() == Some(3));
        join([changes, late]);
        first.check_copy();
    });
}

#[test]
fn a_connection_opened_during_a_commit_misses_no_change() {
    check(|| {
        let app = App::new();
        let _first = app.watching(&alice());
        // The moment is short: several changes are several moments.
        for round in 1..=6 {
            let change = app.meanwhile(App::raise_beside);
            let mut late = app.consumer(&alice());
            let mouth = late.mouth();
            let reading = app.meanwhile(move |_| mouth.subscribe());
            late.until(|consumer| consumer.shown() == Some(round));
            join([change, reading]);
        }
    });
}

#[test]
fn a_query_reply_shows_every_earlier_commit_and_versions_never_decrease() {
    check(|| {
        let app = App::new();
        let mut consumer = app.watching(&alice());
        let (mouth, other) = (consumer.mouth(), consumer.mouth());
        let asking = app.meanwhile(move |app| {
            for id in ["one", "two"] {
                let at_least = app.raise();
                mouth.query(&format!("{id}>={at_least}"));
            }
        });
        let beside = app.meanwhile(move |app| {
            let at_least = app.raise();
            other.query(&format!("three>={at_least}"));
        });
        consumer.until(|consumer| consumer.answers().count() == 3 && consumer.shown() == Some(3));
        for (id, answer) in consumer.answers() {
            let at_least: u64 = id.split_once(">=").and_then(|(_, least)| least.parse().ok()).unwrap();
            assert!(answer["tree"]["properties"]["n"].as_u64().unwrap() >= at_least, "{id}: {answer}");
        }
        join([asking, beside]);
        consumer.check_copy();
    });
}

#[test]
fn the_patches_of_a_call_precede_its_result_whatever_else_is_committed() {
    check(|| {
        let app = App::new();
        let mut consumer = app.watching(&alice());
        let mouth = consumer.mouth();
        let calling = app.meanwhile(move |_| ["a", "b"].iter().for_each(|id| mouth.add(id)));
        let beside = app.meanwhile(|app| app.raise_soon());
        consumer.until(|consumer| ["a", "b"].iter().all(|id| consumer.answer(id).is_some()));
        for id in ["a", "b"] {
            let made = consumer.answer(id).unwrap()["data"].as_u64().unwrap();
            assert!(consumer.shown_at(id).unwrap() >= made, "{id}: the result {made} came before its patch");
        }
        join([calling, beside]);
        consumer.until(|consumer| consumer.shown() == Some(3));
        consumer.check_copy();
    });
}

#[test]
fn when_a_refresh_returns_its_change_is_committed_despite_concurrent_passes() {
    check(|| {
        let app = App::new();
        let mut consumer = app.watching(&alice());
        let change = |app: &App| {
            let mine = app.raise();
            assert!(app.committed(&alice()) >= mine, "a refresh returned before its change was committed");
        };
        let threads = [app.meanwhile(change), app.meanwhile(change), app.meanwhile(App::raise_soon)];
        consumer.until(|consumer| consumer.shown() == Some(3));
        join(threads);
        consumer.check_copy();
    });
}

#[test]
fn an_overtaken_pass_never_restores_older_content() {
    check(|| {
        let app = App::new();
        let (mut consumer, _other) = (app.watching(&alice()), app.watching(&Session::new("t")));
        // Evaluated once for both, and perhaps before the session's own refresh.
        let all = app.meanwhile(App::raise_beside);
        let own = app.meanwhile(|app| {
            let mine = app.number.fetch_add(1, Ordering::SeqCst) + 1;
            block_on(app.engine.refresh_now(Scope::session("s")));
            assert!(app.committed(&alice()) >= mine, "something older came back");
        });
        consumer.until(|consumer| consumer.shown() == Some(2));
        join([all, own]);
        consumer.check_copy();
        assert_eq!(consumer.shown(), Some(2));
    });
}

#[test]
fn a_cancelled_refresh_blocks_nobody() {
    check(|| {
        let app = App::new();
        let mut consumer = app.watching(&alice());
        let engine = app.engine.clone();
        let given_up = shuttle::future::spawn(async move { engine.refresh_now(Scope::all()).await });
        let change = app.meanwhile(App::raise_beside);
        given_up.abort();
        consumer.until(|consumer| consumer.shown() == Some(1));
        join([change]);
        consumer.check_copy();
    });
}
