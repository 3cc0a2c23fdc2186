//! Starts the program and increments its counter with the published consumer.

use std::process::Stdio;
use std::time::Duration;

use serde_json::json;
use slop_ai::{SlopConsumer, SlopNode, WsClientTransport};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

/// Longer than anything here takes; only a failing test waits this long.
const DEADLINE: Duration = Duration::from_secs(30);

/// Starts the program on a free port, and returns its address.
async fn start(mut hello: Command) -> (Child, String) {
    let hello = hello.args(["--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).kill_on_drop(true);
    let mut server = hello.spawn().expect("the program starts");
    let mut lines = BufReader::new(server.stdout.take().expect("its output")).lines();
    let line = lines.next_line().await.expect("output").expect("a line");
    let address = line.strip_prefix("listening on http://").expect("where it listens");
    (server, address.to_owned())
}

#[tokio::test]
async fn an_ai_increments_the_counter_and_sees_it() {
    timeout(DEADLINE, increment_the_counter()).await.expect("it should have happened by now");
}

async fn increment_the_counter() {
    let (_server, address) = start(Command::new(env!("CARGO_BIN_EXE_hello"))).await;

    let consumer = SlopConsumer::new();
    consumer.connect(&WsClientTransport::new(&format!("ws://{address}/slop"))).await.expect("a connection");
    let (subscription, tree) = consumer.subscribe("/", -1).await.expect("a subscription");
    assert_eq!(count(&tree), json!(0));
    for wanted in 1..=3 {
        consumer.invoke("/counter", "increment", None).await.expect("an increment");
        assert_eq!(count(&consumer.tree(&subscription).await.expect("a mirror")), json!(wanted));
    }
}

#[tokio::test]
async fn an_announced_server_has_a_descriptor_file_until_it_is_stopped() {
    timeout(DEADLINE, announce()).await.expect("it should have happened by now");
}

async fn announce() {
    let home = std::env::temp_dir().join(format!("hello-{}", std::process::id()));
    std::fs::create_dir_all(&home).expect("a home");
    let mut hello = Command::new(env!("CARGO_BIN_EXE_hello"));
    hello.arg("--announce").env("HOME", &home);
    let (mut server, address) = start(hello).await;
    let file = home.join(".slop/providers/hello.json");
    let text = std::fs::read_to_string(&file).expect("the announcement");
    let announced: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(announced["transport"], json!({"type": "ws", "url": format!("ws://{address}/slop")}));
    let pid = server.id().expect("it runs").to_string();
    Command::new("kill").args(["-TERM", &pid]).status().await.expect("a signal");
    assert!(server.wait().await.expect("an end").success());
    assert!(!file.exists(), "the file is removed");
    std::fs::remove_dir_all(&home).expect("an empty home");
}

#[tokio::test]
async fn help_is_printed_and_wrong_usage_is_exit_code_2() {
    let hello = |argument: &'static str| Command::new(env!("CARGO_BIN_EXE_hello")).arg(argument).output();
    let help = timeout(DEADLINE, hello("--help")).await.expect("it ends").expect("an output");
    let text = String::from_utf8_lossy(&help.stdout).into_owned();
    assert!(help.status.success() && text.contains("--listen") && text.contains("--announce"), "{text}");
    let wrong = timeout(DEADLINE, hello("--anounce")).await.expect("it ends").expect("an output");
    let text = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(wrong.status.code() == Some(2) && text.contains("--anounce"), "{text}");
}

#[tokio::test]
async fn an_address_that_is_taken_is_named_in_a_sentence() {
    let (_server, address) =
        timeout(DEADLINE, start(Command::new(env!("CARGO_BIN_EXE_hello")))).await.expect("a start");
    let second = Command::new(env!("CARGO_BIN_EXE_hello")).args(["--listen", &address]).output();
    let second = timeout(DEADLINE, second).await.expect("it ends").expect("an output");
    let text = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(1));
    assert!(text.starts_with(&format!("hello: cannot listen on {address}: Address already in use")), "{text}");
    assert!(text.contains("--listen") && !text.contains("Os {"), "{text}");
}

fn count(tree: &SlopNode) -> serde_json::Value {
    let counter = &tree.children.as_ref().expect("children")[0];
    assert_eq!((counter.id.as_str(), counter.node_type.as_str()), ("counter", "collection"));
    counter.properties.as_ref().expect("properties")["count"].clone()
}
