//! Unknown, malformed, duplicate and oversized input (contract 1.9): it gets an error, and the connection stays open.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use grove_attackers::MutilatedFrames;
use grove_engine::testing::TestConsumer;
use grove_engine::{Action, CloseReason, Descriptor, Engine, Event, Frame, Invocation, Limit, Outcome, Session};
use serde_json::{Value, json};

use crate::fixtures::{
    EventLog, connect_and_subscribe, engine, engine_with, engine_with_clock, error_code, user_session,
};

/// An engine with `/n`, whose action `act` counts its calls.
fn counting() -> (Engine, Arc<AtomicUsize>) {
    let (engine, calls) = (engine(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&calls);
    let act = Action::new("act", move |_: Invocation<()>| {
        count.fetch_add(1, Ordering::SeqCst);
    });
    engine.register("n", move |_: &Session| Descriptor::group().action(&act));
    (engine, calls)
}

/// Sends raw text and returns the replies.
async fn replies(engine: &Engine, consumer: &TestConsumer, text: &str) -> Vec<Value> {
    consumer.connection().receive(text);
    engine.settle().await;
    let mut messages = Vec::new();
    while let Some(frame) = consumer.connection().try_next_frame() {
        match frame {
            Frame::Text(text) => messages.push(serde_json::from_str(&text).unwrap()),
            other => panic!("the reply to {text} is {other:?}"),
        }
    }
    messages
}

#[tokio::test]
async fn malformed_messages_are_bad_requests_and_the_connection_stays_open() {
    let (engine, calls) = counting();
    let consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let bad_request = |id: Value| (id, "error", "bad_request");
    let none = || bad_request(Value::Null);
    for (text, wanted) in [
        ("", none()),
        ("nonsense", none()),
        ("{", none()),
        ("[]", none()),
        ("5", none()),
        ("null", none()),
        ("\"text\"", none()),
        ("{}", none()),
        (r#"{"id":"x"}"#, bad_request(json!("x"))),
        (r#"{"id":"x","type":7}"#, bad_request(json!("x"))),
        (r#"{"id":"x","type":"dance"}"#, bad_request(json!("x"))),
        (r#"{"id":7,"type":"dance"}"#, bad_request(json!(7))),
        (r#"{"type":"dance"}"#, none()),
        (r#"{"type":"subscribe"}"#, none()),
        (r#"{"type":"subscribe","id":null}"#, none()),
        (r#"{"type":"subscribe","id":{}}"#, none()),
        (r#"{"type":"query"}"#, none()),
        (r#"{"type":"unsubscribe"}"#, none()),
        (r#"{"type":"invoke","path":"/n","action":"act"}"#, none()),
        (r#"{"type":"subscribe","id":"x","path":5}"#, bad_request(json!("x"))),
        (r#"{"type":"subscribe","id":"x","depth":"2"}"#, bad_request(json!("x"))),
        (r#"{"type":"subscribe","id":"x","depth":1.5}"#, bad_request(json!("x"))),
        (r#"{"type":"subscribe","id":"x","max_nodes":"9"}"#, bad_request(json!("x"))),
        (r#"{"type":"subscribe","id":"x","filter":[]}"#, bad_request(json!("x"))),
        (r#"{"type":"subscribe","id":"x","filter":{"types":"group"}}"#, bad_request(json!("x"))),
        (r#"{"type":"subscribe","id":"x","filter":{"types":[1]}}"#, bad_request(json!("x"))),
        (r#"{"type":"subscribe","id":"x","filter":{"min_salience":"0.5"}}"#, bad_request(json!("x"))),
        (r#"{"type":"query","id":"x","window":[1]}"#, bad_request(json!("x"))),
        (r#"{"type":"query","id":"x","window":[-1,5]}"#, bad_request(json!("x"))),
        (r#"{"type":"query","id":"x","window":[0,"5"]}"#, bad_request(json!("x"))),
        (r#"{"type":"query","id":9,"window":{}}"#, bad_request(json!(9))),
        (r#"{"type":"invoke","id":"x","action":"act"}"#, (json!("x"), "result", "bad_request")),
        (r#"{"type":"invoke","id":"x","path":"/n"}"#, (json!("x"), "result", "bad_request")),
        (r#"{"type":"invoke","id":"x","path":"/n","action":5}"#, (json!("x"), "result", "bad_request")),
        (r#"{"type":"hello","id":"x"}"#, bad_request(json!("x"))),
        (r#"{"type":"snapshot","id":"x","tree":{}}"#, bad_request(json!("x"))),
        (r#"{"type":"result","id":"x","status":"ok"}"#, bad_request(json!("x"))),
        (r#"{"type":"pause","id":"x"}"#, (json!("x"), "error", "not_supported")),
        (r#"{"type":"resume","id":"x"}"#, (json!("x"), "error", "not_supported")),
        (r#"{"type":"batch"}"#, none()),
        (r#"{"type":"batch","messages":[5]}"#, none()),
        (r#"{"type":"batch","messages":[{"type":"batch","messages":[]}]}"#, none()),
    ] {
        let replies = replies(&engine, &consumer, text).await;
        assert_eq!(replies.len(), 1, "{text}: {replies:?}");
        let reply = &replies[0];
        let (id, kind, wanted) = wanted;
        assert_eq!((reply["type"].as_str(), error_code(reply)), (Some(kind), wanted), "{text}");
        assert_eq!(
            reply.get("id").cloned().unwrap_or_default(),
            id,
            "{text}: the id is echoed, and omitted instead of null"
        );
        assert!(reply["id"].is_null() != reply.as_object().unwrap().contains_key("id"), "{text}: {reply}");
    }
    assert_eq!((calls.load(Ordering::SeqCst), engine.stats().subscriptions), (0, 0));
    assert_eq!(replies(&engine, &consumer, r#"{"type":"query","id":"q","path":"/n"}"#).await[0]["tree"]["id"], "n");
}

#[tokio::test]
async fn unusual_but_valid_messages_are_accepted() {
    let (engine, calls) = counting();
    let consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    for text in [
        r#"{"type":"query","id":7}"#,
        r#"{"type":"query","id":""}"#,
        r#"{"type":"query","id":"q","depth":-9,"max_nodes":-1,"filter":{},"window":null,"path":null,"new":{"field":1}}"#,
        r#"{"type":"query","id":"q","filter":null,"depth":null,"max_nodes":null}"#,
        r#"{"type":"query","id":"q","depth":9007199254740993}"#,
        " \n {\"type\":\"query\",\"id\":\"q\"} ",
        r#"{"type":"invoke","id":"i","path":"/n","action":"act","params":null,"session":"x"}"#,
    ] {
        let replies = replies(&engine, &consumer, text).await;
        assert_eq!(replies.len(), 1, "{text}");
        assert!(replies[0]["type"] == "snapshot" || replies[0]["status"] == "ok", "{text}: {}", replies[0]);
    }
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    let ids: Vec<Value> =
        replies(&engine, &consumer, r#"{"type":"query","id":7}"#).await.iter().map(|a| a["id"].clone()).collect();
    assert_eq!(ids, [json!(7)], "a number is echoed as a number");
}

#[tokio::test]
async fn a_number_and_the_same_digits_as_a_string_are_different_ids() {
    let (engine, _) = counting();
    let consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    replies(&engine, &consumer, r#"{"type":"subscribe","id":7,"path":"/"}"#).await;
    replies(&engine, &consumer, r#"{"type":"subscribe","id":"7","path":"/"}"#).await;
    assert_eq!(engine.stats().subscriptions, 2);
    replies(&engine, &consumer, r#"{"type":"unsubscribe","id":7}"#).await;
    assert_eq!(engine.stats().subscriptions, 1);
}

#[tokio::test]
async fn a_batch_is_processed_in_order() {
    let (engine, calls) = counting();
    let consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let text = json!({"type": "batch", "messages": [
        {"type": "subscribe", "id": "s", "path": "/n"},
        {"type": "query", "id": "q", "path": "/nowhere"},
        {"type": "dance", "id": "d"},
        {"type": "invoke", "id": "i", "path": "/n", "action": "act"},
    ]});
    let replies = replies(&engine, &consumer, &text.to_string()).await;
    let mut ids: Vec<&str> = replies.iter().map(|reply| reply["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 4, "{replies:?}");
    ids.sort_unstable();
    assert_eq!(ids, ["d", "i", "q", "s"]);
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn json_in_a_binary_frame_is_accepted_and_other_bytes_are_a_bad_request() {
    let (engine, _) = counting();
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    consumer.connection().receive_binary(br#"{"type":"query","id":"q","path":"/n"}"#);
    assert_eq!(consumer.answer("q").await["tree"]["id"], "n");
    consumer.connection().receive_binary(&[0xff, 0xfe, 0]);
    assert_eq!(error_code(&consumer.settled().await[0]), "bad_request");
}

#[tokio::test]
async fn deeply_nested_json_is_refused() {
    let (engine, _) = counting();
    let consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let text = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    assert_eq!(error_code(&replies(&engine, &consumer, &text).await[0]), "bad_request");
    let text = format!(
        r#"{{"type":"invoke","id":"i","path":"/n","action":"act","params":{}1{}}}"#,
        "{\"a\":".repeat(9_000),
        "}".repeat(9_000)
    );
    let reply = replies(&engine, &consumer, &text).await.remove(0);
    assert_eq!((reply["id"].as_str(), error_code(&reply)), (Some("i"), "invalid_params"));
    let message = reply["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("params.a.a.") && message.ends_with("is nested too deeply"), "{message}");
    let deep = json!({"type": "query", "id": "q", "path": "/a".repeat(30_000)});
    assert_eq!(error_code(&replies(&engine, &consumer, &deep.to_string()).await[0]), "not_found");
}

#[tokio::test]
async fn an_oversized_message_closes_only_its_own_connection() {
    let engine = engine_with(|config| config.sizes.message_bytes = 1_000);
    let log = EventLog::of(&engine);
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let (mut sibling, _) = connect_and_subscribe(&engine, Session::new("s")).await;
    let exactly = format!("{:<1000}", r#"{"type":"query","id":"q"}"#);
    consumer.connection().receive(&exactly);
    assert_eq!(consumer.answer("q").await["type"], "snapshot", "a message of exactly the limit is accepted");
    consumer.connection().receive(&format!("{exactly} "));
    consumer.settled().await;
    assert_eq!(consumer.closed(), Some(1009));
    assert_eq!(log.limit_count(Limit::MessageBytes), 1);
    assert_eq!(sibling.query("/").await["id"], "app");
}

#[tokio::test]
async fn a_peer_above_the_rate_limit_gets_busy_and_is_served_again_later() {
    let (engine, clock) = engine_with_clock(|config| config.limits.messages_per_second = std::num::NonZeroU32::new(10));
    let log = EventLog::of(&engine);
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    for number in 0..10 {
        consumer.send(&json!({"type": "query", "id": number, "path": "/"}));
    }
    assert!(consumer.settled().await.iter().all(|reply| reply["type"] == "snapshot"));
    consumer.send(&json!({"type": "query", "id": "q"}));
    assert_eq!(log.limit_count(Limit::MessagesPerSecond), 1, "reported at once");
    consumer.send(&json!({"type": "invoke", "id": "i", "path": "/", "action": "x"}));
    consumer.connection().receive("nonsense");
    let replies = consumer.settled().await;
    let summaries: Vec<_> =
        replies.iter().map(|r| (r["type"].as_str().unwrap(), r["id"].as_str(), error_code(r))).collect();
    assert_eq!(summaries, [("error", Some("q"), "busy"), ("result", Some("i"), "busy"), ("error", None, "busy")]);
    assert_eq!(log.limit_count(Limit::MessagesPerSecond), 1, "reported once");
    clock.advance(1_000);
    assert_eq!(consumer.query("/").await["id"], "app");
}

#[tokio::test]
async fn each_message_of_a_batch_counts_against_the_rate_limit() {
    let (engine, clock) = engine_with_clock(|config| config.limits.messages_per_second = std::num::NonZeroU32::new(10));
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let queries = |first: u64| {
        let messages: Vec<_> = (first..first + 50).map(|id| json!({"type": "query", "id": id, "path": "/"})).collect();
        json!({"type": "batch", "messages": messages})
    };
    for first in [0, 100] {
        consumer.send(&queries(first));
        let replies = consumer.settled().await;
        let answered = replies.iter().filter(|reply| reply["type"] == "snapshot").count();
        let busy = replies.iter().filter(|reply| error_code(reply) == "busy").count();
        assert_eq!((answered, busy), (10, 40), "{replies:?}");
        clock.advance(1_000);
    }
}

#[tokio::test]
async fn a_peer_that_keeps_exceeding_the_rate_limit_is_closed() {
    let (engine, _clock) =
        engine_with_clock(|config| config.limits.messages_per_second = std::num::NonZeroU32::new(10));
    let log = EventLog::of(&engine);
    let mut consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    for _ in 0..3_000 {
        consumer.connection().receive("nonsense");
        consumer.settled().await;
        if consumer.closed().is_some() {
            break;
        }
    }
    assert_eq!(consumer.closed(), Some(1008));
    drop(consumer);
    assert_eq!(log.count(|event| matches!(event, Event::Disconnected { reason: CloseReason::Abuse, .. })), 1);
}

#[tokio::test]
async fn ten_thousand_hostile_frames_do_not_affect_other_sessions() {
    let engine = engine_with(|config| {
        config.sizes.outbox_bytes = 64 << 20;
        config.limits.call_ids_per_connection = 0;
    });
    let number = crate::fixtures::SharedNumber::serve(&engine, "n");
    let (mut witness, _) = connect_and_subscribe(&engine, user_session("w", "witness")).await;
    let hostile = TestConsumer::connect(&engine, user_session("h", "hostile")).await;
    for (round, frame) in (0..10_000).zip(MutilatedFrames::new("/n", "act")) {
        hostile.connection().receive(&frame);
        while hostile.connection().try_next_frame().is_some() {}
        if round % 1_000 == 0 {
            number.set(round);
            engine.refresh_now(grove_engine::Scope::all()).await;
            witness.check_mirrors().await;
        }
    }
    engine.settle().await;
    witness.check_mirrors().await;
}

#[tokio::test]
async fn a_lone_surrogate_becomes_the_replacement_character() {
    let engine = engine();
    let say = Action::new("say", |call: Invocation<Value>| Outcome::data(call.params));
    engine.register("n", move |_: &Session| Descriptor::group().action(&say));
    let consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let text = r#"{"type":"invoke","id":"i","path":"/n","action":"say","params":{"title":"cut \ud83d","k\ude00":"\ud83d\ude00"}}"#;
    let replies = replies(&engine, &consumer, text).await;
    assert_eq!((replies[0]["id"].as_str(), replies[0]["status"].as_str()), (Some("i"), Some("ok")), "{replies:?}");
    assert_eq!(replies[0]["data"], json!({"title": "cut \u{fffd}", "k\u{fffd}": "\u{1f600}"}));
}

#[tokio::test]
async fn a_number_out_of_range_is_refused_with_its_path_and_the_id() {
    let (engine, calls) = counting();
    let consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    for (text, kind, wanted, message) in [
        (
            r#"{"type":"invoke","id":"x","path":"/n","action":"act","params":{"a":[1,{"b":1e400}]}}"#,
            "result",
            "invalid_params",
            "params.a[1].b is out of range",
        ),
        (
            r#"{"type":"invoke","path":"/n","action":"act","params":{"a":NaN},"id":"x"}"#,
            "result",
            "invalid_params",
            "params.a is not a number",
        ),
        (r#"{"type":"query","id":"x","depth":-1e999}"#, "error", "bad_request", "`depth` is out of range"),
        (
            r#"{"type":"subscribe","id":"x","filter":{"min_salience":1e400}}"#,
            "error",
            "bad_request",
            "`filter.min_salience` is out of range",
        ),
    ] {
        let replies = replies(&engine, &consumer, text).await;
        assert_eq!(replies.len(), 1, "{text}: {replies:?}");
        let reply = &replies[0];
        assert_eq!((reply["type"].as_str(), reply["id"].as_str()), (Some(kind), Some("x")), "{text}");
        assert_eq!((error_code(reply), reply["error"]["message"].as_str()), (wanted, Some(message)), "{text}");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn an_unreadable_value_fails_only_its_own_message_of_a_batch() {
    let (engine, calls) = counting();
    let consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let text = r#"{"type":"batch","messages":[
        {"type":"invoke","id":"first","path":"/n","action":"act","params":{"a":1e400}},
        {"type":"invoke","id":"second","path":"/n","action":"act","params":{"a":"\ud83d"}}]}"#;
    let replies = replies(&engine, &consumer, text).await;
    let summaries: Vec<_> =
        replies.iter().map(|a| (a["id"].as_str().unwrap(), a["status"].as_str().unwrap())).collect();
    assert_eq!(summaries, [("first", "error"), ("second", "ok")], "{replies:?}");
    assert_eq!(calls.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn the_number_of_different_types_in_a_filter_is_limited() {
    let (engine, _) = counting();
    let consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let query = |types: Vec<String>| json!({"type": "query", "id": "q", "filter": {"types": types}}).to_string();
    let names = |count: usize| (0..count).map(|n| format!("t{n}")).collect::<Vec<_>>();
    let same = std::iter::repeat_n("group".to_owned(), 5_000).chain(names(63)).collect();
    let accepted = replies(&engine, &consumer, &query(same)).await.remove(0);
    assert_eq!(accepted["tree"]["children"][0]["id"], "n", "duplicates do not count: {accepted}");
    for (types, message) in [
        (names(65), "`filter.types` must not hold more than 64 different types"),
        (vec!["t".repeat(513)], "`filter.types` must not hold a type longer than 512 bytes"),
    ] {
        let refused = replies(&engine, &consumer, &query(types)).await.remove(0);
        assert_eq!((refused["id"].as_str(), error_code(&refused)), (Some("q"), "bad_request"));
        assert_eq!(refused["error"]["message"], message);
    }
}

#[tokio::test]
async fn an_id_longer_than_512_bytes_is_refused_and_not_echoed() {
    let (engine, calls) = counting();
    let consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    for kind in ["query", "subscribe", "invoke"] {
        let message = json!({"type": kind, "id": "i".repeat(600), "path": "/n", "action": "act"});
        let refused = replies(&engine, &consumer, &message.to_string()).await.remove(0);
        assert_eq!((refused.get("id"), error_code(&refused)), (None, "bad_request"), "{kind}");
    }
    assert_eq!((calls.load(Ordering::SeqCst), engine.stats().subscriptions), (0, 0));
    let message = json!({"type": "query", "id": "i".repeat(510)});
    assert_eq!(replies(&engine, &consumer, &message.to_string()).await[0]["type"], "snapshot");
}

#[tokio::test]
async fn many_unreadable_values_cost_no_more_than_the_frame() {
    let (engine, calls) = counting();
    let consumer = TestConsumer::connect(&engine, Session::new("s")).await;
    let (key, leaves) = ("k".repeat(30_000), "1e400,".repeat(5_000));
    let text = format!(r#"{{"type":"invoke","id":"i","path":"/n","action":"act","params":{{"{key}":[{leaves}1]}}}}"#);
    let replies_to_one = replies(&engine, &consumer, &text).await;
    assert_eq!((replies_to_one.len(), error_code(&replies_to_one[0])), (1, "invalid_params"));
    let message = |id: usize| format!(r#"{{"type":"query","id":{id},"a":[1e400,1e400],"b":NaN}}"#);
    let ok = r#"{"type":"query","id":99}"#;
    let messages: Vec<String> = (0..50).map(message).chain([ok.to_owned()]).collect();
    let batch = format!(r#"{{"x":1e400,"type":"batch","messages":[{}],"y":1e400}}"#, messages.join(","));
    let replies_to_all = replies(&engine, &consumer, &batch).await;
    let refused = replies_to_all.iter().filter(|reply| error_code(reply) == "bad_request").count();
    assert_eq!((replies_to_all.len(), refused, calls.load(Ordering::SeqCst)), (51, 50, 0));
}
