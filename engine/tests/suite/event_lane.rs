//! A stream of events never closes a slow reader, and neither delays what else is sent nor is delayed by it (rooms 4).

use grove_engine::{
    Action, CloseReason, Connection, Descriptor, Engine, Frame, Invocation, Limit, Provider, Role, Scope, Session,
};
use serde_json::{Value, json};

use crate::fixtures::{EventLog, Gate, SharedNumber, connect_and_subscribe, engine, engine_with, message_types};

/// How many bytes of events may wait in most of these tests.
const BOUND: usize = 2_000;

fn bounded() -> Engine {
    engine_with(|config| config.sizes.event_bytes = BOUND)
}

/// Emits numbered events of about 100 bytes.
fn emit(engine: &Engine, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let data = json!({"number": number, "text": "x".repeat(40)});
        engine.emit(Scope::all(), "tick", Some(&data)).unwrap();
    }
}

fn next(connection: &Connection) -> Option<Value> {
    match connection.try_next_frame()? {
        Frame::Text(text) => Some(serde_json::from_str(&text).unwrap()),
        Frame::Ping => Some(json!({"type": "ping"})),
        Frame::Close { code, .. } => Some(json!({"type": "closed", "code": code.as_u16()})),
    }
}

fn rest(connection: &Connection) -> Vec<Value> {
    std::iter::from_fn(|| next(connection)).collect()
}

fn ask(connection: &Connection, id: &str) {
    connection.receive(&json!({"type": "query", "id": id, "path": "/n"}).to_string());
}

/// The number of an event, or how many were dropped in its place.
fn tick(message: &Value) -> Result<u64, u64> {
    match message["name"].as_str() {
        Some("tick") => Ok(message["data"]["number"].as_u64().unwrap()),
        Some("events.dropped") => Err(message["data"]["count"].as_u64().unwrap()),
        _ => panic!("no event: {message}"),
    }
}

/// Checks that events and the counts of dropped ones make up all that were emitted, in order. Returns how many came.
fn check_order(messages: &[Value], emitted: u64) -> usize {
    let (mut expected, mut came) = (0, 0);
    for message in messages {
        match tick(message) {
            Ok(number) => {
                assert_eq!(number, expected, "in order, and none is missing that was not counted");
                (expected, came) = (expected + 1, came + 1);
            }
            Err(count) => expected += count,
        }
    }
    assert_eq!(expected, emitted);
    came
}

#[tokio::test]
async fn the_statistic_says_how_many_bytes_of_events_wait() {
    let engine = engine();
    let (consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    let (other, _) = connect_and_subscribe(&engine, Session::new("other")).await;
    assert_eq!(engine.stats().event_bytes, 0);
    emit(&engine, 0..1);
    let one = engine.stats().event_bytes / 2;
    assert!((40..1_000).contains(&one), "{one} bytes for each of both");
    emit(&engine, 1..5);
    assert_eq!(engine.stats().event_bytes, 2 * 5 * one);
    assert_eq!(engine.stats().outbox_bytes, engine.stats().event_bytes, "nothing else waits");
    assert_eq!(rest(consumer.connection()).len(), 5);
    assert_eq!(engine.stats().event_bytes, 5 * one, "what was taken does not wait");
    drop(other);
    assert_eq!(engine.stats().event_bytes, 0);
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_not_closed_and_is_told_once_how_many_events_it_missed() {
    let engine = bounded();
    let (consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    let log = EventLog::of(&engine);
    emit(&engine, 0..10_000);
    assert!(engine.stats().outbox_bytes <= BOUND);
    assert!(log.limit_count(Limit::EventBytes) > 0);
    let messages = rest(consumer.connection());
    assert!(tick(&messages[0]).is_err() && messages[1..].iter().all(|message| tick(message).is_ok()));
    assert!(check_order(&messages, 10_000) > BOUND / 200);
    emit(&engine, 0..3);
    assert_eq!(check_order(&rest(consumer.connection()), 3), 3, "it goes on as if nothing had been");
}

#[tokio::test]
async fn a_reader_that_is_slower_than_the_stream_still_gets_every_second_frame_as_an_event() {
    let engine = bounded();
    let (consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    let mut messages = Vec::new();
    for frame in 0..100 {
        emit(&engine, frame * 50..(frame + 1) * 50);
        messages.extend(next(consumer.connection()));
    }
    assert!(messages.iter().filter(|message| tick(message).is_ok()).count() >= 50);
    messages.extend(rest(consumer.connection()));
    check_order(&messages, 5_000);
}

#[tokio::test]
async fn an_event_larger_than_the_bound_goes_out_alone() {
    let engine = bounded();
    let (consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    emit(&engine, 0..5);
    engine.emit(Scope::all(), "large", Some(&json!("x".repeat(3 * BOUND)))).unwrap();
    let messages = rest(consumer.connection());
    assert_eq!((tick(&messages[0]), &messages[1]["name"], messages.len()), (Err(5), &json!("large"), 2));
}

#[tokio::test]
async fn a_full_lane_delays_patches_and_replies_by_no_more_than_a_frame() {
    let engine = engine();
    let number = SharedNumber::serve(&engine, "n");
    let (consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    emit(&engine, 0..1_000);
    number.set(1);
    engine.refresh_now(Scope::all()).await;
    ask(consumer.connection(), "q");
    let first: Vec<_> = (0..4).filter_map(|_| next(consumer.connection())).collect();
    let others = message_types(&first).into_iter().filter(|kind| *kind != "event").collect::<Vec<_>>();
    assert_eq!(others, ["snapshot", "patch"], "{:?}", message_types(&first));
}

#[tokio::test]
async fn waiting_replies_and_a_call_that_never_ends_delay_an_event_by_no_more_than_a_frame() {
    let engine = engine();
    let gate = Gate::default();
    let stand = gate.clone();
    let wait = Action::new("wait", move |_: Invocation<()>| stand.wait());
    engine.register("n", move |_: &Session| Descriptor::group().action(&wait));
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    consumer.start_invoke("/n", "wait", Value::Null);
    gate.wait_for_arrivals(1).await;
    (0..500).for_each(|at| ask(consumer.connection(), &format!("q{at}")));
    emit(&engine, 0..3);
    let first: Vec<_> = (0..7).filter_map(|_| next(consumer.connection())).collect();
    assert_eq!(
        message_types(&first).into_iter().filter(|kind| *kind == "event").count(),
        3,
        "{:?}",
        message_types(&first)
    );
    gate.open();
}

/// An action that changes the number, and emits so many events before it returns.
fn emitting(engine: &Engine, number: &SharedNumber, events: u64) {
    let (emitter, number) = (engine.clone(), number.clone());
    let act = Action::new("act", move |_: Invocation<()>| {
        emit(&emitter, 0..events);
        number.set(number.get() + 1);
    });
    engine.register("do", move |_: &Session| Descriptor::group().action(&act));
}

#[tokio::test]
async fn the_events_of_a_call_and_its_patch_precede_its_result() {
    let engine = engine();
    let number = SharedNumber::serve(&engine, "n");
    emitting(&engine, &number, 20);
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    consumer.start_invoke("/do", "act", Value::Null);
    let messages = consumer.settled().await;
    let (result, before) = messages.split_last().unwrap();
    assert_eq!(result["type"], "result", "{:?}", message_types(&messages));
    assert_eq!(message_types(before).into_iter().filter(|kind| *kind == "event").count(), 20);
    assert!(message_types(before).contains(&"patch"));
}

#[tokio::test]
async fn if_the_events_of_a_call_are_dropped_what_says_so_precedes_its_result() {
    let engine = bounded();
    emitting(&engine, &SharedNumber::default(), 1);
    let (mut consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    consumer.start_invoke("/do", "act", Value::Null);
    engine.settle().await;
    emit(&engine, 1..1_000);
    let messages = rest(consumer.connection());
    let place = |wanted: &str| messages.iter().position(|m| m["type"] == wanted || m["name"] == wanted);
    assert!(place("events.dropped").unwrap() < place("result").unwrap(), "{:?}", message_types(&messages));
    let events: Vec<_> = messages.iter().filter(|message| message["type"] == "event").cloned().collect();
    check_order(&events, 1_000);
}

#[tokio::test]
async fn no_stream_of_events_puts_a_close_off_and_what_was_emitted_before_it_still_goes_out() {
    let engine = engine();
    let (consumer, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    emit(&engine, 0..3);
    consumer.connection().flooded();
    emit(&engine, 3..6);
    let messages = rest(consumer.connection());
    assert_eq!(message_types(&messages), ["event", "event", "event", "closed"]);
    assert_eq!(messages[3]["code"], CloseReason::ControlFlood.code().as_u16());
    emit(&engine, 6..9);
    assert_eq!((rest(consumer.connection()).len(), engine.stats().outbox_bytes), (0, 0));
}

#[tokio::test]
async fn events_wait_for_hello_and_tabs_get_none() {
    let engine = engine();
    let provider: &dyn Provider = &engine;
    let consumer = provider.connect(Session::new("s"), Role::Consumer).unwrap();
    let tab = provider.connect(Session::new("s"), Role::Tab { mount: "ui".to_owned() }).unwrap();
    assert_eq!(engine.emit(Scope::session("s"), "ding", None), Ok(1));
    assert_eq!(message_types(&rest(&consumer)), ["hello", "event"]);
    assert_eq!(message_types(&rest(&tab)), ["connect"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn readers_at_any_speed_beside_a_stream_get_their_patches_and_the_events_in_order() {
    let engine = bounded();
    let number = SharedNumber::serve(&engine, "n");
    let (mut consumer, id) = connect_and_subscribe(&engine, Session::new("s")).await;
    let stream = tokio::task::spawn_blocking({
        let engine = engine.clone();
        move || emit(&engine, 0..5_000)
    });
    let mut events = Vec::new();
    for round in 1..=50 {
        number.set(round);
        engine.refresh_now(Scope::all()).await;
        while consumer.tree(&id)["children"][0]["properties"]["n"] != json!(round) {
            let message = consumer.next().await;
            events.extend((message["type"] == "event").then_some(message));
        }
    }
    stream.await.unwrap();
    events.extend(consumer.settled().await);
    check_order(&events, 5_000);
}
