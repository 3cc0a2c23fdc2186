//! Ends against beginnings: eviction, close, expiry, revocation and shut-down against connect, commit and subscribe.

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
        drop(app.watching(&alice()));
        let evicting = app.meanwhile(|app| app.clock.advance(10));
        let changing = app.meanwhile(App::raise_beside);
        let mut consumer = app.consumer(&alice());
        consumer.subscribe();
        consumer.until(|consumer| consumer.shown() == Some(1));
        assert_eq!(consumer.closed, None);
        join([evicting, changing]);
        consumer.check_copy();
        drop(consumer);
        block_on(app.engine.settle());
        app.clock.advance(20_000);
        block_on(app.engine.settle());
        assert_eq!(app.engine.stats().trees, 0, "nobody looks, and the tree is still there");
    });
}

#[test]
fn a_consumer_that_leaves_while_its_first_tree_is_rendered_leaves_no_tree_behind() {
    check(|| {
        let app = App::with(|config| config.times.idle_tree = Duration::from_millis(10));
        let consumer = app.consumer(&alice());
        consumer.subscribe();
        join([app.meanwhile(move |_| drop(consumer))]);
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
        drop(app.watching(&alice()));
        let ending = app.meanwhile(|app| app.clock.advance(10));
        let mut consumer = app.consumer(&alice());
        consumer.subscribe();
        consumer.until(|consumer| consumer.shown().is_some());
        join([ending]);
        app.check_attached([&mut consumer]);
    });
}

#[test]
fn closing_a_session_closes_its_connections_and_later_ones_start_over() {
    check(|| {
        let app = App::new();
        let mut before = app.watching(&alice());
        let old = app.slot("s");
        let mut asking = app.consumer(&alice());
        asking.mouth().query("q");
        let threads = [app.meanwhile(|app| assert!(app.engine.close_session("s"))), app.meanwhile(App::raise_beside)];
        let mut after = app.consumer(&alice());
        after.subscribe();
        assert_eq!(before.until_closed(), CloseCode::Normal);
        assert_eq!(asking.until_closed(), CloseCode::Normal);
        join(threads);
        assert!(old.tree().is_none() && old.links().is_empty(), "a closed slot keeps something");
        app.check_attached([&mut after]);
    });
}

#[test]
fn a_consumer_that_supersedes_its_lost_connection_misses_no_change() {
    check(|| {
        let app = App::new();
        let mut old = app.watching(&alice());
        let lost = old.resumable();
        // It is not dead at all, and takes what it is given for as long as it may.
        let threads = [
            app.meanwhile(move |_| assert_eq!(old.until_closed(), CloseCode::Replaced)),
            app.meanwhile(App::raise_beside),
        ];
        let mut new = Consumer::resume(&app.engine, &alice(), lost).unwrap();
        new.until(|consumer| consumer.shown() == Some(1));
        join(threads);
        app.check_attached([&mut new]);
    });
}

#[test]
fn a_query_that_waits_for_a_first_tree_gets_a_reply_or_ends_with_the_close() {
    check(|| {
        let app = App::new();
        let mut consumer = app.consumer(&alice());
        let closing = app.meanwhile(|app| assert!(app.engine.close_session("s")));
        consumer.mouth().query("q");
        assert_eq!(consumer.until_closed(), CloseCode::Normal);
        join([closing]);
        block_on(app.engine.settle());
    });
}

#[test]
fn a_revocation_closes_or_refuses_every_concurrent_connection() {
    check(|| {
        let app = App::new();
        let connecting = ["s", "t"].map(|id| {
            app.meanwhile(move |app| {
                let session = Session::new(id).with_user("alice");
                if let Ok(mut consumer) = Consumer::connect(&app.engine, &session) {
                    consumer.subscribe();
                    assert_eq!(consumer.until_closed(), CloseCode::Policy);
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
        let passing = app.meanwhile(|app| app.clock.advance(100));
        if let Ok(mut consumer) = Consumer::connect(&app.engine, &session) {
            consumer.subscribe();
            assert_eq!(consumer.until_closed(), CloseCode::Expired);
        }
        join([passing]);
        block_on(app.engine.settle());
        assert_eq!(app.engine.stats().sessions, 0);
    });
}

#[test]
fn a_shutdown_closes_or_refuses_every_concurrent_connection() {
    check(|| {
        let app = App::new();
        let connecting = app.meanwhile(|app| {
            if let Ok(mut consumer) = Consumer::connect(&app.engine, &alice()) {
                consumer.subscribe();
                assert_eq!(consumer.until_closed(), CloseCode::GoingAway);
            }
        });
        block_on(app.engine.shutdown(Duration::ZERO));
        join([connecting]);
        assert_eq!(app.engine.stats().connections, 0);
    });
}
