//! Requests to one instance, and what it replies, as JSON.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::instance::Instance;
use super::wire::{Malformed, check_length, to_text};
use crate::model::Text;

const VERSION: u32 = 1;

/// What one instance asks another.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    #[serde(rename = "v")]
    version: u32,
    pub(crate) from: Instance,
    /// For which life of which instance it is: another one does not know what is talked about.
    pub(crate) to: Instance,
    /// Who has to reply to it.
    pub(crate) kind: Text,
    pub(crate) body: Box<RawValue>,
}

/// Why an instance does not do what it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Refusal {
    /// It is another life of the instance that was asked, or another instance.
    OtherInstance,
    /// Nobody replies to requests of this kind.
    UnknownKind,
    /// It is not what requests of this kind are.
    Malformed,
    /// Too many others are in flight.
    Busy,
    /// It could not be done.
    Failed,
    /// What a newer version calls it.
    #[serde(other)]
    Other,
}

#[derive(Serialize, Deserialize)]
struct Reply {
    #[serde(rename = "v")]
    version: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refused: Option<Refusal>,
}

impl Request {
    pub(crate) fn new(from: Instance, to: Instance, kind: &str, body: &impl Serialize) -> Self {
        Self { version: VERSION, from, to, kind: kind.into(), body: raw(body) }
    }

    pub(crate) fn encode(&self) -> Text {
        to_text(self)
    }

    pub(crate) fn decode(message: &str, max_bytes: usize) -> Result<Self, Malformed> {
        check_length(message, max_bytes)?;
        serde_json::from_str(message).map_err(|_| Malformed::Json("is no request"))
    }
}

/// Encodes what a request comes to.
pub(crate) fn encode_reply(reply: Result<Box<RawValue>, Refusal>) -> Text {
    let (result, refused) = match reply {
        Ok(result) => (Some(result), None),
        Err(refusal) => (None, Some(refusal)),
    };
    to_text(&Reply { version: VERSION, result, refused })
}

/// Reads what a request came to.
pub(crate) fn decode_reply(message: &str, max_bytes: usize) -> Result<Result<Box<RawValue>, Refusal>, Malformed> {
    check_length(message, max_bytes)?;
    let reply: Reply = serde_json::from_str(message).map_err(|_| Malformed::Json("is no reply"))?;
    match (reply.result, reply.refused) {
        (_, Some(refusal)) => Ok(Err(refusal)),
        (Some(result), None) => Ok(Ok(result)),
        (None, None) => Err(Malformed::Json("is no reply")),
    }
}

/// What is encoded here has texts for keys, so it cannot fail.
pub(crate) fn raw(value: &impl Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn instance(name: &str) -> Instance {
        Instance { name: name.into(), incarnation: 3 }
    }

    #[test]
    fn a_request_and_its_reply_survive_encoding() {
        let request = Request::new(instance("a"), instance("b"), "greet", &"hello");
        let read = Request::decode(&request.encode(), 1_000).unwrap();
        assert_eq!(
            (read.from, read.to, read.kind.as_str(), read.body.get()),
            (instance("a"), instance("b"), "greet", "\"hello\"")
        );
        let result = decode_reply(&encode_reply(Ok(raw(&[1, 2]))), 1_000).unwrap().unwrap();
        assert_eq!(result.get(), "[1,2]");
        assert_eq!(decode_reply(&encode_reply(Err(Refusal::Busy)), 1_000).unwrap().unwrap_err(), Refusal::Busy);
        let newer = r#"{"v":2,"refused":"eclipse","until":5}"#;
        assert_eq!(decode_reply(newer, 1_000).unwrap().unwrap_err(), Refusal::Other);
    }

    proptest! {
        #[test]
        fn nothing_that_is_sent_makes_the_reader_panic(message in ".{0,80}") {
            let _ = Request::decode(&message, 60);
            let _ = decode_reply(&message, 60);
        }
    }
}
