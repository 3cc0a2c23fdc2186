//! An AI agent's side of SLOP, by hand: connects to a provider as a user, prints the tree as text, follows it, and
//! invokes actions. It uses the published crate `slop-ai` 0.2.0 as it is, so it works with any SLOP server.
//!
//! ```text
//! agent --token TOKEN tree
//! agent --token TOKEN watch --path /tasks
//! agent --token TOKEN invoke /tasks add '{"title": "Water the plants"}'
//! ```
//!
//! Exit code 0 when all went well, 1 when the server or the action said no, 2 for wrong usage.

mod failure;
mod link;
mod remembering;
mod retry;
mod text;
mod url;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use serde_json::{Map, Value};
use slop_ai::{SlopNode, format_tree};

use crate::failure::Failure;
use crate::link::{Address, Link, News};
use crate::retry::Retry;

/// Connects to a SLOP provider as a user: prints the tree, follows it, invokes actions.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Where the provider listens
    #[arg(long, default_value = "ws://127.0.0.1:3000/slop")]
    url: String,
    /// Who you are; `desk` prints one `token NAME TOKEN` line per person when it starts
    #[arg(long, env = "SLOP_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// How many seconds to wait for each answer
    #[arg(long, default_value_t = 30)]
    timeout: u64,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print the tree once
    Tree(View),
    /// Print the tree, then every change, until Ctrl-C; goes on after a lost connection
    Watch(View),
    /// Invoke an action; print the patches it caused, then its result
    Invoke {
        /// The node that offers the action, such as /tasks
        path: String,
        action: String,
        /// The parameters, a JSON object
        #[arg(value_parser = json_object)]
        params: Option<Value>,
    },
}

/// What to do when the provider says that the login ends.
const HOW_TO_STAY: &str =
    "the login ends soon: open its page, then POST the token to /slop/renew; or connect with a new one";

#[derive(clap::Args)]
struct View {
    /// The node to start at
    #[arg(long, default_value = "/")]
    path: String,
    /// How many levels below it; -1 for all
    #[arg(long, default_value_t = -1, allow_negative_numbers = true)]
    depth: i32,
}

// One thread: what the consumer's callbacks report is then in order with what its requests return.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    match run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has seen enough.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            remark(&failure.to_string());
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<(), Failure> {
    let address = Address::new(&args.url, args.token.as_deref());
    let patience = Duration::from_secs(args.timeout);
    let mut link = Link::connect(&address, patience).await?;
    let outcome = match args.command {
        Command::Tree(view) => link.query(&view.path, view.depth).await.and_then(|tree| print_tree(&tree)),
        Command::Watch(view) => return watch(link, &view, &address, patience).await,
        Command::Invoke { path, action, params } => invoke(&mut link, &path, &action, params).await,
    };
    link.close().await;
    outcome
}

/// Follows until Ctrl-C. A connection that is lost is made again, for as long as it takes, and goes on where it was.
async fn watch(first: Link, view: &View, address: &Address, patience: Duration) -> Result<(), Failure> {
    let (mut retry, mut shown, mut link) = (Retry::new(), None, Some(first));
    loop {
        let had = link.is_some();
        let failure = match link.take() {
            Some(mut link) => {
                retry.connected();
                let ended = follow(&mut link, view, &mut shown, &mut retry).await;
                link.close().await;
                let Err(failure) = ended else { return Ok(()) };
                failure
            }
            None => match Link::connect(address, patience).await {
                Ok(again) => {
                    link = Some(again);
                    continue;
                }
                Err(failure) => failure,
            },
        };
        if !failure.is_passing() {
            return Err(failure);
        }
        let wait = retry.next(had);
        remark(&format!("{failure}; trying again in {:.1} s", wait.as_secs_f32()));
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            interrupted = tokio::signal::ctrl_c() => return interrupted.map_err(Failure::Output),
        }
    }
}

/// Prints the tree, unless it is what was shown last, then every change, until Ctrl-C.
async fn follow(link: &mut Link, view: &View, shown: &mut Option<SlopNode>, retry: &mut Retry) -> Result<(), Failure> {
    let tree = link.subscribe(&view.path, view.depth).await?;
    if shown.as_ref() != Some(&tree) {
        print_tree(&tree)?;
    }
    let failure = loop {
        let news = tokio::select! {
            news = link.news() => news,
            interrupted = tokio::signal::ctrl_c() => return interrupted.map_err(Failure::Output),
        };
        match news {
            Ok(news) => {
                print_news(&news)?;
                news.iter().filter_map(News::retry_in_ms).for_each(|ms| retry.hint(ms));
            }
            Err(failure) => break failure,
        }
    };
    *shown = link.shown().cloned();
    Err(failure)
}

async fn invoke(link: &mut Link, path: &str, action: &str, params: Option<Value>) -> Result<(), Failure> {
    link.subscribe("/", -1).await?;
    let result = link.invoke(path, action, params).await;
    // The patches an action causes come before its result, also when it failed half-way.
    print_news(&link.news_so_far().await?)?;
    let result = result?;
    let status = result["status"].as_str().unwrap_or("ok");
    let data = result.get("data").map(|data| format!(" {data}")).unwrap_or_default();
    print(&format!("{status}{data}"))
}

/// Says something to the person beside the output.
fn remark(words: &str) {
    // There is nobody left to tell when this fails.
    let _ = writeln!(io::stderr(), "agent: {}", text::printable(words));
}

fn print_tree(tree: &SlopNode) -> Result<(), Failure> {
    print(format_tree(tree, 0).trim_end())
}

fn print_news(news: &[News]) -> Result<(), Failure> {
    news.iter().try_for_each(|one| match one {
        News::Changed(op) => print(&text::op_line(op)),
        News::Renewed(tree) => {
            print("the whole tree, anew:")?;
            print_tree(tree)
        }
        News::Event { name, data } => {
            print(&format!("event {name} {}", data.as_ref().unwrap_or(&Value::Null)))?;
            if name == "session.expiring" { print(HOW_TO_STAY) } else { Ok(()) }
        }
        News::Error { code, message } => print(&format!("error {code}: {message}")),
    })
}

/// Prints lines of text from the provider, which must not be able to steer the terminal.
fn print(lines: &str) -> Result<(), Failure> {
    writeln!(io::stdout(), "{}", text::printable(lines)).map_err(Failure::Output)
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
}
