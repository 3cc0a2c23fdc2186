//! `agent watch` continues when its connection is cut and when another server takes over.

use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use grove_engine::{Descriptor, Engine, Event, Item, Scope, Session};
use tokio::io::{AsyncBufReadExt, BufReader, Lines, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

/// Longer than anything here takes; only a failing test waits this long.
const DEADLINE: Duration = Duration::from_secs(60);

/// A served engine with a list that has one number.
struct App {
    engine: Engine,
    number: Arc<AtomicU32>,
    address: SocketAddr,
    serving: JoinHandle<()>,
    resumed: Arc<AtomicU32>,
}

impl App {
    async fn serve(number: u32) -> Self {
        let number = Arc::new(AtomicU32::new(number));
        let (shown, resumed) = (Arc::clone(&number), Arc::new(AtomicU32::new(0)));
        let counted = Arc::clone(&resumed);
        let engine = Engine::builder("app", "App").build();
        engine.observe(move |event: &Event| {
            counted.fetch_add(u32::from(matches!(event, Event::Resumed { .. })), Ordering::SeqCst);
        });
        engine.register("list", move |_: &Session| {
            let items = (0..20).map(|n| Item::new(format!("i{n}")).prop("title", format!("entry {n}")));
            Descriptor::collection().prop("n", shown.load(Ordering::SeqCst)).items(items)
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes: axum::Router = grove_axum::router(engine.clone(), grove_axum::anonymous());
        let routes = routes.into_make_service_with_connect_info::<SocketAddr>();
        let serving = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { engine, number, address, serving, resumed }
    }

    fn set(&self, number: u32) {
        self.number.store(number, Ordering::SeqCst);
        self.engine.refresh(Scope::all());
    }
}

/// A forwarder between the agent and the current server. Its connections can be cut.
struct Forwarder {
    listener: TcpListener,
    connections: JoinSet<()>,
}

impl Forwarder {
    async fn new() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").await.unwrap(), connections: JoinSet::new() }
    }

    fn url(&self) -> String {
        format!("ws://{}/slop", self.listener.local_addr().unwrap())
    }

    /// Forwards the next connection.
    async fn forward_to(&mut self, address: SocketAddr) {
        let (mut near, _) = timeout(DEADLINE, self.listener.accept()).await.expect("the agent connects").unwrap();
        let mut far = TcpStream::connect(address).await.unwrap();
        self.connections.spawn(async move {
            // It ends when either side closes, or when it is cut.
            let _ = copy_bidirectional(&mut near, &mut far).await;
        });
    }

    async fn cut(&mut self) {
        self.connections.shutdown().await;
    }
}

/// `agent watch` at the other end of a forwarder.
struct Agent {
    lines: Lines<BufReader<ChildStdout>>,
    _process: Child,
}

impl Agent {
    fn watch(url: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_agent"));
        let mut process = command
            .args(["--url", url, "watch"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { lines, _process: process }
    }

    /// Reads up to the first line with these words, and returns how many lines that were.
    async fn prints(&mut self, words: &str) -> usize {
        let mut read = 1;
        loop {
            let line =
                timeout(DEADLINE, self.lines.next_line()).await.unwrap_or_else(|_| panic!("never printed {words}"));
            let line = line.unwrap().unwrap_or_else(|| panic!("ended without {words}"));
            if line.contains(words) {
                return read;
            }
            read += 1;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_cut_it_resumes_with_a_patch() {
    let (app, mut forwarder) = (App::serve(1).await, Forwarder::new().await);
    let mut agent = Agent::watch(&forwarder.url());
    forwarder.forward_to(app.address).await;
    agent.prints("(n=1)").await;
    agent.prints("i19").await;
    forwarder.cut().await;
    app.set(2);
    forwarder.forward_to(app.address).await;
    let lines = agent.prints("replace /list/properties/n 2").await;
    assert_eq!(lines, 1, "only the change is printed");
    assert_eq!(app.resumed.load(Ordering::SeqCst), 1);
    app.set(3);
    agent.prints("replace /list/properties/n 3").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_of_the_server_it_prints_the_whole_tree_and_continues() {
    let (app, mut forwarder) = (App::serve(1).await, Forwarder::new().await);
    let mut agent = Agent::watch(&forwarder.url());
    forwarder.forward_to(app.address).await;
    agent.prints("i19").await;
    app.serving.abort();
    app.engine.shutdown(Duration::from_secs(1)).await;
    let restarted = App::serve(7).await;
    forwarder.forward_to(restarted.address).await;
    agent.prints("(n=7)").await;
    agent.prints("i19").await;
    assert_eq!(restarted.resumed.load(Ordering::SeqCst), 0);
    restarted.set(8);
    agent.prints("replace /list/properties/n 8").await;
}
