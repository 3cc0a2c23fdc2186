//! Two hundred sessions on one daemon (S4.29).

use futures_util::future::join_all;

use crate::home::Home;
use crate::session::Session;

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_sessions_are_present_at_once_and_leave_with_the_daemons_farewell() {
    let home = Home::new(&[]).await;
    let daemon = home.daemon(&[]).await;
    let sessions: Vec<_> = (0..200).map(|number| Session::new(&home, &format!("s{number}"))).collect();
    let mut tokens = Vec::new();
    for some in sessions.chunks(20) {
        tokens.extend(join_all(some.iter().map(|session| session.register(&home))).await);
    }
    assert_eq!(home.local("GET", "/v1/daemon", None, "").await.json["links_up"], 201);
    assert_eq!(home.peers().await.len(), 201);
    let lists = join_all(tokens.iter().step_by(20).map(|token| home.local("GET", "/v1/peers", Some(token), ""))).await;
    assert!(lists.iter().all(|list| list.json["peers"].as_array().unwrap().len() == 201), "each sees all, at once");
    crate::home::signal("-TERM", daemon.id().unwrap()).await;
    let mut daemon = daemon;
    assert_eq!(crate::home::soon("the end", daemon.wait()).await.unwrap().code(), Some(0));
    assert_eq!(home.peers().await.len(), 0);
}
