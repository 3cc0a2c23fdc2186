//! The user who must not be disturbed.

use grove_engine::Scope;
use grove_engine::testing::TestConsumer;
use serde_json::{Value, json};

use crate::stage::Stage;

const USER: &str = "victim";

/// A consumer whose copy is compared with what the application's data say, whatever attackers do meanwhile.
#[derive(Debug)]
pub struct Victim {
    stage: Stage,
    consumer: TestConsumer,
    subscription: String,
}

impl Victim {
    /// Connects and subscribes to the whole tree.
    pub async fn connect(stage: &Stage) -> Self {
        let session = grove_engine::Session::new(USER).with_user(USER);
        let mut consumer = TestConsumer::connect(stage.engine(), session).await;
        let (subscription, _) = consumer.subscribe("/").await;
        let victim = Self { stage: stage.clone(), consumer, subscription };
        victim.check();
        victim
    }

    /// Its data change, and it waits for the patch that shows it.
    ///
    /// # Panics
    /// If something else comes, nothing comes, or its copy is not exact.
    pub async fn change(&mut self) {
        let n = self.stage.note_of(USER) + 1;
        self.stage.set_note(USER, n);
        self.stage.engine().refresh(Scope::session(USER));
        while self.copy()["properties"]["n"] != n {
            let message = self.consumer.next().await;
            assert_eq!(message["type"], "patch", "only patches come: {message}");
        }
        self.check();
    }

    /// It calls an action, and waits for the result; by then its copy shows what the action did.
    ///
    /// # Panics
    /// If the call fails, or its copy is not exact.
    pub async fn call(&mut self) {
        let n = self.stage.note_of(USER) + 1;
        let result = self.consumer.invoke("/note", "set", json!({"n": n})).await;
        assert_eq!(result["status"], "ok", "{result}");
        assert_eq!(self.stage.note_of(USER), n);
        self.check();
    }

    fn copy(&self) -> &Value {
        let children = self.consumer.tree(&self.subscription)["children"].as_array();
        children.into_iter().flatten().find(|child| child["id"] == "note").unwrap_or(&Value::Null)
    }

    /// Compares the copy with what the application's data say.
    fn check(&self) {
        let tree = self.consumer.tree(&self.subscription);
        let ids: Vec<&str> =
            tree["children"].as_array().into_iter().flatten().filter_map(|c| c["id"].as_str()).collect();
        assert_eq!(ids, ["list", "note"], "nothing of others is shown");
        assert_eq!(self.copy()["properties"], json!({"owner": USER, "n": self.stage.note_of(USER)}));
        assert_eq!(self.consumer.closed(), None);
    }

    /// Comes to rest; its copy must be what a fresh query gives, and no message must have come that is not its own.
    ///
    /// # Panics
    /// If it is not.
    pub async fn check_at_rest(&mut self) {
        let late = self.consumer.settled().await;
        assert!(late.is_empty(), "nothing is left to say: {late:?}");
        self.consumer.check_mirrors().await;
        self.check();
    }
}
