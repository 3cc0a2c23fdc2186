//! The server `desk`, as an operator and its users see it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;

use super::person::{Login, Person};
use super::stored_tasks::{StoredTask, StoredTasks};
use crate::failure::Failure;
use crate::scenario::reconnecting_consumer::ReconnectingConsumer;
use crate::scenario::server_process::ServerProcess;

/// The deadline of `desk` itself is 5 s; the end of the process takes a little more.
const STOP_DEADLINE: Duration = Duration::from_secs(6);

/// The largest window that `desk` gives.
const WINDOW: usize = 200;

/// A running server.
pub(super) struct Desk {
    process: ServerProcess,
    binary: PathBuf,
    database: PathBuf,
    address: String,
    people: Vec<Person>,
}

impl Desk {
    pub(super) async fn start(binary: &Path, listen: &str, database: &Path) -> Result<Self, Failure> {
        let mut command = Command::new(binary);
        command.args(["--listen", listen, "--db"]).arg(database).env("RUST_LOG", "error");
        let mut process = ServerProcess::start(&mut command)?;
        let first = process.next_line().await?;
        let address = first.strip_prefix("listening on http://");
        let address = address.ok_or_else(|| format!("desk printed `{first}` instead of its address"))?.to_owned();
        let people = read_people(&mut process).await?;
        Ok(Self { process, binary: binary.to_owned(), database: database.to_owned(), address, people })
    }

    /// Stops this process and starts another on the same port and database. Returns how long the stop took.
    pub(super) async fn restart(mut self) -> Result<(Self, Duration), Failure> {
        let took = self.process.stop(STOP_DEADLINE).await?;
        Ok((Self::start(&self.binary, &self.address, &self.database).await?, took))
    }

    pub(super) async fn stop(mut self) -> Result<(), Failure> {
        self.process.stop(STOP_DEADLINE).await.map(drop)
    }

    pub(super) fn url(&self, login: &Login) -> String {
        format!("ws://{}/slop?token={}", self.address, login.token)
    }

    /// This many logins for each person: the token that `desk` printed, and those of browsers.
    pub(super) async fn log_in_all(&self, each: u32) -> Result<Vec<Login>, Failure> {
        let mut logins = Vec::new();
        for person in &self.people {
            logins.push(person.login(person.token.clone()));
            for _ in 1..each {
                logins.push(person.login(self.log_in(&person.name).await?));
            }
        }
        Ok(logins)
    }

    /// Submits the login form. Returns the secret in the cookie.
    async fn log_in(&self, name: &str) -> Result<String, Failure> {
        let (address, form) = (&self.address, format!("person={name}"));
        let request = format!(
            "POST /login HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n\
             content-type: application/x-www-form-urlencoded\r\n\r\n{form}",
            form.len()
        );
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(request.as_bytes()).await?;
        let mut response = String::new();
        stream.read_to_string(&mut response).await?;
        let cookie = response.split("session=").nth(1).and_then(|rest| rest.split([';', '\r']).next());
        Ok(cookie.ok_or_else(|| format!("desk set no cookie at the login of {name}"))?.to_owned())
    }

    /// The tasks in the database, by person.
    pub(super) async fn tasks_by_person(&self, logins: &[Login]) -> Result<BTreeMap<String, StoredTasks>, Failure> {
        let mut tasks = BTreeMap::new();
        for login in logins {
            if !tasks.contains_key(&login.person) {
                tasks.insert(login.person.clone(), self.tasks(login).await?);
            }
        }
        Ok(tasks)
    }

    async fn tasks(&self, login: &Login) -> Result<StoredTasks, Failure> {
        let mut reader = ReconnectingConsumer::new(self.url(login), None);
        reader.connect().await?;
        let mut tasks = StoredTasks::default();
        for offset in (0..).step_by(WINDOW) {
            let window = json!([offset, WINDOW]);
            let query = json!({"type": "query", "id": "tasks", "path": "/tasks", "depth": 1, "window": window});
            reader.send(&query).await;
            let reply = reader.reply("tasks").await.ok_or("desk did not list its tasks")?;
            let listed = reply["tree"]["children"].as_array().map(Vec::as_slice).unwrap_or_default();
            listed.iter().for_each(|task| add_listed(&mut tasks, task));
            if listed.len() < WINDOW {
                break;
            }
        }
        reader.close().await;
        Ok(tasks)
    }
}

fn add_listed(tasks: &mut StoredTasks, task: &Value) {
    let id = task["id"].as_str().unwrap_or_default().to_owned();
    let title = task["properties"]["title"].as_str().unwrap_or_default();
    tasks.add(title, StoredTask { id, done: task["properties"]["done"] == true });
}

/// Reads the lines that list people, and then the token of each.
async fn read_people(process: &mut ServerProcess) -> Result<Vec<Person>, Failure> {
    let (mut people, mut tokens) = (Vec::new(), BTreeMap::new());
    while tokens.len() < people.len().max(1) {
        let line = process.next_line().await?;
        people.extend(Person::from_line(&line));
        if let Some((name, token)) = line.strip_prefix("token ").and_then(|rest| rest.split_once(' ')) {
            tokens.insert(name.to_owned(), token.to_owned());
        }
    }
    for person in &mut people {
        let token = tokens.remove(&person.name);
        person.token = token.ok_or_else(|| format!("desk printed no token for {}", person.name))?;
    }
    Ok(people)
}
