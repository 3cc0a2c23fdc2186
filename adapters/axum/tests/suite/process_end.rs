//! The end of a whole process: signals, and the deadline with a handler that blocks its thread.
//!
//! The tests start this test binary again as a server and send signals to it.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use grove_axum::{Drain, anonymous, serve, shutdown_signal};
use grove_engine::{Action, Descriptor, Engine, Invocation, Session};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::{Message, connect};

/// How long the handler of the server blocks its thread; much longer than any deadline here.
const BLOCKED: Duration = Duration::from_secs(30);

/// The environment variable with the deadline of the server's drain, in seconds.
const DEADLINE: &str = "TEST_DRAIN_DEADLINE";

fn print(line: &str) {
    let mut output = std::io::stdout();
    writeln!(output, "{line}").unwrap();
}

/// The `main` of the guide, with a handler that blocks.
#[test]
#[ignore = "started by the other tests of this file"]
fn child_process_that_serves() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let served = runtime.block_on(serve_until_signal());
    // A handler that still blocks its thread is not waited for.
    runtime.shutdown_background();
    served.unwrap();
}

async fn serve_until_signal() -> std::io::Result<()> {
    let signal = shutdown_signal();
    let signal = async {
        signal.await;
        print("draining");
    };
    let engine = Engine::builder("desk", "Desk").build();
    let block = Action::new("block", |_: Invocation<()>| {
        print("blocked");
        std::thread::sleep(BLOCKED);
    });
    engine.register("door", move |_: &Session| Descriptor::new("control").action(&block));
    let app = grove_axum::router(engine.clone(), anonymous());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    print(&format!("listening on {}", listener.local_addr()?));
    let deadline = std::env::var(DEADLINE).unwrap().parse().unwrap();
    Drain::new(engine).deadline(Duration::from_secs(deadline)).serve(signal, |stop| serve(listener, app, stop)).await
}

struct Server {
    process: Child,
    lines: mpsc::Receiver<String>,
}

impl Server {
    /// Starts the server.
    fn start(deadline: u64) -> (Self, SocketAddr) {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "process_end::child_process_that_serves", "--ignored", "--nocapture"])
            .env(DEADLINE, deadline.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = mpsc::sync_channel(1_000);
        // It ends with the process.
        std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        let server = Self { process, lines };
        let address = server.line_with("listening on ").parse().unwrap();
        (server, address)
    }

    /// What follows `words` in the first line that has them.
    fn line_with(&self, words: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(10)).expect(words);
            if let Some((_, rest)) = line.split_once(words) {
                return rest.to_owned();
            }
        }
    }

    /// Starts the server, and a call that blocks.
    fn with_a_blocked_handler(deadline: u64) -> Self {
        let (server, address) = Self::start(deadline);
        let (mut socket, _) = connect(format!("ws://{address}/slop")).unwrap();
        let call = json!({"type": "invoke", "id": "1", "path": "/door", "action": "block", "params": {}});
        socket.send(Message::text(call.to_string())).unwrap();
        server.line_with("blocked");
        // The connection stays open.
        std::mem::forget(socket);
        server
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }

    /// The exit code, and how long the process took to end.
    fn end(&mut self) -> (Option<i32>, Duration) {
        let start = Instant::now();
        loop {
            if let Some(status) = self.process.try_wait().unwrap() {
                return (status.code(), start.elapsed());
            }
            assert!(start.elapsed() < BLOCKED, "it does not end");
            std::thread::yield_now();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already if the test passed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn the_deadline_of_a_drain_holds_for_the_process_even_while_a_handler_blocks() {
    let mut server = Server::with_a_blocked_handler(2);
    server.signal(Signal::TERM);
    let (code, took) = server.end();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(4), "{took:?}");
}

#[test]
fn a_second_signal_ends_the_process_at_once() {
    for (first, second, code) in [(Signal::TERM, Signal::TERM, 143), (Signal::TERM, Signal::INT, 130)] {
        let mut server = Server::with_a_blocked_handler(29);
        server.signal(first);
        // Otherwise both could be taken for one.
        server.line_with("draining");
        server.signal(second);
        let (ended, took) = server.end();
        assert_eq!(ended, Some(code));
        assert!(took < Duration::from_secs(2), "{took:?}");
    }
}

#[test]
fn one_signal_ends_an_idle_server_with_success() {
    for signal in [Signal::TERM, Signal::INT] {
        let (mut server, _) = Server::start(10);
        server.signal(signal);
        let (code, took) = server.end();
        assert_eq!(code, Some(0));
        assert!(took < Duration::from_secs(5), "{took:?}");
    }
}
