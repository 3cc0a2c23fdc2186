//! Events against commits, calls and closes; calls that end against closes.

use std::sync::Arc;

use serde_json::{Value, json};
use shuttle::future::block_on;

use super::{App, alice, check, join};
use crate::model::selector::Selector;
use crate::model::session::Session;
use crate::protocol::close_reason::CloseReason;
use crate::protocol::code::CloseCode;
use crate::protocol::encoded_event::EncodedEvent;
use crate::refresh::scope::{Scope, Target};
use crate::render::action::{Action, Invocation};
use crate::render::descriptor::Descriptor;
use crate::sync::Ordering;

/// So few bytes that one event fits, and a second one drops it.
const BOUND: usize = 90;

fn bounded() -> App {
    App::with(|config| config.sizes.event_bytes = BOUND)
}

fn emit(app: &App, numbers: std::ops::Range<u64>) {
    for number in numbers {
        app.engine.emit(Scope::all(), "tick", Some(&json!(number))).unwrap();
    }
}

/// Checks that the events that came, and those that were counted as dropped, are all that were emitted, in order.
fn check_events(events: &[Value], emitted: u64) {
    let mut expected = 0;
    for event in events {
        match event["data"].as_u64() {
            Some(number) => {
                assert_eq!(number, expected, "{events:?}");
                expected += 1;
            }
            None => expected += event["data"]["count"].as_u64().unwrap(),
        }
    }
    assert_eq!(expected, emitted, "{events:?}");
}

#[test]
fn a_lane_that_overflows_among_commits_loses_no_count_and_no_patch() {
    check(|| {
        let app = bounded();
        let mut consumer = app.subscribed(&alice());
        let stream = app.spawn(|app| emit(app, 0..6));
        let change = app.spawn(App::increment_only);
        consumer.receive_until(|consumer| consumer.number() == Some(1));
        join([stream, change]);
        consumer.receive_ready();
        check_events(consumer.events(), 6);
        consumer.check_copy();
    });
}

#[test]
fn the_last_event_reaches_a_writer_that_waits() {
    check(|| {
        let app = bounded();
        let mut consumer = app.subscribed(&alice());
        let stream = app.spawn(|app| emit(app, 0..3));
        consumer.receive_until(|consumer| consumer.events().last().is_some_and(|event| event["data"] == 2));
        join([stream]);
        check_events(consumer.events(), 3);
    });
}

#[test]
fn an_event_that_is_emitted_while_its_connection_closes_comes_before_the_close_or_not_at_all() {
    check(|| {
        let app = bounded();
        let mut consumer = app.subscribed(&alice());
        let stream = app.spawn(|app| emit(app, 0..4));
        let closing = app.spawn(|app| assert!(app.engine.close_session("s")));
        assert_eq!(consumer.receive_until_closed(), CloseCode::Normal);
        join([stream, closing]);
        assert_eq!(consumer.next_frame(), None, "something follows the close");
        let counts = consumer.events().iter().map(|event| event["data"]["count"].as_u64().unwrap_or(1));
        assert!(counts.sum::<u64>() <= 4);
    });
}

#[test]
fn the_events_of_a_call_precede_its_result_whatever_else_is_emitted() {
    check(|| {
        let app = bounded();
        let mut consumer = app.subscribed(&alice());
        let emitter = app.clone();
        let act = Action::new("add", move |_: Invocation<()>| {
            emit(&emitter, 0..1);
            emitter.number.fetch_add(1, Ordering::SeqCst);
        });
        app.engine.register("n", move |_: &Session| Descriptor::status().prop("n", 0_u64).action(&act));
        block_on(app.engine.refresh_now(Scope::all()));
        let sender = consumer.sender();
        let calling = app.spawn(move |_| sender.add("call"));
        let stream = app.spawn(|app| {
            while app.number.load(Ordering::SeqCst) == 0 {
                shuttle::thread::yield_now();
            }
            emit(app, 1..4);
        });
        consumer.receive_until(|consumer| consumer.reply("call").is_some());
        let first = consumer.events().first().unwrap_or_else(|| panic!("the result came before its event"));
        assert!(first["data"] == 0 || first["data"]["count"].as_u64() >= Some(1), "{first}");
        join([calling, stream]);
        // The action holds the engine that holds the action.
        app.engine.close_session("s");
        assert!(app.engine.unregister("n"));
    });
}

/// Ends the connection of `alice`'s first consumer for a reason.
fn end(app: &App, reason: CloseReason) {
    match reason {
        CloseReason::Closed => assert!(app.engine.close_session("s")),
        reason => app.slot("s").links().iter().for_each(|link| link.end(reason)),
    }
}

fn answered_once(reason: CloseReason, code: CloseCode) {
    let app = App::new();
    let mut consumer = app.subscribed(&alice());
    consumer.sender().add("call");
    let ending = app.spawn(move |app| end(app, reason));
    assert_eq!(consumer.receive_until_closed(), code);
    join([ending]);
    block_on(app.engine.settle());
    assert!(consumer.reply("call").is_some(), "the close came before the answer");
    assert_eq!(consumer.next_frame(), None, "something follows the close");
}

#[test]
fn a_call_that_ends_while_its_session_is_closed_is_answered_once_before_the_close() {
    check(|| answered_once(CloseReason::Closed, CloseCode::Normal));
}

#[test]
fn a_call_that_ends_while_its_connection_is_ended_is_answered_once_before_the_close() {
    check(|| answered_once(CloseReason::ControlFlood, CloseCode::Policy));
}

#[test]
fn a_call_that_runs_while_too_many_replies_wait_is_answered_once_before_the_close() {
    check(|| {
        let app = App::with(|config| config.sizes.outbox_bytes = 300);
        let mut consumer = app.subscribed(&alice());
        consumer.sender().add("call");
        let sender = consumer.sender();
        let asking = app.spawn(move |_| (0..6).for_each(|_| sender.send(&json!({"type": "nonsense"}))));
        consumer.receive_until(|consumer| consumer.reply("call").is_some());
        assert!(consumer.reply("call").is_some(), "the close came before the answer");
        join([asking]);
    });
}

#[test]
fn a_shut_down_waits_for_the_result_of_a_call_that_has_ended() {
    check(|| {
        let app = App::new();
        let mut consumer = app.subscribed(&alice());
        consumer.sender().add("call");
        let ending = app.spawn(|app| block_on(app.engine.shutdown(std::time::Duration::from_secs(60))));
        assert_eq!(consumer.receive_until_closed(), CloseCode::GoingAway);
        assert!(consumer.reply("call").is_some(), "the close came before the result");
        drop(consumer);
        join([ending]);
    });
}

#[test]
fn an_event_for_many_connections_is_encoded_once_and_no_tab_gets_it() {
    check(|| {
        let app = App::new();
        let connect = |at: usize| app.engine.connect(&Session::new(format!("s{}", at % 2))).unwrap();
        let connections: Vec<_> = (0..8).map(connect).collect();
        let tab = app.engine.connect_tab(&Session::new("s0")).unwrap();
        let event = EncodedEvent::own("ding", None);
        let receivers = app.engine.parts().emitter.send(&Target::Selected(Selector::All), &event);
        assert_eq!((receivers, Arc::strong_count(&event)), (8, 1 + 8));
        drop((connections, tab));
        assert_eq!(Arc::strong_count(&event), 1);
    });
}
