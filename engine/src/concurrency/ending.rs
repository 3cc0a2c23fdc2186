//! Eviction, close, expiry, revocation and shutdown, concurrent with connect, commit and subscribe.

use std::time::Duration;

use shuttle::future::block_on;

use super::consumer::Consumer;
use super::{App, alice, check, join};
use crate::clock::Clock;
use crate::model::session::Session;
use crate::protocol::code::CloseCode;
use crate::sessions::revocations::Revocation;

#[test]
fn a_consumer_that_connects_during_an_eviction_gets_its_tree() {
    check(|| {
        let app = App::with(|config| config.times.idle_tree = Duration::from_millis(10));
        drop(app.subscribed(&alice()));
        let evicting = app.spawn(|app| app.clock.advance(10));
        let changing = app.spawn(App::increment_only);
        let mut consumer = app.consumer(&alice());
        consumer.subscribe();
        consumer.receive_until(|consumer| consumer.number() == Some(1));
        assert_eq!(consumer.closed, None);
        join([evicting, changing]);
        consumer.check_copy();
        drop(consumer);
        block_on(app.engine.settle());
        app.clock.advance(20_000);
        block_on(app.engine.settle());
        assert_eq!(app.engine.stats().trees, 0, "the tree is kept without a consumer");
    });
}

#[test]
fn a_consumer_that_leaves_while_its_first_tree_is_rendered_leaves_no_tree_behind() {
    check(|| {
        let app = App::with(|config| config.times.idle_tree = Duration::from_millis(10));
        let consumer = app.consumer(&alice());
        consumer.subscribe();
        join([app.spawn(move |_| drop(consumer))]);
        block_on(app.engine.settle());
        app.clock.advance(20_000);
        block_on(app.engine.settle());
        assert_eq!(app.engine.stats().trees, 0);
    });
}

#[test]
fn a_consumer_that_connects_while_its_idle_session_closes_is_not_left_on_a_closed_slot() {
    check(|| {
        let app = App::with(|config| config.times.idle_session = Duration::from_millis(10));
        drop(app.subscribed(&alice()));
        let ending = app.spawn(|app| app.clock.advance(10));
        let mut consumer = app.consumer(&alice());
        consumer.subscribe();
        consumer.receive_until(|consumer| consumer.number().is_some());
        join([ending]);
        app.check_attached([&mut consumer]);
    });
}

#[test]
fn closing_a_session_closes_its_connections_and_later_ones_start_over() {
    check(|| {
        let app = App::new();
        let mut before = app.subscribed(&alice());
        let old = app.slot("s");
        let mut querying = app.consumer(&alice());
        querying.sender().query("q");
        let threads = [app.spawn(|app| assert!(app.engine.close_session("s"))), app.spawn(App::increment_only)];
        let mut after = app.consumer(&alice());
        after.subscribe();
        assert_eq!(before.receive_until_closed(), CloseCode::Normal);
        assert_eq!(querying.receive_until_closed(), CloseCode::Normal);
        join(threads);
        assert!(old.tree().is_none() && old.links().is_empty(), "a closed slot keeps a tree or a connection");
        app.check_attached([&mut after]);
    });
}

#[test]
fn a_consumer_that_supersedes_its_lost_connection_misses_no_change() {
    check(|| {
        let app = App::new();
        let mut old = app.subscribed(&alice());
        let lost = old.resumable();
        // The old connection still works, and receives until it is closed.
        let threads = [
            app.spawn(move |_| assert_eq!(old.receive_until_closed(), CloseCode::Replaced)),
            app.spawn(App::increment_only),
        ];
        let mut new = Consumer::resume(&app.engine, &alice(), lost).unwrap();
        new.receive_until(|consumer| consumer.number() == Some(1));
        join(threads);
        app.check_attached([&mut new]);
    });
}

#[test]
fn a_query_that_waits_for_a_first_tree_gets_a_reply_or_ends_with_the_close() {
    check(|| {
        let app = App::new();
        let mut consumer = app.consumer(&alice());
        let closing = app.spawn(|app| assert!(app.engine.close_session("s")));
        consumer.sender().query("q");
        assert_eq!(consumer.receive_until_closed(), CloseCode::Normal);
        join([closing]);
        block_on(app.engine.settle());
    });
}

#[test]
fn a_revocation_closes_or_refuses_every_concurrent_connection() {
    check(|| {
        let app = App::new();
        let connecting = ["s", "t"].map(|id| {
            app.spawn(move |app| {
                let session = Session::new(id).with_user("alice");
                if let Ok(mut consumer) = Consumer::connect(&app.engine, &session) {
                    consumer.subscribe();
                    assert_eq!(consumer.receive_until_closed(), CloseCode::Policy);
                }
            })
        });
        app.engine.revoke(Revocation::user("alice"));
        join(connecting);
        assert_eq!(app.engine.stats().sessions, 0);
    });
}

#[test]
fn a_session_that_expires_while_connecting_is_refused_or_closed() {
    check(|| {
        let app = App::with(|config| config.times.expiry_warning = Duration::from_millis(0));
        let session = alice().with_expiry(app.clock.wall() + Duration::from_millis(100));
        let advancing = app.spawn(|app| app.clock.advance(100));
        if let Ok(mut consumer) = Consumer::connect(&app.engine, &session) {
            consumer.subscribe();
            assert_eq!(consumer.receive_until_closed(), CloseCode::Expired);
        }
        join([advancing]);
        block_on(app.engine.settle());
        assert_eq!(app.engine.stats().sessions, 0);
    });
}

#[test]
fn a_shutdown_closes_or_refuses_every_concurrent_connection() {
    check(|| {
        let app = App::new();
        let connecting = app.spawn(|app| {
            if let Ok(mut consumer) = Consumer::connect(&app.engine, &alice()) {
                consumer.subscribe();
                assert_eq!(consumer.receive_until_closed(), CloseCode::GoingAway);
            }
        });
        block_on(app.engine.shutdown(Duration::ZERO));
        join([connecting]);
        assert_eq!(app.engine.stats().connections, 0);
    });
}
