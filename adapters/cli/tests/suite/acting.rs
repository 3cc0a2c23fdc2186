//! Messages: who sends, who reads, and when one is acknowledged.

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::home::{Home, ended, kill, soon, until};
use crate::session::Session;

/// The program inside of a session.
fn inside(home: &Home, token: &str, arguments: &[&str]) -> tokio::process::Command {
    let mut command = home.command(arguments);
    command.env("GROVE_TOKEN", token);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_reaches_the_session_that_is_meant_and_waits_for_its_reader() {
    let home = Home::new(&[]).await;
    let _daemon = home.daemon(&[]).await;
    let (one, two, three) = (Session::new(&home, "one"), Session::new(&home, "two"), Session::new(&home, "three"));
    let (one_token, two_token) = (one.register(&home).await, two.register(&home).await);
    let three_token = three.register(&home).await;
    let key = two.key.public_key().to_string();
    let sent = ended(inside(&home, &one_token, &["send", &key, "by key", "--json"])).await;
    assert_eq!((sent.code, &sent.json()["status"]), (0, &json!("queued")), "{}", sent.stderr);
    assert_eq!(ended(inside(&home, &one_token, &["send", "two", "by name"])).await.code, 0);
    assert_eq!(ended(inside(&home, &one_token, &["send", "--data", "two", "{\"n\":[1]}"])).await.code, 0);
    let read = ended(inside(&home, &two_token, &["inbox", "--count", "3", "--json"])).await;
    let messages: Vec<Value> = read.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let bodies: Vec<_> = messages.iter().map(|message| message["body"].clone()).collect();
    assert_eq!(bodies, [json!("by key"), json!("by name"), json!({"n": [1]})]);
    assert!(messages.iter().all(|message| message["from"]["name"] == "one"), "{messages:?}");

    // The sibling has none of them: what it reads first is what is sent to it now.
    assert_eq!(ended(inside(&home, &two_token, &["send", "three", "for three"])).await.code, 0);
    let read = ended(inside(&home, &three_token, &["inbox", "--count", "1", "--json"])).await;
    assert_eq!(read.json()["body"], "for three");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_wants_one_message_leaves_the_next_one_for_another() {
    let home = Home::new(&[]).await;
    let _daemon = home.daemon(&[]).await;
    let token = Session::new(&home, "one").register(&home).await;
    for text in ["first", "second"] {
        assert_eq!(home.grove(&["send", "one", text]).await.code, 0);
    }
    for text in ["first", "second"] {
        let read = ended(inside(&home, &token, &["inbox", "--count", "1", "--json"])).await;
        assert_eq!(read.json()["body"], text);
    }
    assert_eq!(home.local("GET", "/v1/inbox?limit=0", Some(&token), "").await.code(), "malformed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_reader_has_taken_is_still_there_for_the_next_daemon_and_what_was_taken_is_not() {
    let home = Home::new(&[]).await;
    let mut daemon = home.daemon(&[]).await;
    let (one, two) = (Session::new(&home, "one"), Session::new(&home, "two"));
    let (one_token, two_token) = (one.register(&home).await, two.register(&home).await);
    for text in ["first", "second"] {
        assert_eq!(ended(inside(&home, &one_token, &["send", "two", text])).await.code, 0);
    }
    // The reader that takes one asks for the next one before it goes, so it has taken the first, and maybe the second.
    let mut reader = inside(&home, &two_token, &["inbox", "--json"]).spawn().unwrap();
    let mut lines = BufReader::new(reader.stdout.take().unwrap()).lines();
    for text in ["first", "second"] {
        let line = soon("a message", lines.next_line()).await.unwrap().unwrap();
        assert!(line.contains(text), "{line}");
    }
    assert_eq!(ended(inside(&home, &one_token, &["send", "two", "third"])).await.code, 0);
    assert!(soon("a message", lines.next_line()).await.unwrap().unwrap().contains("third"));
    kill(&mut reader).await;
    assert_eq!(ended(inside(&home, &one_token, &["send", "two", "fourth"])).await.code, 0);
    kill(&mut daemon).await;
    let _daemon = home.daemon(&[]).await;
    one.register(&home).await;
    let two_token = two.register(&home).await;
    let read = ended(inside(&home, &two_token, &["inbox", "--json", "--count", "1"])).await;
    let body = read.json()["body"].clone();
    assert!(body == "third" || body == "fourth", "the first two were acknowledged: {body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn outside_of_a_session_the_member_writes_and_reads_by_a_link_of_its_own() {
    let home = Home::new(&[]).await;
    let _daemon = home.daemon(&["--name", "daemon"]).await;
    let token = Session::new(&home, "one").register(&home).await;
    assert_eq!(home.grove(&["send", "one", "from outside"]).await.code, 0);
    let read = ended(inside(&home, &token, &["inbox", "--count", "1", "--json"])).await.json();
    assert_eq!((&read["body"], &read["from"]["participant"]), (&json!("from outside"), &json!(null)));

    let reader = home.command(&["inbox", "--name", "reader", "--count", "1"]).spawn().unwrap();
    until("the reader's row", || async { home.row("reader").await.is_some() }).await;
    assert_eq!(ended(inside(&home, &token, &["send", "reader", "to the member"])).await.code, 0);
    let output = soon("the message", reader.wait_with_output()).await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.trim_end().ends_with("one: to the member"), "{text}");
    assert_eq!(home.status("reader").await, "gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_cannot_be_reached_is_named_with_what_to_do() {
    let mut home = Home::new(&[]).await;
    let token = "0".repeat(64);
    let no_daemon = ended(inside(&home, &token, &["peers"])).await;
    assert!(no_daemon.code == 4 && no_daemon.stderr.contains("grove daemon"), "{}", no_daemon.stderr);
    let _daemon = home.daemon(&[]).await;
    let no_session = ended(inside(&home, &token, &["peers", "--json"])).await;
    let error: Value = serde_json::from_str(&no_session.stderr).unwrap();
    assert_eq!((no_session.code, &error["error"]["code"]), (3, &json!("refused")));
    assert_eq!(ended(inside(&home, "short", &["peers"])).await.code, 1);
    let nobody = home.grove(&["send", "nobody", "x"]).await;
    assert!(nobody.code == 5 && nobody.stderr.contains("grove peers"), "{}", nobody.stderr);
    assert_eq!(home.grove(&["send", &"0".repeat(64), "x"]).await.code, 5);
    assert_eq!(home.grove(&["send", "--data", "x", "{"]).await.code, 1);
    home.remove_member().await;
    let refused = home.grove(&["peers"]).await;
    assert!(refused.code == 3 && refused.stderr.contains("revoked"), "{}", refused.stderr);
    home.stop_server().await;
    let lost = home.grove(&["peers"]).await;
    assert!(lost.code == 4 && lost.stderr.contains("--server"), "{}", lost.stderr);
}
