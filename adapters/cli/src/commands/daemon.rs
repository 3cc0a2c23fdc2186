//! `grove daemon`.

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, value_parser};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::daemon::{Limits, start};
use crate::failure::Failure;
use crate::output::Output;
use crate::settings::{MemberSettings, SocketSetting, own_card, user_at_host};

#[derive(Debug, Args)]
#[command(after_help = "\
Runs until SIGTERM or SIGINT; then it says farewell to the server for all sessions. What it does is logged to standard \
error (RUST_LOG=grove=debug for more).")]
pub(crate) struct Daemon {
    #[command(flatten)]
    socket: SocketSetting,
    #[command(flatten)]
    member: MemberSettings,
    /// How the daemon is shown to others
    #[arg(long, value_name = "NAME", default_value_t = user_at_host())]
    name: String,
    /// How many sessions may be registered
    #[arg(long, value_name = "N", default_value_t = Limits::default().sessions)]
    max_sessions: usize,
    /// How often processes are looked at, in ms: a session is gone so long after its process at most
    #[arg(long, value_name = "MS", default_value_t = 5_000, value_parser = value_parser!(u64).range(10..=30_000))]
    reap_ms: u64,
    /// 0: sessions have no links of their own, and only the member is present
    #[arg(long, env = "GROVE_SESSION_PRESENCE", value_name = "0|1", default_value_t = 1, value_parser = value_parser!(u8).range(0..=1))]
    session_presence: u8,
}

impl Daemon {
    pub(crate) async fn run(self, output: &Output) -> Result<ExitCode, Failure> {
        log_to_stderr();
        let membership = self.member.membership()?;
        let limits = Limits {
            sessions: self.max_sessions,
            reap_every: Duration::from_millis(self.reap_ms),
            ..Limits::default()
        };
        // Before the start line: whoever has read it may stop the daemon.
        let mut terminate = signal(SignalKind::terminate()).map_err(Failure::failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::failed)?;
        let member = (membership, own_card(self.name));
        let running = start(member, &self.socket.path(), (limits, self.session_presence == 1))?;
        let socket = running.socket().display().to_string();
        output.result(&json!({ "listening": socket }), || format!("listening on {socket}"));
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        running.stop().await;
        Ok(ExitCode::SUCCESS)
    }
}

/// Standard output holds the start line and nothing else.
fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,grove=info"));
    let is_terminal = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(is_terminal).init();
}
