//! The cases, as they are written in the data files.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

/// One case: what is said, and what must be heard.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    /// A sentence that says what holds.
    pub(crate) name: String,
    /// The section of the contract, with a word on which of its rules.
    pub(crate) rule: String,
    /// Arguments of the app's command line.
    #[serde(default)]
    pub(crate) args: Vec<String>,
    /// Only for one provider for all sessions.
    #[serde(default)]
    pub(crate) shared_only: bool,
    /// Only without a socket: on one, what is said within the first moments arrives when the machine pleases.
    #[serde(default)]
    pub(crate) memory_only: bool,
    /// Who connects; `a` alone if nothing is said.
    #[serde(default = "one_peer")]
    pub(crate) peers: BTreeMap<String, Who>,
    pub(crate) steps: Vec<Step>,
    /// The file's name, without its ending.
    #[serde(skip)]
    pub(crate) file: String,
}

fn one_peer() -> BTreeMap<String, Who> {
    BTreeMap::from([("a".to_owned(), Who::default())])
}

/// A peer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Who {
    pub(crate) token: String,
    /// A browser tab, with the mount that it asks for.
    pub(crate) tab: Option<String>,
    /// It connects with a step `open`, not at the start.
    pub(crate) later: bool,
    /// Its first message is left for the case to expect.
    pub(crate) silent: bool,
}

impl Default for Who {
    fn default() -> Self {
        Self { token: "alice-1".to_owned(), tab: None, later: false, silent: false }
    }
}

/// Something that a peer says or must hear.
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
    /// Sends text with a part that is repeated.
    Repeat { before: String, text: String, times: usize, after: String },
    /// Sends a binary frame of these bytes.
    Binary(Vec<u8>),
    /// Sends a binary frame with this message.
    BinaryText(Value),
    /// The next message is like this.
    Expect(Value),
    /// The next messages are like these, in any order.
    Unordered(Vec<Value>),
    /// Sooner or later a message is like this.
    Until(Value),
    /// Of the messages up to one like the second, none is like the first.
    Never { never: Value, until: Value },
    /// For so many ms nothing comes.
    Quiet(u64),
    /// The connection is closed with this code.
    Closed(u16),
    /// A peer connects (`open`), its connection breaks off (`leave`), or each of its mirrors equals a fresh query
    /// (`exact`).
    Do(Deed),
    /// What the mirror of a subscription shows now.
    Mirror {
        subscription: Value,
        #[serde(default)]
        at: String,
        is: Value,
    },
    /// What a fresh query shows.
    Shows { path: String, is: Value },
    /// Waits so many ms.
    Wait(u64),
    /// An HTTP request and its answer.
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
pub(crate) enum Deed {
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
