//! What a consumer remembers to resume with.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::consumer::Consumer;
use crate::failure::Failure;

/// The state of a consumer's copy, as its next `subscribe` names it.
#[derive(Debug)]
pub(super) struct ResumePoint {
    epoch: Value,
    connection: Value,
    version: u64,
}

impl ResumePoint {
    /// Takes it from `hello` and from the first snapshot, which the consumer waits for. Returns the snapshot's bytes too.
    pub(super) async fn of(consumer: &mut Consumer, hello: &str) -> Result<(Self, u64), Failure> {
        #[derive(Deserialize)]
        struct Snapshot {
            version: u64,
        }
        let mut hello: Value = serde_json::from_str(hello)?;
        let snapshot = consumer.hear("snapshot").await?;
        let Snapshot { version } = serde_json::from_str(&snapshot)?;
        let provider = &mut hello["provider"];
        let (epoch, connection) = (provider["epoch"].take(), provider["connection"].take());
        Ok((Self { epoch, connection, version }, snapshot.len() as u64))
    }

    /// The `subscribe` message that resumes.
    pub(super) fn subscribe(&self) -> String {
        let Self { epoch, connection, version } = self;
        let resume = json!({"epoch": epoch, "connection": connection, "version": version});
        json!({"type": "subscribe", "id": "all", "path": "/", "depth": -1, "resume": resume}).to_string()
    }
}
