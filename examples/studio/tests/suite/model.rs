//! The agent `model`, with a server that answers as a script says.

use serde_json::{Value, json};

use crate::fake_model::{Answer, FakeModel, events};
use crate::studio::{Studio, command, within_deadline};

const KEY: &str = "k-s3cret";

/// A studio that asks this model.
async fn studio(model: &FakeModel) -> Studio {
    asking(&model.url, "30000").await
}

async fn asking(url: &str, timeout_ms: &str) -> Studio {
    let mut command = command();
    command.args(["--listen", "127.0.0.1:0", "--model-timeout-ms", timeout_ms, "--model-name", "small"]);
    Studio::spawn({
        command.env("STUDIO_MODEL_URL", url).env("STUDIO_MODEL_KEY", KEY);
        command
    })
    .await
}

/// What was streamed, and the last event's kind and body.
fn read(events: &[Value]) -> (String, &str, &Value) {
    let text = events.iter().filter(|event| event["kind"] == "run.chunk");
    let text = text.filter_map(|event| event["body"]["text"].as_str()).collect();
    let last = events.last().expect("an event");
    (text, last["kind"].as_str().expect("a kind"), &last["body"])
}

/// The code of the error with which a run fails, with or without another attempt.
async fn failure(studio: &Studio, attempts: u32) -> String {
    let events = studio.run("model", &json!({"input": "Hi", "delivery": {"max_attempts": attempts}})).await;
    let (_, kind, body) = read(&events);
    assert_eq!(kind, "run.failed", "{body}");
    // Everybody in the room reads it.
    let error = body["error"].to_string();
    assert!(!error.contains("127.0.0.1") && !error.contains(KEY), "{error}");
    body["error"]["code"].as_str().expect("a code").to_owned()
}

#[tokio::test]
async fn an_answer_is_streamed_as_it_comes_wherever_the_network_cuts_it() {
    let whole = events(&["Grüße", ", ", "Ann"]) + ": still here\n\ndata: [DONE]\n\n";
    let pieces = whole.as_bytes().chunks(7).map(<[u8]>::to_vec).collect();
    let model = FakeModel::start(vec![Answer::Pieces(200, pieces), Answer::whole(&["Gern."])]).await;
    let studio = studio(&model).await;
    let events = studio.run("model", &json!({"input": "Say hello"})).await;
    assert_eq!(read(&events).0, "Grüße, Ann");
    assert_eq!((read(&events).1, &read(&events).2["result"]), ("run.done", &json!("Grüße, Ann")));
    studio.run("model", &json!({"input": "Thank you"})).await;

    let requests = model.requests();
    assert!(requests[0].head.starts_with("post /v1/chat/completions http/1.1"), "{}", requests[0].head);
    assert!(requests[0].head.contains(&format!("authorization: bearer {KEY}")), "{}", requests[0].head);
    let said = |role: &str, content: &str| json!({"role": role, "content": content});
    let first = json!({"model": "small", "stream": true, "messages": [said("user", "Say hello")]});
    assert_eq!(requests[0].body, first);
    let messages = json!([said("user", "Say hello"), said("assistant", "Grüße, Ann"), said("user", "Thank you")]);
    assert_eq!(requests[1].body["messages"], messages, "what was said before is part of the conversation");
}

#[tokio::test]
async fn lines_of_json_are_read_as_well() {
    let lines = [json!({"message": {"content": "Good "}, "done": false}), json!({"message": {"content": "day"}})];
    let lines = format!("{}\n{}\n{}\n", lines[0], lines[1], json!({"message": {"content": ""}, "done": true}));
    let model = FakeModel::start(vec![Answer::text(200, &lines)]).await;
    let studio = studio(&model).await;
    let events = studio.run("model", &json!({"input": "Hello"})).await;
    assert_eq!((read(&events).0.as_str(), read(&events).1), ("Good day", "run.done"));
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_or_is_silent_fails_the_run_clearly() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("an address");
    let studio = asking(&format!("http://{nobody}/"), "30000").await;
    assert_eq!(failure(&studio, 2).await, "model_unreachable");

    let model = FakeModel::start(vec![Answer::Silence("data: {\"text\":\"Well\"}\n")]).await;
    let studio = asking(&model.url, "300").await;
    assert_eq!(failure(&studio, 1).await, "model_timeout");
    within_deadline(model.gone.notified()).await;
}

#[tokio::test]
async fn what_cannot_be_helped_is_not_tried_again() {
    let html = Answer::text(200, "<html>\n");
    let endless = Answer::Pieces(200, vec![vec![b'x'; 70_000]]);
    let model = FakeModel::start(vec![html, endless, Answer::text(401, ""), Answer::text(404, "")]).await;
    let studio = studio(&model).await;
    for expected in ["model_malformed", "model_too_long", "model_refused", "model_refused"] {
        assert_eq!(failure(&studio, 3).await, expected);
    }
    assert_eq!(model.requests().len(), 4);
}

#[tokio::test]
async fn what_may_pass_is_tried_again_if_the_run_has_a_delivery() {
    let cut_off = || Answer::text(200, &events(&["Good "]));
    let overloaded = Answer::text(200, "data: {\"error\":{\"message\":\"overloaded\"}}\n\n");
    let script = vec![cut_off(), Answer::text(503, ""), Answer::text(429, ""), overloaded, cut_off()];
    let script = script.into_iter().chain([Answer::whole(&["Good ", "day"]), cut_off()]);
    let model = FakeModel::start(script.collect()).await;
    let studio = studio(&model).await;
    let events = studio.run("model", &json!({"input": "Hi", "delivery": {"max_attempts": 9}})).await;
    let (text, kind, body) = read(&events);
    assert_eq!((kind, &body["result"], &body["attempts"]), ("run.done", &json!("Good day"), &json!(6)));
    assert_eq!(text, "Good \nOnce more:\nGood \nOnce more:\nGood day", "readers can tell the attempts apart");
    assert_eq!(failure(&studio, 1).await, "model_cut_off");
}

#[tokio::test]
async fn a_cancelled_run_hangs_up_at_once() {
    let model = FakeModel::start(vec![Answer::Silence("data: {\"text\":\"Well\"}\n")]).await;
    let studio = studio(&model).await;
    let (status, started) = studio.ask("ann", "POST /v1/rooms/model/runs", &json!({"input": "Hi"})).await;
    assert_eq!(status, 202, "{started}");
    let run = format!("/v1/rooms/model/runs/{}", started["run"].as_str().expect("an id"));
    within_deadline(async { while studio.get("ann", &run).await["run"]["output_chars"] != 4 {} }).await;
    assert_eq!(studio.ask("ann", &format!("DELETE {run}"), &Value::Null).await.0, 202);
    within_deadline(model.gone.notified()).await;
    within_deadline(async { while studio.get("ann", &run).await["run"]["status"] != "cancelled" {} }).await;
}

#[tokio::test]
async fn an_input_that_is_no_text_is_refused() {
    let model = FakeModel::start(vec![]).await;
    let studio = studio(&model).await;
    let events = studio.run("model", &json!({"input": {"prompt": "Hi"}})).await;
    assert_eq!(read(&events).2["error"]["code"], "invalid_params");
    assert!(model.requests().is_empty());
}
