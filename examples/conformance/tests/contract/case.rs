//! The cases in the data files.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

/// One case: what is sent, and what must be received.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// A sentence that states the rule.
    pub(crate) name: String,
    /// The section of the contract, and which of its rules.
    pub(crate) rule: String,
    /// Arguments for the app's command line.
    #[serde(default)]
    pub(crate) args: Vec<String>,
    /// Not played in the mode with a provider for each session.
    #[serde(default)]
    pub(crate) shared_only: bool,
    /// Not played over a socket, where the timing of the first messages is not under control.
    #[serde(default)]
    pub(crate) memory_only: bool,
    /// The peers; by default there is only `a`.
    #[serde(default = "one_peer")]
    pub(crate) peers: BTreeMap<String, PeerOptions>,
    pub(crate) steps: Vec<Step>,
    /// The name of the file, without its extension.
    #[serde(skip)]
    pub(crate) file: String,
}

fn one_peer() -> BTreeMap<String, PeerOptions> {
    BTreeMap::from([("a".to_owned(), PeerOptions::default())])
}

/// How a peer connects.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PeerOptions {
    pub(crate) token: String,
    /// For a browser tab, the mount that it requests.
    pub(crate) tab: Option<String>,
    /// It connects with an `open` step, not at the start.
    pub(crate) later: bool,
    /// The case expects its first message itself.
    pub(crate) silent: bool,
}

impl Default for PeerOptions {
    fn default() -> Self {
        Self { token: "alice-1".to_owned(), tab: None, later: false, silent: false }
    }
}

/// Something that a peer sends or must receive.
#[derive(Debug, Deserialize)]
pub(crate) struct Step {
    #[serde(default = "first_peer")]
    pub(crate) peer: String,
    #[serde(flatten)]
    pub(crate) act: Act,
}

fn first_peer() -> String {
    "a".to_owned()
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Act {
    /// Sends a message.
    Send(Value),
    /// Sends text as it is.
    Raw(String),
    /// Sends text with a repeated part.
    Repeat { before: String, text: String, times: usize, after: String },
    /// Sends a binary frame of these bytes.
    Binary(Vec<u8>),
    /// Sends a binary frame with this message.
    BinaryText(Value),
    /// The next message matches this pattern.
    Expect(Value),
    /// The next messages match these patterns, in any order.
    Unordered(Vec<Value>),
    /// Some later message matches this pattern.
    Until(Value),
    /// No message matches `never` before one matches `until`.
    Never { never: Value, until: Value },
    /// Nothing is received for this many ms.
    Quiet(u64),
    /// The connection is closed with this code.
    Closed(u16),
    /// A peer connects (`open`), drops its connection (`leave`), or must have mirrors that equal fresh queries (`exact`).
    Do(Operation),
    /// The current content of a subscription's mirror.
    Mirror {
        subscription: Value,
        #[serde(default)]
        at: String,
        is: Value,
    },
    /// The result of a fresh query.
    Shows { path: String, is: Value },
    /// Waits this many ms.
    Wait(u64),
    /// An HTTP request and its response.
    Http {
        method: Option<String>,
        path: String,
        #[serde(default)]
        headers: Map<String, Value>,
        body: Option<Value>,
        status: u16,
        #[serde(default)]
        is: Option<Value>,
    },
    /// The status of an attempt to connect a WebSocket.
    Upgrade {
        path: String,
        #[serde(default)]
        headers: Map<String, Value>,
        status: u16,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Operation {
    Open,
    Leave,
    Exact,
}

/// All cases of all files, in the order of their names.
pub(crate) fn all() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../engine/tests/suite/conformance");
    let files = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|file| file.extension().is_some_and(|ending| ending == "json")).collect();
    files.sort();
    files.iter().flat_map(|file| cases(file)).collect()
}

fn cases(file: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(file).unwrap();
    let cases: Vec<Case> = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let name = file.file_stem().unwrap().to_string_lossy().into_owned();
    cases.into_iter().map(|case| Case { file: name.clone(), ..case }).collect()
}
