//! What must be demonstrated (peers 6), with real processes.

use grove_attest::{ChallengeFrame, PeerHello};
use grove_client::peer::{FromServer, PeerLink, ToServer};
use serde_json::Value;

use crate::home::{Home, first_line, kill, signal, soon, until};

fn names(rows: &[Value]) -> Vec<&str> {
    rows.iter().map(|row| row["name"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_launched_sessions_are_listed_with_name_and_folder_and_with_the_same_time_in_each_list() {
    let home = Home::new(&[]).await;
    let _daemon = home.daemon(&["--name", "alice"]).await;
    let _a = home.launch("A", &["sleep", "600"]).await;
    let _b = home.launch("B", &["sleep", "600"]).await;
    let first = home.peers().await;
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(home.peers().await, first, "nothing has changed, the time of connecting included");
    assert_eq!(names(&first), ["alice", "A", "B"], "no query made a row");
    assert_eq!((&first[0]["kind"], &first[1]["kind"]), (&"daemon".into(), &"session".into()));
    let cwd = home.directory.canonicalize().unwrap();
    for row in &first[1..] {
        assert_eq!((row["cwd"].as_str(), row["status"].as_str()), (cwd.to_str(), Some("online")));
        assert!(row["connected_at"].is_string() && row["pid"].is_u64() && row["host"].is_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_lists_its_sibling_and_itself() {
    let home = Home::new(&[]).await;
    let _daemon = home.daemon(&[]).await;
    let _b = home.launch("B", &["sleep", "600"]).await;
    let mut a = home.command(&["launch", "--name", "A", "--", "sh", "-c", "$GROVE peers --json"]).spawn().unwrap();
    let listed: Value = serde_json::from_str(&first_line(&mut a).await).unwrap();
    let rows = listed["peers"].as_array().unwrap();
    assert!(names(rows).contains(&"A") && names(rows).contains(&"B"), "{listed}");
    until("A's end", || async { home.status("A").await == "gone" }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_process_was_killed_is_gone_and_its_sibling_stays() {
    let home = Home::new(&[]).await;
    let _daemon = home.daemon(&[]).await;
    let mut a = home.launch("A", &["sleep", "600"]).await;
    let mut b = home.launch("B", &["sleep", "600"]).await;
    let mut c = home.launch("C", &["sh", "-c", "echo $$; exec sleep 600"]).await;
    let pid = first_line(&mut c).await;
    kill(&mut b).await;
    until("B to be gone", || async { home.status("B").await == "gone" }).await;
    signal("-KILL", pid.parse().unwrap()).await;
    assert_eq!(soon("C's end", c.wait()).await.unwrap().code(), Some(128 + 9));
    until("C to be gone", || async { home.status("C").await == "gone" }).await;
    assert_eq!((home.status("A").await.as_str(), home.sessions().await.len()), ("online", 1));
    kill(&mut a).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sessions_of_a_killed_daemon_are_offline_and_then_gone() {
    let home = Home::new(&["--offline-ms", "400", "--left-ms", "3000"]).await;
    let mut daemon = home.daemon(&["--name", "alice"]).await;
    let _a = home.launch("A", &["sleep", "600"]).await;
    let _b = home.launch("B", &["sleep", "600"]).await;
    kill(&mut daemon).await;
    for name in ["A", "B"] {
        until("a session to be offline", || async { home.status(name).await == "offline" }).await;
    }
    for name in ["A", "B", "alice"] {
        until("a session to be gone", || async { home.status(name).await == "gone" }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_are_registered_again_in_time_are_the_same_and_nobody_notices() {
    let home = Home::new(&[]).await;
    let mut daemon = home.daemon(&[]).await;
    let waits = "until [ -e again ]; do sleep 0.05; done; $GROVE peers --json; sleep 600";
    let mut a = home.launch("A", &["sh", "-c", waits]).await;
    let _b = home.launch("B", &["sleep", "600"]).await;
    let before = [home.row("A").await, home.row("B").await];
    let member = home.member();
    let hello = |challenge: &ChallengeFrame| Ok(PeerHello::member(&member, challenge, "main")?);
    let (mut watcher, _) = PeerLink::connect(&format!("ws://{}/peers", home.address), hello).await.unwrap();
    kill(&mut daemon).await;
    let _daemon = home.daemon(&[]).await;
    until("the links", || async { home.local("GET", "/v1/daemon", None, "").await.json["links_up"] == 3 }).await;
    assert_eq!([home.row("A").await, home.row("B").await], before, "the same participants since the same time");
    watcher.send(&ToServer::List { id: 1 }).await.unwrap();
    loop {
        match watcher.next().await.unwrap() {
            FromServer::Joined { row } | FromServer::Left { row } | FromServer::Changed { row } => {
                assert_eq!(row["kind"], "daemon", "the others were told of a session: {row}");
            }
            FromServer::Peers { .. } => break,
            _ => {}
        }
    }
    std::fs::write(home.directory.join("again"), "").unwrap();
    let listed: Value = serde_json::from_str(&first_line(&mut a).await).unwrap();
    assert!(
        names(listed["peers"].as_array().unwrap()).contains(&"B"),
        "the token that A has is still its own: {listed}"
    );
}
