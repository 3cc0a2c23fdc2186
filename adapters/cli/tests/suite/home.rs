//! A user: a directory, a key, a server, and the processes that were started.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use clap::Parser;
use grove_attest::SecretKey;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::{Child, Command};

use crate::http::{Response, request};

/// Longer than any step takes; only a failing test waits this long.
const DEADLINE: Duration = Duration::from_secs(60);

/// Waits for something that must happen soon.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("this did not happen in time: {what}"),
    }
}

pub(crate) struct Home {
    pub(crate) directory: PathBuf,
    pub(crate) server: Option<conformance::Running>,
    pub(crate) address: SocketAddr,
    arguments: Vec<String>,
}

/// The output of a command that has ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// The only line, as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("{} {}", self.stdout, self.stderr))
    }
}

impl Home {
    /// A user `alice` with a key and these rights, at a server that knows it.
    pub(crate) async fn new(arguments: &[&str]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("grove-cli-{}-{number}", std::process::id()));
        fs::DirBuilder::new().mode(0o700).create(&directory).unwrap();
        let arguments: Vec<String> = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let server = start("127.0.0.1:0", &arguments).await;
        let home = Self { directory, address: server.address(), server: Some(server), arguments };
        let made = home.grove(&["keys", "new", home.key_file().to_str().unwrap()]).await;
        assert_eq!(made.code, 0, "{}", made.stderr);
        home.add_member().await;
        home
    }

    pub(crate) fn key_file(&self) -> PathBuf {
        self.directory.join("member.key")
    }

    pub(crate) fn member(&self) -> SecretKey {
        SecretKey::read(&self.key_file()).unwrap()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.join("grove/daemon.sock")
    }

    pub(crate) async fn add_member(&self) {
        let key = self.member().public_key();
        let body = json!({"project": "main", "member_id": "alice", "public_key": key, "rights": ["read", "write"]});
        assert_eq!(self.control("POST", "/control/member", &body).await.status, 200);
    }

    pub(crate) async fn remove_member(&self) {
        let body = json!({"project": "main", "member_id": "alice"});
        assert_eq!(self.control("DELETE", "/control/member", &body).await.json, json!({"removed": true}));
    }

    pub(crate) async fn control(&self, method: &str, path: &str, body: &Value) -> Response {
        let socket = TcpStream::connect(self.address).await.unwrap();
        request(socket, (method, path), None, &body.to_string()).await
    }

    pub(crate) async fn stop_server(&mut self) {
        if let Some(server) = self.server.take() {
            server.stop().await.unwrap();
        }
    }

    /// Starts the server again at the same address. It knows nobody.
    pub(crate) async fn start_server(&mut self) {
        self.server = Some(start(&self.address.to_string(), &self.arguments).await);
    }

    /// The program, as this user.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_grove"));
        command.args(arguments).current_dir(&self.directory).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.env("XDG_RUNTIME_DIR", &self.directory).env("USER", "alice");
        command.env("GROVE_SERVER", format!("http://{}", self.address)).env("GROVE_PROJECT", "main");
        command.env("GROVE_MEMBER_KEY", self.key_file()).env("GROVE", env!("CARGO_BIN_EXE_grove"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Runs a command to its end.
    pub(crate) async fn grove(&self, arguments: &[&str]) -> Ended {
        ended(self.command(arguments)).await
    }

    /// Starts a daemon, which looks at processes often, and waits until the member is present.
    pub(crate) async fn daemon(&self, arguments: &[&str]) -> Child {
        let daemon = self.daemon_alone(arguments).await;
        until("the member's link", || async { self.local("GET", "/v1/daemon", None, "").await.json["links_up"] != 0 })
            .await;
        daemon
    }

    /// Starts a daemon, which may have no server.
    pub(crate) async fn daemon_alone(&self, arguments: &[&str]) -> Child {
        let arguments: Vec<_> = ["daemon", "--reap-ms", "50"].iter().chain(arguments).copied().collect();
        let mut daemon = self.command(&arguments).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(daemon.stdout.take().unwrap()).lines();
        let line = soon("the start line", lines.next_line()).await.unwrap().expect("a start line");
        assert_eq!(line, format!("listening on {}", self.socket().display()));
        daemon
    }

    /// Launches a session, and waits until the others see it.
    pub(crate) async fn launch(&self, name: &str, command: &[&str]) -> Child {
        let arguments: Vec<_> = ["launch", "--name", name, "--"].iter().chain(command).copied().collect();
        let launched = self.command(&arguments).spawn().unwrap();
        until("the session's row", || async { self.row(name).await.is_some() }).await;
        launched
    }

    /// The rows, as `grove peers` outside of a session shows them.
    pub(crate) async fn peers(&self) -> Vec<Value> {
        let listed = self.grove(&["peers", "--json"]).await;
        assert_eq!(listed.code, 0, "{}", listed.stderr);
        listed.json()["peers"].as_array().unwrap().clone()
    }

    pub(crate) async fn row(&self, name: &str) -> Option<Value> {
        self.peers().await.into_iter().find(|row| row["name"] == name)
    }

    pub(crate) async fn status(&self, name: &str) -> String {
        self.row(name).await.map_or("gone".to_owned(), |row| row["status"].as_str().unwrap().to_owned())
    }

    /// A request to the daemon.
    pub(crate) async fn local(&self, method: &str, path: &str, token: Option<&str>, body: &str) -> Response {
        match UnixStream::connect(self.socket()).await {
            Ok(socket) => request(socket, (method, path), token, body).await,
            Err(_) => Response { status: 0, json: Value::Null },
        }
    }

    /// The sessions that the daemon has.
    pub(crate) async fn sessions(&self) -> Vec<Value> {
        self.local("GET", "/v1/sessions", None, "").await.json["sessions"].as_array().cloned().unwrap_or_default()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        // A launcher that is killed leaves its command behind.
        let left = fs::read_dir("/proc").into_iter().flatten().filter_map(|entry| {
            let process = entry.ok()?.path();
            let works_here = fs::read_link(process.join("cwd")).ok()?.starts_with(&self.directory);
            works_here.then(|| process.file_name().map(ToOwned::to_owned))?
        });
        let left: Vec<_> = left.collect();
        if !left.is_empty() {
            let _ = std::process::Command::new("kill").arg("-KILL").args(left).stderr(Stdio::null()).status();
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

async fn start(listen: &str, arguments: &[String]) -> conformance::Running {
    let fixed = ["conformance", "--listen", listen, "--peers", "--audience", "demo"];
    let options = conformance::Options::parse_from(fixed.into_iter().chain(arguments.iter().map(String::as_str)));
    conformance::start(&options).await.unwrap()
}

/// Runs a command to its end.
pub(crate) async fn ended(mut command: Command) -> Ended {
    let Output { status, stdout, stderr } = soon("the end of a command", command.output()).await.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: status.code().unwrap_or(-1), stdout: text(stdout), stderr: text(stderr) }
}

/// Waits until something is true.
pub(crate) async fn until<F: Future<Output = bool>>(what: &str, is_true: impl Fn() -> F) {
    let reached = async {
        while !is_true().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    soon(what, reached).await;
}

/// The first line that a process prints.
pub(crate) async fn first_line(process: &mut Child) -> String {
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    soon("a line", lines.next_line()).await.unwrap().expect("a line")
}

/// Sends a signal to a process.
pub(crate) async fn signal(signal: &str, pid: u32) {
    let sent = Command::new("kill").args([signal, &pid.to_string()]).status().await.unwrap();
    assert!(sent.success());
}

/// Kills a process that cannot do anything about it, and waits until it is gone.
pub(crate) async fn kill(process: &mut Child) {
    signal("-KILL", process.id().unwrap()).await;
    soon("the end of a killed process", process.wait()).await.unwrap();
}

/// The mode of a file.
pub(crate) fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}
