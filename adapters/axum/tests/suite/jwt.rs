//! Signed tokens: which are accepted, and which are refused (SEC7, U12).
#![expect(clippy::needless_pass_by_value, reason = "the cases are written as `issued(json!(..))`")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::Request;
use grove_axum::{
    Algorithm, Authenticator, Jwt, JwtKeyError, JwtKeySet, JwtKeys, JwtRules, Refusal, Slop, UpgradeRequest,
};
use grove_engine::SystemClock;
use grove_engine::{Clock, Session};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm as Signature, DecodingKey, EncodingKey, Header, encode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::server::Server;

const ISSUER: &str = "https://id.example";
const PRIVATE: &[u8] = include_bytes!("jwt/issuer.pem");
const PUBLIC: &[u8] = include_bytes!("jwt/issuer.pub.pem");
const SECRET: &[u8] = b"a secret of more than thirty-two bytes";

/// What the application takes from a token.
#[derive(Deserialize)]
struct Claims {
    sub: String,
}

/// A set with the issuer's RSA key as `rsa`.
fn rsa_keys() -> JwtKeySet {
    JwtKeySet::new().with_rsa_pem("rsa", PUBLIC).unwrap()
}

/// The issuer's RSA key as `rsa`, and a shared secret as `secret`.
fn rsa_key_and_secret() -> JwtKeySet {
    rsa_keys().with_secret("secret", SECRET).unwrap()
}

fn rules(algorithms: impl Into<Vec<Algorithm>>) -> JwtRules {
    JwtRules { issuer: ISSUER.to_owned(), audience: "desk".to_owned(), algorithms: algorithms.into() }
}

fn jwt(keys: impl Into<JwtKeys>, algorithms: impl Into<Vec<Algorithm>>) -> Jwt {
    Jwt::new(keys, rules(algorithms), |claims: Claims| match claims.sub.as_str() {
        "banned" => Err(Refusal::forbidden()),
        user => Ok(Session::new(format!("session of {user}")).with_user(user)),
    })
}

fn now() -> u64 {
    SystemClock::new().wall().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// What alice's tokens say, with some of it changed; `null` takes a claim away.
fn claims(changes: Value) -> Value {
    let mut claims = json!({"sub": "alice", "iss": ISSUER, "aud": "desk", "exp": now() + 600});
    for (name, value) in changes.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

fn header(algorithm: Signature, kid: &str) -> Header {
    Header { kid: Some(kid.to_owned()), ..Header::new(algorithm) }
}

/// A token that the issuer signed.
fn issued(changes: Value) -> String {
    issued_with(header(Signature::RS256, "rsa"), changes)
}

fn issued_with(header: Header, changes: Value) -> String {
    encode(&header, &claims(changes), &EncodingKey::from_rsa_pem(PRIVATE).unwrap()).unwrap()
}

fn base64(text: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut out = String::new();
    for chunk in text.as_bytes().chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for at in 0..=chunk.len() {
            out.push(char::from(ALPHABET[(bits >> (18 - 6 * at) & 63) as usize]));
        }
    }
    out
}

/// The token with its part `at` replaced.
fn with_part(token: &str, at: usize, part: &str) -> String {
    let mut parts: Vec<_> = token.split('.').collect();
    parts[at] = part;
    parts.join(".")
}

fn bearer(token: &str) -> UpgradeRequest {
    let request = Request::get("/slop").header("authorization", format!("Bearer {token}")).body(()).unwrap();
    UpgradeRequest::new(request.into_parts().0, None)
}

async fn server_for_rsa() -> Server {
    let keys = rsa_key_and_secret();
    let jwt = jwt(keys, [Algorithm::RS256, Algorithm::EdDSA]);
    Server::start(|engine| Slop::new(engine, jwt)).await
}

#[tokio::test]
async fn a_valid_token_is_accepted_from_the_query_the_header_and_the_cookie() {
    let server = server_for_rsa().await;
    let token = issued(json!({"aud": ["mail", "desk"], "nbf": now(), "extra": [1]}));
    let bearer = format!("Bearer {token}");
    let cookie = format!("session={token}");
    for (target, headers) in [
        (format!("/slop?token={token}"), vec![]),
        ("/slop".to_owned(), vec![("authorization", bearer.as_str())]),
        ("/slop".to_owned(), vec![("cookie", cookie.as_str())]),
    ] {
        assert_eq!(server.dial(&target, &headers).await.unwrap().user().await, "alice");
    }
}

/// A token that must be refused: what is wrong with it, and the reason that the observers get.
type Refused = (&'static str, String, &'static str);

fn signed_with_secret(secret: &[u8], kid: &str) -> String {
    encode(&header(Signature::HS256, kid), &claims(json!({})), &EncodingKey::from_secret(secret)).unwrap()
}

fn with_header(change: fn(&mut Header)) -> String {
    let mut header = header(Signature::RS256, "rsa");
    change(&mut header);
    issued_with(header, json!({}))
}

fn tokens_with_a_bad_header() -> Vec<Refused> {
    let unknown = "the token's header or algorithm is not known";
    let not_allowed = "the token's algorithm is not allowed";
    let good = issued(json!({}));
    let none = with_part(&good, 0, &base64(r#"{"alg":"none","kid":"rsa"}"#));
    let stranger = EncodingKey::from_ed_der(&ed25519([9; 32]).0);
    let other_algorithm = encode(&header(Signature::EdDSA, "rsa"), &claims(json!({})), &stranger).unwrap();
    let unknown_key = issued_with(header(Signature::RS256, "old"), json!({}));
    let extension = with_header(|header| header.crit = Some(vec!["b64".to_owned()]));
    vec![
        ("nothing", String::new(), "there is no token"),
        ("no token at all", "x".to_owned(), unknown),
        ("too long", "x".repeat(17_000), "the token is too long"),
        ("alg none, unsigned", with_part(&none, 2, ""), unknown),
        ("alg none, signed", none, unknown),
        ("a fourth part", format!("{good}.x"), unknown),
        ("an algorithm that is not allowed", signed_with_secret(SECRET, "secret"), not_allowed),
        ("the public key as a secret", signed_with_secret(PUBLIC, "rsa"), not_allowed),
        ("another algorithm of the key", with_header(|header| header.alg = Signature::RS384), not_allowed),
        ("an allowed algorithm of another key", other_algorithm, "the token's algorithm does not match its key"),
        ("no kid", with_header(|header| header.kid = None), "the token names no key"),
        ("unknown kid", unknown_key, "the token names a key that is not known"),
        ("a required extension", extension, "the token requires extensions"),
    ]
}

fn tokens_with_a_bad_signature() -> Vec<Refused> {
    let invalid = "the token's signature is invalid";
    let good = issued(json!({}));
    let claims_of_bob = base64(&claims(json!({"sub": "bob"})).to_string());
    let other_header = base64(r#"{"typ":"jwt","alg":"RS256","kid":"rsa"}"#);
    vec![
        ("tampered claims", with_part(&good, 1, &claims_of_bob), invalid),
        ("tampered header", with_part(&good, 0, &other_header), invalid),
        ("no signature", with_part(&good, 2, ""), invalid),
    ]
}

fn tokens_with_bad_claims() -> Vec<Refused> {
    let malformed = "a time is malformed";
    let cases = [
        ("another issuer", json!({"iss": "https://evil.example"}), "the token is from another issuer"),
        ("a list of issuers", json!({"iss": [ISSUER]}), "the token is from another issuer"),
        ("no issuer", json!({"iss": null}), "the token has no `iss`"),
        ("another audience", json!({"aud": ["mail", "desk2"]}), "the token is for another audience"),
        ("no audience", json!({"aud": null}), "the token has no `aud`"),
        ("expired", json!({"exp": now() - 31}), "the token has expired"),
        ("no expiry", json!({"exp": null}), "the token has no `exp`"),
        ("an expiry that is not a number", json!({"exp": "never"}), malformed),
        ("an expiry beyond all time", json!({"exp": 1e300}), malformed),
        ("not yet valid", json!({"nbf": now() + 60}), "the token is not valid yet"),
        ("a start that is not a number", json!({"nbf": "now"}), malformed),
        ("a time of issue that is not a number", json!({"iat": "now"}), malformed),
        ("other claims", json!({"sub": 7}), "the token's claims are not those that the application needs"),
    ];
    cases.into_iter().map(|(name, changes, reason)| (name, issued(changes), reason)).collect()
}

#[tokio::test]
async fn every_other_token_gets_a_bare_401_and_the_observers_get_the_reason() {
    let cases = [tokens_with_a_bad_header(), tokens_with_a_bad_signature(), tokens_with_bad_claims()].concat();
    for (name, token, reason) in cases {
        let server = server_for_rsa().await;
        let refused = server.dial("/slop", &[("authorization", &format!("Bearer {token}"))]).await.unwrap_err();
        assert_eq!(refused.status, 401, "{name}");
        let whole_body = r#"{"error":{"code":"unauthorized","message":"authentication is required"}}"#;
        assert_eq!(refused.body, whole_body, "{name}");
        assert_eq!(server.refused(), [(401, reason)], "{name}");
        assert_eq!(server.engine.stats().sessions, 0, "{name}");
    }
}

#[tokio::test]
async fn a_public_key_is_never_used_as_a_secret_even_where_secrets_are_allowed() {
    let keys = rsa_key_and_secret();
    let jwt = jwt(keys, [Algorithm::RS256, Algorithm::HS256]);
    let signed = |secret: &[u8], kid: &str| {
        encode(&header(Signature::HS256, kid), &claims(json!({})), &EncodingKey::from_secret(secret)).unwrap()
    };
    assert!(jwt.authenticate(bearer(&signed(SECRET, "secret"))).await.is_ok());
    for token in [signed(PUBLIC, "rsa"), signed(PUBLIC, "secret")] {
        assert!(jwt.authenticate(bearer(&token)).await.is_err());
    }
    assert!(jwt.authenticate(bearer(&issued_with(header(Signature::RS256, "secret"), json!({})))).await.is_err());
}

#[tokio::test]
async fn a_key_inside_the_token_is_ignored() {
    let (private, public) = ed25519([7; 32]);
    let jwt = jwt(published(&[("a", &ed25519([1; 32]).1)]), [Algorithm::EdDSA]);
    let mut forged = header(Signature::EdDSA, "a");
    forged.jwk = Some(public);
    let token = encode(&forged, &claims(json!({})), &EncodingKey::from_ed_der(&private)).unwrap();
    assert!(jwt.authenticate(bearer(&token)).await.is_err());
}

#[tokio::test]
async fn keys_are_rotated_while_tokens_are_verified() {
    let ((old, old_public), (new, new_public)) = (ed25519([1; 32]), ed25519([2; 32]));
    let token = |kid, private: &[u8]| {
        encode(&header(Signature::EdDSA, kid), &claims(json!({})), &EncodingKey::from_ed_der(private)).unwrap()
    };
    let (by_old, by_new) = (token("1", &old), token("2", &new));
    let keys = JwtKeys::from(published(&[("1", &old_public)]));
    let jwt = jwt(keys.clone(), [Algorithm::EdDSA]);
    let accepted = async || {
        let (old, new) = (jwt.authenticate(bearer(&by_old)).await, jwt.authenticate(bearer(&by_new)).await);
        (old.is_ok(), new.is_ok())
    };
    assert_eq!(accepted().await, (true, false));
    keys.replace(published(&[("1", &old_public), ("2", &new_public)]));
    assert_eq!(accepted().await, (true, true));
    // A signature made with one key is not valid under the id of the other.
    assert!(jwt.authenticate(bearer(&token("2", &old))).await.is_err());
    keys.replace(published(&[("2", &new_public)]));
    assert_eq!(accepted().await, (false, true));
}

#[tokio::test]
async fn a_token_and_its_session_are_valid_from_nbf_to_exp_with_the_leeway_on_both_sides() {
    #[derive(Debug)]
    struct At(u64);

    impl Clock for At {
        fn now_ms(&self) -> u64 {
            0
        }

        fn wall(&self) -> SystemTime {
            UNIX_EPOCH + Duration::from_secs(self.0)
        }

        fn sleep_until(&self, _: u64) -> grove_engine::Sleep {
            Box::pin(std::future::pending())
        }
    }

    let token = issued(json!({"nbf": 1000, "exp": 2000}));
    for (at, good) in [(969, false), (970, true), (1500, true), (2029, true), (2030, false)] {
        let jwt = jwt(rsa_keys(), [Algorithm::RS256]).clock(Arc::new(At(at)));
        let session = jwt.authenticate(bearer(&token)).await;
        assert_eq!(session.is_ok(), good, "at {at}");
        if let Ok(session) = session {
            assert_eq!(session.expires_at(), Some(UNIX_EPOCH + Duration::from_secs(2030)));
        }
    }
    let strict = jwt(rsa_keys(), [Algorithm::RS256]).leeway(Duration::ZERO);
    assert!(strict.clock(Arc::new(At(2000))).authenticate(bearer(&token)).await.is_err());
}

#[tokio::test]
async fn the_application_may_end_a_session_earlier_but_not_later() {
    let ends = |at: u64| UNIX_EPOCH + Duration::from_secs(at);
    let exp = now() + 600;
    for (wanted, got) in [(exp - 300, exp - 300), (exp + 300, exp + 30)] {
        let keys = rsa_keys();
        let jwt = Jwt::new(keys, rules([Algorithm::RS256]), move |claims: Claims| {
            Ok(Session::new(claims.sub).with_expiry(ends(wanted)))
        });
        let session = jwt.authenticate(bearer(&issued(json!({"exp": exp})))).await.unwrap();
        assert_eq!(session.expires_at(), Some(ends(got)));
    }
}

#[tokio::test]
async fn the_connection_ends_with_the_token() {
    let keys = rsa_keys();
    let jwt = jwt(keys, [Algorithm::RS256]).leeway(Duration::from_secs(1));
    let server = Server::start(|engine| Slop::new(engine, jwt)).await;
    let target = format!("/slop?token={}", issued(json!({"exp": now() + 1})));
    let mut peer = server.dial(&target, &[]).await.unwrap();
    assert_eq!(u16::from(peer.receive_close().await.code), 4401);
    assert_eq!(server.dial(&target, &[]).await.unwrap_err().status, 401, "and does not let anybody in again");
}

#[tokio::test]
async fn of_two_tokens_the_one_that_was_issued_later_counts() {
    let jwt = jwt(rsa_keys(), [Algorithm::RS256]).leeway(Duration::from_secs(1));
    let server = Server::start(|engine| Slop::new(engine, jwt)).await;
    let target = |issued_ago: u64, left: u64| {
        let token = issued(json!({"iat": now() - issued_ago, "exp": now() + left}));
        format!("/slop?token={token}")
    };
    let _older = server.dial(&target(200, 6_000), &[]).await.unwrap();
    let mut newer = server.dial(&target(100, 2), &[]).await.unwrap();
    let _older = server.dial(&target(200, 6_000), &[]).await.unwrap();
    assert_eq!(u16::from(newer.receive_close().await.code), 4401, "though the older one lasts longer");
}

#[tokio::test]
async fn the_applications_own_refusal_is_returned() {
    let server = server_for_rsa().await;
    let token = issued(json!({"sub": "banned"}));
    assert_eq!(server.dial(&format!("/slop?token={token}"), &[]).await.unwrap_err().status, 403);
}

#[test]
fn the_usable_keys_of_a_published_set_are_taken() {
    let (_, public) = ed25519([1; 32]);
    let key = |changes: Value| {
        let mut jwk = serde_json::to_value(&public).unwrap();
        jwk.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        jwk
    };
    let keys = json!({"keys": [
        key(json!({"kid": "plain"})),
        key(json!({"kid": "for signatures", "use": "sig"})),
        key(json!({"kid": "for secrets", "use": "enc"})),
        key(json!({})),
        {"kty": "oct", "kid": "a secret", "k": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"},
        {"kty": "new", "kid": "of a kind to come"},
        "nonsense",
    ]});
    let set = JwtKeySet::from_jwks(&keys.to_string()).unwrap();
    assert_eq!(format!("{set:?}"), r#"{"for signatures", "plain"}"#);
    for unusable in [json!({"keys": []}), json!({"keys": [{"kty": "new", "kid": "x"}]}), json!([]), json!({})] {
        assert!(JwtKeySet::from_jwks(&unusable.to_string()).is_err(), "{unusable}");
    }
}

#[tokio::test]
async fn a_published_key_is_used_only_with_the_algorithm_that_it_names() {
    let public = DecodingKey::from_rsa_pem(PUBLIC).unwrap();
    let only_for = |algorithm: Signature| {
        let mut jwk = Jwk::from_decoding_key(&public, Some(algorithm)).unwrap();
        jwk.common.key_algorithm = Some(algorithm.into());
        published(&[("rsa", &jwk)])
    };
    let both = [Algorithm::RS256, Algorithm::RS512];
    let token = issued(json!({}));
    assert!(jwt(only_for(Signature::RS256), both).authenticate(bearer(&token)).await.is_ok());
    assert!(jwt(only_for(Signature::RS512), both).authenticate(bearer(&token)).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn keys_are_fetched_with_backoff_and_sooner_when_a_token_names_an_unknown_one() {
    let keys = JwtKeys::default();
    let jwt = jwt(keys.clone(), [Algorithm::RS256]);
    let (fetches, start) = (Arc::new(Mutex::new(Vec::new())), tokio::time::Instant::now());
    let fetched = Arc::clone(&fetches);
    let fetching = tokio::spawn(keys.keep_fresh(Duration::from_secs(600), move || {
        let mut fetched = fetched.lock().unwrap();
        fetched.push(start.elapsed().as_secs());
        // The first three fail.
        std::future::ready((fetched.len() > 3).then(rsa_keys))
    }));
    tokio::time::sleep(Duration::from_secs(8)).await;
    assert_eq!(*fetches.lock().unwrap(), [0, 1, 3, 7]);
    assert!(jwt.authenticate(bearer(&issued(json!({})))).await.is_ok());

    let unknown = issued_with(header(Signature::RS256, "next"), json!({}));
    for _ in 0..100 {
        assert!(jwt.authenticate(bearer(&unknown)).await.is_err());
    }
    tokio::time::sleep(Duration::from_secs(1300)).await;
    assert_eq!(*fetches.lock().unwrap(), [0, 1, 3, 7, 37, 637, 1237]);
    fetching.abort();
}

#[test]
fn debug_output_holds_no_key() {
    let keys = JwtKeySet::new().with_secret("2026", SECRET).unwrap();
    let printed = format!("{:?}", jwt(keys, [Algorithm::HS256]));
    assert!(printed.contains("2026") && printed.contains(ISSUER), "{printed}");
    assert!(!printed.contains("secret") && !printed.contains("115, 101, 99"), "{printed}");
}

#[test]
fn a_short_secret_is_an_error() {
    let error = JwtKeySet::new().with_secret("a", &SECRET[..31]).unwrap_err();
    assert!(matches!(error, JwtKeyError::ShortSecret), "{error}");
    assert!(JwtKeySet::new().with_secret("a", &SECRET[..32]).is_ok());
}

#[test]
fn a_pem_file_with_a_key_of_another_type_is_an_error() {
    assert!(JwtKeySet::new().with_rsa_pem("a", PUBLIC).is_ok());
    let wrong = [
        JwtKeySet::new().with_rsa_pem("a", b"not PEM"),
        JwtKeySet::new().with_ec_pem("a", PUBLIC),
        JwtKeySet::new().with_ed_pem("a", PUBLIC),
    ];
    for result in wrong {
        assert!(matches!(result, Err(JwtKeyError::NotAPublicKey)), "{result:?}");
    }
}

#[test]
#[should_panic(expected = "name the algorithms")]
fn rules_without_an_algorithm_panic() {
    let _ = jwt(JwtKeySet::new(), []);
}

/// A key pair made from a seed: the private key as PKCS #8, and the public key.
fn ed25519(seed: [u8; 32]) -> (Vec<u8>, Jwk) {
    const PKCS8: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let private = [&PKCS8[..], &seed].concat();
    let public = Jwk::from_encoding_key(&EncodingKey::from_ed_der(&private), Signature::EdDSA).unwrap();
    (private, public)
}

/// The set that an identity provider publishes for these keys.
fn published(keys: &[(&str, &Jwk)]) -> JwtKeySet {
    let with_id = |(kid, key): &(&str, &Jwk)| {
        let mut key = serde_json::to_value(key).unwrap();
        key["kid"] = json!(kid);
        key
    };
    let keys: Vec<_> = keys.iter().map(with_id).collect();
    JwtKeySet::from_jwks(&json!({"keys": keys}).to_string()).unwrap()
}
