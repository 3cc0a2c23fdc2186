//! What connects this instance with the others, and loses messages if a test wants it.

use std::io;
use std::sync::Arc;

use grove_engine::{Cluster, Engine, EngineBuilder, Text};
use grove_nats::testing::Dropping;
use grove_nats::{NatsCluster, NatsOptions};
use serde_json::{Value, json};

use crate::options::Options;

/// What connects this instance with the others.
#[derive(Debug, Clone)]
pub(crate) struct Bus {
    name: Text,
    cluster: Arc<Dropping>,
}

impl Bus {
    /// Begins to connect, if there are to be others. That no server is there is no error.
    pub(crate) async fn connect(options: &Options) -> io::Result<Option<Self>> {
        let Some(urls) = &options.nats else { return Ok(None) };
        let nats = NatsOptions::new(urls).name(format!("conformance {}", options.instance));
        let cluster = NatsCluster::connect(nats).await.map_err(io::Error::other)?;
        // Each instance loses other messages.
        let seed = options.instance.bytes().fold(1, |seed: u64, byte| seed.wrapping_mul(31).wrapping_add(byte.into()));
        Ok(Some(Self {
            name: options.instance.as_str().into(),
            cluster: Arc::new(Dropping::new(Arc::new(cluster), seed)),
        }))
    }

    pub(crate) fn join(&self, builder: EngineBuilder) -> EngineBuilder {
        builder.cluster(self.name.clone(), Arc::clone(&self.cluster) as Arc<dyn Cluster>)
    }

    pub(crate) fn lose(&self, share: f64) {
        self.cluster.lose(share);
    }

    pub(crate) fn report(engine: &Engine) -> Value {
        let stats = engine.stats();
        let instances: Vec<Text> = engine.instances().into_iter().map(|instance| instance.name).collect();
        json!({
            "instances": instances,
            "notices_in": stats.notices_in,
            "notices_out": stats.notices_out,
            "resyncs": stats.resyncs,
            "connected": stats.bus_connected,
        })
    }
}
