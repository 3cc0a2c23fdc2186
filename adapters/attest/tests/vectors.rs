//! What is signed, byte by byte, as another implementation of the contract has it (peers 2, 7).

use std::process::Command;
use std::time::Duration;

use grove_attest::{Attestation, Card, ChallengeFrame, NewAttestation, PeerHello, SecretKey};
use serde_json::{Value, json};

const VECTORS: &str = include_str!("vectors.json");

fn vectors() -> Vec<Value> {
    serde_json::from_str(VECTORS).unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn secret(hex: &Value) -> SecretKey {
    let digits: Vec<u8> = text(hex).bytes().map(|digit| char::from(digit).to_digit(16).unwrap() as u8).collect();
    let bytes: Vec<u8> = digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    SecretKey::from_seed(&bytes.try_into().unwrap())
}

#[test]
fn attestations_and_hellos_are_those_of_the_vectors() {
    for vector in vectors() {
        let (member, session) = (secret(&vector["member_seed"]), secret(&vector["session_seed"]));
        assert_eq!(member.public_key().to_string(), text(&vector["member_public_key"]));
        assert_eq!(session.public_key().to_string(), text(&vector["session_public_key"]));
        let frame =
            json!({"type": "challenge", "nonce": vector["nonce"], "audience": vector["audience"], "version": 1});
        let challenge: ChallengeFrame = serde_json::from_value(frame).unwrap();
        let (from_ms, to_ms) = (vector["not_before_ms"].as_u64().unwrap(), vector["expires_at_ms"].as_u64().unwrap());
        let (audience, project) = (text(&vector["audience"]), text(&vector["project"]));
        let mut new = NewAttestation::new(audience, project, session.public_key(), from_ms)
            .ttl(Duration::from_millis(to_ms - from_ms));
        if let Some(rights) = vector["rights"].as_array() {
            new = new.rights(rights.iter().map(text));
        }
        let attestation = Attestation::sign(&member, &new);
        let hello = PeerHello::session(&session, &challenge, project, attestation).unwrap().card(Card::new("w"));
        let sent: Value = serde_json::from_str(&hello.to_json()).unwrap();
        let attested = &sent["attestation"];
        for key in ["not_before", "expires_at"] {
            let ms = |at: &Value| text(at).trim_end_matches(".000Z").trim_end_matches('Z').to_owned();
            assert_eq!(ms(&attested[key]), ms(&vector[key]), "{key}");
        }
        assert_eq!(attested["signature"], vector["attest_signature"], "{project}");
        assert_eq!(sent["signature"], vector["hello_signature"]);
        let as_member = PeerHello::member(&member, &challenge, project).unwrap();
        let sent: Value = serde_json::from_str(&as_member.to_json()).unwrap();
        assert_eq!(sent["signature"], vector["member_signature"]);
    }
}

#[test]
fn the_vectors_are_what_the_contract_says_in_another_language() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors.py");
    let printed = Command::new("python3").arg(script).output().unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    assert_eq!(String::from_utf8(printed.stdout).unwrap(), VECTORS);
}
