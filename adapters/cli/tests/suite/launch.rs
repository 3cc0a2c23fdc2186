//! What stays beside a launched command.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::home::{Ended, Home, first_line, kill, mode, signal, soon, until};

async fn launch(home: &Home, script: &str) -> Ended {
    home.grove(&["launch", "--name", "A", "--", "sh", "-c", script]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_as_its_command_does() {
    let home = Home::new(&[]).await;
    let _daemon = home.daemon(&[]).await;
    assert_eq!(launch(&home, "exit 0").await.code, 0);
    assert_eq!(launch(&home, "exit 7").await.code, 7);
    assert_eq!(launch(&home, "kill -9 $$").await.code, 137);
    assert_eq!(home.grove(&["launch", "--name", "A", "--", "./none"]).await.code, 127);
    assert_eq!(home.grove(&["launch", "--name", "A", "--", "/"]).await.code, 126);
    assert_eq!(home.grove(&["launch", "--name", "A", "--member-key", "none", "--", "true"]).await.code, 125);
    assert_eq!(home.grove(&["launch", "--name", "A"]).await.code, 2, "no command is wrong usage");
    assert_eq!(home.sessions().await.len(), 0, "each has left");
    assert_eq!(fs::read_dir(home.directory.join("grove/sessions")).unwrap().count(), 0, "with its files");
}

/// The signals that this process ignores, one bit each.
fn ignored() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.map_or(0, |mask| u64::from_str_radix(mask.trim(), 16).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_reach_the_command() {
    let home = Home::new(&[]).await;
    let _daemon = home.daemon(&[]).await;
    // What the tests themselves are told to ignore, as by `nohup`, no launcher below them forwards.
    let ignored = ignored();
    for (name, number) in [("TERM", 15), ("INT", 2), ("HUP", 1), ("USR1", 10)] {
        if (ignored >> (number - 1)) & 1 == 1 {
            continue;
        }
        let script = format!("trap 'exit 3' {name}; echo ready; while :; do sleep 0.02; done");
        let mut launched = home.command(&["launch", "--name", "A", "--", "sh", "-c", &script]).spawn().unwrap();
        assert_eq!(first_line(&mut launched).await, "ready");
        signal(&format!("-{name}"), launched.id().unwrap()).await;
        assert_eq!(soon("the end", launched.wait()).await.unwrap().code(), Some(3), "{name}");
    }
    let mut launched = home.launch("B", &["sleep", "600"]).await;
    signal("-TERM", launched.id().unwrap()).await;
    assert_eq!(soon("the end", launched.wait()).await.unwrap().code(), Some(128 + 15));
    assert_eq!(home.status("B").await, "gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_that_is_ignored_at_the_start_stays_ignored_as_with_nohup() {
    let home = Home::new(&[]).await;
    let _daemon = home.daemon(&[]).await;
    let launch = home.command(&["launch", "--name", "A", "--", "sh", "-c", "echo ready; exec sleep 600"]);
    let launch = launch.as_std();
    let mut ignoring = Command::new("sh");
    ignoring.args(["-c", "trap '' HUP; exec \"$0\" \"$@\""]).arg(launch.get_program()).args(launch.get_args());
    ignoring.current_dir(&home.directory).env_clear();
    ignoring.envs(launch.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut launched = ignoring.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    assert_eq!(first_line(&mut launched).await, "ready");
    signal("-HUP", launched.id().unwrap()).await;
    signal("-TERM", launched.id().unwrap()).await;
    assert_eq!(soon("the end", launched.wait()).await.unwrap().code(), Some(128 + 15));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_launch_has_a_key_of_its_own_in_files_that_only_its_owner_can_read() {
    let home = Home::new(&[]).await;
    let _daemon = home.daemon(&[]).await;
    let mut a = home.launch("A", &["sleep", "600"]).await;
    let mut b = home.launch("B", &["sleep", "600"]).await;
    let keys: Vec<_> = home.sessions().await.iter().map(|session| session["session_public_key"].clone()).collect();
    assert_ne!(keys[0], keys[1]);
    let all = home.directory.join("grove/sessions");
    assert_eq!(mode(&all), 0o700);
    for entry in fs::read_dir(&all).unwrap() {
        let directory = entry.unwrap().path();
        assert_eq!(mode(&directory), 0o700);
        for name in ["secret", "token", "signer.sock"] {
            assert_eq!(mode(&directory.join(name)), 0o600, "{name}");
        }
    }
    kill(&mut a).await;
    signal("-TERM", b.id().unwrap()).await;
    soon("the end", b.wait()).await.unwrap();
    assert_eq!(fs::read_dir(&all).unwrap().count(), 1, "what a killed launcher leaves ..");
    launch(&home, "true").await;
    assert_eq!(fs::read_dir(&all).unwrap().count(), 0, ".. a later one removes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_has_the_rights_that_were_asked_for_and_no_more() {
    let home = Home::new(&[]).await;
    let _daemon = home.daemon(&["--name", "alice"]).await;
    let script = "$GROVE peers --json; echo $GROVE_PARTICIPANT; echo $GROVE_SOCKET; sleep 600";
    let arguments = ["launch", "--name", "A", "--role", "coder", "--group", "g1", "--group", "g2", "--right", "read"];
    let arguments: Vec<_> = arguments.iter().chain(&["--right", "admin", "--", "sh", "-c", script]).copied().collect();
    let mut launched = home.command(&arguments).spawn().unwrap();
    let mut lines = BufReader::new(launched.stdout.take().unwrap()).lines();
    let mut line = async || soon("a line", lines.next_line()).await.unwrap().unwrap();
    let listed: Value = serde_json::from_str(&line().await).unwrap();
    let row = listed["peers"].as_array().unwrap().iter().find(|row| row["name"] == "A").unwrap();
    assert_eq!((&row["role"], &row["groups"]), (&"coder".into(), &serde_json::json!(["g1", "g2"])));
    assert_eq!(
        (line().await, line().await),
        (row["participant"].as_str().unwrap().to_owned(), home.socket().display().to_string())
    );
    let secret = fs::read_dir(home.directory.join("grove/sessions")).unwrap().next().unwrap().unwrap().path();
    let signer = tokio::net::UnixStream::connect(secret.join("signer.sock")).await.unwrap();
    let mut attestation = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut tokio::io::BufReader::new(signer), &mut attestation).await.unwrap();
    let attestation: Value = serde_json::from_str(&attestation).unwrap();
    assert_eq!(attestation["rights"], serde_json::json!(["admin", "read"]), "what it signs again is the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_may_come_later_and_go_away_meanwhile() {
    let home = Home::new(&[]).await;
    let script = "echo began; until [ -e again ]; do sleep 0.05; done; $GROVE peers --json; exit 4";
    let mut launched = home.command(&["launch", "--name", "A", "--", "sh", "-c", script]).spawn().unwrap();
    let mut lines = BufReader::new(launched.stdout.take().unwrap()).lines();
    assert_eq!(soon("the command", lines.next_line()).await.unwrap().as_deref(), Some("began"), "without a daemon");
    let mut daemon = home.daemon(&[]).await;
    until("the session", || async { home.status("A").await == "online" }).await;
    signal("-TERM", daemon.id().unwrap()).await;
    soon("the daemon's end", daemon.wait()).await.unwrap();
    assert_eq!(home.status("A").await, "gone", "the daemon said farewell");
    let mut daemon = home.daemon(&[]).await;
    until("the session", || async { home.status("A").await == "online" }).await;
    fs::write(home.directory.join("again"), "").unwrap();
    let line = soon("the list", lines.next_line()).await.unwrap().unwrap();
    assert!(line.contains(r#""name":"A""#), "its token is the one that it was given at first: {line}");
    assert_eq!(soon("the end", launched.wait()).await.unwrap().code(), Some(4));

    let mut launched = home.launch("B", &["sleep", "600"]).await;
    kill(&mut daemon).await;
    signal("-TERM", launched.id().unwrap()).await;
    let end = tokio::time::timeout(Duration::from_secs(20), launched.wait()).await.expect("no wait for a daemon");
    assert_eq!(end.unwrap().code(), Some(143));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_signed_for_another_project_or_server_than_was_said() {
    let home = Home::new(&[]).await;
    let _daemon = home.daemon(&[]).await;
    for arguments in [["--project", "other"], ["--audience", "other"]] {
        let arguments: Vec<_> =
            ["launch", "--name", "A"].iter().chain(&arguments).chain(&["--", "true"]).copied().collect();
        let launched = home.grove(&arguments).await;
        assert!(launched.code == 0 && launched.stderr.contains("at the daemon"), "{}", launched.stderr);
    }
}
