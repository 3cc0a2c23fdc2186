//! The AI agent's side of SLOP, by hand: connects to a provider as a user, prints the tree as text, follows it, and
//! invokes actions. It uses the published crate `slop-ai` 0.2.0 without changes, so it works with any SLOP server.
//!
//! ```text
//! agent --token TOKEN tree
//! agent watch --path /tasks --url wss://desk.example/slop
//! agent invoke /tasks add '{"title": "Water the plants"}'
//! ```
//!
//! Exit code 0 means success, 1 that the server or the action refused, 2 wrong usage.

mod address;
mod backoff;
mod connection;
mod failure;
mod output;
mod refusal;
mod resuming;
mod transport;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use serde_json::{Map, Value};
use slop_ai::{SlopNode, format_tree};

use crate::address::Address;
use crate::backoff::Backoff;
use crate::connection::{Connection, Provider, Update};
use crate::failure::Failure;

/// Connects to a SLOP provider as a user: prints the tree, follows it, invokes actions.
#[derive(Parser)]
#[command(version, after_help = "Exit code 0 means success, 1 that the server or the action refused, 2 wrong usage.")]
struct Args {
    /// The provider's URL: ws://, wss://, http:// or https://; without a path, /slop is meant
    #[arg(long, global = true, default_value = "ws://127.0.0.1:3000/slop", value_parser = Address::parse)]
    url: Address,
    /// Your credential; `desk` prints one `token NAME TOKEN` line per person when it starts
    #[arg(long, global = true, env = "SLOP_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// How many seconds to wait for each reply, at least 1
    #[arg(long, global = true, value_name = "SECONDS", default_value_t = 30, value_parser = seconds())]
    timeout: u64,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print the tree once
    Tree(View),
    /// Print the tree, then every change, until Ctrl-C; reconnects after a lost connection
    Watch(View),
    /// Invoke an action; print the patches it caused, then its result
    Invoke {
        /// The node that offers the action, such as /tasks
        path: String,
        /// The name of the action, such as add
        action: String,
        /// The parameters, a JSON object
        #[arg(value_parser = json_object)]
        params: Option<Value>,
    },
}

#[derive(clap::Args)]
struct View {
    /// The node at which to start
    #[arg(long, default_value = "/")]
    path: String,
    /// How many levels below it; -1 for all
    #[arg(long, default_value_t = -1, allow_negative_numbers = true)]
    depth: i32,
}

/// What to do when the provider reports that the session expires.
const HOW_TO_RENEW: &str =
    "the login ends soon: open its page, then POST the token to /slop/renew; or connect with a new one";

/// A day is as good as no timeout.
fn seconds() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(1..=86_400)
}

// One thread, so that what the consumer's callbacks report is in order with what its requests return.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    // An error means that a provider is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has seen enough.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            print_note(&failure.to_string());
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<(), Failure> {
    let provider = Provider::new(args.url.with_token(args.token.as_deref()));
    let timeout = Duration::from_secs(args.timeout);
    let mut connection = Connection::open(&provider, timeout).await?;
    let outcome = match args.command {
        Command::Tree(view) => connection.query(&view.path, view.depth).await.and_then(|tree| print_tree(&tree)),
        Command::Watch(view) => return watch(connection, &view, &provider, timeout).await,
        Command::Invoke { path, action, params } => invoke(&mut connection, &path, &action, params).await,
    };
    connection.close().await;
    outcome
}

/// Follows the tree until Ctrl-C. A lost connection is made again, for as long as it takes, and resumes.
async fn watch(first: Connection, view: &View, provider: &Provider, timeout: Duration) -> Result<(), Failure> {
    let (mut backoff, mut printed, mut connection) = (Backoff::new(), None, Some(first));
    loop {
        let was_connected = connection.is_some();
        let failure = match connection.take() {
            Some(connection) => {
                backoff.connected();
                let Err(failure) = follow(connection, view, &mut printed, &mut backoff).await else { return Ok(()) };
                failure
            }
            None => match Connection::open(provider, timeout).await {
                Ok(again) => {
                    connection = Some(again);
                    continue;
                }
                Err(failure) => failure,
            },
        };
        if !failure.is_temporary() {
            return Err(failure);
        }
        let delay = backoff.next(was_connected);
        print_note(&format!("{failure}; trying again in {:.1} s", delay.as_secs_f32()));
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            interrupted = tokio::signal::ctrl_c() => return interrupted.map_err(Failure::Output),
        }
    }
}

/// Prints the tree, unless it is the one that was printed last, then every change, until Ctrl-C.
async fn follow(
    mut connection: Connection,
    view: &View,
    printed: &mut Option<SlopNode>,
    backoff: &mut Backoff,
) -> Result<(), Failure> {
    let ended = print_changes(&mut connection, view, printed.as_ref(), backoff).await;
    if let Some(tree) = connection.tree() {
        *printed = Some(tree.clone());
    }
    connection.close().await;
    ended
}

async fn print_changes(
    connection: &mut Connection,
    view: &View,
    printed: Option<&SlopNode>,
    backoff: &mut Backoff,
) -> Result<(), Failure> {
    let tree = connection.subscribe(&view.path, view.depth).await?;
    if printed != Some(&tree) {
        print_tree(&tree)?;
    }
    loop {
        let updates = tokio::select! {
            updates = connection.updates() => updates?,
            interrupted = tokio::signal::ctrl_c() => return interrupted.map_err(Failure::Output),
        };
        print_updates(&updates)?;
        updates.iter().filter_map(Update::retry_in_ms).for_each(|ms| backoff.hint(ms));
    }
}

async fn invoke(connection: &mut Connection, path: &str, action: &str, params: Option<Value>) -> Result<(), Failure> {
    connection.subscribe("/", -1).await?;
    let result = connection.invoke(path, action, params).await;
    // The patches that an action causes come before its result, also when it failed half-way.
    let updates = connection.received_updates().await;
    if let Ok(updates) = &updates {
        print_updates(updates)?;
    }
    // What the call says about a lost connection is more than what the updates say.
    let result = result?;
    updates?;
    let status = result["status"].as_str().unwrap_or("ok");
    let data = result.get("data").map(|data| format!(" {data}")).unwrap_or_default();
    print(&format!("{status}{data}"))
}

/// Prints a note for the person, apart from the output.
fn print_note(words: &str) {
    // There is no one left to tell when this fails.
    let _ = writeln!(io::stderr(), "agent: {}", output::printable(words));
}

fn print_tree(tree: &SlopNode) -> Result<(), Failure> {
    print(format_tree(tree, 0).trim_end())
}

fn print_updates(updates: &[Update]) -> Result<(), Failure> {
    updates.iter().try_for_each(|update| match update {
        Update::Changed(op) => print(&output::op_line(op)),
        Update::Replaced(tree) => {
            print("the whole tree again:")?;
            print_tree(tree)
        }
        Update::Event { name, data } => {
            print(&format!("event {name} {}", data.as_ref().unwrap_or(&Value::Null)))?;
            if name == "session.expiring" { print(HOW_TO_RENEW) } else { Ok(()) }
        }
        Update::Error { code, message } => print(&format!("error {code}: {message}")),
    })
}

/// Prints lines of text from the provider, which must not be able to control the terminal.
fn print(lines: &str) -> Result<(), Failure> {
    writeln!(io::stdout(), "{}", output::printable(lines)).map_err(Failure::Output)
}

fn json_object(text: &str) -> Result<Value, String> {
    let object: Map<String, Value> = serde_json::from_str(text).map_err(|why| format!("not a JSON object: {why}"))?;
    Ok(Value::Object(object))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Args::command().debug_assert();
    }

    #[test]
    fn parameters_must_be_an_object() {
        assert_eq!(json_object(r#"{"title":"x"}"#).unwrap()["title"], "x");
        assert!(json_object("[1]").unwrap_err().starts_with("not a JSON object"));
        assert!(json_object("title").is_err());
    }

    #[test]
    fn a_negative_depth_is_not_taken_for_an_option() {
        assert!(Args::try_parse_from(["agent", "tree", "--depth", "-1"]).is_ok());
    }

    #[test]
    fn global_options_may_stand_before_and_after_the_subcommand() {
        let url = ["--url", "ws://h/slop", "--token", "t", "--timeout", "5"];
        for arguments in [[&["agent"][..], &url, &["tree"]].concat(), [&["agent", "tree"][..], &url].concat()] {
            let args = Args::try_parse_from(arguments).unwrap();
            assert_eq!((args.url.public_url().as_str(), args.token.as_deref()), ("ws://h/slop", Some("t")));
            assert_eq!(args.timeout, 5);
        }
    }

    #[test]
    fn a_timeout_of_zero_is_wrong_usage() {
        let error = Args::try_parse_from(["agent", "tree", "--timeout", "0"]).err().unwrap();
        assert!(error.to_string().contains("0 is not in 1..=86400"), "{error}");
    }
}
