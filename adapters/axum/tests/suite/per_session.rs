//! A provider for each session, over real sockets (S1.63, S1.65).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use grove_engine::{Descriptor, PerSession, Scope, Session, SessionProvider};

use crate::server::{PeerAddresses, Server, known_users, subscribe, user_in};

/// Providers that greet their user, and how many were made.
struct Desk {
    providers: PerSession,
    made: Arc<AtomicUsize>,
    server: Server,
}

impl Desk {
    async fn serve() -> Self {
        let made = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&made);
        let providers = PerSession::new("desk", "Desk", move |session: &Session| {
            count.fetch_add(1, Ordering::SeqCst);
            let user = session.user().unwrap_or("nobody").to_owned();
            SessionProvider::new().register("greeting", move || Descriptor::status().prop("for", user.as_str()))
        });
        let served = providers.clone();
        let server = Server::start_app(|_| grove_axum::router(served, known_users()), PeerAddresses::Known).await;
        Self { providers, made, server }
    }

    fn made(&self) -> usize {
        self.made.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn one_line_serves_a_provider_for_each_session() {
    let desk = Desk::serve().await;
    let mut alice = desk.server.alice().await;
    let mut bob = desk.server.dial("/slop?token=bob", &[]).await.unwrap();
    assert_eq!((alice.user().await, bob.user().await), ("alice".to_owned(), "bob".to_owned()));
    assert_eq!(desk.made(), 2);
    assert_eq!(desk.providers.refresh(Scope::user("alice")), 1);
}

#[tokio::test]
async fn two_sockets_of_one_session_share_its_provider() {
    let desk = Desk::serve().await;
    let (mut first, mut second) = (desk.server.alice().await, desk.server.alice().await);
    assert_eq!((first.user().await, second.user().await), ("alice".to_owned(), "alice".to_owned()));
    assert_eq!((desk.made(), desk.providers.stats().sessions), (1, 1));
}

#[tokio::test]
async fn without_authentication_there_is_neither_a_socket_nor_a_provider() {
    let desk = Desk::serve().await;
    let refused = desk.server.dial("/slop?token=mallory", &[]).await.unwrap_err();
    assert_eq!(refused.status, 401);
    assert_eq!((desk.made(), desk.providers.stats().sessions), (0, 0));
}

#[tokio::test]
async fn closing_a_provider_closes_its_sockets_and_no_other() {
    let desk = Desk::serve().await;
    let mut alice = desk.server.alice().await;
    let mut bob = desk.server.dial("/slop?token=bob", &[]).await.unwrap();
    assert_eq!((alice.user().await, bob.user().await), ("alice".to_owned(), "bob".to_owned()));
    assert!(desk.providers.close("session of alice"));
    assert_eq!(u16::from(alice.receive_close().await.code), 1000);
    bob.send(subscribe()).await;
    assert_eq!(user_in(&bob.receive().await), "bob");
    let mut again = desk.server.alice().await;
    assert_eq!((again.user().await, desk.made()), ("alice".to_owned(), 3), "a return makes it anew");
}
