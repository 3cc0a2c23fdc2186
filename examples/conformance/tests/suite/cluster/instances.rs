//! Some instances of the app as processes of their own, on a server of NATS.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use grove_nats::testing::{NatsServer, Wiretap};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::consumer::Consumer;
use crate::http;
use crate::running::soon;

/// What all tokens end in: it must not be seen on the bus (SEC9).
pub(crate) const SECRET: &str = "s3cr3tending";

/// One process.
pub(crate) struct Instance {
    name: String,
    process: Child,
    pub(crate) address: SocketAddr,
}

/// Some instances that know each other, their server, and somebody who listens to all that they say.
pub(crate) struct Instances {
    pub(crate) nats: NatsServer,
    pub(crate) wiretap: Wiretap,
    pub(crate) all: Vec<Instance>,
}

impl Instance {
    pub(crate) async fn start(name: &str, nats: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_conformance"));
        command.stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        command.args(["--debounce-ms", "5", "--nats", nats, "--instance", name]);
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = soon("the start line", lines.next_line()).await.unwrap().unwrap();
        let address = line.strip_prefix("listening on http://").unwrap().parse().unwrap();
        Self { name: name.to_owned(), process, address }
    }

    pub(crate) async fn kill(&mut self) {
        self.process.kill().await.unwrap();
    }

    /// A consumer of the whole tree, whose token has a secret in it.
    pub(crate) async fn consumer(&self, session: &str) -> Consumer {
        let mut consumer = Consumer::connect(self.address, &format!("{session}.{SECRET}")).await;
        consumer.subscribe("/", -1).await;
        consumer
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        let response = http::request(self.address, "POST", path, &body.to_string()).await;
        assert_eq!(response.status, 200, "{path} {body}: {response:?}");
        response.json
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        http::request(self.address, "GET", path, "").await.json
    }

    pub(crate) async fn refresh(&self, whom: Value) {
        self.post("/control/refresh", whom).await;
    }

    /// Waits until the report on the bus is as wanted.
    pub(crate) async fn until_bus(&self, what: &str, wanted: impl Fn(&Value) -> bool) {
        let reached = async {
            while !wanted(&self.get("/control/bus").await) {
                sleep(Duration::from_millis(20)).await;
            }
        };
        soon(&format!("{}: {what}", self.name), reached).await;
    }

    pub(crate) async fn until_it_knows(&self, names: &[&str]) {
        let wanted = json!(names);
        self.until_bus(&format!("knows {names:?}"), |bus| bus["instances"] == wanted).await;
    }
}

impl Instances {
    /// Starts instances with these names, in alphabetical order. Nothing, if there is no server to be found here.
    pub(crate) async fn start(names: &[&str]) -> Option<Self> {
        let nats = NatsServer::start(&NatsServer::program()?);
        let wiretap = Wiretap::listen(&nats).await;
        let mut all = Vec::new();
        for name in names {
            all.push(Instance::start(name, &nats.url()).await);
        }
        for instance in &all {
            instance.until_it_knows(names).await;
        }
        Some(Self { nats, wiretap, all })
    }

    /// Changes what everybody sees, on all instances, without telling anybody.
    pub(crate) async fn stamp(&self, n: u64) {
        for instance in &self.all {
            instance.post("/control/stamp", json!({ "n": n })).await;
        }
    }

    /// Waits until what those who came have caused is over: for two seconds nothing was missed, and no tree has changed.
    pub(crate) async fn rest(&self) {
        let mut before = Vec::new();
        loop {
            let mut now = Vec::new();
            for instance in &self.all {
                let (bus, stats) = (instance.get("/control/bus").await, instance.get("/control/stats").await);
                now.push((bus["resyncs"].clone(), stats["commits"].clone(), stats["evaluations"].clone()));
            }
            if std::mem::replace(&mut before, now.clone()) == now {
                return;
            }
            sleep(Duration::from_secs(2)).await;
        }
    }

    pub(crate) async fn lose(&self, share: f64) {
        for instance in &self.all {
            instance.post("/control/bus", json!({ "drop": share })).await;
        }
    }

    /// Nothing that was said on the bus contains a secret; and something was said.
    pub(crate) fn check_secrets(&self) {
        let heard = self.wiretap.heard();
        assert!(heard.iter().any(|message| message.subject == "grove.v1.inst.hb"), "nothing was heard");
        for message in heard {
            assert!(!format!("{message:?}").contains(SECRET), "{message:?}");
        }
    }
}

/// What a consumer sees of the stamp.
pub(crate) fn stamp_of(tree: &Value) -> u64 {
    crate::mirror::at(tree, "/stamp")["properties"]["n"].as_u64().expect("a stamp")
}
