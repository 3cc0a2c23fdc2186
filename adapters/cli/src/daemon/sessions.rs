//! The sessions of a daemon, each with its link, and the member's link.

use std::sync::Arc;

use axum::http::StatusCode;
use futures_util::future::join_all;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::answer::Refusal;
use super::hooks::{Change, Hooks, Why};
use super::identity::{Identity, SessionIdentity};
use super::link::Link;
use super::link_state::LinkState;
use super::reaper::is_over;
use super::registration::Registration;
use super::registry::{Entry, NotAdded, Registry};
use super::signer_client::signer_beside;
use super::upstream::Upstream;
use crate::process::{Life, life_of};
use crate::token::{Token, TokenDigest};

/// The sessions of a daemon. Nothing is awaited while the registry is locked.
#[derive(Debug)]
pub(crate) struct Sessions {
    registry: Mutex<Registry<Arc<Link>>>,
    pub(crate) member: Link,
    pub(crate) upstream: Arc<Upstream>,
    hooks: Hooks,
    /// Whether sessions have links of their own (S4.34).
    pub(crate) is_presence_on: bool,
    started: Instant,
}

impl Sessions {
    pub(crate) fn new(
        (member, upstream): (Identity, Arc<Upstream>),
        (max, is_presence_on): (usize, bool),
        hooks: Hooks,
    ) -> Self {
        let member = Link::open(member, Arc::clone(&upstream));
        let registry = Mutex::new(Registry::new(max));
        Self { registry, member, upstream, hooks, is_presence_on, started: Instant::now() }
    }

    /// Registers a session. One that shows the token that it has keeps everything; otherwise it replaces the one with its id.
    ///
    /// # Errors
    /// If there are as many as there may be, or the token is another session's.
    pub(crate) fn register(&self, new: Registration) -> Result<(Token, Arc<Link>), Refusal> {
        if let Some(renewed) = self.renew(&new) {
            return Ok(renewed);
        }
        let Registration { session_id, key, secret_file, attestation, card, process, owner, token } = new;
        let no_randomness = |error: getrandom::Error| {
            Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", format!("there is no randomness: {error}"))
        };
        let token = token.map_or_else(Token::generate, Ok).map_err(no_randomness)?;
        let public_key = key.public_key();
        let identity = SessionIdentity::new(key, signer_beside(&secret_file), attestation, card.clone());
        let link = Arc::new(self.open(Identity::Session(Box::new(identity))));
        let (digest, since) = (token.digest(), self.started.elapsed());
        let id = session_id.clone();
        let entry =
            Entry { session_id, token: digest, public_key, card, process, owner, since, link: Arc::clone(&link) };
        let added = self.registry.lock().add(entry);
        if let Some(replaced) = added.map_err(not_added)? {
            retire(replaced, &public_key);
            self.hooks.tell(&id, Change::Removed(Why::Replaced));
        }
        self.hooks.tell(&id, Change::Registered);
        Ok((token, link))
    }

    fn renew(&self, new: &Registration) -> Option<(Token, Arc<Link>)> {
        let token = new.token.clone()?;
        let what = (new.session_id.as_str(), &token.digest(), &new.key.public_key());
        let how = (new.card.clone(), new.process, new.owner.clone(), self.started.elapsed());
        let link = self.registry.lock().renew(what, how).map(|entry| Arc::clone(&entry.link))?;
        if matches!(link.state(), LinkState::Replaced | LinkState::Closed) {
            // It does not come back by itself, so the session is registered anew.
            return None;
        }
        link.renew(new.attestation.clone(), new.card.clone());
        Some((token, link))
    }

    fn open(&self, identity: Identity) -> Link {
        match self.is_presence_on {
            true => Link::open(identity, Arc::clone(&self.upstream)),
            false => Link::off(identity),
        }
    }

    /// The session with this token: its id, and its link.
    pub(crate) fn of_token(&self, token: &Token) -> Option<(String, Arc<Link>)> {
        let registry = self.registry.lock();
        registry.of_token(&token.digest()).map(|entry| (entry.session_id.clone(), Arc::clone(&entry.link)))
    }

    /// Removes the session with this token. False if there is none.
    pub(crate) async fn deregister(&self, token: &Token) -> bool {
        match self.of_token(token) {
            Some((session_id, link)) => self.remove((&session_id, &token.digest()), &link, Why::Deregistered).await,
            None => false,
        }
    }

    /// The link first, then the entry (S4.25). False if somebody else was quicker.
    async fn remove(&self, (session_id, token): (&str, &TokenDigest), link: &Arc<Link>, why: Why) -> bool {
        link.close().await;
        // It may have been registered again with the same token meanwhile, since the closed link is not renewed.
        let removed = self.registry.lock().remove((session_id, token), |of| Arc::ptr_eq(of, link));
        if removed.is_some() {
            self.hooks.tell(session_id, Change::Removed(why));
        }
        removed.is_some()
    }

    /// Removes the sessions that are over although nobody said so.
    pub(crate) async fn reap(&self) {
        let now = self.started.elapsed();
        let entries: Vec<_> = self.registry.lock().iter().cloned().collect();
        let over = entries.into_iter().filter_map(|entry| {
            let why = is_over(entry.process, life(&entry), now.saturating_sub(entry.since))?;
            Some((entry, why))
        });
        join_all(
            over.map(
                |(entry, why)| async move { self.remove((&entry.session_id, &entry.token), &entry.link, why).await },
            ),
        )
        .await;
    }

    /// Says farewell on all links.
    pub(crate) async fn close(&self) {
        let links: Vec<_> = self.registry.lock().iter().map(|entry| Arc::clone(&entry.link)).collect();
        join_all(links.iter().map(|link| link.close()).chain([self.member.close()])).await;
    }

    /// The sessions, without tokens and secrets, in the order in which they were registered.
    pub(crate) fn list(&self) -> Vec<Value> {
        let mut entries: Vec<_> = self.registry.lock().iter().cloned().collect();
        entries.sort_by(|one, other| (one.since, &one.session_id).cmp(&(other.since, &other.session_id)));
        entries.iter().map(shown).collect()
    }

    /// How many links are up, the member's included (S4.9).
    pub(crate) fn links_up(&self) -> usize {
        let is_up = |link: &Link| matches!(link.state(), LinkState::Up(_));
        let sessions = self.registry.lock().iter().filter(|entry| is_up(&entry.link)).count();
        sessions + usize::from(is_up(&self.member))
    }
}

/// What is known of the process. Where there is no `/proc`, the connection on which it was registered decides.
fn life(entry: &Entry<Arc<Link>>) -> Life {
    match cfg!(target_os = "linux") {
        true => life_of(entry.process.pid),
        false if entry.owner.strong_count() == 0 => Life::Ended,
        false => Life::Unknown,
    }
}

/// The new link of the same key takes over from the old one, and nobody notices; another key has left.
fn retire(replaced: Entry<Arc<Link>>, public_key: &grove_attest::PublicKey) {
    match replaced.public_key == *public_key {
        true => replaced.link.abandon(),
        false => drop(tokio::spawn(async move { replaced.link.close().await })),
    }
}

fn not_added(why: NotAdded) -> Refusal {
    match why {
        NotAdded::Full => {
            let message = "as many sessions are registered as may be (--max-sessions)";
            Refusal::new(StatusCode::TOO_MANY_REQUESTS, "capacity", message)
        }
        NotAdded::TokenTaken => Refusal::new(StatusCode::CONFLICT, "token_taken", "the token is another session's"),
    }
}

fn shown(entry: &Entry<Arc<Link>>) -> Value {
    let state = entry.link.state();
    json!({
        "session_id": entry.session_id, "session_public_key": entry.public_key, "card": entry.card,
        "pid": entry.process.pid, "pid_started_at": entry.process.started_at,
        "participant": state.participant(), "link": state.to_json(),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Weak;
    use std::time::Duration;

    use futures_util::FutureExt;
    use grove_attest::{Attestation, Card, NewAttestation, SecretKey};

    use super::*;
    use crate::process::Process;

    fn registration(session_id: &str, key: u8, token: Option<Token>) -> Registration {
        let key = SecretKey::from_seed(&[key; 32]);
        let new = NewAttestation::new("a", "p", key.public_key(), 0);
        let attestation = Attestation::sign(&SecretKey::from_seed(&[9; 32]), &new);
        let (secret_file, card, owner) = ("/none/secret".into(), Card::new(session_id), Weak::new());
        let process = Process::own();
        Registration { session_id: session_id.to_owned(), key, secret_file, attestation, card, process, owner, token }
    }

    /// What hooks were told.
    type Told = Arc<Mutex<Vec<(String, Change)>>>;

    /// A daemon without a server.
    fn sessions(max: usize) -> (Sessions, Told) {
        let upstream = Upstream::new("ws://127.0.0.1:9/peers".to_owned(), "p".to_owned(), None);
        let told = Arc::new(Mutex::new(Vec::new()));
        let tells = Arc::clone(&told);
        let hooks = Hooks::default()
            .with(|_, _| panic!("a hook that panics harms nothing"))
            .with(move |id, change| tells.lock().push((id.to_owned(), change)));
        let key = Arc::new(SecretKey::from_seed(&[9; 32]));
        let member = Identity::Member { key, card: Card::new("daemon") };
        (Sessions::new((member, Arc::new(upstream)), (max, true), hooks), told)
    }

    #[tokio::test]
    async fn registering_a_session_again_replaces_it_and_tells_each_hook_once() {
        let (sessions, told) = sessions(2);
        let (first, _) = sessions.register(registration("a", 1, None)).unwrap();
        let (second, _) = sessions.register(registration("a", 1, None)).unwrap();
        assert!(sessions.of_token(&first).is_none(), "the old token is invalid");
        assert_eq!(sessions.of_token(&second).unwrap().0, "a");
        let (registered, replaced) = (Change::Registered, Change::Removed(Why::Replaced));
        let told: Vec<_> = std::mem::take(&mut *told.lock()).into_iter().map(|(_, change)| change).collect();
        assert_eq!(told, [registered, replaced, registered]);
        assert_eq!(sessions.list().len(), 1);
    }

    #[tokio::test]
    async fn a_session_that_shows_its_token_keeps_its_link_and_one_that_shows_anothers_is_refused() {
        let (sessions, told) = sessions(2);
        let token = Token::generate().unwrap();
        let (given, link) = sessions.register(registration("a", 1, Some(token.clone()))).unwrap();
        assert!(given.digest().is(&token.digest()), "what its command has already stays valid");
        let (_, again) = sessions.register(registration("a", 1, Some(token.clone()))).unwrap();
        assert!(Arc::ptr_eq(&link, &again));
        assert_eq!(told.lock().len(), 1, "nothing has changed for others");
        assert_eq!(sessions.register(registration("b", 2, Some(token.clone()))).unwrap_err().code, "token_taken");
        let (_, other) = sessions.register(registration("a", 2, Some(token))).unwrap();
        assert!(!Arc::ptr_eq(&link, &other), "another key is another session");
    }

    #[tokio::test]
    async fn there_are_no_more_sessions_than_there_may_be_and_a_removed_one_makes_space() {
        let (sessions, told) = sessions(2);
        let (token, _) = sessions.register(registration("a", 1, None)).unwrap();
        sessions.register(registration("b", 2, None)).unwrap();
        let refused = sessions.register(registration("c", 3, None)).unwrap_err();
        assert_eq!((refused.status, refused.code.as_str()), (StatusCode::TOO_MANY_REQUESTS, "capacity"));
        sessions.register(registration("b", 2, None)).unwrap();
        assert!(sessions.deregister(&token).await && !sessions.deregister(&token).await);
        assert_eq!(told.lock().last(), Some(&("a".to_owned(), Change::Removed(Why::Deregistered))));
        sessions.register(registration("c", 3, None)).unwrap();
    }

    #[tokio::test]
    async fn a_session_is_known_until_its_link_has_ended() {
        let (sessions, told) = sessions(1);
        let (token, link) = sessions.register(registration("a", 1, None)).unwrap();
        let mut removing = std::pin::pin!(sessions.deregister(&token));
        // The link's own task has not run yet, so the farewell is not over.
        assert!(removing.as_mut().now_or_never().is_none());
        assert!(sessions.of_token(&token).is_some() && told.lock().len() == 1);
        assert!(removing.await);
        assert_eq!((link.state(), sessions.of_token(&token).is_none()), (LinkState::Closed, true));
        assert_eq!(told.lock().last(), Some(&("a".to_owned(), Change::Removed(Why::Deregistered))));
    }

    #[tokio::test]
    async fn a_session_that_is_registered_again_while_it_is_removed_stays() {
        let (sessions, _) = sessions(1);
        let token = Token::generate().unwrap();
        let (_, old) = sessions.register(registration("a", 1, Some(token.clone()))).unwrap();
        let digest = token.digest();
        old.close().await;
        let (_, new) = sessions.register(registration("a", 1, Some(token.clone()))).unwrap();
        assert!(!sessions.remove(("a", &digest), &old, Why::Deregistered).await);
        assert!(Arc::ptr_eq(&sessions.of_token(&token).unwrap().1, &new));
    }

    #[tokio::test]
    async fn the_reaper_removes_what_has_ended_and_nothing_else() {
        let (sessions, told) = sessions(9);
        sessions.register(registration("lives", 1, None)).unwrap();
        let mut reused = registration("reused", 2, None);
        reused.process.started_at = reused.process.started_at.map(|at| at + 1);
        sessions.register(reused).unwrap();
        let mut ended = registration("ended", 3, None);
        ended.process = Process { pid: u32::MAX, started_at: Some(1) };
        sessions.register(ended).unwrap();
        told.lock().clear();
        sessions.reap().await;
        let mut reaped = told.lock().clone();
        reaped.sort_by(|one, other| one.0.cmp(&other.0));
        let over = |id: &str, why| (id.to_owned(), Change::Removed(why));
        assert_eq!(reaped, [over("ended", Why::ProcessEnded), over("reused", Why::OtherProcess)]);
        assert_eq!(sessions.list()[0]["session_id"], "lives");
    }

    #[tokio::test(start_paused = true)]
    async fn an_entry_that_nobody_registers_again_is_removed_after_24_hours() {
        let (sessions, told) = sessions(9);
        let token = Token::generate().unwrap();
        sessions.register(registration("kept", 1, Some(token.clone()))).unwrap();
        sessions.register(registration("forgotten", 2, None)).unwrap();
        tokio::time::advance(Duration::from_secs(23 * 3_600)).await;
        sessions.register(registration("kept", 1, Some(token))).unwrap();
        sessions.reap().await;
        assert_eq!(sessions.list().len(), 2);
        tokio::time::advance(Duration::from_secs(3_600)).await;
        sessions.reap().await;
        assert_eq!(told.lock().last(), Some(&("forgotten".to_owned(), Change::Removed(Why::TooOld))));
        assert_eq!(sessions.list()[0]["session_id"], "kept");
    }
}
