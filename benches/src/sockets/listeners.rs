//! Sockets that wait for messages of which each says when it was sent.

use std::time::Duration;

use futures_util::stream::{FuturesUnordered, SplitSink};
use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::failure::Failure;
use crate::measure::stopwatch::time_of_day_us;
use crate::websocket::{Socket, dial};

/// How many handshakes are under way at once.
const HANDSHAKES: usize = 64;

/// Longer than any message takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// How messages go in and out.
pub(crate) trait Dialect {
    /// Where member `u` connects.
    fn url(&self, u: u32) -> String;
    /// What is sent first, and a part of what is received when that is done.
    fn greeting(&self) -> (Option<Message>, &'static str);
    /// Says this to everybody, under a number that is used once.
    fn say(&self, number: u32, text: &str) -> Message;
}

/// What a member received.
type Received = (u32, f64);

/// Members with a socket each. The first of them speaks.
pub(crate) struct Listeners<D> {
    dialect: D,
    speaker: SplitSink<Socket, Message>,
    /// The others do nothing with it, but without it their socket would end.
    _others: Vec<SplitSink<Socket, Message>>,
    received: Receiver<Received>,
    count: u32,
}

/// The field in which a message says when it was sent.
const SENT: &[u8] = br#""t":"#;

/// When a message was sent, if it says so.
fn sent_us(frame: &[u8]) -> Option<u64> {
    let at = frame.windows(SENT.len()).rposition(|field| field == SENT)? + SENT.len();
    let digits: Vec<u8> = frame[at..].iter().copied().take_while(u8::is_ascii_digit).collect();
    std::str::from_utf8(&digits).ok()?.parse().ok()
}

impl<D: Dialect> Listeners<D> {
    /// Connects so many members, and waits until each is ready.
    pub(crate) async fn connect(dialect: D, count: u32) -> Result<Self, Failure> {
        // One message of each waits at most.
        let (heard, received) = channel(count as usize + 1);
        let mut waiting = (0..count).map(|u| connect(&dialect, u, heard.clone()));
        let mut handshakes: FuturesUnordered<_> = waiting.by_ref().take(HANDSHAKES).collect();
        let mut sinks = Vec::with_capacity(count as usize);
        while let Some(connected) = handshakes.next().await {
            sinks.push(connected?);
            handshakes.extend(waiting.next());
        }
        drop((handshakes, waiting));
        let speaker = sinks.pop().ok_or("nobody connects")?;
        Ok(Self { dialect, speaker, _others: sinks, received, count })
    }

    /// Says something, and waits until each member has received it once. Returns how long each took, in us.
    pub(crate) async fn say(&mut self, number: u32, text: &str) -> Result<Vec<f64>, Failure> {
        let data = format!(r#"{{"text":"{text}","t":{}}}"#, time_of_day_us());
        self.speaker.send(self.dialect.say(number, &data)).await?;
        let mut latencies_us = vec![None; self.count as usize];
        for _ in 0..self.count {
            let received = timeout(PATIENCE, self.received.recv()).await.map_err(|_| "a message was lost")?;
            let (u, us) = received.ok_or("all sockets were closed")?;
            if latencies_us[u as usize].replace(us).is_some() {
                return Err(format!("member {u} received a message twice").into());
            }
        }
        Ok(latencies_us.into_iter().flatten().collect())
    }
}

async fn connect<D: Dialect>(
    dialect: &D,
    u: u32,
    heard: Sender<Received>,
) -> Result<SplitSink<Socket, Message>, Failure> {
    let (mut sink, mut stream) = dial(&dialect.url(u)).await?.split();
    let (first, ready) = dialect.greeting();
    if let Some(first) = first {
        sink.send(first).await?;
    }
    loop {
        let frame = timeout(PATIENCE, stream.next()).await.map_err(|_| "a member was not greeted")?;
        let frame = frame.ok_or("a socket was closed before it was ready")??.into_data();
        if frame.windows(ready.len()).any(|part| part == ready.as_bytes()) {
            break;
        }
    }
    tokio::spawn(async move {
        while let Some(Ok(frame)) = stream.next().await {
            let now_us = time_of_day_us();
            if let Some(sent_us) = sent_us(&frame.into_data()) {
                // An error means that nobody listens any more.
                let _ = heard.send((u, now_us.saturating_sub(sent_us) as f64)).await;
            }
        }
    });
    Ok(sink)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_when_it_was_sent() {
        assert_eq!(sent_us(br#"{"type":"event","data":{"body":{"data":{"text":"x","t":93}}}}"#), Some(93));
        assert_eq!(sent_us(b"MSG room 1 9\r\n{\"t\":931}\r\n"), Some(931));
        assert_eq!(sent_us(b"PING\r\n"), None);
    }
}
