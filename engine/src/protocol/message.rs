//! Messages as values.

use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::code::ErrorCode;
use crate::model::Text;
use crate::render::view::ViewOptions;

/// The id of a request, echoed as it came: most peers send a string, some a number (contract 1.9).
#[derive(Debug, Clone)]
pub(crate) struct RequestId(Box<RawValue>);

impl RequestId {
    pub(crate) fn from_value(value: &Value) -> Option<Self> {
        if value.is_string() || value.is_number() {
            serde_json::value::to_raw_value(value).ok().map(Self)
        } else {
            None
        }
    }

    pub(crate) fn text(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for RequestId {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Serialize for RequestId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// The state that a consumer's copy of a view has, as it claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Position {
    /// Which engine's versions these are.
    pub(crate) epoch: String,
    pub(crate) version: u64,
    /// The connection that the consumer lost, in case the engine has not noticed.
    pub(crate) connection: Option<String>,
}

/// What a consumer sends.
#[derive(Debug)]
pub(crate) enum Request {
    /// A peer that knows another transport asks for `hello`.
    Connect,
    Subscribe {
        id: RequestId,
        view: ViewOptions,
        position: Option<Position>,
    },
    Unsubscribe {
        id: RequestId,
    },
    Query {
        id: RequestId,
        view: ViewOptions,
    },
    Invoke {
        id: RequestId,
        path: String,
        action: String,
        params: Value,
        /// What the caller calls the work to which the call belongs (rooms 10).
        trace_id: Option<Text>,
    },
}

/// A message that cannot be served, and how it is refused.
#[derive(Debug, PartialEq)]
pub(crate) struct Refused {
    pub(crate) id: Option<RequestId>,
    pub(crate) code: ErrorCode,
    pub(crate) message: String,
    /// An invoke is answered with a result, everything else with an error.
    pub(crate) as_result: bool,
}
