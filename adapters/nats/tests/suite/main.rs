//! The promises of the trait on real servers, and what becomes of them when servers are killed or refuse something.

mod accounts;
mod dropping;
mod encrypted;
mod expiring;
mod guide;
mod memory;
mod outages;
mod participants;
mod promises;
mod recorder;
mod refusals;
mod users;
mod websocket;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use grove_engine::{Cluster, Instance, Topic};
use grove_nats::testing::NatsServer;
use grove_nats::{NatsCluster, NatsOptions};
use recorder::Recorder;

/// Nothing that is waited for takes as long, unless it never comes.
const LONG: Duration = Duration::from_secs(30);

/// The servers that there are: the current version, and an old one if it is named.
fn programs() -> Vec<PathBuf> {
    NatsServer::program().into_iter().chain(NatsServer::named_by("NATS_SERVER_OLD")).collect()
}

fn instance(name: &str) -> Instance {
    Instance { name: name.into(), incarnation: 1 }
}

/// An instance that has connected, and what it has seen.
async fn connected(options: NatsOptions, name: &str) -> (NatsCluster, Arc<Recorder>) {
    let (cluster, recorder) = started(options, name).await;
    recorder.connected().await;
    (cluster, recorder)
}

async fn started(options: NatsOptions, name: &str) -> (NatsCluster, Arc<Recorder>) {
    let cluster = NatsCluster::connect(options).await.unwrap();
    let recorder = Arc::new(Recorder::default());
    cluster.start(&instance(name), recorder.clone());
    (cluster, recorder)
}

fn of_project(project: &str) -> Topic {
    Topic::ProjectNotices(project.into())
}

fn of_room(project: &str, room: &str) -> Topic {
    Topic::Room { project: project.into(), room: room.into() }
}
