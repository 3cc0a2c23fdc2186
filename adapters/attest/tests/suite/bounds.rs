//! How much peers may ask for, and what it costs the others.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};
use std::time::Duration;

use futures_util::SinkExt;
use grove_attest::{Card, Member, Members, MembersError, MemoryMembers, PublicKey, Standing};
use grove_engine::Config;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;

use crate::server::Server;

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_above_the_message_rate_gets_busy_and_is_served_again_later_on_the_same_link() {
    let mut config = Config::default();
    config.limits.messages_per_second = NonZeroU32::new(20);
    let server = Server::with(config).await;
    let mut bob = server.session("bob", 2).await;
    let mut ann = server.session("ann", 1).await;
    for number in 0..30 {
        ann.send(json!({"type": "send", "id": number, "to": bob.participant, "body": number})).await;
    }
    for number in 0..30 {
        let frame = ann.next_of(if number < 20 { "sent" } else { "error" }).await;
        assert_eq!((&frame["id"], frame.get("code")), (&json!(number), (number >= 20).then_some(&json!("busy"))));
    }
    ann.send_text("no JSON".to_owned()).await;
    assert_eq!(ann.next_of("error").await["code"], "busy", "whatever it is");
    ann.socket.send(Message::binary(vec![1])).await.unwrap();
    assert_eq!(ann.next_of("error").await["code"], "busy");
    for number in 0..20 {
        assert_eq!(bob.next_of("message").await["body"], number);
    }
    assert_eq!(bob.rows().await.len(), 2, "another peer is served");
    server.pass(1_000).await;
    assert_eq!(ann.rows().await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_keeps_exceeding_the_rate_is_closed_and_may_come_back() {
    let mut config = Config::default();
    config.limits.messages_per_second = NonZeroU32::new(1);
    let server = Server::with(config).await;
    let mut ann = server.session("ann", 1).await;
    for _ in 0..2_100 {
        // It may be closed by then.
        let _ = ann.socket.send(Message::text(r#"{"type":"ping"}"#)).await;
    }
    assert_eq!(ann.code().await, 1008);
    assert_eq!(server.session("ann", 1).await.rows().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_has_only_so_many_peers_and_another_one_is_not_affected() {
    let mut config = Config::default();
    config.limits.sessions_per_user = 2;
    let server = Server::with(config).await;
    let mut first = server.session("ann", 1).await;
    let second = server.session("ann", 2).await;
    let (mut beyond, challenge) = server.open().await;
    beyond.send_text(server.session_hello("ann", 3, &challenge).to_json()).await;
    assert_eq!((beyond.next().await["code"].clone(), beyond.code().await), (json!("capacity"), 4401));
    let bob = server.session("bob", 4).await;
    assert_eq!(first.rows().await.len(), 3);
    drop((second, bob));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_reads_nothing_is_not_closed_by_how_others_come_and_go() {
    let mut config = Config::default();
    config.limits.messages_per_second = None;
    let server = Server::with(config).await;
    let mut slow = server.session("bob", 1).await;
    let mut busy = server.member("ann", Some(Card::new("0"))).await;
    // Far more changes than frames fit in the socket and in what waits for a link.
    let mut changes = 0;
    while changes < 6_000 {
        for _ in 0..100 {
            changes += 1;
            busy.send(json!({"type": "card", "name": changes.to_string(), "role": "x".repeat(200)})).await;
        }
        busy.send(json!({"type": "ping"})).await;
        busy.next_of("pong").await;
    }
    slow.send(json!({"type": "list", "id": 1})).await;
    let mut last = String::new();
    let rows = loop {
        let frame = slow.next().await;
        match frame["type"].as_str().unwrap() {
            "peers" => break frame["peers"].as_array().unwrap().len(),
            kind => {
                assert!(kind == "joined" || kind == "changed", "{frame}");
                last = frame["row"]["name"].as_str().unwrap().to_owned();
            }
        }
    };
    while last != "6000" {
        last = slow.next_of("changed").await["row"]["name"].as_str().unwrap().to_owned();
    }
    assert_eq!(rows, 2);
    tokio::time::timeout(Duration::from_secs(10), slow.rows()).await.unwrap();
}

/// Members that cannot be reached at one question out of those that follow.
#[derive(Debug, Clone, Default)]
struct Busy {
    members: Arc<MemoryMembers>,
    /// How many questions are answered before; nothing fails if it is negative.
    left: Arc<AtomicIsize>,
}

impl Members for Busy {
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
        match self.left.fetch_sub(1, Ordering::SeqCst) {
            0 => Err(MembersError::Unavailable("busy".to_owned())),
            _ => self.members.find(project, key),
        }
    }

    fn revoke_session(&self, project: &str, key: &PublicKey) -> Result<(), MembersError> {
        self.members.revoke_session(project, key)
    }

    fn is_session_revoked(&self, project: &str, key: &PublicKey) -> Result<bool, MembersError> {
        self.members.is_session_revoked(project, key)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_stays_if_the_members_cannot_be_reached_when_its_key_comes_again() {
    let members = Busy::default();
    members.left.store(-1, Ordering::SeqCst);
    let server = Server::of(Config::default(), members.clone()).await;
    let mut ann = server.session("ann", 1).await;
    let mut bob = server.session("bob", 2).await;
    for (member, number) in [("ann", 1), ("ann", 3)] {
        let (mut again, challenge) = server.open().await;
        // The first question is who it is, the second whether that is still so.
        members.left.store(1, Ordering::SeqCst);
        again.send_text(server.session_hello(member, number, &challenge).to_json()).await;
        assert_eq!((again.next().await["code"].clone(), again.code().await), (json!("capacity"), 4401));
    }
    assert_eq!((ann.rows().await.len(), bob.rows().await.len()), (2, 2), "nobody has left, and nobody has come");
    assert_eq!(server.session("ann", 1).await.participant, ann.participant);
}
