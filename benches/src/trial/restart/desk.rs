//! The desk as an operator and its people see it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

use super::ledger::{StoredTask, StoredTasks};
use crate::Failure;
use crate::trial::process::Process;
use crate::trial::visitor::Visitor;

/// The desk's own deadline is 5 s; starting and ending a process takes a little more.
const DEADLINE: Duration = Duration::from_secs(6);

/// As many tasks as the desk gives at once.
const WINDOW: usize = 200;

/// A desk that runs.
pub(super) struct Desk {
    process: Process,
    binary: PathBuf,
    database: PathBuf,
    address: String,
    people: Vec<Person>,
}

/// Somebody who has a desk.
struct Person {
    name: String,
    /// Viewers change nothing.
    writes: bool,
    token: String,
}

/// A way in: one engine session.
#[derive(Clone)]
pub(super) struct Login {
    pub(super) person: String,
    pub(super) writes: bool,
    token: String,
}

impl Desk {
    pub(super) async fn start(binary: &Path, listen: &str, database: &Path) -> Result<Self, Failure> {
        let mut command = Command::new(binary);
        command.args(["--listen", listen, "--db"]).arg(database).env("RUST_LOG", "error");
        let mut process = Process::start(&mut command)?;
        let first = process.line().await?;
        let address = first.strip_prefix("listening on http://").ok_or("the desk did not say where it listens")?;
        let mut people = Vec::new();
        let mut lines = Vec::new();
        // First the people, then a token for each of them.
        while lines.iter().filter(|line: &&String| line.starts_with("token ")).count() < people.len().max(1) {
            let line = process.line().await?;
            people.extend(Person::described_by(&line));
            lines.push(line);
        }
        for person in &mut people {
            let token = lines.iter().find_map(|line| line.strip_prefix(&format!("token {} ", person.name)));
            token.ok_or("somebody has no token")?.clone_into(&mut person.token);
        }
        let (binary, database, address) = (binary.to_owned(), database.to_owned(), address.to_owned());
        Ok(Self { process, binary, database, address, people })
    }

    /// Ends this process and starts another on the same port and file. Answers how long the end took.
    pub(super) async fn restart(mut self) -> Result<(Self, Duration), Failure> {
        let took = self.process.stop(DEADLINE).await?;
        Ok((Self::start(&self.binary, &self.address, &self.database).await?, took))
    }

    pub(super) async fn stop(mut self) -> Result<(), Failure> {
        self.process.stop(DEADLINE).await.map(drop)
    }

    pub(super) fn url(&self, login: &Login) -> String {
        format!("ws://{}/slop?token={}", self.address, login.token)
    }

    /// This many logins for each person: the token that is printed, and browsers'.
    pub(super) async fn log_in_everybody(&self, each: u32) -> Result<Vec<Login>, Failure> {
        let mut logins = Vec::new();
        for person in &self.people {
            let login = |token| Login { person: person.name.clone(), writes: person.writes, token };
            logins.push(login(person.token.clone()));
            for _ in 1..each {
                logins.push(login(self.log_in(&person.name).await?));
            }
        }
        Ok(logins)
    }

    /// Fills in the login page, and answers the cookie's secret.
    async fn log_in(&self, name: &str) -> Result<String, Failure> {
        let (address, form) = (&self.address, format!("person={name}"));
        let request = format!(
            "POST /login HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n\
             content-type: application/x-www-form-urlencoded\r\n\r\n{form}",
            form.len()
        );
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let cookie = answer.split("session=").nth(1).and_then(|rest| rest.split([';', '\r']).next());
        Ok(cookie.ok_or("the desk gave no cookie")?.to_owned())
    }

    /// Everybody's tasks as the store has them, by person.
    pub(super) async fn tasks_of_everybody(&self, logins: &[Login]) -> Result<BTreeMap<String, StoredTasks>, Failure> {
        let mut all = BTreeMap::new();
        for login in logins {
            if !all.contains_key(&login.person) {
                all.insert(login.person.clone(), self.tasks(login).await?);
            }
        }
        Ok(all)
    }

    async fn tasks(&self, login: &Login) -> Result<StoredTasks, Failure> {
        let mut reader = Visitor::new(self.url(login), None);
        reader.connect().await.map_err(|away| format!("the desk is away: {away:?}"))?;
        let mut tasks = StoredTasks::default();
        for offset in (0..).step_by(WINDOW) {
            let window = json!([offset, WINDOW]);
            let question = json!({"type": "query", "id": "tasks", "path": "/tasks", "depth": 1, "window": window});
            reader.send(&question).await;
            let answer = reader.answer("tasks").await.ok_or("the desk did not list its tasks")?;
            let listed = answer["tree"]["children"].as_array().map(Vec::as_slice).unwrap_or_default();
            for task in listed {
                let properties = &task["properties"];
                let id = task["id"].as_str().unwrap_or_default().to_owned();
                let stored = StoredTask { id, done: properties["done"] == true };
                tasks.add(properties["title"].as_str().unwrap_or_default(), stored);
            }
            if listed.len() < WINDOW {
                break;
            }
        }
        reader.leave().await;
        Ok(tasks)
    }
}

impl Person {
    /// `person NAME (DISPLAY, ORG, ROLE)`
    fn described_by(line: &str) -> Option<Self> {
        let (name, rest) = line.strip_prefix("person ")?.split_once(' ')?;
        Some(Self { name: name.to_owned(), writes: !rest.ends_with("viewer)"), token: String::new() })
    }
}
