//! The ways to authenticate, and what is told when the server does not accept them.

use grove_engine::Cluster;
use grove_nats::testing::NatsServer;
use grove_nats::{NatsCluster, NatsOptions};
use nkeys::KeyPair;

use crate::{connected, programs, started};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_a_token_or_a_key_is_accepted_and_another_one_is_told_to_be_wrong() {
    let key = KeyPair::new_user();
    let by_user = |server: &NatsServer| NatsOptions::new(&server.url()).user_and_password("me", "right");
    let by_url = |server: &NatsServer| NatsOptions::new(&format!("nats://me:right@{}", server.address()));
    let by_token = |server: &NatsServer| NatsOptions::new(&server.url()).token("right");
    let by_key = |server: &NatsServer| NatsOptions::new(&server.url()).nkey(key.seed().unwrap());
    type Way<'a> = (String, &'a dyn Fn(&NatsServer) -> NatsOptions);
    let user = r#"authorization { user: me, password: "right" }"#.to_owned();
    let ways: [Way<'_>; 4] = [
        (user.clone(), &by_user),
        (user, &by_url),
        (r#"authorization { token: "right" }"#.to_owned(), &by_token),
        (format!("authorization {{ users: [ {{ nkey: {} }} ] }}", key.public_key()), &by_key),
    ];
    for program in programs() {
        for (configuration, options) in &ways {
            let server = NatsServer::start_with(&program, configuration, &[]);
            let (cluster, _) = connected(options(&server), "one").await;
            assert!(cluster.is_connected());
            let (other, recorder) = started(NatsOptions::new(&server.url()).token("wrong-one"), "two").await;
            let why = recorder.disconnected().await;
            assert!(why.contains("authorization violation") && !why.contains("wrong-one"), "{why}");
            assert!(!other.is_connected());
        }
    }
}

#[tokio::test]
async fn a_wrong_configuration_is_an_error_whether_a_server_is_there_or_not() {
    for options in [
        NatsOptions::new(""),
        NatsOptions::new("ftp://x"),
        NatsOptions::new("x").credentials_file("/nowhere"),
        NatsOptions::new("x").credentials_file("/dev/null"),
        NatsOptions::new("x").nkey("SU"),
        NatsOptions::new("x").authorities("/dev/null"),
        NatsOptions::new("x").client_certificate("/dev/null", "/dev/null"),
        NatsOptions::new("x").prefix("*"),
        NatsOptions::new("x").token("a").nkey("b"),
    ] {
        let error = NatsCluster::connect(options.clone()).await.expect_err(&format!("{options:?}"));
        assert!(!error.to_string().is_empty());
    }
}
