//! No one is served before being authenticated (S1.41, S1.91, SEC1).

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Extension;
use grove_axum::{Refusal, Slop, UpgradeRequest, anonymous, authenticate_with};
use grove_engine::{Config, ConnectError, Connection, Discovery, Engine, Event, Provider, Renewed, Role, Session};
use tokio::sync::{Notify, mpsc};

use crate::server::{PeerAddresses, Server, known_users, user_in, within_deadline};

/// An engine that treats everyone as a consumer, and records the roles that they asked for.
struct Roles {
    engine: Engine,
    seen: Arc<Mutex<Vec<Role>>>,
}

impl Provider for Roles {
    fn discovery(&self) -> Discovery {
        self.engine.discovery()
    }

    fn connect(&self, session: Session, role: Role) -> Result<Connection, ConnectError> {
        self.seen.lock().unwrap().push(role);
        Provider::connect(&self.engine, session, Role::Consumer)
    }

    fn renew(&self, session: Session) -> Result<Option<Renewed>, ConnectError> {
        self.engine.renew(session)
    }

    fn config(&self) -> &Config {
        self.engine.config()
    }

    fn note(&self, event: Event) {
        self.engine.note(event);
    }

    fn is_closing(&self) -> bool {
        self.engine.is_closing()
    }
}

const UPGRADE: &str = "connection: upgrade, close\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
                       sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

#[tokio::test]
async fn without_a_credential_there_is_a_401_and_no_frame() {
    let server = Server::for_known_users().await;
    let request = format!("GET /slop HTTP/1.1\r\nhost: localhost\r\n{UPGRADE}\r\n");
    let (status, all) = server.raw(&request).await;
    assert_eq!(status, 401);
    assert!(all.ends_with(r#"{"error":{"code":"unauthorized","message":"authentication is required"}}"#), "{all}");
    assert!(all.contains("cache-control: no-store") && all.contains("www-authenticate: Bearer"), "{all}");
    assert!(!all.contains("hello"), "{all}");
    assert_eq!(server.engine.stats().connections, 0);
    assert_eq!(server.refused(), [(401, "authentication is required")]);
}

#[tokio::test]
async fn a_wrong_credential_gets_a_401() {
    let server = Server::for_known_users().await;
    assert_eq!(server.dial("/slop?token=mallory", &[]).await.unwrap_err().status, 401);
}

#[tokio::test]
async fn the_cookie_is_found_among_others() {
    let server = Server::for_known_users().await;
    let cookies = [("cookie", "theme=dark; sessions=bob"), ("cookie", "x; session=%61lice; y=1")];
    assert_eq!(server.dial("/slop", &cookies).await.unwrap().user().await, "alice");
}

#[tokio::test]
async fn a_cookie_that_is_not_utf8_does_not_hide_the_others() {
    let server = Server::for_known_users().await;
    for cookies in [&b"theme=caf\xe9; session=alice"[..], b"session=alice; \xff", b"\xe9; session=alice; x=\xe9"] {
        let head = format!("GET /slop HTTP/1.1\r\nhost: localhost\r\n{UPGRADE}cookie: ");
        let request = [head.as_bytes(), cookies, b"\r\n\r\n"].concat();
        let head = server.head(request).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{}: {head}", String::from_utf8_lossy(cookies));
    }
    let head = format!("GET /slop HTTP/1.1\r\nhost: localhost\r\n{UPGRADE}cookie: session=alice\\xe9; s=");
    assert_eq!(server.raw([head.as_bytes(), b"\xe9\r\n\r\n"].concat()).await.0, 401, "the others are still compared");
}

#[tokio::test]
async fn a_token_may_be_in_the_query_in_the_header_or_in_the_cookie() {
    let server = Server::for_known_users().await;
    assert_eq!(server.dial("/slop?x=1&token=alice", &[]).await.unwrap().user().await, "alice");
    assert_eq!(server.dial("/slop", &[("authorization", "Bearer bob")]).await.unwrap().user().await, "bob");
    assert_eq!(server.dial("/slop", &[("cookie", "session=alice")]).await.unwrap().user().await, "alice");
}

#[tokio::test]
async fn a_session_id_is_not_a_credential() {
    let server = Server::for_known_users().await;
    let _alice = server.alice().await;
    let id = "session%20of%20alice";
    for (target, headers) in [
        (format!("/slop?token={id}"), vec![]),
        (format!("/slop?session={id}&id={id}"), vec![]),
        ("/slop".to_owned(), vec![("authorization", "Bearer session of alice")]),
        ("/slop".to_owned(), vec![("cookie", "session=session%20of%20alice")]),
        (format!("/slop/{id}"), vec![]),
    ] {
        let status = server.dial(&target, &headers).await.unwrap_err().status;
        assert!([401, 404].contains(&status), "{target} {headers:?}: {status}");
    }
    // Nor does it give anyone else access to that session.
    let mut bob = server.dial(&format!("/slop?token=bob&session={id}"), &[]).await.unwrap();
    assert_eq!(bob.user().await, "bob");
    bob.send(r#"{"type":"query","id":"q","path":"/","depth":-1,"session":"session of alice"}"#).await;
    assert_eq!(user_in(&bob.receive().await), "bob");
}

#[tokio::test]
async fn a_slow_authenticator_delays_no_one_else() {
    let (asked, mut slow_is_asked) = mpsc::channel(1);
    let release = Arc::new(Notify::new());
    let released = release.clone();
    let authenticator = authenticate_with(move |request: UpgradeRequest| {
        let (asked, released) = (asked.clone(), released.clone());
        async move {
            let user = request.query("token").ok_or_else(Refusal::unauthorized)?;
            if user == "slow" {
                asked.send(()).await.unwrap();
                released.notified().await;
            }
            Ok(Session::new(user.clone()).with_user(user))
        }
    });
    let server = Server::start(|engine| Slop::new(engine, authenticator)).await;
    let slow = async {
        let mut peer = server.dial("/slop?token=slow", &[]).await.unwrap();
        assert_eq!(peer.user().await, "slow");
    };
    let quick = async {
        within_deadline(slow_is_asked.recv()).await.unwrap();
        assert_eq!(server.dial("/slop?token=quick", &[]).await.unwrap().user().await, "quick");
        release.notify_one();
    };
    tokio::join!(slow, quick);
}

#[tokio::test]
async fn an_authenticator_that_hangs_gets_a_503() {
    let authenticator = authenticate_with(|_| std::future::pending());
    let server =
        Server::start(|engine| Slop::new(engine, authenticator).authenticate_timeout(Duration::from_millis(20))).await;
    assert_eq!(server.dial("/slop", &[]).await.unwrap_err().status, 503);
    assert_eq!(server.refused(), [(503, "the authenticator took too long")]);
}

#[tokio::test]
async fn a_panicking_authenticator_gets_a_503_without_details() {
    let authenticator = authenticate_with(|request: UpgradeRequest| async move {
        if request.query("token").is_none() {
            panic!("the database password is wrong");
        }
        Ok(Session::new("s").with_user("alice"))
    });
    let server = Server::start(|engine| Slop::new(engine, authenticator)).await;
    let refused = server.dial("/slop", &[]).await.unwrap_err();
    assert_eq!(refused.status, 503);
    assert!(!refused.body.contains("password"), "{}", refused.body);
    assert_eq!(server.dial("/slop?token=x", &[]).await.unwrap().user().await, "alice");
}

#[tokio::test]
async fn a_refusal_carries_the_authenticators_message() {
    let authenticator = authenticate_with(|_| async { Err(Refusal::forbidden().with_message("the trial is over")) });
    let server = Server::start(|engine| Slop::new(engine, authenticator)).await;
    let refused = server.dial("/slop", &[]).await.unwrap_err();
    assert_eq!(refused.status, 403);
    assert_eq!(refused.body, r#"{"error":{"code":"forbidden","message":"the trial is over"}}"#);
}

#[tokio::test]
async fn without_users_local_peers_are_accepted() {
    let server = Server::start(|engine| Slop::new(engine, anonymous())).await;
    assert_eq!(server.dial("/slop", &[]).await.unwrap().user().await, "nobody");
}

#[tokio::test]
async fn without_users_peers_behind_a_proxy_or_a_foreign_name_are_refused() {
    let server = Server::start(|engine| Slop::new(engine, anonymous())).await;
    for header in [("forwarded", "for=1.2.3.4"), ("x-forwarded-for", "1.2.3.4"), ("host", "rebound.example")] {
        assert_eq!(server.dial("/slop", &[header]).await.unwrap_err().status, 401, "{header:?}");
    }
}

#[tokio::test]
async fn a_plain_request_gets_a_426() {
    let server = Server::for_known_users().await;
    let (status, all) =
        server.raw("GET /slop?token=alice HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").await;
    assert_eq!(status, 426);
    assert!(all.contains("upgrade: websocket"), "{all}");
}

#[tokio::test]
async fn while_shutting_down_the_authenticator_is_not_called() {
    let (asked, mut was_asked) = mpsc::channel(1);
    let authenticator = authenticate_with(move |_| {
        let asked = asked.clone();
        async move {
            asked.send(()).await.unwrap();
            Err(Refusal::unauthorized())
        }
    });
    let server = Server::start(|engine| Slop::new(engine, authenticator)).await;
    within_deadline(server.engine.shutdown(Duration::from_secs(1))).await;
    assert_eq!(server.dial("/slop", &[]).await.unwrap_err().status, 503);
    assert!(was_asked.try_recv().is_err());
}

#[tokio::test]
async fn the_url_decides_between_tab_and_consumer() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let roles = Arc::clone(&seen);
    let server = Server::start(|engine| Slop::new(Roles { engine, seen: roles }, known_users())).await;
    let tab = |mount: &str| Role::Tab { mount: mount.to_owned() };
    for (query, role) in [
        ("", Role::Consumer),
        ("&slop_role=consumer", Role::Consumer),
        ("&mount=ui", Role::Consumer),
        ("&slop_role=provider", tab("ui")),
        ("&slop_role=provider&mount=side%2Fpanel", tab("side/panel")),
    ] {
        assert_eq!(server.dial(&format!("/slop?token=alice{query}"), &[]).await.unwrap().user().await, "alice");
        assert_eq!(seen.lock().unwrap().pop(), Some(role), "{query}");
    }
}

#[tokio::test]
async fn an_invalid_mount_gets_a_400() {
    let server = Server::for_known_users().await;
    for mount in ["..%2F..", "tasks", "%00"] {
        let target = format!("/slop?token=alice&slop_role=provider&mount={mount}");
        let refused = server.dial(&target, &[]).await.unwrap_err();
        assert_eq!(refused.status, 400, "{mount}");
        assert!(refused.body.contains(r#""code":"bad_request""#), "{}", refused.body);
    }
    assert_eq!(server.engine.stats().connections, 0);
}

#[tokio::test]
async fn without_the_peers_address_everyone_is_refused_and_the_observers_get_the_reason() {
    let make = |engine| Slop::new(engine, anonymous()).router();
    let server = Server::start_app(make, PeerAddresses::Unknown).await;
    assert_eq!(server.dial("/slop", &[]).await.unwrap_err().status, 401);
    let (_, reason) = server.refused()[0];
    assert!(reason.contains("into_make_service_with_connect_info"), "{reason}");
}

#[tokio::test]
async fn extensions_of_a_middleware_reach_the_authenticator() {
    #[derive(Clone)]
    struct User(&'static str);

    let authenticator = authenticate_with(|request: UpgradeRequest| async move {
        let User(name) = request.extension().ok_or_else(Refusal::unauthorized)?;
        Ok(Session::new(*name).with_user(*name))
    });
    let make = |engine| Slop::new(engine, authenticator).router().layer(Extension(User("alice")));
    let server = Server::start_app(make, PeerAddresses::Known).await;
    assert_eq!(server.dial("/slop", &[]).await.unwrap().user().await, "alice");
}
