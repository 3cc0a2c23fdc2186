//! The state of a consumer, without a transport.

use grove_engine::client::{
    Answer, CallOutcome, ConsumerError, ConsumerState, Message, MessageId, MirrorError, Received,
};
use serde_json::{Value, json};

fn receive(state: &mut ConsumerState, message: &Value) -> Result<Received, ConsumerError> {
    state.receive(Message::from_json(message).unwrap())
}

fn hello(epoch: &str, connection: &str) -> Value {
    json!({"type": "hello", "provider": {"id": "app", "name": "App", "epoch": epoch, "connection": connection}})
}

fn snapshot(id: &MessageId, version: u64) -> Value {
    let tree = json!({"id": "n", "type": "status", "properties": {"n": version}});
    json!({"type": "snapshot", "id": id, "version": version, "seq": 0, "tree": tree})
}

fn patch(id: &MessageId, version: u64, seq: u64) -> Value {
    let operation = json!({"op": "replace", "path": "/properties/n", "value": version});
    json!({"type": "patch", "subscription": id, "version": version, "seq": seq, "ops": [operation]})
}

fn error(id: &MessageId, code: &str) -> Value {
    json!({"type": "error", "id": id, "error": {"code": code, "message": "a sentence"}})
}

fn sent(state: &mut ConsumerState) -> Vec<Value> {
    std::iter::from_fn(|| state.next_message()).map(|text| serde_json::from_str(&text).unwrap()).collect()
}

fn shown(state: &ConsumerState, id: &MessageId) -> Option<u64> {
    state.tree(id)?.property("n")?.as_u64()
}

/// A state that has been greeted, with one subscription.
fn watching() -> (ConsumerState, MessageId) {
    let mut state = ConsumerState::strict();
    let id = state.subscribe(json!({"path": "/n"}));
    assert_eq!(sent(&mut state), [json!({"path": "/n", "type": "subscribe", "id": "sub-1"})]);
    assert_eq!(receive(&mut state, &hello("e", "c1")), Ok(Received::Hello));
    assert_eq!(receive(&mut state, &snapshot(&id, 3)), Ok(Received::Snapshot(id.clone())));
    (state, id)
}

#[test]
fn a_lost_connection_is_resumed_from_every_copy() {
    let (mut state, id) = watching();
    let never = state.subscribe(json!({"path": "/other"}));
    let call = state.invoke("/n", "add", json!({}));
    receive(&mut state, &patch(&id, 4, 1)).unwrap();
    assert_eq!(state.disconnect(), std::slice::from_ref(&call), "it will not be answered");
    assert_eq!((state.is_pending(&call), sent(&mut state)), (false, vec![]), "what was not sent is not sent any more");
    assert_eq!(shown(&state, &id), Some(4), "the copy stays");
    receive(&mut state, &hello("e", "c2")).unwrap();
    let lost = state.lost().and_then(|hello| hello.connection.clone());
    state.resume(lost.as_deref());
    let resume = json!({"epoch": "e", "version": 4, "connection": "c1"});
    assert_eq!(
        sent(&mut state),
        [
            json!({"path": "/n", "type": "subscribe", "id": id, "resume": resume}),
            json!({"path": "/other", "type": "subscribe", "id": never}),
        ]
    );
    assert_eq!(
        receive(&mut state.clone(), &patch(&id, 5, 1)),
        Err(ConsumerError::Mirror(id.clone(), MirrorError::NotResumed))
    );
    let resumed = json!({"type": "resumed", "id": id, "version": 4, "seq": 0});
    assert_eq!(receive(&mut state, &resumed), Ok(Received::Resumed(id.clone())));
    assert_eq!(receive(&mut state, &patch(&id, 5, 1)), Ok(Received::Patched(id.clone())));
    assert_eq!(shown(&state, &id), Some(5));
}

#[test]
fn another_provider_may_count_its_versions_anew() {
    for (epoch, fits) in [("e", false), ("f", true)] {
        let (mut state, id) = watching();
        state.disconnect();
        receive(&mut state, &hello(epoch, "c2")).unwrap();
        state.resume(None);
        assert_eq!(receive(&mut state, &snapshot(&id, 1)).is_ok(), fits, "{epoch}");
    }
}

#[test]
fn versions_never_go_back_on_a_connection_whatever_carries_them() {
    let (mut state, id) = watching();
    let query = state.query(json!({"path": "/"}));
    let answer =
        |version: u64| json!({"type": "snapshot", "id": query, "version": version, "tree": {"id": "n", "type": "x"}});
    let received = receive(&mut state, &answer(5));
    assert!(matches!(received, Ok(Received::Answer(_, Answer::Tree(_, 5)))), "{received:?}");
    let back = ConsumerError::VersionDecreased { from: 5, to: 4 };
    assert_eq!(receive(&mut state, &patch(&id, 4, 1)), Err(back.clone()));
    assert_eq!(receive(&mut state, &answer(4)), Err(back));
}

#[test]
fn answers_end_their_requests() {
    let (mut state, _) = watching();
    let (query, call) = (state.query(json!({"path": "/x"})), state.invoke("/n", "add", json!({"by": 2})));
    assert_eq!(sent(&mut state)[1]["params"], json!({"by": 2}));
    assert!(state.is_pending(&query) && state.is_pending(&call));
    let Ok(Received::Answer(id, Answer::Error(refused))) = receive(&mut state, &error(&query, "not_found")) else {
        panic!("an error answers the query");
    };
    assert_eq!((id, refused.code.as_str()), (query.clone(), "not_found"));
    let result = json!({"type": "result", "id": call, "status": "ok", "data": 3});
    let outcome = Answer::Outcome(CallOutcome::Done(Some(json!(3))));
    assert_eq!(receive(&mut state, &result), Ok(Received::Answer(call.clone(), outcome)));
    assert!(!state.is_pending(&query) && !state.is_pending(&call));
}

#[test]
fn a_subscription_that_is_refused_is_none_and_one_that_was_there_before_goes_on() {
    let (mut state, id) = watching();
    let new = state.subscribe(json!({"path": "/nowhere"}));
    let refused = receive(&mut state, &error(&new, "not_found"));
    assert!(matches!(&refused, Ok(Received::Refused(id, _)) if *id == new), "{refused:?}");
    assert_eq!(receive(&mut state, &snapshot(&new, 4)), Err(ConsumerError::UnknownSubscription(new)));
    state.sent(&json!({"type": "subscribe", "id": id, "path": "/n", "depth": "wrong"}));
    assert!(matches!(receive(&mut state, &error(&id, "bad_request")), Ok(Received::Refused(..))));
    receive(&mut state, &patch(&id, 5, 1)).unwrap();
    assert_eq!(state.subscription(&id).map(|of| of.options().clone()), Some(json!({"path": "/n"})));
}

#[test]
fn a_view_that_is_gone_or_too_large_may_come_back() {
    let (mut state, id) = watching();
    for code in ["not_found", "too_large"] {
        let absent = receive(&mut state, &error(&id, code));
        assert!(matches!(absent, Ok(Received::Absent(..))), "{absent:?}");
        assert_eq!(state.tree(&id), None);
        receive(&mut state, &snapshot(&id, 6)).unwrap();
    }
    let large = state.subscribe(json!({"path": "/large"}));
    assert!(matches!(receive(&mut state, &error(&large, "too_large")), Ok(Received::Absent(..))));
    receive(&mut state, &snapshot(&large, 7)).unwrap();
    assert_eq!(shown(&state, &large), Some(7));
}

#[test]
fn hello_comes_first_and_again_only_for_whoever_asks() {
    let mut state = ConsumerState::strict();
    let event = json!({"type": "event", "name": "e"});
    assert_eq!(receive(&mut state, &event), Err(ConsumerError::HelloExpected));
    receive(&mut state, &hello("e", "c")).unwrap();
    assert_eq!(receive(&mut state, &hello("e", "c")), Err(ConsumerError::SecondHello));
    state.sent(&json!({"type": "connect"}));
    assert_eq!(receive(&mut state, &hello("e", "c")), Ok(Received::Hello));
    assert_eq!(receive(&mut state, &event), Ok(Received::Event { name: "e".into(), data: None }));
}

#[test]
fn messages_of_a_subscription_that_was_ended_are_ignored_unless_it_must_be_strict() {
    let (mut strict, id) = watching();
    strict.unsubscribe(&id);
    assert_eq!(receive(&mut strict, &patch(&id, 4, 1)), Err(ConsumerError::UnknownSubscription(id.clone())));
    let mut tolerant = ConsumerState::new();
    assert_eq!(receive(&mut tolerant, &patch(&id, 4, 1)), Ok(Received::Ignored));
    assert_eq!(receive(&mut tolerant, &json!({"type": "new"})), Ok(Received::Ignored));
}

#[test]
fn the_messages_of_a_batch_are_taken_in_order() {
    let (mut state, id) = watching();
    let batch = json!({"type": "batch", "messages": [patch(&id, 4, 1), patch(&id, 5, 2)]});
    let both = vec![Received::Patched(id.clone()), Received::Patched(id.clone())];
    assert_eq!(receive(&mut state, &batch), Ok(Received::Batch(both)));
    assert_eq!(shown(&state, &id), Some(5));
}

#[test]
fn a_number_and_its_text_are_two_ids() {
    let mut state = ConsumerState::strict();
    receive(&mut state, &hello("e", "c")).unwrap();
    state.sent(&json!({"type": "batch", "messages": [
        {"type": "subscribe", "id": 7, "path": "/n"}, {"type": "subscribe", "id": "7", "path": "/n"},
    ]}));
    let [number, text] = [json!(7), json!("7")].map(|id| MessageId::from_json(&id).unwrap());
    assert_eq!((number.to_json(), text.to_json(), text.clone()), (json!(7), json!("7"), "7".into()));
    receive(&mut state, &snapshot(&number, 1)).unwrap();
    assert_eq!((shown(&state, &number), shown(&state, &text)), (Some(1), None));
}

#[test]
fn what_is_no_message_is_refused_with_the_reason() {
    for (text, why) in [
        ("[]", "expected struct"),
        ("{}", "missing field `type`"),
        (r#"{"type": "patch", "subscription": "s", "version": "1", "seq": 1, "ops": []}"#, "expected u64"),
        (r#"{"type": "patch", "subscription": "s", "seq": 1, "ops": []}"#, "must have the field `version`"),
        (r#"{"type": "patch", "subscription": "s", "version": 1, "ops": [{"op": "jump", "path": "/"}]}"#, "jump"),
        (r#"{"type": "snapshot", "id": "s", "version": 1, "tree": {"id": "a"}}"#, "the node `a` has no type"),
        (r#"{"type": "snapshot", "id": [], "version": 1}"#, "an id must be a string or a number"),
        (r#"{"type": "result", "id": "s", "status": "maybe"}"#, "status `maybe`"),
    ] {
        let error = Message::parse(text).unwrap_err().to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
}
