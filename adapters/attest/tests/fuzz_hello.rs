//! Whatever a peer sends first: it is answered by a code of the contract, and nobody is welcomed by accident (peers 3).

use grove_attest::{
    Attestation, Card, Challenge, Checking, Member, Members, MemoryMembers, NewAttestation, PeerHello, SecretKey,
};
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::{Value, json};

const NOW_MS: u64 = 1_775_484_010_123;

const CODES: [&str; 10] = [
    "malformed",
    "unknown_message_type",
    "unauthorized",
    "revoked",
    "ttl_too_long",
    "not_yet_valid",
    "expired",
    "bad_signature",
    "attestation_mismatch",
    "bad_proof",
];

/// One change of a frame.
#[derive(Debug, Clone)]
enum Change {
    Byte(Index, u8),
    Cut(Index),
    Repeat(Index, Index),
    Field(Index, Value),
    Remove(Index),
    Add(String, Value),
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        ".{0,40}".prop_map(Value::from),
        "[0-9a-f]{64}".prop_map(Value::from),
        "[0-9a-f]{128}".prop_map(Value::from),
        Just(json!("2026-04-06T14:00:10.123Z")),
        Just(json!("9999-12-31T23:59:60Z")),
        Just(json!([])),
        Just(json!({})),
        Just(json!([["a"]])),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Byte(at, byte)),
        any::<Index>().prop_map(Change::Cut),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Change::Repeat(from, to)),
        (any::<Index>(), value()).prop_map(|(at, value)| Change::Field(at, value)),
        any::<Index>().prop_map(Change::Remove),
        (prop_oneof!["[a-z_]{1,20}", Just("rights".to_owned())], value())
            .prop_map(|(key, value)| Change::Add(key, value)),
    ]
}

/// The pointers of everything below a value.
fn pointers(value: &Value, path: &str, found: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(key, field)| (key.clone(), field)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(at, item)| (at.to_string(), item)).collect(),
        _ => Vec::new(),
    };
    for (key, child) in children {
        let path = format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
        found.push(path.clone());
        pointers(child, &path, found);
    }
}

fn changed(text: &str, change: &Change) -> String {
    let of_text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let mut bytes = text.as_bytes().to_vec();
    match change {
        _ if bytes.is_empty() => String::new(),
        Change::Byte(at, byte) => {
            let at = at.index(bytes.len());
            bytes[at] = *byte;
            of_text(bytes)
        }
        Change::Cut(at) => {
            bytes.truncate(at.index(bytes.len()));
            of_text(bytes)
        }
        Change::Repeat(from, to) => {
            let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
            bytes.extend_from_within(from.min(to)..from.max(to));
            of_text(bytes)
        }
        Change::Field(..) | Change::Remove(..) | Change::Add(..) => {
            changed_json(text, change).unwrap_or_else(|| text.to_owned())
        }
    }
}

fn changed_json(text: &str, change: &Change) -> Option<String> {
    let mut frame: Value = serde_json::from_str(text).ok()?;
    let mut all = Vec::new();
    pointers(&frame, "", &mut all);
    match change {
        Change::Field(at, value) => *frame.pointer_mut(all.get(at.index(all.len().max(1)))?)? = value.clone(),
        Change::Remove(at) => {
            let (parent, key) = all.get(at.index(all.len().max(1)))?.rsplit_once('/')?;
            frame.pointer_mut(parent)?.as_object_mut()?.remove(key);
        }
        Change::Add(key, value) => {
            frame.as_object_mut()?.insert(key.clone(), value.clone());
        }
        _ => {}
    }
    Some(frame.to_string())
}

/// What is proven by a hello: everything in it but how the peer is shown, and what is not known.
fn proven(text: &str) -> Value {
    let frame: Value = serde_json::from_str(text).unwrap();
    let mut rights = frame["attestation"]["rights"].as_array().cloned();
    rights.iter_mut().for_each(|rights| rights.sort_by_key(Value::to_string));
    let fields =
        ["type", "project", "session_public_key", "member_public_key", "signature"].map(|key| frame[key].clone());
    let attested =
        ["session_public_key", "member_public_key", "signature"].map(|key| frame["attestation"][key].clone());
    json!([fields, attested, rights])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]
    #[test]
    fn a_changed_hello_is_refused_with_a_code_unless_what_it_proves_is_the_same(
        is_session in any::<bool>(), changes in proptest::collection::vec(change(), 0..4)
    ) {
        let [member, session] = [[1; 32], [2; 32]].map(|seed| SecretKey::from_seed(&seed));
        let members = MemoryMembers::new();
        members.add("acme", Member::new("ann", member.public_key()).right("write")).unwrap();
        let mut challenge = Challenge::new("desk", NOW_MS).unwrap();
        let hello = if is_session {
            let new = NewAttestation::new("desk", "acme", session.public_key(), NOW_MS).rights(["write", "admin"]);
            PeerHello::session(&session, &challenge.frame(), "acme", Attestation::sign(&member, &new))
        } else {
            PeerHello::member(&member, &challenge.frame(), "acme")
        };
        let whole = hello.unwrap().card(Card { pid: Some(7), ..Card::new("worker") }).to_json();
        let frame = changes.iter().fold(whole.clone(), |frame, change| changed(&frame, change));
        match Checking::new(&members).check(&mut challenge, &frame, NOW_MS) {
            Ok(peer) => {
                prop_assert_eq!((peer.member.as_str(), peer.rights.as_slice()), ("ann", &["write".to_owned()][..]));
                prop_assert_eq!(proven(&frame), proven(&whole), "{}", frame);
            }
            Err(refused) => prop_assert!(CODES.contains(&refused.code()), "{:?}", refused),
        }
        prop_assert!(Checking::new(&members).check(&mut challenge, &whole, NOW_MS).is_err(), "it was the first frame");
    }

    #[test]
    fn bytes_that_nobody_has_signed_are_nothing(text in ".{0,300}") {
        let mut challenge = Challenge::new("desk", NOW_MS).unwrap();
        let checked = Checking::new(&MemoryMembers::new()).check(&mut challenge, &text, NOW_MS);
        prop_assert!(matches!(checked.unwrap_err().code(), "malformed" | "unknown_message_type"));
    }
}
