//! A WebSocket transport for the crate's consumer. Unlike the crate's own, it speaks TLS, and it keeps what a person wants
//! to know when a connection fails: the HTTP response, and the code and reason of the close frame.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use slop_ai::{ClientTransport, SlopError};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::address::Address;
use crate::failure::Failure;
use crate::refusal::Refusal;

type Channels = (UnboundedSender<Value>, UnboundedReceiver<Value>);
type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Connects to one provider.
pub(crate) struct Transport {
    address: Address,
    ending: Ending,
}

/// Why the latest connection failed or ended.
#[derive(Clone, Default)]
pub(crate) struct Ending(Arc<Mutex<Option<Failure>>>);

impl Ending {
    fn set(&self, failure: Failure) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
    }

    /// The reason, once.
    pub(crate) fn take(&self) -> Option<Failure> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Transport {
    pub(crate) fn new(address: Address) -> Self {
        Self { address, ending: Ending::default() }
    }

    pub(crate) fn ending(&self) -> Ending {
        self.ending.clone()
    }
}

impl ClientTransport for Transport {
    fn connect(&self) -> Pin<Box<dyn Future<Output = Result<Channels, SlopError>> + Send>> {
        let (address, ending) = (self.address.clone(), self.ending.clone());
        Box::pin(async move {
            ending.take();
            match connect_async(address.secret_url()).await {
                Ok((socket, _)) => Ok(serve(socket, ending)),
                Err(error) => {
                    ending.set(explain(&error, &address));
                    Err(SlopError::ConnectionClosed)
                }
            }
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "the crate's transports are made of channels without a bound")]
fn serve(socket: Socket, ending: Ending) -> Channels {
    let (mut sink, mut stream) = socket.split();
    let (requests, mut from_consumer) = unbounded_channel::<Value>();
    let (to_consumer, replies) = unbounded_channel();
    tokio::spawn(async move {
        while let Some(message) = from_consumer.recv().await {
            if sink.send(Message::text(message.to_string())).await.is_err() {
                return;
            }
        }
        // The consumer has disconnected; a server that is gone need not be told.
        let _ = sink.close().await;
    });
    tokio::spawn(async move {
        while let Some(Ok(message)) = stream.next().await {
            match message {
                Message::Text(text) => {
                    // What is not JSON is not SLOP, and the consumer has no use for it.
                    let Ok(message) = serde_json::from_str(&text) else { continue };
                    if to_consumer.send(message).is_err() {
                        return;
                    }
                }
                Message::Close(Some(frame)) => {
                    ending.set(Failure::Closed(Some((frame.code.into(), frame.reason.to_string()))));
                }
                _ => {}
            }
        }
    });
    (requests, replies)
}

/// The error in words for a person, without the token.
fn explain(error: &Error, address: &Address) -> Failure {
    let place = address.host_and_port();
    let url = address.public_url();
    match error {
        Error::Http(response) => Failure::Refused(Refusal::of(response, address)),
        Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            Failure::Unreachable(format!("nothing listens at {place}; is the server running?"))
        }
        Error::Io(error) if error.to_string().contains("certificate") => Failure::Unreachable(format!(
            "this machine does not trust the certificate of {place} ({error}); SSL_CERT_FILE names a file with others"
        )),
        Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            Failure::Unreachable(format!("{place} does not speak TLS ({error}); try ws:// instead of wss://"))
        }
        Error::Io(error) => Failure::Unreachable(format!("{place}: {error}")),
        Error::Tls(error) => Failure::Unreachable(format!("no TLS with {place}: {error}")),
        Error::Protocol(error) => {
            Failure::Unreachable(format!("{url} does not respond like a web server ({error}); does it want wss://?"))
        }
        _ => Failure::Unreachable(format!("no WebSocket at {url}; check the URL")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dead_address_is_named_without_the_token() {
        let address = Address::parse("ws://127.0.0.1:1/slop").unwrap().with_token(Some("secret"));
        let transport = Transport::new(address);
        assert!(transport.connect().await.is_err());
        let said = transport.ending().take().unwrap().to_string();
        assert!(said.contains("nothing listens at 127.0.0.1:1") && !said.contains("secret"), "{said}");
    }
}
