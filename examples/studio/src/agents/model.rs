//! `model` asks a language model. Any server will do that takes a conversation as JSON and streams its answer, as server-sent
//! events or as lines of JSON: the large providers, and `ollama`, `llama.cpp` or `vllm` on this machine.
//!
//! This is the place for your model's client: whatever it is, an agent needs no more than this file has. It passes on each
//! piece of text as it comes, stops when the run is cancelled, and says of each error whether trying again may help.

use std::error::Error;
use std::time::Duration;

use grove_engine::{Agent, ErrorClass, HistoryEntry, HistoryRole, RunContext, RunError};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};

use super::run::cancelled;

/// How long a line of an answer may be, and an answer in all, in bytes.
const LINE_BYTES: usize = 64 << 10;
const ANSWER_BYTES: usize = 32 << 10;

/// Where pieces of text stand in what the various servers send.
const TEXT: [&str; 3] = ["/choices/0/delta/content", "/message/content", "/text"];

/// Which model to ask. The key is not an argument, since everyone on a machine can read those.
#[derive(clap::Args)]
pub(crate) struct Model {
    /// The address of a model's API, such as http://localhost:11434/v1/chat/completions; with it, there is the agent `model`
    #[arg(long = "model-url", env = "STUDIO_MODEL_URL", value_name = "URL")]
    pub(crate) url: Option<String>,
    /// The name of the model; the API's key is read from STUDIO_MODEL_KEY
    #[arg(long = "model-name", env = "STUDIO_MODEL_NAME", value_name = "NAME", default_value = "default")]
    name: String,
    /// How long the model may be silent, in ms
    #[arg(long = "model-timeout-ms", value_name = "MS", default_value = "30000")]
    timeout_ms: u64,
}

/// # Errors
/// If there can be no TLS on this machine, such as without any certificates.
pub(crate) fn agent(model: Model) -> Result<Agent, Box<dyn Error>> {
    // Fails if there is one already, and then that one is used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let timeout = Duration::from_millis(model.timeout_ms);
    let client = Client::builder().connect_timeout(timeout).read_timeout(timeout).build()?;
    let key = std::env::var("STUDIO_MODEL_KEY").ok();
    let (url, name) = (model.url.unwrap_or_default(), model.name);
    Ok(Agent::new("model", move |run: RunContext, input: Value| {
        let request = client.post(&url).header(CONTENT_TYPE, "application/json").header(ACCEPT, "text/event-stream");
        let request = key.iter().fold(request, |request, key| request.header(AUTHORIZATION, format!("Bearer {key}")));
        let name = name.clone();
        async move {
            if !input.is_string() {
                return Err(RunError::new("invalid_params", "the input must be a text"));
            }
            // The last entry of the history is the input of this run.
            let messages: Vec<_> = run.history().iter().filter_map(message).collect();
            let request = request.body(json!({"model": name, "stream": true, "messages": messages}).to_string());
            tokio::select! {
                () = run.cancelled() => Err(cancelled()),
                answer = ask(&run, request) => answer.map(Value::String),
            }
        }
    }))
}

/// What was said in the room before, in the API's words.
fn message(entry: &HistoryEntry) -> Option<Value> {
    let role = match entry.role {
        HistoryRole::User => "user",
        HistoryRole::Agent => "assistant",
        _ => return None,
    };
    Some(json!({"role": role, "content": entry.text.as_str()}))
}

/// Streams the answer. Returns all of it, so that it becomes part of the history.
async fn ask(run: &RunContext, request: RequestBuilder) -> Result<String, RunError> {
    let response = request.send().await.map_err(|error| failed(&error))?;
    let mut response = accepted(response)?;
    let (mut answer, mut received) = (String::new(), Vec::new());
    while let Some(bytes) = response.chunk().await.map_err(|error| failed(&error))? {
        received.extend_from_slice(&bytes);
        while let Some(end) = received.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = received.drain(..=end).collect();
            match Line::parse(&line)? {
                Line::Text(text) => {
                    if answer.is_empty() && run.attempt() > 1 {
                        // What an attempt before has streamed stays.
                        run.chunk("\nOnce more:\n");
                    }
                    run.chunk(&text);
                    answer.push_str(&text);
                }
                Line::Nothing => {}
                Line::End => return Ok(answer),
            }
        }
        if received.len() > LINE_BYTES || answer.len() > ANSWER_BYTES {
            return Err(RunError::new("model_too_long", "the model says more than this agent takes"));
        }
    }
    Err(RunError::retryable("model_cut_off", "the model's answer ended in the middle"))
}

fn accepted(response: Response) -> Result<Response, RunError> {
    let status = response.status();
    let message = format!("the model's server responded with {}", status.as_u16());
    match status {
        StatusCode::OK => Ok(response),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Err(RunError::new("model_refused", message).class(ErrorClass::Security))
        }
        StatusCode::TOO_MANY_REQUESTS => Err(RunError::retryable("model_busy", message)),
        status if status.is_server_error() => Err(RunError::retryable("model_failed", message)),
        _ => Err(RunError::new("model_refused", message)),
    }
}

/// Everybody in the room reads the message, so the cause is in the log alone.
fn failed(error: &reqwest::Error) -> RunError {
    tracing::warn!(?error, "the model does not answer");
    if error.is_timeout() {
        RunError::retryable("model_timeout", "the model did not answer in time")
    } else if error.is_connect() {
        RunError::retryable("model_unreachable", "the model's server cannot be reached")
    } else {
        RunError::retryable("model_cut_off", "the connection to the model was lost")
    }
}

/// What one line of an answer says.
#[derive(Debug, PartialEq)]
enum Line {
    Text(String),
    Nothing,
    End,
}

impl Line {
    /// Reads `data: {..}` of server-sent events as well as a line that is JSON and nothing more.
    fn parse(line: &[u8]) -> Result<Self, RunError> {
        let malformed = || RunError::new("model_malformed", "the model's server sent something that is not its format");
        let line = str::from_utf8(line).map_err(|_| malformed())?.trim();
        let data = line.strip_prefix("data:").map_or(line, str::trim);
        let is_about_events = [":", "event:", "id:", "retry:"].iter().any(|field| line.starts_with(field));
        if data.is_empty() || is_about_events {
            return Ok(Self::Nothing);
        }
        if data == "[DONE]" {
            return Ok(Self::End);
        }
        let data: Value = serde_json::from_str(data).map_err(|_| malformed())?;
        if !data["error"].is_null() {
            return Err(RunError::retryable("model_failed", "the model's server reported an error"));
        }
        let text = TEXT.iter().find_map(|place| data.pointer(place)?.as_str()).unwrap_or_default();
        match (text, &data["done"]) {
            ("", Value::Bool(true)) => Ok(Self::End),
            ("", _) if data.is_object() => Ok(Self::Nothing),
            ("", _) => Err(malformed()),
            (text, _) => Ok(Self::Text(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_several_servers_are_read() {
        let text = |text: &str| Line::Text(text.to_owned());
        for (line, expected) in [
            (r#"data: {"choices":[{"delta":{"content":"Hi"}}]}"#, text("Hi")),
            (r#"data:{"choices":[{"delta":{"role":"assistant"}}]}"#, Line::Nothing),
            (r#"{"message":{"content":" there"},"done":false}"#, text(" there")),
            (r#"{"message":{"content":""},"done":true}"#, Line::End),
            (r#"{"text":"ü"}"#, text("ü")),
            ("data: [DONE]\r\n", Line::End),
            ("event: message", Line::Nothing),
            (": keep-alive", Line::Nothing),
            ("\r\n", Line::Nothing),
        ] {
            assert_eq!(Line::parse(line.as_bytes()).unwrap(), expected, "{line}");
        }
    }

    #[test]
    fn what_is_none_of_them_is_an_error() {
        for line in ["<html>", "data: {", "[]", "\"text\"", "data: 1"] {
            assert_eq!(Line::parse(line.as_bytes()).unwrap_err().code(), "model_malformed", "{line}");
        }
        assert_eq!(Line::parse(b"\xff").unwrap_err().code(), "model_malformed");
        let error = Line::parse(br#"data: {"error":{"message":"overloaded"}}"#).unwrap_err();
        assert!(error.is_retryable() && error.code() == "model_failed");
    }
}
