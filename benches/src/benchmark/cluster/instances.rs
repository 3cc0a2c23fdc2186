//! Instances in this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use grove_engine::{Descriptor, Engine, Session};
use grove_nats::{NatsCluster, NatsOptions};

use crate::failure::Failure;
use crate::subject::grove::generous_config;

/// The path of what changes.
pub(super) const BOARD: &str = "board";

/// How often it is looked whether something has happened, and how long at most.
const POLL: Duration = Duration::from_millis(5);
const POLLS: u32 = 6_000;

/// One instance, which shows a number to all its sessions.
pub(super) struct Instance {
    pub(super) engine: Engine,
    pub(super) revision: Arc<AtomicU64>,
}

impl Instance {
    pub(super) async fn start(name: &str, url: &str, sessions: u32) -> Result<Self, Failure> {
        let mut options = NatsOptions::new(url).name(name);
        options.require_within = Some(POLL * POLLS);
        let cluster = Arc::new(NatsCluster::connect(options).await?);
        let engine = Engine::builder("app", "App").config(generous_config(sessions)).cluster(name, cluster).build();
        let revision = Arc::new(AtomicU64::new(0));
        let shown = Arc::clone(&revision);
        engine.register(BOARD, move |_: &Session| {
            Descriptor::new("status").prop("revision", shown.load(Ordering::Relaxed))
        });
        Ok(Self { engine, revision })
    }

    /// Waits until it knows so many instances.
    pub(super) async fn knows(&self, count: usize) -> Result<(), Failure> {
        for _ in 0..POLLS {
            if self.engine.instances().len() == count {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        Err("the instances do not find each other".into())
    }
}
