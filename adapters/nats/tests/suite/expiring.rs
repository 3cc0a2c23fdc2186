//! Credentials that expire while the application runs.

use std::time::Duration;

use grove_engine::{Cluster, Topic};
use grove_nats::NatsOptions;

use crate::accounts::Accounts;
use crate::recorder::Seen;
use crate::{connected, programs};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_that_expired_are_read_again_and_end_no_subscription() {
    for program in programs() {
        let accounts = Accounts::start(&program);
        let path = accounts.write_instance(Some(Duration::from_secs(2)));
        let (cluster, recorder) =
            connected(NatsOptions::new(&accounts.server.url()).credentials_file(&path), "one").await;
        cluster.subscribe(&Topic::Notices);
        recorder.saw(&Seen::Subscribed(Topic::Notices)).await;
        let why = recorder.disconnected().await;
        assert!(why.to_lowercase().contains("expired"), "{why}");
        accounts.write_instance(None);
        recorder.saw_times(&Seen::Connected, 2).await;
        cluster.publish(&Topic::Notices, "again".into());
        recorder.received(&Topic::Notices, "again").await;
    }
}
