//! `research` looks into customers one after the other, with tools that everyone in the room sees it call. While it works,
//! and for a while afterwards, people can send it another name, or `done` if there is none.

use std::collections::VecDeque;
use std::time::Duration;

use grove_engine::{ActionError, Agent, RunContext, RunError, Tool};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::run::{cancelled, read};
use crate::inbox::{CUSTOMERS, MAILS};

/// How long it waits for another name when it has no more to do.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Deserialize, JsonSchema)]
struct Input {
    customers: VecDeque<String>,
}

#[derive(Deserialize, JsonSchema)]
struct Name {
    name: String,
}

#[derive(Deserialize, JsonSchema)]
struct Text {
    text: String,
}

pub(crate) fn agent(pace: Duration) -> Agent {
    let agent = Agent::new("research", move |run: RunContext, input: Value| async move {
        let Input { mut customers } = read(input)?;
        let (mut found, mut is_all) = (0, false);
        loop {
            if let Some(name) = customers.pop_front() {
                // An error beyond `max_iterations`: the run fails, however many names people send.
                run.iteration()?;
                found += usize::from(look_into(&run, &name).await?);
            }
            let is_idle = customers.is_empty();
            if is_idle && is_all {
                break;
            }
            if is_idle {
                run.progress(None, "Who else? Send a name, or “done”");
            }
            match timeout(if is_idle { PATIENCE } else { pace }, run.next_input()).await {
                Ok(None) => return Err(cancelled()),
                Ok(Some(input)) if input == "done" => is_all = true,
                Ok(Some(input)) => customers.extend(input.as_str().map(str::to_owned)),
                Err(_) if is_idle => break,
                Err(_) => {}
            }
        }
        Ok(json!({"found": found}))
    });
    agent.input::<Input>().tools([find_customer(), read_mails(), count_words()]).max_iterations(5)
}

/// Whether there is such a customer.
async fn look_into(run: &RunContext, name: &str) -> Result<bool, RunError> {
    run.progress(None, format!("Looking into {name}"));
    let customer = run.tool("find_customer", json!({"name": name})).await;
    if !customer.ok {
        // That a tool fails is something to go on with, and not the end of the run.
        run.chunk(format!("Nobody here knows {name}.\n"));
        return Ok(false);
    }
    let mails = run.tool("read_mails", json!({"name": name})).await.result;
    let words = run.tool("count_words", json!({"text": mails["text"]})).await.result;
    let city = customer.result["city"].as_str().unwrap_or_default();
    let (since, words) = (&customer.result["since"], &words["words"]);
    run.chunk(format!("{name} in {city} has been a customer since {since}, and wrote {words} words.\n"));
    Ok(true)
}

fn find_customer() -> Tool {
    let tool = Tool::new("find_customer", |_: RunContext, arguments: Value| async move {
        let Name { name } = read(arguments)?;
        let customer = CUSTOMERS.iter().find(|customer| customer.name == name);
        let customer = customer.ok_or_else(|| ActionError::not_found("there is no such customer"))?;
        Ok(json!({"city": customer.city, "since": customer.since}))
    });
    tool.input::<Name>()
}

fn read_mails() -> Tool {
    let tool = Tool::new("read_mails", |_: RunContext, arguments: Value| async move {
        let Name { name } = read(arguments)?;
        let mails = MAILS.iter().filter(|mail| mail.from == name);
        let (subjects, texts): (Vec<_>, Vec<_>) = mails.map(|mail| (mail.subject, mail.text)).unzip();
        Ok(json!({"subjects": subjects, "text": texts.join(" ")}))
    });
    tool.input::<Name>()
}

fn count_words() -> Tool {
    let tool = Tool::new("count_words", |_: RunContext, arguments: Value| async move {
        let Text { text } = read(arguments)?;
        Ok(json!({"words": text.split_whitespace().count()}))
    });
    tool.input::<Text>()
}
