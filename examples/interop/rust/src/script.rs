//! The script of actions in `examples/interop/steps.json`.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::compare;

/// The script for one application.
#[derive(Deserialize)]
pub(crate) struct Script {
    /// Nothing but the caller changes its session's tree.
    pub(crate) quiet: bool,
    /// The subscriptions of every consumer. The first is the whole tree.
    pub(crate) subscriptions: Vec<Wanted>,
    /// Performed in every round; a round leaves a state from which the next can start.
    pub(crate) steps: Vec<Step>,
    /// Queries that must match or be refused.
    pub(crate) reads: Vec<Read>,
    /// Performed while a second consumer does not read.
    pub(crate) slow: Vec<Step>,
    /// Performed by several consumers at the same time.
    pub(crate) together: Vec<Step>,
    /// Performed once, at the end.
    pub(crate) last: Vec<Step>,
}

/// One subscription.
#[derive(Clone, Deserialize)]
pub(crate) struct Wanted {
    pub(crate) path: String,
    pub(crate) depth: i32,
    /// Some step removes the node for a while.
    #[serde(default)]
    pub(crate) vanishes: bool,
}

/// One action and its expected outcome.
#[derive(Deserialize)]
pub(crate) struct Step {
    pub(crate) path: String,
    pub(crate) action: String,
    pub(crate) params: Option<Value>,
    #[serde(default = "ok")]
    pub(crate) status: String,
    pub(crate) code: Option<String>,
    /// What the result's data must contain.
    pub(crate) data: Option<Value>,
    /// Names for fields of the result's data, for `${name}` in later steps.
    #[serde(default)]
    pub(crate) save: HashMap<String, String>,
    pub(crate) see: Option<Effect>,
    /// An event that must arrive.
    pub(crate) event: Option<String>,
    /// The effect may come after the result.
    #[serde(default)]
    pub(crate) settle: bool,
}

/// What must be in the mirror when the result arrives.
#[derive(Deserialize)]
pub(crate) struct Effect {
    pub(crate) node: String,
    #[serde(default)]
    pub(crate) absent: bool,
    #[serde(default)]
    pub(crate) is: Value,
}

/// A query that equals one with another spelling of the path, or fails with a code.
#[derive(Deserialize)]
pub(crate) struct Read {
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) like: String,
    pub(crate) code: Option<String>,
}

/// What earlier steps saved.
pub(crate) type Known = HashMap<String, String>;

fn ok() -> String {
    "ok".to_owned()
}

impl Script {
    pub(crate) fn load(path: &Path, app: &str) -> Result<Self, Box<dyn Error>> {
        let mut apps: HashMap<String, Self> = serde_json::from_str(&fs::read_to_string(path)?)?;
        apps.remove(app).ok_or_else(|| format!("no steps for {app}").into())
    }
}

/// Replaces `${name}` and `{"$reversed_children": path}` by values.
pub(crate) fn fill(value: &Value, known: &Known, tree: &Value) -> Value {
    match value {
        Value::String(text) => fill_text(text, known).into(),
        Value::Array(items) => items.iter().map(|item| fill(item, known, tree)).collect(),
        Value::Object(fields) => match fields.get("$reversed_children").and_then(Value::as_str) {
            Some(path) => compare::node_at(tree, path).map(compare::child_ids).into_iter().flatten().rev().collect(),
            None => Value::Object(fields.iter().map(|(k, v)| (k.clone(), fill(v, known, tree))).collect::<Map<_, _>>()),
        },
        plain => plain.clone(),
    }
}

/// Replaces `${name}` by values.
pub(crate) fn fill_text(text: &str, known: &Known) -> String {
    known.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value))
}
