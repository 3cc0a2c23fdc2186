//! The commands of the README, each as it stands there, with what it says that they print.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::proofread;
use crate::studio::{Studio, command, within_deadline};

const README: &str = include_str!("../../README.md");

/// Where the server of the README listens.
const ADDRESS: &str = "127.0.0.1:3000";

const SERVER: &str = "cargo run -p studio --";

/// What starts a program that goes on until it is stopped.
const AGENT: &str = "python3 examples/studio/proofread.py";

/// The shell prints this behind each block, with the exit code of the last command.
const END: &str = "the end of the block: ";

/// A block of commands, and what it prints if the README says so.
struct Block {
    commands: String,
    printed: Option<String>,
}

fn blocks() -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut lines = README.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix("```").filter(|language| !language.is_empty()) else { continue };
        let text: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
        match language {
            "sh" => blocks.push(Block { commands: text.join("\n"), printed: None }),
            "json" | "text" => blocks.last_mut().expect("commands").printed = Some(text.join("\n")),
            _ => {}
        }
    }
    blocks
}

/// A shell that keeps its variables from block to block.
struct Shell {
    _child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Shell {
    fn start(directory: &Path) -> Self {
        let mut bash = Command::new("bash");
        bash.current_dir(directory).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = bash.spawn().expect("a shell");
        let input = child.stdin.take().expect("its input");
        let output = BufReader::new(child.stdout.take().expect("its output")).lines();
        Self { _child: child, input, output }
    }

    /// Returns what the commands print.
    async fn run(&mut self, commands: &str) -> String {
        let commands = format!("{commands}\necho; echo \"{END}$?\"\n");
        self.input.write_all(commands.as_bytes()).await.expect("commands");
        let mut printed = Vec::new();
        loop {
            let line = within_deadline(self.output.next_line()).await.expect("output").expect("a line");
            if line.starts_with(END) {
                return printed.join("\n").trim().to_owned();
            }
            printed.push(line);
        }
    }
}

/// Whether a text is as the README says, where `…` stands for anything.
fn matches(printed: &str, expected: &str) -> bool {
    let mut parts = expected.split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = printed.strip_prefix(first) else { return false };
    let mut last = first;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last = part;
    }
    rest.is_empty() || last.is_empty() || printed.ends_with(last)
}

/// Starts the server with the arguments that the README gives it, but on another port.
async fn start(arguments: &str, directory: &Path, address: &str) -> Studio {
    let mut command = command();
    command.current_dir(directory).args(["--listen", address]).args(arguments.split_whitespace());
    Studio::spawn(command).await
}

struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn every_command_of_the_readme_does_what_the_readme_says() {
    let directory = Directory(std::env::temp_dir().join(format!("studio-readme-{}", std::process::id())));
    std::fs::create_dir_all(&directory.0).expect("a directory");
    let mut shell = Shell::start(&directory.0);
    let (mut running, mut address) = (None::<Studio>, "127.0.0.1:0".to_owned());
    let (mut compared, mut agents) = (0, Vec::new());
    for Block { commands, printed: expected } in blocks() {
        if let Some(arguments) = commands.strip_prefix(SERVER) {
            if let Some(before) = running.take() {
                before.stop().await;
            }
            let started = start(arguments, &directory.0, &address).await;
            address.clone_from(&started.address);
            running = Some(started);
            continue;
        }
        if commands.starts_with(AGENT) {
            let url = commands.split('\'').nth(1).expect("a quoted address").replace(ADDRESS, &address);
            agents.push(proofread::start(&url).await);
            continue;
        }
        let printed = shell.run(&commands.replace(ADDRESS, &address)).await;
        if let Some(expected) = expected {
            assert!(matches(&printed, &expected), "{commands}\nprinted\n{printed}\ninstead of\n{expected}");
            compared += 1;
        } else {
            assert_eq!(printed, "", "{commands}");
        }
    }
    assert_eq!(agents.len(), 1);
    assert!(compared >= 9, "{compared} were compared");
}

#[test]
fn what_differs_from_the_readme_is_noticed() {
    assert!(matches("a1b2", "a…b…") && matches("ab", "ab") && matches("{}x{}", "{}…{}"));
    assert!(!matches("ab", "a") && !matches("abc", "a…b") && !matches("xa", "a…") && !matches("ab", "a…c…"));
}
