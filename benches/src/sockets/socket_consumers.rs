//! Many consumers on WebSockets.

use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::socket_consumer::SocketConsumer;
use crate::consumer::Verdict;
use crate::failure::Failure;
use crate::output::console;
use crate::process;

/// How many handshakes are under way at once.
const HANDSHAKES: usize = 64;

/// How many mirrors are verified.
const VERIFIED: usize = 32;

/// Files that a process has open besides its sockets.
const OTHER_FILES: u32 = 200;

/// All consumers, in the order of their members.
pub(crate) struct SocketConsumers(Vec<Arc<SocketConsumer>>);

impl SocketConsumers {
    /// As many of the wanted consumers as this process may have sockets.
    pub(crate) fn at_most(wanted: u32) -> Result<u32, Failure> {
        let allowed = process::open_files_limit()?.saturating_sub(OTHER_FILES);
        if wanted > allowed {
            console::note(&format!(
                "{wanted} consumers need more open files than `ulimit -n` allows, so {allowed} are connected"
            ));
        }
        Ok(wanted.min(allowed))
    }

    /// Connects and subscribes this many consumers, and waits until all have their snapshot.
    pub(crate) async fn connect(url: &str, count: u32) -> Result<Self, Failure> {
        let recorded = (count as usize).div_ceil(VERIFIED).max(1);
        let mut waiting = (0..count).map(|u| SocketConsumer::connect(url, u, (u as usize).is_multiple_of(recorded)));
        let mut handshakes: FuturesUnordered<_> = waiting.by_ref().take(HANDSHAKES).collect();
        let mut consumers = Vec::with_capacity(count as usize);
        while let Some(consumer) = handshakes.next().await {
            consumers.push(consumer?);
            handshakes.extend(waiting.next());
        }
        consumers.sort_unstable_by_key(|(u, _)| *u);
        let consumers: Vec<_> = consumers.into_iter().map(|(_, consumer)| consumer).collect();
        for consumer in &consumers {
            consumer.wait_for(1).await?;
        }
        Ok(Self(consumers))
    }

    pub(crate) fn len(&self) -> u32 {
        self.0.len() as u32
    }

    pub(crate) fn snapshot_bytes(&self) -> u64 {
        self.0.last().map_or(0, |consumer| consumer.snapshot_bytes())
    }

    /// How many frames each consumer has received.
    pub(super) fn frames(&self) -> Vec<u32> {
        self.0.iter().map(|consumer| consumer.frames()).collect()
    }

    /// Waits until the consumer of member `u` has received the frame after the first `frames`. Returns when it did.
    pub(super) async fn wait_for_next(&self, u: u32, frames: u32) -> Result<u64, Failure> {
        self.0[u as usize].wait_for(frames + 1).await
    }

    /// Compares each mirror that was recorded with a fresh query.
    pub(crate) async fn verify(&self) -> Result<Verdict, Failure> {
        let mut verdict = Verdict::default();
        for consumer in &self.0 {
            if let Some(outcome) = consumer.verify().await? {
                verdict.checked += 1;
                verdict.wrong.extend(outcome.err());
            }
        }
        Ok(verdict)
    }
}
