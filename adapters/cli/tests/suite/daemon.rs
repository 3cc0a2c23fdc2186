//! The daemon: its socket, its sessions, its start and its end.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use serde_json::json;

use crate::home::{Home, kill, mode, signal, soon, until};
use crate::session::Session;

#[tokio::test(flavor = "multi_thread")]
async fn a_registered_session_is_present_when_the_answer_comes_and_gone_when_it_is_deregistered() {
    let home = Home::new(&[]).await;
    let _daemon = home.daemon(&[]).await;
    let session = Session::new(&home, "one");
    let response = home.local("POST", "/v1/sessions/register", None, &session.body.to_string()).await;
    assert_eq!(response.status, 201, "{response:?}");
    let token = response.json["token"].as_str().unwrap();
    let row = home.row("one").await.expect("a row");
    assert_eq!(
        (&row["participant"], &row["session_public_key"]),
        (&response.json["participant"], &session.body["session_public_key"])
    );
    let listed = home.local("GET", "/v1/sessions", None, "").await.json.to_string();
    assert!(listed.contains("one") && !listed.contains(token) && !listed.contains("pa_"), "{listed}");
    let own = home.local("GET", "/v1/session", Some(token), "").await.json;
    assert!(own["access_token"].as_str().unwrap().starts_with("pa_"), "{own}");
    let gone = home.local("DELETE", &format!("/v1/sessions/{token}"), None, "").await;
    assert_eq!((gone.status, home.status("one").await.as_str()), (204, "gone"), "the link has ended by then");
    assert_eq!(home.local("DELETE", &format!("/v1/sessions/{token}"), None, "").await.status, 404);
    assert_eq!(home.local("GET", "/v1/peers", Some(token), "").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn registering_a_session_again_replaces_it_and_its_row_stays() {
    let home = Home::new(&[]).await;
    let _daemon = home.daemon(&[]).await;
    let session = Session::new(&home, "one");
    let first = session.register(&home).await;
    let row = home.row("one").await;
    let second = session.register(&home).await;
    assert_ne!(first, second);
    assert_eq!(home.local("GET", "/v1/peers", Some(&first), "").await.status, 401, "the old token is invalid");
    assert_eq!(home.local("GET", "/v1/peers", Some(&second), "").await.status, 200);
    assert_eq!((home.row("one").await, home.sessions().await.len()), (row, 1), "the key is the same, so is the peer");
    let other = Session::new(&home, "one");
    other.register(&home).await;
    until("the old key's row to be gone", || async { home.peers().await.len() == 2 }).await;
    assert_eq!(home.row("one").await.unwrap()["session_public_key"], json!(other.key.public_key()));
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_one_link_for_each_session_and_one_for_the_member() {
    let home = Home::new(&[]).await;
    let _daemon = home.daemon(&["--name", "alice"]).await;
    for id in ["one", "two", "three"] {
        Session::new(&home, id).register(&home).await;
    }
    let daemon = home.local("GET", "/v1/daemon", None, "").await.json;
    assert_eq!((&daemon["links_up"], &daemon["sessions"]), (&json!(4), &json!(3)));
    let kinds: Vec<_> = home.peers().await.into_iter().map(|row| row["kind"].clone()).collect();
    assert_eq!(kinds, ["daemon", "session", "session", "session"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_process_id_is_another_process_is_removed() {
    let home = Home::new(&[]).await;
    let _daemon = home.daemon(&[]).await;
    let mut session = Session::new(&home, "reused");
    session.body["pid_started_at"] = (session.body["pid_started_at"].as_u64().unwrap() - 1).into();
    session.register(&home).await;
    Session::new(&home, "lives").register(&home).await;
    until("the session to be removed", || async { home.sessions().await.len() == 1 }).await;
    assert_eq!((home.status("reused").await.as_str(), home.status("lives").await.as_str()), ("gone", "online"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_is_private_and_only_one_daemon_has_it() {
    let home = Home::new(&[]).await;
    let mut daemon = home.daemon(&[]).await;
    assert_eq!((mode(&home.socket()), mode(home.socket().parent().unwrap())), (0o600, 0o700));
    let second = home.grove(&["daemon"]).await;
    assert_eq!(second.code, 1, "{}", second.stderr);
    assert!(
        second.stderr.contains("another daemon is running there") && second.stderr.contains("--socket"),
        "{}",
        second.stderr
    );
    assert_eq!(home.local("GET", "/v1/daemon", None, "").await.status, 200, "the first one was not disturbed");

    // What a daemon leaves that was killed is replaced.
    kill(&mut daemon).await;
    assert!(home.socket().exists());
    let mut daemon = home.daemon(&[]).await;
    signal("-TERM", daemon.id().unwrap()).await;
    assert_eq!(soon("the end", daemon.wait()).await.unwrap().code(), Some(0));
    assert!(!home.socket().exists(), "a daemon that ends removes its socket");

    // A socket that nobody has locked is stale, also if there never was a daemon.
    drop(UnixListener::bind(home.socket()).unwrap());
    kill(&mut home.daemon(&[]).await).await;
    fs::remove_file(home.socket()).unwrap();
    fs::write(home.socket(), "mine").unwrap();
    let refused = home.grove(&["daemon"]).await;
    assert!(refused.code == 1 && refused.stderr.contains("something else"), "{}", refused.stderr);
    fs::remove_file(home.socket()).unwrap();
    fs::set_permissions(home.socket().parent().unwrap(), Permissions::from_mode(0o750)).unwrap();
    let refused = home.grove(&["daemon"]).await;
    assert!(refused.code == 1 && refused.stderr.contains("chmod 700"), "{}", refused.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_stopped_says_farewell_for_all() {
    let home = Home::new(&[]).await;
    let mut daemon = home.daemon(&["--name", "alice"]).await;
    Session::new(&home, "one").register(&home).await;
    assert_eq!(home.peers().await.len(), 2);
    signal("-TERM", daemon.id().unwrap()).await;
    assert_eq!(soon("the end", daemon.wait()).await.unwrap().code(), Some(0));
    assert_eq!(home.peers().await.len(), 0, "nobody has to wait for a lease");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_others_can_read_is_not_used() {
    let home = Home::new(&[]).await;
    fs::set_permissions(home.key_file(), Permissions::from_mode(0o640)).unwrap();
    for arguments in [&["daemon"][..], &["peers"], &["launch", "--name", "A", "--", "true"]] {
        let refused = home.grove(arguments).await;
        assert!(refused.code != 0 && refused.stderr.contains("chmod 600"), "{arguments:?}: {}", refused.stderr);
    }
    fs::set_permissions(home.key_file(), Permissions::from_mode(0o600)).unwrap();
    let _daemon = home.daemon(&[]).await;
    let session = Session::new(&home, "one");
    fs::set_permissions(&session.secret, Permissions::from_mode(0o604)).unwrap();
    let refused = home.local("POST", "/v1/sessions/register", None, &session.body.to_string()).await;
    assert_eq!((refused.status, refused.code()), (422, "unusable_secret_file"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_session_presence_only_the_member_is_present_and_sessions_speak_by_it() {
    let home = Home::new(&[]).await;
    let _daemon = home.daemon(&["--name", "alice", "--session-presence", "0"]).await;
    let token = Session::new(&home, "one").register(&home).await;
    let listed = home.local("GET", "/v1/peers", Some(&token), "").await;
    let names: Vec<_> = listed.json["peers"].as_array().unwrap().iter().map(|row| row["name"].clone()).collect();
    assert_eq!(names, ["alice"]);
    assert_eq!(home.sessions().await[0]["link"]["state"], "off");
    assert_eq!(home.local("GET", "/v1/inbox", Some(&token), "").await.code(), "not_connected");
    assert_eq!(home.local("DELETE", &format!("/v1/sessions/{token}"), None, "").await.status, 204);
}
