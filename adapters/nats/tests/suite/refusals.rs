//! What the permissions at a server do not allow.

use grove_engine::{Cluster, RequestError, Topic};
use grove_nats::NatsEvent;
use grove_nats::testing::NatsServer;
use tokio::time::timeout;

use crate::outages::observed;
use crate::recorder::Seen;
use crate::{LONG, connected, of_project, programs};

const PERMISSIONS: &str = r#"
authorization {
  users: [
    { user: limited, password: x, permissions: {
      publish: { allow: "grove.v1.>", deny: ["grove.v1.closed.notice", "grove.v1.inst.closed.rpc"] }
      subscribe: { allow: "grove.v1.>", deny: "grove.v1.closed.notice" }
    } }
    { user: all, password: x }
  ]
}
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_allowed_is_refused_and_told_and_the_rest_goes_on() {
    for program in programs() {
        let mut server = NatsServer::start_with(&program, PERMISSIONS, &[]);
        let (options, events) = observed(&server.url());
        let (cluster, recorder) = connected(options.user_and_password("limited", "x"), "limited").await;
        let (open, closed) = (of_project("open"), of_project("closed"));
        cluster.subscribe(&closed);
        cluster.subscribe(&open);
        recorder.saw(&Seen::Subscribed(open.clone())).await;
        recorder.saw(&Seen::Refused(closed.clone())).await;
        assert!(!recorder.seen().contains(&Seen::Subscribed(closed.clone())), "{:?}", recorder.seen());
        // It does not wait for a reply that cannot come.
        let request = timeout(LONG, cluster.request("closed", "x".into(), LONG * 2)).await;
        assert_eq!(request, Ok(Err(RequestError::Away)));
        cluster.publish(&closed, "x".into());
        cluster.publish(&open, "x".into());
        recorder.received(&open, "x").await;
        let refused = |subject: &str| NatsEvent::PublishRefused { subject: subject.to_owned() };
        for wanted in [
            NatsEvent::SubscribeRefused { subject: "grove.v1.closed.notice".to_owned() },
            refused("grove.v1.inst.closed.rpc"),
            refused("grove.v1.closed.notice"),
        ] {
            while !events.lock().contains(&wanted) {
                tokio::task::yield_now().await;
            }
        }
        // Nothing that was refused is tried again by itself; whoever asks again is told again.
        server.restart();
        recorder.saw_times(&Seen::Connected, 2).await;
        cluster.subscribe(&Topic::Notices);
        recorder.saw(&Seen::Subscribed(Topic::Notices)).await;
        assert_eq!(recorder.seen().iter().filter(|seen| matches!(seen, Seen::Refused(_))).count(), 1);
        cluster.subscribe(&closed);
        recorder.saw_times(&Seen::Refused(closed), 2).await;
        assert!(cluster.is_connected());
    }
}
