//! The link of peers, over real sockets (peers 3).

use std::time::Duration;

use futures_util::SinkExt;
use grove_attest::{Attestation, Card, Member, NewAttestation, PeerHello};
use grove_engine::{Config, Session};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use crate::server::{Link, Server, member_key, session_key};

#[tokio::test(flavor = "multi_thread")]
async fn peers_see_each_other_from_the_moment_of_their_welcome_and_no_query_makes_a_row() {
    let server = Server::start().await;
    let mut daemon = server.member("ann", Some(Card::new("daemon"))).await;
    let mut first = server.session("ann", 1).await;
    let mut second = server.session("bob", 2).await;
    let joined = daemon.next_of("joined").await;
    assert_eq!((&joined["row"]["name"], &joined["row"]["participant"]), (&json!("ann-1"), &json!(first.participant)));
    let rows = first.rows().await;
    let shown: Vec<_> = rows.iter().map(|row| (row["kind"].as_str().unwrap(), row["name"].as_str().unwrap())).collect();
    assert_eq!(shown, [("daemon", "daemon"), ("session", "ann-1"), ("session", "bob-2")]);
    assert_eq!(
        (&rows[1]["cwd"], &rows[1]["pid"], &rows[1]["session_public_key"]),
        (&json!("/work"), &json!(7), &json!(session_key(1).public_key()))
    );
    assert!(
        rows[2].get("cwd").is_none() && rows[2].get("session_public_key").is_none(),
        "details are for its own member"
    );
    server.pass(2_000).await;
    for link in [&mut daemon, &mut first, &mut second] {
        let again = link.rows().await;
        assert!(
            again.iter().zip(&rows).all(|(now, before)| now["connected_at"] == before["connected_at"]),
            "{again:?}"
        );
        assert_eq!(again.len(), 3);
    }
    assert_eq!(server.names("cid").await, ["daemon", "ann-1", "bob-2"], "a person sees them as well");
    assert_eq!(server.names(&first.token).await.len(), 3);
    assert_eq!(server.engine.rooms().stats().presence, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_refused_is_told_why_and_closed() {
    let server = Server::start().await;
    for (frame, code) in [("{}", "malformed"), (r#"{"type":"ping"}"#, "unknown_message_type")] {
        let (mut link, _) = server.open().await;
        link.send_text(frame.to_owned()).await;
        assert_eq!(link.next().await["code"], code);
        assert_eq!(link.code().await, 4401);
    }
    // A hello that was sent on another link.
    let (mut link, challenge) = server.open().await;
    let hello = server.session_hello("ann", 1, &challenge).to_json();
    link.send_text(hello.clone()).await;
    link.welcome().await;
    let (mut other, _) = server.open().await;
    other.send_text(hello).await;
    assert_eq!((other.next().await["code"].clone(), other.code().await), (json!("bad_proof"), 4401));
    assert_eq!(link.rows().await.len(), 1, "the one that is there stays");
    let mut links = vec![link];
    for number in 2..=5 {
        links.push(server.session("ann", number).await);
    }
    let (mut beyond, challenge) = server.open().await;
    beyond.send_text(server.session_hello("ann", 6, &challenge).to_json()).await;
    assert_eq!((beyond.next().await["code"].clone(), beyond.code().await), (json!("capacity"), 4401));
    let (mut huge, _) = server.open().await;
    let _ = huge.socket.send(Message::text("x".repeat(200_000))).await;
    assert!(!matches!(huge.message().await, Some(Ok(Message::Text(_)))), "it is closed");
    assert_eq!(server.names("cid").await.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_link_of_the_same_key_replaces_the_old_one_and_nobody_else_notices() {
    let server = Server::start().await;
    let mut watcher = server.session("bob", 1).await;
    let mut old = server.session("ann", 2).await;
    assert_eq!(watcher.next_of("joined").await["row"]["name"], "ann-2");
    let mut new = server.session("ann", 2).await;
    assert_eq!(old.next_of("replaced").await, json!({"type": "replaced"}));
    assert_eq!(old.code().await, 4409);
    assert_eq!((&new.participant, &new.token), (&old.participant, &old.token));
    new.send(json!({"type": "ping"})).await;
    assert_eq!(new.next().await, json!({"type": "pong"}));
    server.pass(5_000).await;
    assert_eq!(watcher.rows().await.len(), 2);
    watcher.send(json!({"type": "ping"})).await;
    assert_eq!(watcher.next().await, json!({"type": "pong"}), "nothing came in between");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_link_is_offline_and_then_gone_and_one_that_returns_in_time_is_the_same_peer() {
    let server = Server::start().await;
    let mut watcher = server.session("bob", 1).await;
    let lost = server.session("ann", 2).await;
    let (participant, token) = (lost.participant.clone(), lost.token.clone());
    watcher.next_of("joined").await;
    lost.lose();
    for _ in 0..40 {
        server.pass(1_000).await;
        watcher.send(json!({"type": "ping"})).await;
    }
    let changed = watcher.next_of("changed").await;
    assert_eq!((&changed["row"]["status"], &changed["row"]["participant"]), (&json!("offline"), &json!(participant)));
    assert_eq!(server.names(&token).await.len(), 2, "its token is valid as long as its lease");
    let back = server.session("ann", 2).await;
    assert_eq!((&back.participant, &back.token), (&participant, &token));
    assert_eq!(watcher.next_of("changed").await["row"]["status"], "online");
    back.lose();
    for _ in 0..100 {
        server.pass(1_000).await;
        watcher.send(json!({"type": "ping"})).await;
    }
    assert_eq!(watcher.next_of("left").await["row"]["participant"], participant);
    assert_eq!(server.http("GET", "/v1/peers", &token).await.0, 401, "and its token is not any more");
    assert_eq!(watcher.rows().await.len(), 1);
    let again = server.session("ann", 2).await;
    assert_ne!((again.participant, again.token), (participant, token));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_silent_for_too_long_is_closed_with_its_row_and_token() {
    let mut config = Config::default();
    (config.rooms.offline_after, config.rooms.left_after) = (Duration::from_secs(5), Duration::from_secs(15));
    let server = Server::with(config).await;
    let mut watcher = server.session("bob", 1).await;
    // Nobody reads this one, so no ping is answered.
    let mut silent = server.session("ann", 2).await;
    for _ in 0..20 {
        server.pass(1_000).await;
        watcher.send(json!({"type": "ping"})).await;
        watcher.next_of("pong").await;
        if server.http("GET", "/v1/peers", &silent.token).await.0 == 401 {
            break;
        }
    }
    assert_eq!(silent.code().await, 4408);
    assert_eq!(server.http("GET", "/v1/peers", &silent.token).await.0, 401);
    assert_eq!(watcher.rows().await.len(), 1);
    let back = server.session("ann", 2).await;
    assert_ne!(back.participant, silent.participant);
    assert_eq!(watcher.rows().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_waits_until_its_receiver_has_acknowledged_it() {
    let server = Server::start().await;
    let mut ann = server.session("ann", 1).await;
    let mut bob = server.session("bob", 2).await;
    let mut other = server.session("bob", 3).await;
    let to = session_key(2).public_key().to_string();
    ann.send(json!({"type": "send", "id": "a", "to": to, "body": {"text": "hello"}})).await;
    let sent = ann.next_of("sent").await;
    assert_eq!((&sent["id"], &sent["status"]), (&json!("a"), &json!("queued")));
    let message = bob.next_of("message").await;
    assert_eq!((&message["message"], &message["body"]), (&sent["message"], &json!({"text": "hello"})));
    assert_eq!((&message["from"]["name"], message["from"].get("cwd")), (&json!("ann-1"), None));
    bob.lose();
    server.pass(2_000).await;
    let mut bob = server.session("bob", 2).await;
    assert_eq!(bob.next_of("message").await["message"], sent["message"], "it is sent again");
    bob.send(json!({"type": "ack", "message": sent["message"]})).await;
    assert_eq!(ann.next_of("acked").await["message"], sent["message"]);
    bob.send(json!({"type": "ack", "message": sent["message"]})).await;
    assert_eq!(bob.next_of("error").await["code"], "not_found");
    bob.lose();
    let mut bob = server.session("bob", 2).await;
    bob.send(json!({"type": "ping"})).await;
    assert_ne!(bob.next().await["type"], "message", "once");
    // By participant id, to a sibling, and to nobody.
    let to = other.participant.clone();
    bob.send(json!({"type": "send", "id": 1, "to": to, "body": "psst"})).await;
    let message = other.next_of("message").await;
    assert_eq!((&message["body"], &message["from"]["cwd"]), (&json!("psst"), &json!("/work")), "a sibling sees more");
    for (to, body, code) in [("p_nobody", json!(1), "not_found"), (&to, json!("x".repeat(16_385)), "too_large")] {
        bob.send(json!({"type": "send", "id": 2, "to": to, "body": body})).await;
        let error = bob.next_of("error").await;
        assert_eq!((&error["code"], &error["id"]), (&json!(code), &json!(2)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mailbox_is_bounded() {
    let server = Server::start().await;
    let mut ann = server.session("ann", 1).await;
    let bob = server.session("bob", 2).await;
    let to = bob.participant.clone();
    bob.lose();
    for number in 0..=100 {
        ann.send(json!({"type": "send", "id": number, "to": to, "body": number})).await;
    }
    for number in 0..100 {
        assert_eq!(ann.next_of("sent").await["id"], number);
    }
    let error = ann.next_of("error").await;
    assert_eq!((&error["code"], &error["id"]), (&json!("busy"), &json!(100)));
    let mut bob = server.session("bob", 2).await;
    for number in 0..100 {
        assert_eq!(bob.next_of("message").await["body"], number);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn removing_a_member_or_revoking_a_session_closes_the_links_and_refuses_the_keys() {
    let server = Server::start().await;
    let mut first = server.session("ann", 1).await;
    let mut second = server.session("ann", 2).await;
    let mut bob = server.session("bob", 3).await;
    let path = format!("/v1/peers/{}", first.participant);
    assert_eq!(server.http("DELETE", &path, &bob.token).await.0, 404, "it is not bob's");
    assert_eq!(server.http("DELETE", &path, &second.token).await.0, 204);
    assert_eq!(first.code().await, 4403);
    assert_eq!(bob.next_of("left").await["row"]["name"], "ann-1");
    let (mut again, challenge) = server.open().await;
    again.send_text(server.session_hello("ann", 1, &challenge).to_json()).await;
    assert_eq!(again.next().await["code"], "revoked");
    assert_eq!(server.peers.remove_member("acme", "ann"), Ok(true));
    assert_eq!((second.code().await, server.http("GET", "/v1/peers", &second.token).await.0), (4403, 401));
    let (mut again, challenge) = server.open().await;
    again.send_text(server.session_hello("ann", 2, &challenge).to_json()).await;
    assert_eq!(again.next().await["code"], "revoked");
    assert_eq!(bob.rows().await.len(), 1);
    let fewer = Member::new("bob", member_key("bob").public_key()).right("read");
    server.peers.add_member("acme", fewer).unwrap();
    assert_eq!(bob.code().await, 4403, "a peer with more rights than its member has now is closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_opens_what_the_members_rights_allow_and_ends_with_the_peer() {
    let server = Server::start().await;
    server.engine.register("rights", |session: &Session| {
        grove_engine::Descriptor::status()
            .prop("user", session.user().unwrap_or_default())
            .prop("rights", session.permissions().join(","))
    });
    let mut ann = server.session("ann", 1).await;
    let url = format!("ws://{}/slop?token={}", server.address, ann.token);
    let (socket, _) = connect_async(&url).await.unwrap();
    let mut consumer = Link { socket, participant: String::new(), token: String::new() };
    consumer.send(json!({"type": "query", "id": "q", "path": "/rights"})).await;
    server.pass(1_000).await;
    let tree = loop {
        let frame = consumer.next().await;
        if frame["id"] == "q" {
            break frame["tree"].clone();
        }
    };
    assert_eq!((&tree["properties"]["user"], &tree["properties"]["rights"]), (&json!("ann"), &json!("write")));
    let (status, created) = {
        let body = json!({"title": "Board", "access": "project"}).to_string();
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let head = format!(
            "POST /v1/rooms HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\nauthorization: Bearer {}\r\ncontent-length: {}\r\n\r\n{body}",
            ann.token,
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut response = String::new();
        stream.read_to_string(&mut response).await.unwrap();
        (response[9..12].to_owned(), response)
    };
    assert_eq!(status, "201", "{created}");
    ann.send(json!({"type": "bye"})).await;
    assert_eq!(ann.code().await, 1000);
    consumer.code().await;
    assert_eq!(server.http("GET", "/v1/peers", &ann.token).await.0, 401);
    assert_eq!(server.names("cid").await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_link_without_a_card_has_no_row_and_can_ask_and_send() {
    let server = Server::start().await;
    let mut first = server.member("ann", None).await;
    let mut second = server.member("ann", None).await;
    assert_eq!((first.participant.clone(), first.rows().await.len()), (String::new(), 0));
    let mut bob = server.session("bob", 1).await;
    assert_eq!(second.rows().await.len(), 1, "links of one member do not replace each other");
    first.send(json!({"type": "send", "id": 1, "to": bob.participant, "body": "hi"})).await;
    assert_eq!(bob.next_of("message").await["from"], json!({"participant": null, "kind": "daemon", "name": "ann"}));
    first.send(json!({"type": "card", "name": "shown"})).await;
    assert_eq!(bob.next_of("joined").await["row"]["name"], "shown");
    first.send(json!({"type": "card", "card": {"name": "renamed"}})).await;
    assert_eq!(bob.next_of("changed").await["row"]["name"], "renamed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_after_the_welcome_is_answered_and_the_link_stays() {
    let server = Server::start().await;
    let mut ann = server.session("ann", 1).await;
    for (frame, code) in [
        ("", "malformed"),
        ("[1]", "malformed"),
        (r#"{"type":"dance","id":"x"}"#, "unknown_message_type"),
        (r#"{"type":"list"}"#, "malformed"),
        (r#"{"type":"list","id":{}}"#, "malformed"),
        (r#"{"type":"send","id":1,"to":"x"}"#, "malformed"),
        (r#"{"type":"card","name":""}"#, "malformed"),
        (r#"{"type":"ack"}"#, "malformed"),
        (r#"{"type":"session_hello"}"#, "unknown_message_type"),
    ] {
        ann.send_text(frame.to_owned()).await;
        assert_eq!(ann.next().await["code"], code, "{frame}");
    }
    ann.socket.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    assert_eq!(ann.next().await["code"], "malformed");
    assert_eq!(ann.rows().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_attestation_has_expired_comes_back_with_a_fresh_one() {
    let server = Server::start().await;
    let key = session_key(1);
    let new = NewAttestation::new("desk", "acme", key.public_key(), server.now_ms()).rights(["write"]);
    let first = Attestation::sign(&member_key("ann"), &new);
    server.session("ann", 1).await.lose();
    server.clock.advance(12 * 3_600_000 + 30_001);
    let (mut link, challenge) = server.open().await;
    let hello = PeerHello::session(&key, &challenge, "acme", first).unwrap().card(Card::new("ann-1"));
    link.send_text(hello.to_json()).await;
    assert_eq!((link.next().await["code"].clone(), link.code().await), (json!("expired"), 4401));
    let mut back = server.session("ann", 1).await;
    assert_eq!(back.rows().await.len(), 1);
}
