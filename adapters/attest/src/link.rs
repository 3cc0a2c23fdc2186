//! The link of one peer: a WebSocket with one JSON object in each text frame (peers 3).

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use futures_util::SinkExt;
use grove_engine::{Connection, Event, Frame, Provider};
use tokio::time::timeout;

use crate::challenge::Challenge;
use crate::feed::Behind;
use crate::frames;
use crate::link_handle::{Closing, LinkHandle, Waiting};
use crate::peers::Inner;
use crate::peers::arriving::Arrived;
use crate::peers::talking::Answer;
use crate::project_feed::FeedReader;
use crate::refused::Refused;
use crate::unanswered::Place;

/// The code with which a peer is closed that is refused.
const REFUSED: u16 = 4401;

/// How long a peer may take to answer the challenge.
const HELLO_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a frame may take to be written.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// How a link ended.
enum End {
    /// The peer said so.
    Left,
    /// We close it, for its peer has another link, or reads too slowly.
    Closed(u16, String),
    /// The engine has ended the peer's session.
    Ended(u16, String),
    /// There is nobody any more.
    Lost,
}

/// Serves a link until it ends.
pub(crate) async fn serve(inner: Arc<Inner>, mut socket: WebSocket, mut place: Place) {
    let hello = tokio::select! {
        hello = challenge(&inner, &mut socket) => hello,
        () = place.lost() => None,
    };
    drop(place);
    let Some(hello) = hello else { return };
    let (handle, waiting) = LinkHandle::new();
    let arrived = match hello.and_then(|peer| inner.arrive(&peer, &handle)) {
        Ok(arrived) => arrived,
        Err(refused) => {
            inner.engine.note(Event::Refused { status: 401, reason: refused.code() });
            return refuse(socket, &refused).await;
        }
    };
    let Arrived { number, which, connection, frames, reader } = arrived;
    let end = match send_all(&mut socket, frames.into_iter().map(Utf8Bytes::from).collect()).await {
        true => speak(&inner, number, &mut socket, (&connection, waiting, reader)).await,
        false => End::Lost,
    };
    inner.depart((number, which), connection, matches!(end, End::Left | End::Ended(..)));
    match end {
        End::Left => close(socket, Closing::BYE.code, Closing::BYE.reason).await,
        End::Closed(code, reason) | End::Ended(code, reason) => close(socket, code, &reason).await,
        End::Lost => {}
    }
}

/// Asks who the peer is. `None` if it went away without a word.
async fn challenge(inner: &Inner, socket: &mut WebSocket) -> Option<Result<crate::ProvenPeer, Refused>> {
    let mut challenge = Challenge::new(inner.audience.as_str(), inner.now_ms()).ok()?;
    if !send(socket, Message::text(challenge.frame().to_json())).await {
        return None;
    }
    let first = timeout(HELLO_TIMEOUT, async {
        loop {
            match socket.recv().await? {
                Ok(Message::Text(text)) => return Some(Some(text)),
                Ok(Message::Binary(_)) => return Some(None),
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(Message::Close(_)) | Err(_) => return None,
            }
        }
    });
    match first.await {
        Ok(Some(Some(text))) => Some(inner.check(&mut challenge, &text)),
        Ok(Some(None)) => Some(Err(Refused::Malformed("a frame is text".to_owned()))),
        Ok(None) => None,
        Err(_elapsed) => Some(Err(Refused::BadProof)),
    }
}

/// Both directions of a link, until it ends. They take turns, so that a peer to which much happens is heard as well.
async fn speak(
    inner: &Arc<Inner>,
    number: u64,
    socket: &mut WebSocket,
    (connection, mut waiting, mut reader): (&Connection, Waiting, FeedReader),
) -> End {
    loop {
        let is_sent = tokio::select! {
            () = connection.aborted() => return End::Lost,
            closing = waiting.end.wait() => return closed(socket, closing).await,
            frame = connection.next_frame() => match frame {
                Frame::Ping => send(socket, Message::Ping(Default::default())).await,
                // What the peers do to a session that they end says more than how its connections end.
                Frame::Close { code, reason } => return match waiting.end.now() {
                    Some(closing) => closed(socket, closing).await,
                    None => End::Ended(code.as_u16(), reason.to_owned()),
                },
                Frame::Text(_) => true,
            },
            Some(frame) = waiting.frames.recv() => send(socket, Message::text(frame)).await,
            () = reader.wait() => match reader.take() {
                // A peer that reads slowly has as long as its lease, whatever the others do.
                Ok(frames) => tokio::select! {
                    sent = feed(socket, frames) => sent,
                    () = connection.aborted() => return End::Lost,
                    closing = waiting.end.wait() => return closed(socket, closing).await,
                },
                Err(Behind) => return closed(socket, Closing::SLOW).await,
            },
            message = socket.recv() => match message {
                Some(Ok(message)) => match heard(inner, number, connection, message) {
                    Heard::Answer(Some(answer)) => send(socket, Message::text(answer)).await,
                    Heard::Answer(None) => true,
                    Heard::End(end) => return end,
                },
                Some(Err(_)) | None => return End::Lost,
            },
        };
        if !is_sent {
            return End::Lost;
        }
    }
}

async fn closed(socket: &mut WebSocket, closing: Closing) -> End {
    if closing == Closing::REPLACED {
        send(socket, Message::text(frames::replaced())).await;
    }
    End::Closed(closing.code, closing.reason.to_owned())
}

/// What follows from something that arrived.
enum Heard {
    Answer(Option<String>),
    End(End),
}

fn heard(inner: &Inner, number: u64, connection: &Connection, message: Message) -> Heard {
    connection.heard();
    if let Some(text) = said(&message)
        && !connection.admits_message()
    {
        let id = frames::id_of(text);
        return Heard::Answer(Some(frames::error(id.as_ref(), "busy", "too many messages: wait a moment")));
    }
    match message {
        Message::Text(text) => match inner.answer(number, &text) {
            Answer::Nothing => Heard::Answer(None),
            Answer::Frame(frame) => Heard::Answer(Some(frame)),
            Answer::Bye => Heard::End(End::Left),
        },
        Message::Binary(_) => {
            let refused = Refused::Malformed("a frame is text".to_owned());
            Heard::Answer(Some(frames::error(None, refused.code(), &refused.to_string())))
        }
        Message::Ping(_) | Message::Pong(_) => Heard::Answer(None),
        // A peer that closes without a fault leaves; one that reports a fault may come back.
        Message::Close(frame) => match frame {
            Some(CloseFrame { code, .. }) if !matches!(code, 1000 | 1001 | 1005) => Heard::End(End::Lost),
            _ => Heard::End(End::Left),
        },
    }
}

/// What counts as a message of a peer, and its text.
fn said(message: &Message) -> Option<&str> {
    match message {
        Message::Text(text) => Some(text),
        Message::Binary(_) => Some(""),
        _ => None,
    }
}

/// Says why a peer is refused, and closes.
async fn refuse(mut socket: WebSocket, refused: &Refused) {
    tracing::debug!(target: "grove", code = refused.code(), "a peer was refused");
    if send(&mut socket, Message::text(frames::error(None, refused.code(), &refused.to_string()))).await {
        close(socket, REFUSED, refused.code()).await;
    }
}

async fn send(socket: &mut WebSocket, message: Message) -> bool {
    timeout(WRITE_TIMEOUT, socket.send(message)).await.is_ok_and(|sent| sent.is_ok())
}

async fn send_all(socket: &mut WebSocket, frames: Vec<Utf8Bytes>) -> bool {
    timeout(WRITE_TIMEOUT, feed(socket, frames)).await.unwrap_or(false)
}

/// Sends frames together, in as few writes as they need.
async fn feed(socket: &mut WebSocket, frames: Vec<Utf8Bytes>) -> bool {
    for frame in frames {
        if socket.feed(Message::Text(frame)).await.is_err() {
            return false;
        }
    }
    socket.flush().await.is_ok()
}

/// Sends a close frame, and waits for the peer's half of the close: otherwise the peer might be reset before it has read ours.
async fn close(mut socket: WebSocket, code: u16, reason: &str) {
    let frame = CloseFrame { code, reason: reason.into() };
    if send(&mut socket, Message::Close(Some(frame))).await {
        let rest = async { while let Some(Ok(_)) = socket.recv().await {} };
        // A timeout is an end as well.
        let _ = timeout(Duration::from_secs(2), rest).await;
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use futures_util::{SinkExt, StreamExt};
    use grove_axum::opaque;
    use grove_engine::{Engine, RoomOptions, Session};
    use tokio::net::TcpListener;
    use tokio_tungstenite::connect_async;

    use crate::memory_members::MemoryMembers;
    use crate::peers::Peers;

    #[tokio::test]
    async fn of_the_links_that_say_nothing_the_oldest_makes_space_for_a_new_one() {
        let engine = Engine::builder("app", "App").rooms(RoomOptions::new().presence()).build();
        let peers = Peers::new(&engine, MemoryMembers::new(), "desk").unwrap();
        peers.inner.unanswered.set_max(2);
        let nobody = opaque("session", |_: String| async { None::<Session> });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/peers", listener.local_addr().unwrap());
        tokio::spawn(grove_axum::serve(listener, peers.routes(nobody), pending()));
        let mut links = Vec::new();
        for _ in 0..3 {
            let mut link = connect_async(&url).await.unwrap().0;
            assert!(link.next().await.unwrap().unwrap().is_text(), "it is asked who it is");
            links.push(link);
        }
        let closed = links[0].next().await;
        assert!(!matches!(closed, Some(Ok(_))), "{closed:?}");
        for link in &mut links[1..] {
            link.send("no JSON".into()).await.unwrap();
            assert!(link.next().await.unwrap().unwrap().to_text().unwrap().contains("malformed"));
        }
    }
}
