//! Somebody who reads everything on a server.

use std::sync::Arc;

use async_nats::Client;
use futures_util::StreamExt;
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use super::server::NatsServer;

/// Somebody who reads everything on a server without accounts, for tests of what must not be there; and who can say
/// anything. It keeps all that it reads.
#[derive(Debug)]
pub struct Wiretap {
    client: Client,
    heard: Arc<Mutex<Vec<Heard>>>,
    listening: JoinHandle<()>,
}

/// One message.
#[derive(Debug, Clone)]
pub struct Heard {
    /// Its subject.
    pub subject: String,
    /// Its text, with what is not UTF-8 replaced.
    pub text: String,
    /// Its headers, as they are shown with `Debug`.
    pub headers: String,
}

impl Wiretap {
    /// Begins to listen. It hears everything from when this returns on, also after the server was away.
    ///
    /// # Panics
    ///
    /// If it cannot connect or subscribe.
    pub async fn listen(server: &NatsServer) -> Self {
        let client = async_nats::connect(server.url()).await.expect("the server is there");
        let mut messages = client.subscribe(">").await.expect("it may subscribe");
        let heard = Arc::<Mutex<Vec<Heard>>>::default();
        let written = Arc::clone(&heard);
        let listening = tokio::spawn(async move {
            while let Some(message) = messages.next().await {
                let text = String::from_utf8_lossy(&message.payload).into_owned();
                let (subject, headers) = (message.subject.to_string(), format!("{:?}", message.headers));
                written.lock().push(Heard { subject, text, headers });
            }
        });
        // A round trip: nobody replies, and that is said by the server.
        let _ = client.request("wiretap", bytes::Bytes::new()).await;
        Self { client, heard, listening }
    }

    /// Publishes anything, and waits until it was heard.
    ///
    /// # Panics
    ///
    /// If there is no connection.
    pub async fn say(&self, subject: &str, text: &str) {
        self.client.publish(subject.to_owned(), text.to_owned().into()).await.expect("the server is there");
        let _ = self.client.request("wiretap", bytes::Bytes::new()).await;
    }

    /// Everything that was heard.
    #[must_use]
    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().clone()
    }
}

impl Drop for Wiretap {
    fn drop(&mut self) {
        self.listening.abort();
    }
}
