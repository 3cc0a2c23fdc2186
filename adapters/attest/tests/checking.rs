//! Who a peer is: what is refused, and with which code (peers 2, 3, 7).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use grove_attest::{
    Attestation, Card, Challenge, Checking, Member, Members, MembersError, MemoryMembers, NewAttestation, PeerHello,
    ProvenPeer, PublicKey, Refused, SecretKey, Standing, WrongChallenge,
};
use serde_json::{Value, json};

const NOW_MS: u64 = 1_775_484_010_123;
const HOUR_MS: u64 = 3_600_000;

/// A server that knows a member of a project, and a session for which the member vouches.
struct House {
    members: MemoryMembers,
    member: SecretKey,
    session: SecretKey,
}

impl House {
    fn new() -> Self {
        let (member, session) = (SecretKey::from_seed(&[1; 32]), SecretKey::from_seed(&[2; 32]));
        let members = MemoryMembers::new();
        for project in ["acme", "other"] {
            let ann = Member::new("ann", member.public_key()).rights(["read", "write"]);
            members.add(project, ann).unwrap();
        }
        Self { members, member, session }
    }

    fn new_attestation(&self) -> NewAttestation {
        NewAttestation::new("desk", "acme", self.session.public_key(), NOW_MS - HOUR_MS).rights(["write", "admin"])
    }

    fn attestation(&self) -> Attestation {
        Attestation::sign(&self.member, &self.new_attestation())
    }

    fn hello(&self, challenge: &Challenge, attestation: Attestation) -> PeerHello {
        PeerHello::session(&self.session, &challenge.frame(), "acme", attestation).unwrap().card(Card::new("worker"))
    }

    fn check(&self, challenge: &mut Challenge, frame: &str) -> Result<ProvenPeer, Refused> {
        Checking::new(&self.members).check(challenge, frame, NOW_MS)
    }

    /// The code for a hello with this attestation.
    fn code(&self, attestation: Attestation) -> String {
        let mut challenge = challenge();
        let hello = self.hello(&challenge, attestation);
        code(self.check(&mut challenge, &hello.to_json()))
    }

    /// The code for a session's hello that is changed.
    fn code_of_changed(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut challenge = challenge();
        let mut hello = serde_json::to_value(self.hello(&challenge, self.attestation())).unwrap();
        change(&mut hello);
        code(self.check(&mut challenge, &hello.to_string()))
    }
}

fn challenge() -> Challenge {
    Challenge::new("desk", NOW_MS).unwrap()
}

fn code(checked: Result<ProvenPeer, Refused>) -> String {
    checked.err().map_or_else(|| "ok".to_owned(), |refused| refused.code().to_owned())
}

#[test]
fn a_session_for_which_a_member_vouches_has_those_of_the_members_rights_that_were_asked_for() {
    let house = House::new();
    let mut challenge = challenge();
    let hello = house.hello(&challenge, house.attestation());
    let peer = house.check(&mut challenge, &hello.to_json()).unwrap();
    assert_eq!((peer.project.as_str(), peer.member.as_str()), ("acme", "ann"));
    assert_eq!((peer.session_key, peer.member_key), (Some(house.session.public_key()), house.member.public_key()));
    assert_eq!((peer.rights, peer.card), (vec!["write".to_owned()], Some(Card::new("worker"))));
    assert_eq!(peer.expires_at_ms, Some(NOW_MS + 11 * HOUR_MS));
}

#[test]
fn no_list_of_rights_means_all_of_the_members_and_an_empty_one_means_none() {
    let house = House::new();
    let whole = NewAttestation::new("desk", "acme", house.session.public_key(), NOW_MS);
    for (new, rights) in [(whole.clone(), vec!["read", "write"]), (whole.rights([""; 0]), vec![])] {
        let mut challenge = challenge();
        let hello = house.hello(&challenge, Attestation::sign(&house.member, &new));
        assert_eq!(house.check(&mut challenge, &hello.to_json()).unwrap().rights, rights);
    }
}

#[test]
fn a_member_proves_its_own_key_and_needs_no_card() {
    let house = House::new();
    let mut challenge = challenge();
    let hello = PeerHello::member(&house.member, &challenge.frame(), "acme").unwrap();
    let peer = house.check(&mut challenge, &hello.to_json()).unwrap();
    assert_eq!((peer.session_key, peer.card, peer.rights), (None, None, vec!["read".to_owned(), "write".to_owned()]));
    assert_eq!(code(house.check(&mut challenge, &hello.to_json())), "bad_proof", "once");
    let other = PeerHello::member(&house.session, &challenge.frame(), "acme").unwrap();
    assert_eq!(code(house.check(&mut self::challenge(), &other.to_json())), "unauthorized");
}

/// The paths of all leaves.
fn leaves(value: &Value, path: &str) -> Vec<String> {
    match value {
        Value::Object(fields) => {
            fields.iter().flat_map(|(key, field)| leaves(field, &format!("{path}/{key}"))).collect()
        }
        Value::Array(items) => {
            items.iter().enumerate().flat_map(|(at, item)| leaves(item, &format!("{path}/{at}"))).collect()
        }
        _ => vec![path.to_owned()],
    }
}

/// The same with one character that is another one.
fn tampered(text: &str, at: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
    String::from_utf8(bytes).unwrap()
}

#[test]
fn whatever_is_changed_in_what_was_signed_is_refused_with_its_code() {
    let house = House::new();
    let whole = serde_json::to_value(house.hello(&challenge(), house.attestation())).unwrap();
    let mut seen = 0;
    for path in leaves(&whole, "") {
        let Some(text) = whole.pointer(&path).and_then(Value::as_str) else { continue };
        // Of a time, the last digit of its milliseconds; of others, every character.
        let places = if path.ends_with("not_before") || path.ends_with("expires_at") {
            text.len() - 2..text.len() - 1
        } else {
            0..text.len()
        };
        for at in places {
            let expected = match path.as_str() {
                "/type" => "unknown_message_type",
                "/project" | "/member_public_key" => "unauthorized",
                "/session_public_key" => "attestation_mismatch",
                "/signature" => "bad_proof",
                "/card/name" => "ok",
                _ => "bad_signature",
            };
            let found = house.code_of_changed(|hello| *hello.pointer_mut(&path).unwrap() = tampered(text, at).into());
            assert_eq!(found, expected, "{path}, character {at}");
            seen += 1;
        }
    }
    assert!(seen > 500, "{seen}");
    for (path, value) in [
        ("/project", json!("other")),
        ("/attestation/rights", json!(["write"])),
        ("/attestation/rights", json!(["admin", "read", "write"])),
        ("/attestation/rights", json!([])),
    ] {
        assert_eq!(
            house.code_of_changed(|hello| *hello.pointer_mut(path).unwrap() = value.clone()),
            "bad_signature",
            "{path}"
        );
    }
    let without = |hello: &mut Value| drop(hello["attestation"].as_object_mut().unwrap().remove("rights"));
    assert_eq!(house.code_of_changed(without), "bad_signature");
    let in_another_order = |hello: &mut Value| hello["attestation"]["rights"] = json!(["write", "admin"]);
    assert_eq!(house.code_of_changed(in_another_order), "ok", "they are signed in order");
}

#[test]
fn a_frame_that_is_not_what_it_should_be_is_malformed() {
    let house = House::new();
    for frame in ["", "[]", "1", "{}", r#"{"type":1}"#, "\u{0}", &"[".repeat(100_000), r#"{"type":"hello"}"#] {
        assert_eq!(code(house.check(&mut challenge(), frame)), "malformed", "{frame:.20}");
    }
    assert_eq!(code(house.check(&mut challenge(), r#"{"type":"ping"}"#)), "unknown_message_type");
    let whole = serde_json::to_value(house.hello(&challenge(), house.attestation())).unwrap();
    let optional = ["/attestation/rights/0", "/attestation/rights/1"];
    for path in leaves(&whole, "").iter().filter(|path| !optional.contains(&path.as_str())) {
        let (parent, key) = path.rsplit_once('/').unwrap();
        let remove = |hello: &mut Value| drop(hello.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key));
        assert_eq!(house.code_of_changed(remove), "malformed", "without {path}");
        assert_eq!(
            house.code_of_changed(|hello| *hello.pointer_mut(path).unwrap() = json!(7)),
            "malformed",
            "{path} is 7"
        );
    }
    let upper = |path: &'static str| {
        move |hello: &mut Value| {
            let field = hello.pointer_mut(path).unwrap();
            *field = field.as_str().unwrap().to_uppercase().into();
        }
    };
    for path in ["/session_public_key", "/member_public_key", "/signature", "/attestation/signature"] {
        assert_eq!(house.code_of_changed(upper(path)), "malformed", "{path} in upper case");
    }
    for rights in [
        json!(["a", "a"]),
        json!("a"),
        json!([1]),
        json!(vec![0; 300].iter().enumerate().map(|(n, _)| n.to_string()).collect::<Vec<_>>()),
    ] {
        assert_eq!(house.code_of_changed(|hello| hello["attestation"]["rights"] = rights.clone()), "malformed");
    }
    for (path, value) in [
        ("/card/name", json!("")),
        ("/card/name", json!("x".repeat(257))),
        ("/card", json!({"name": "a", "pid": -1})),
        ("/card", json!({"name": "a", "groups": "g"})),
        ("/project", json!("x".repeat(257))),
        ("/attestation/expires_at", json!("2026-04-06T12:00:00Z")),
        ("/attestation/not_before", json!("yesterday")),
        ("/attestation/not_before", json!("2026-04-06T13:00:10.1234Z")),
    ] {
        assert_eq!(
            house.code_of_changed(|hello| *hello.pointer_mut(path).unwrap() = value.clone()),
            "malformed",
            "{path}"
        );
    }
}

#[test]
fn the_time_of_an_attestation_is_checked_to_the_millisecond() {
    let house = House::new();
    let session = house.session.public_key();
    let of = |from_ms: u64, ttl_ms: u64| {
        let new = NewAttestation::new("desk", "acme", session, from_ms).ttl(Duration::from_millis(ttl_ms));
        Attestation::sign(&house.member, &new)
    };
    for (attestation, expected) in [
        (of(NOW_MS, 24 * HOUR_MS), "ok"),
        (of(NOW_MS + 30_000, HOUR_MS), "ok"),
        (of(NOW_MS + 30_001, HOUR_MS), "not_yet_valid"),
        (of(NOW_MS - HOUR_MS - 30_000, HOUR_MS), "ok"),
        (of(NOW_MS - HOUR_MS - 30_001, HOUR_MS), "expired"),
        (of(NOW_MS, 0), "ok"),
    ] {
        assert_eq!(house.code(attestation), expected);
    }
    let too_long = of(NOW_MS, 24 * HOUR_MS + 1);
    let frame = challenge().frame();
    let refused = PeerHello::session(&house.session, &frame, "acme", too_long.clone());
    assert_eq!(refused, Err(WrongChallenge::TooLong), "it is not even sent");
    let with_it = |hello: &mut Value| hello["attestation"] = serde_json::to_value(&too_long).unwrap();
    assert_eq!(house.code_of_changed(with_it), "ttl_too_long");
}

#[test]
fn what_was_signed_for_another_server_project_key_or_purpose_is_refused() {
    let house = House::new();
    let [session, other] = [&house.session, &SecretKey::from_seed(&[3; 32])].map(SecretKey::public_key);
    let signed = |audience: &str, project: &str| {
        Attestation::sign(&house.member, &NewAttestation::new(audience, project, session, NOW_MS))
    };
    assert_eq!(house.code(signed("desk", "acme")), "ok");
    assert_eq!(house.code(signed("Desk", "acme")), "bad_signature");
    assert_eq!(house.code(signed("desk", "other")), "bad_signature");
    assert_eq!(house.code(signed("deska", "cme")), "bad_signature", "lengths are signed");
    let stranger = SecretKey::from_seed(&[9; 32]);
    assert_eq!(house.code(Attestation::sign(&stranger, &house.new_attestation())), "unauthorized");
    let for_another = Attestation::sign(&house.member, &NewAttestation::new("desk", "acme", other, NOW_MS));
    let with_it = |hello: &mut Value| hello["attestation"] = serde_json::to_value(&for_another).unwrap();
    assert_eq!(house.code_of_changed(with_it), "attestation_mismatch");
    // The proof of a member is none of a session with the same key.
    let mut challenge = challenge();
    let own = NewAttestation::new("desk", "acme", house.member.public_key(), NOW_MS);
    let as_session =
        PeerHello::session(&house.member, &challenge.frame(), "acme", Attestation::sign(&house.member, &own));
    let as_member =
        serde_json::to_value(PeerHello::member(&house.member, &challenge.frame(), "acme").unwrap()).unwrap();
    let mut frame = serde_json::to_value(as_session.unwrap().card(Card::new("w"))).unwrap();
    frame["signature"] = as_member["signature"].clone();
    assert_eq!(code(house.check(&mut challenge, &frame.to_string())), "bad_proof");
}

#[test]
fn a_challenge_is_answered_once_within_a_minute_on_its_own_connection() {
    let house = House::new();
    let answered = |challenge: &mut Challenge, hello: &PeerHello, at_ms| {
        code(Checking::new(&house.members).check(challenge, &hello.to_json(), at_ms))
    };
    let mut first = challenge();
    let hello = house.hello(&first, house.attestation());
    assert_eq!(answered(&mut first, &hello, NOW_MS + 59_999), "ok");
    assert_eq!(answered(&mut first, &hello, NOW_MS + 59_999), "bad_proof", "on the same connection again");
    assert_eq!(answered(&mut challenge(), &hello, NOW_MS), "bad_proof", "on another one, or after a restart");
    let mut late = challenge();
    let hello = house.hello(&late, house.attestation());
    assert_eq!(answered(&mut late, &hello, NOW_MS + 60_000), "bad_proof");
    let mut spoiled = challenge();
    let hello = house.hello(&spoiled, house.attestation());
    assert_eq!(code(house.check(&mut spoiled, "{}")), "malformed");
    assert_eq!(answered(&mut spoiled, &hello, NOW_MS), "bad_proof", "a malformed answer is one");
}

#[test]
fn that_a_key_was_revoked_learns_only_who_holds_it() {
    let house = House::new();
    let mut of_member = challenge();
    let as_member = PeerHello::member(&house.member, &of_member.frame(), "acme").unwrap();
    house.members.revoke_session("acme", &house.session.public_key()).unwrap();
    assert_eq!(house.code(house.attestation()), "revoked");
    let spoil = |hello: &mut Value| hello["signature"] = tampered(hello["signature"].as_str().unwrap(), 0).into();
    assert_eq!(house.code_of_changed(spoil), "bad_proof");
    assert_eq!(house.members.remove("acme", "ann"), Ok(Some(house.member.public_key())));
    assert_eq!(code(house.check(&mut of_member, &as_member.to_json())), "revoked");
    assert_eq!(house.code(house.attestation()), "revoked");
    assert_eq!(house.code_of_changed(spoil), "unauthorized", "who does not hold the key learns nothing");
    let again = Member::new("ann", house.member.public_key());
    house.members.add("acme", again).unwrap();
    assert_eq!(house.code(house.attestation()), "revoked", "the session key is");
    assert_eq!(house.members.is_session_revoked("acme", &house.session.public_key()), Ok(true));
}

#[test]
fn a_member_has_one_usable_key_that_no_other_member_has() {
    let house = House::new();
    let weak: PublicKey = "0100000000000000000000000000000000000000000000000000000000000000".parse().unwrap();
    let add = |id: &str, key| house.members.add("acme", Member::new(id, key));
    assert_eq!(add("bob", weak), Err(MembersError::UnusableKey));
    assert_eq!(add("", house.session.public_key()), Err(MembersError::InvalidId));
    assert_eq!(add("bob", house.member.public_key()), Err(MembersError::KeyTaken));
    let next = SecretKey::from_seed(&[4; 32]).public_key();
    assert_eq!(add("ann", next), Ok(()), "the member has another key from now on");
    assert_eq!(house.code(house.attestation()), "revoked");
    let listed: Vec<_> = house.members.list("acme").unwrap().into_iter().map(|member| member.public_key).collect();
    assert_eq!(listed, [next]);
    assert_eq!(house.members.list("nowhere"), Ok(Vec::new()));
}

#[test]
fn keys_and_signatures_that_verify_too_much_verify_nothing() {
    let house = House::new();
    // With a key of small order and an empty scalar, a lax check accepts any message.
    let weak = "0100000000000000000000000000000000000000000000000000000000000000";
    let zero = "0".repeat(64);
    let lax = format!("{weak}{zero}");
    let of_session = |hello: &mut Value| {
        hello["session_public_key"] = weak.into();
        hello["attestation"]["session_public_key"] = weak.into();
        hello["signature"] = lax.clone().into();
    };
    assert_eq!(house.code_of_changed(of_session), "bad_signature");
    let mut challenge = challenge();
    let vouched = NewAttestation::new("desk", "acme", weak.parse().unwrap(), NOW_MS);
    let mut hello = serde_json::to_value(house.hello(&challenge, house.attestation())).unwrap();
    hello["session_public_key"] = weak.into();
    hello["attestation"] = serde_json::to_value(Attestation::sign(&house.member, &vouched)).unwrap();
    hello["signature"] = lax.into();
    assert_eq!(code(house.check(&mut challenge, &hello.to_string())), "bad_proof");
    // The same signature with the group's order added to its scalar.
    let order: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut challenge = self::challenge();
    let hello = house.hello(&challenge, house.attestation());
    let PeerHello::Session { signature, .. } = &hello else { panic!("it is a session's") };
    let (point, scalar) = signature.as_bytes().split_at(32);
    let mut carry = 0;
    let sum: Vec<u8> = scalar
        .iter()
        .zip(order)
        .map(|(left, right)| {
            let sum = u16::from(*left) + u16::from(right) + carry;
            carry = sum >> 8;
            sum.to_le_bytes()[0]
        })
        .collect();
    let malleable: String = point.iter().chain(&sum).map(|byte| format!("{byte:02x}")).collect();
    let mut frame = serde_json::to_value(&hello).unwrap();
    frame["signature"] = malleable.into();
    assert_eq!(code(house.check(&mut challenge, &frame.to_string())), "bad_proof");
}

#[test]
fn of_several_faults_the_first_in_the_order_of_the_contract_is_told() {
    let house = House::new();
    let order = ["unauthorized", "ttl_too_long", "expired", "bad_signature", "attestation_mismatch", "bad_proof"];
    for faults in 0..1_u8 << order.len() {
        let has = |code: &str| order.iter().position(|other| *other == code).is_some_and(|at| faults & (1 << at) != 0);
        let project = if has("unauthorized") { "nowhere" } else { "acme" };
        let ttl_ms = if has("ttl_too_long") { 25 * HOUR_MS } else { HOUR_MS };
        let from_ms = if has("expired") { NOW_MS - ttl_ms - HOUR_MS } else { NOW_MS };
        let of = if has("attestation_mismatch") { &house.member } else { &house.session };
        let new = NewAttestation::new("desk", project, of.public_key(), from_ms).ttl(Duration::from_millis(ttl_ms));
        let mut challenge = challenge();
        let own = NewAttestation::new("desk", project, house.session.public_key(), NOW_MS);
        let own = Attestation::sign(&house.member, &own);
        let hello = PeerHello::session(&house.session, &challenge.frame(), project, own).unwrap().card(Card::new("w"));
        let mut frame = serde_json::to_value(hello).unwrap();
        frame["attestation"] = serde_json::to_value(Attestation::sign(&house.member, &new)).unwrap();
        for (fault, pointer) in [("bad_signature", "/attestation/signature"), ("bad_proof", "/signature")] {
            let field = frame.pointer_mut(pointer).unwrap();
            *field = if has(fault) { tampered(field.as_str().unwrap(), 0).into() } else { field.clone() };
        }
        let expected = order.into_iter().find(|code| has(code)).unwrap_or("ok");
        assert_eq!(code(house.check(&mut challenge, &frame.to_string())), expected, "{faults:b}");
    }
}

/// Members that count what they are asked, or cannot be reached.
#[derive(Debug, Default)]
struct Asked {
    members: MemoryMembers,
    finds: AtomicUsize,
    revocations: AtomicUsize,
    is_unreachable: bool,
}

impl Asked {
    fn reach(&self) -> Result<(), MembersError> {
        if self.is_unreachable { Err(MembersError::Unavailable("no disk".to_owned())) } else { Ok(()) }
    }
}

impl Members for Asked {
    fn add(&self, project: &str, member: Member) -> Result<(), MembersError> {
        self.members.add(project, member)
    }

    fn remove(&self, project: &str, id: &str) -> Result<Option<PublicKey>, MembersError> {
        self.members.remove(project, id)
    }

    fn list(&self, project: &str) -> Result<Vec<Member>, MembersError> {
        self.members.list(project)
    }

    fn find(&self, project: &str, key: &PublicKey) -> Result<Standing, MembersError> {
        self.finds.fetch_add(1, Ordering::Relaxed);
        self.reach()?;
        self.members.find(project, key)
    }

    fn revoke_session(&self, project: &str, key: &PublicKey) -> Result<(), MembersError> {
        self.members.revoke_session(project, key)
    }

    fn is_session_revoked(&self, project: &str, key: &PublicKey) -> Result<bool, MembersError> {
        self.revocations.fetch_add(1, Ordering::Relaxed);
        self.reach()?;
        self.members.is_session_revoked(project, key)
    }
}

#[test]
fn the_members_are_asked_the_same_whatever_there_is() {
    let house = House::new();
    let asked = Asked::default();
    asked.add("acme", Member::new("ann", house.member.public_key())).unwrap();
    asked.add("left", Member::new("ann", house.member.public_key())).unwrap();
    asked.remove("left", "ann").unwrap();
    for (project, expected) in [("acme", "ok"), ("left", "revoked"), ("nowhere", "unauthorized")] {
        let mut challenge = challenge();
        let own = NewAttestation::new("desk", project, house.session.public_key(), NOW_MS);
        let own = Attestation::sign(&house.member, &own);
        let hello = PeerHello::session(&house.session, &challenge.frame(), project, own).unwrap().card(Card::new("w"));
        let checked = Checking::new(&asked).check(&mut challenge, &hello.to_json(), NOW_MS);
        assert_eq!(code(checked), expected);
        let counts = [&asked.finds, &asked.revocations].map(|count| count.swap(0, Ordering::Relaxed));
        assert_eq!(counts, [1, 1], "{project}");
    }
    let unreachable = Asked { is_unreachable: true, ..asked };
    let mut challenge = challenge();
    let hello = house.hello(&challenge, house.attestation());
    let checked = Checking::new(&unreachable).check(&mut challenge, &hello.to_json(), NOW_MS);
    assert_eq!(code(checked), "capacity", "it may come back");
}
