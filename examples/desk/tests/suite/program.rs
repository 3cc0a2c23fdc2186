//! The program as a person at a terminal sees it.

use std::path::PathBuf;
use std::process::{Output, Stdio};

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::running::within_deadline;

/// A database file of one test, removed with what SQLite and the desk put beside it.
struct Database(PathBuf);

impl Database {
    fn new(name: &str) -> Self {
        Self(std::env::temp_dir().join(format!("desk-{name}-{}.db", std::process::id())))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        for end in ["", "-wal", "-shm", ".lock"] {
            let _ = std::fs::remove_file(format!("{}{end}", self.0.display()));
        }
    }
}

fn desk(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_desk"));
    command.args(arguments).env("RUST_LOG", "error").kill_on_drop(true);
    command
}

async fn output(arguments: &[&str]) -> Output {
    within_deadline("the end of the program", desk(arguments).output()).await.expect("an output")
}

/// Starts a desk on a free port. Returns its lines about people and tokens as well.
async fn start(database: &Database) -> (Child, Vec<String>) {
    let mut command = desk(&["--listen", "127.0.0.1:0", "--db", database.0.to_str().expect("a path")]);
    let mut process = command.stdout(Stdio::piped()).spawn().expect("the program starts");
    let mut lines = BufReader::new(process.stdout.take().expect("its output")).lines();
    let mut people = Vec::new();
    // The address, six people and a token for each.
    for _ in 0..13 {
        people.push(within_deadline("a line", lines.next_line()).await.expect("output").expect("a line"));
    }
    assert!(people.remove(0).starts_with("listening on http://127.0.0.1:"));
    (process, people)
}

async fn stop(mut process: Child) {
    let pid = process.id().expect("it runs").to_string();
    Command::new("kill").args(["-TERM", &pid]).status().await.expect("a signal");
    assert!(within_deadline("its end", process.wait()).await.expect("an end").success());
}

#[tokio::test]
async fn a_database_opened_again_has_the_same_people_and_tokens() {
    let database = Database::new("again");
    let (first, people) = start(&database).await;
    stop(first).await;
    assert_eq!(people.iter().filter(|line| line.starts_with("token ")).count(), 6);
    assert!(people.iter().filter_map(|line| line.strip_prefix("token ")).all(|line| line.len() > 32), "{people:?}");
    let (second, again) = start(&database).await;
    assert_eq!(again, people);
    stop(second).await;
}

#[tokio::test]
async fn a_second_desk_on_one_database_is_refused_in_a_sentence() {
    let database = Database::new("twice");
    let (first, _) = start(&database).await;
    let path = database.0.to_str().expect("a path");
    let second = output(&["--listen", "127.0.0.1:0", "--db", path]).await;
    let sentence = String::from_utf8_lossy(&second.stderr);
    assert_eq!(second.status.code(), Some(1));
    let expected = "Another desk has it open; stop that one, or give another file with --db.";
    assert_eq!(sentence.trim_end(), format!("desk: cannot open {path}: {expected}"));
    stop(first).await;
    let (third, _) = start(&database).await;
    stop(third).await;
}

#[tokio::test]
async fn wrong_usage_and_what_cannot_be_opened_are_sentences() {
    assert!(String::from_utf8_lossy(&output(&["--help"]).await.stdout).contains("--behind-proxy"));
    assert_eq!(output(&["--database", "x"]).await.status.code(), Some(2));
    let missing = output(&["--db", "/nonexistent/folder/desk.db"]).await;
    let sentence = String::from_utf8_lossy(&missing.stderr);
    assert_eq!(missing.status.code(), Some(1));
    assert!(sentence.starts_with("desk: cannot open /nonexistent/folder/desk.db: "), "{sentence}");
    assert!(!sentence.contains("Os {"), "{sentence}");
    let database = Database::new("taken");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let refused = output(&["--listen", &address, "--db", database.0.to_str().expect("a path")]).await;
    let sentence = String::from_utf8_lossy(&refused.stderr);
    assert!(sentence.starts_with(&format!("desk: cannot listen on {address}: ")), "{sentence}");
}
