//! The bus that loses messages on purpose.

use std::sync::Arc;
use std::time::Duration;

use grove_engine::{Cluster, RequestError};
use grove_nats::testing::Dropping;

use crate::memory::{MemoryBus, OnMemoryBus};
use crate::recorder::{Recorder, Seen};
use crate::{instance, of_project};

#[tokio::test(start_paused = true)]
async fn the_share_is_lost_in_both_directions_and_of_requests_and_replies() {
    let bus = Arc::<MemoryBus>::default();
    let [one, two] = [(); 2].map(|()| Dropping::new(Arc::new(OnMemoryBus::new(&bus)), 7));
    let recorders = [(); 2].map(|()| Arc::new(Recorder::default()));
    one.start(&instance("one"), recorders[0].clone());
    two.start(&instance("two"), recorders[1].clone());
    let topic = of_project("red");
    two.subscribe(&topic);
    recorders[1].saw(&Seen::Subscribed(topic.clone())).await;
    let received = || recorders[1].published_on(&topic).len();
    let publish = || async {
        for _ in 0..1_000 {
            one.publish(&topic, "x".into());
        }
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
    };
    publish().await;
    assert_eq!(received(), 1_000);
    one.lose(0.1);
    publish().await;
    let lost = 2_000 - received();
    assert!((50..200).contains(&lost), "{lost} of 1,000 published were lost");
    one.lose(0.0);
    two.lose(0.1);
    let before = received();
    publish().await;
    let lost = before + 1_000 - received();
    assert!((50..200).contains(&lost), "{lost} of 1,000 received were lost");
    one.lose(0.5);
    let mut failed = 0;
    for _ in 0..200 {
        failed +=
            u32::from(one.request("two", "x".into(), Duration::from_secs(1)).await == Err(RequestError::TimedOut));
    }
    assert!((100..190).contains(&failed), "{failed} of 200 requests failed");
    let executed = recorders[1].seen().iter().filter(|seen| matches!(seen, Seen::Requested(_))).count();
    assert!(executed > 200 - failed as usize, "some were executed without a reply");
    one.lose(1.0);
    assert_eq!(one.request("nobody", "x".into(), Duration::from_secs(1)).await, Err(RequestError::TimedOut));
}
