//! Many links of peers.

use std::collections::HashSet;

use futures_util::stream::FuturesUnordered;
use futures_util::{SinkExt, StreamExt};
use grove_attest::{Attestation, Card, ChallengeFrame, NewAttestation, PeerHello, SecretKey};
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

use super::peer_server::{AUDIENCE, member, project};
use crate::failure::Failure;
use crate::measure::latencies::Latencies;
use crate::measure::stopwatch::{Stopwatch, time_of_day_us};
use crate::websocket::{Socket, dial};

/// How many handshakes are under way at once.
const HANDSHAKES: usize = 64;

/// Links that are open.
pub(crate) struct PeerLinks {
    links: Vec<Link>,
    pub(crate) latencies: Latencies,
}

struct Link {
    socket: Socket,
    /// Of whom it was told.
    told: HashSet<String>,
}

/// The hello with which a peer answers a challenge.
pub(crate) fn hello(peer: u32, per_project: u32, challenge: &ChallengeFrame) -> Result<String, Failure> {
    let mut seed = [2; 32];
    seed[..4].copy_from_slice(&peer.to_be_bytes());
    let (key, (_, member)) = (SecretKey::from_seed(&seed), member(peer, per_project));
    let project = project(peer, per_project);
    let now_ms = time_of_day_us() / 1_000;
    let new = NewAttestation::new(AUDIENCE, project.as_str(), key.public_key(), now_ms).rights(["write"]);
    let hello = PeerHello::session(&key, challenge, project, Attestation::sign(&member, &new))?;
    let card = Card { cwd: Some("/home/somebody/work".into()), pid: Some(peer), ..Card::new(format!("worker {peer}")) };
    Ok(hello.card(card).to_json())
}

impl PeerLinks {
    /// Opens so many, and waits until all are welcomed.
    pub(crate) async fn open(url: &str, count: u32, per_project: u32) -> Result<Self, Failure> {
        let mut latencies = Latencies::new()?;
        let mut waiting = (0..count).map(|peer| Link::open(url, peer, per_project));
        let mut handshakes: FuturesUnordered<_> = waiting.by_ref().take(HANDSHAKES).collect();
        let mut links = Vec::with_capacity(count as usize);
        while let Some(opened) = handshakes.next().await {
            let (link, us) = opened?;
            latencies.record_all_us(&[us]);
            links.push(link);
            handshakes.extend(waiting.next());
        }
        Ok(Self { links, latencies })
    }

    /// Waits until everyone knows of all that came after it: each pair of a project is told once, of one of the two.
    /// Returns how many frames that took.
    pub(crate) async fn until_told(&mut self, pairs: u64) -> Result<u64, Failure> {
        let mut told = 0;
        let mut reading: FuturesUnordered<_> = self.links.iter_mut().map(Link::next_told).collect();
        while told < pairs {
            let link = reading.next().await.ok_or("there are no links")??;
            told += 1;
            reading.push(link.next_told());
        }
        Ok(told)
    }
}

impl Link {
    async fn open(url: &str, peer: u32, per_project: u32) -> Result<(Self, f64), Failure> {
        let watch = Stopwatch::start();
        let mut link = Self { socket: dial(url).await?, told: HashSet::new() };
        let challenge = serde_json::from_value(link.next().await?)?;
        link.socket.send(Message::text(hello(peer, per_project, &challenge)?)).await?;
        let welcome = link.next().await?;
        if welcome["type"] != "welcome" {
            return Err(format!("peer {peer} was not welcomed: {welcome}").into());
        }
        Ok((link, watch.elapsed_us()))
    }

    async fn next(&mut self) -> Result<Value, Failure> {
        loop {
            match self.socket.next().await.ok_or("the server closed a link")?? {
                Message::Text(text) => return Ok(serde_json::from_str(&text)?),
                Message::Close(frame) => return Err(format!("the server closed a link: {frame:?}").into()),
                _ => {}
            }
        }
    }

    /// Waits until it is told of one more peer, which may not be one that it was told of before.
    async fn next_told(&mut self) -> Result<&mut Self, Failure> {
        let frame = self.next().await?;
        let participant = frame["row"]["participant"].as_str().unwrap_or_default().to_owned();
        if frame["type"] != "joined" || !self.told.insert(participant) {
            return Err(format!("a peer was told something else than that another one joined: {frame}").into());
        }
        Ok(self)
    }
}
