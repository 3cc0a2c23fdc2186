//! The command line; the pages are tested in a browser, see `examples/browser/tabs.py`.

use std::net::TcpListener;
use std::process::Output;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// Longer than anything here takes; only a failing test waits this long.
const DEADLINE: Duration = Duration::from_secs(30);

async fn tabs(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tabs"));
    timeout(DEADLINE, command.args(arguments).kill_on_drop(true).output()).await.expect("it ends").expect("an output")
}

#[tokio::test]
async fn help_is_printed_and_wrong_usage_is_exit_code_2() {
    let help = tabs(&["--help"]).await;
    assert!(help.status.success() && String::from_utf8_lossy(&help.stdout).contains("--listen"));
    let wrong = tabs(&["--port", "1"]).await;
    assert!(wrong.status.code() == Some(2) && String::from_utf8_lossy(&wrong.stderr).contains("--port"));
}

#[tokio::test]
async fn an_address_that_is_taken_is_named_in_a_sentence() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = tabs(&["--listen", &address]).await;
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(text.starts_with(&format!("tabs: cannot listen on {address}: Address already in use")), "{text}");
}
