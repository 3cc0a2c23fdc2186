//! The engine's [`Cluster`] on core NATS.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectOptions};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use grove_engine::{Cluster, Inbox, Instance, RequestError, Text, Topic};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

use crate::config_error::ConfigError;
use crate::identity::Identity;
use crate::link::{Link, Shared, flush};
use crate::options::{Checked, NatsOptions};
use crate::outgoing::{Outgoing, Writer};
use crate::readers::Readers;
use crate::requests::Requests;
use crate::stats::{Counters, NatsStats};
use crate::task::Task;

/// How often a connection is looked at on which nothing comes. It ends when three such looks in a row were in vain.
const PING: Duration = Duration::from_secs(4);
/// How long what waits may take to be sent at the end.
const LAST: Duration = Duration::from_secs(2);

/// The engine's [`Cluster`] on core NATS: any number of servers of any version.
///
/// A server that is away is no error: the application serves its own sessions meanwhile, and the connection is tried for
/// ever. What is published then is dropped, and the engine refreshes what it may have missed.
pub struct NatsCluster {
    options: NatsOptions,
    client: Client,
    runtime: Handle,
    shared: Arc<Shared>,
    places: Arc<Semaphore>,
    started: Mutex<Started>,
}

/// What there is since the engine called `start`.
#[derive(Default)]
struct Started {
    writer: Option<Writer>,
    requests: Option<Arc<Requests>>,
    link: Option<Task>,
    writing: Option<Task>,
}

impl NatsCluster {
    /// Begins to connect, within a Tokio runtime that lives as long as the engine.
    ///
    /// # Errors
    ///
    /// If the options are wrong, or a file that they name cannot be used. That no server is there is an error only with
    /// [`NatsOptions::require_within`].
    pub async fn connect(options: NatsOptions) -> Result<Self, ConfigError> {
        let runtime = Handle::try_current().map_err(|_| ConfigError::NoRuntime)?;
        let Checked { servers, identity, subjects } = options.check()?;
        let counters = Arc::new(Counters::default());
        let (outgoing, writer) = Outgoing::new(options.queued_messages, options.queued_bytes, Arc::clone(&counters));
        let shared = Arc::new(Shared::new(subjects, outgoing, counters, options.observer.clone()));
        let connect = client_options(&options, identity, &shared).connect(servers);
        let client =
            connect.await.map_err(|error| ConfigError::NotConnected { within_ms: 0, why: error.to_string() })?;
        let started = Mutex::new(Started { writer: Some(writer), ..Started::default() });
        let places = Arc::new(Semaphore::new(options.requests_in_flight));
        let this = Self { options, client, runtime, shared, places, started };
        this.wait_if_required().await?;
        Ok(this)
    }

    /// How much was carried, and what was not.
    #[must_use]
    pub fn stats(&self) -> NatsStats {
        self.shared.counters.read()
    }

    /// The version of the server that this is connected to.
    #[must_use]
    pub fn server_version(&self) -> Option<String> {
        let info = self.client.try_server_info();
        info.map(|info| info.version).filter(|_| self.shared.outgoing.is_up())
    }

    async fn wait_if_required(&self) -> Result<(), ConfigError> {
        let Some(within) = self.options.require_within else { return Ok(()) };
        let until = Instant::now() + within;
        while let Some(why) = self.shared.failure() {
            if Instant::now() >= until {
                let why = if why.is_empty() { "no server replied".to_owned() } else { why };
                return Err(ConfigError::NotConnected { within_ms: within.as_millis(), why });
            }
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    async fn run(
        options: NatsOptions,
        client: Client,
        shared: Arc<Shared>,
        requests: Arc<Requests>,
        this: Instance,
        inbox: Arc<dyn Inbox>,
    ) {
        let mut readers = Readers::new(client.clone(), Arc::clone(&inbox), Arc::clone(&shared.counters));
        // Both are queued, so that they go first once there is a connection. They fail only if the client has ended.
        let Ok(replies) = client.subscribe(requests.subject()).await else { return };
        let replies = Task::spawn(Arc::clone(&requests).route(replies));
        let subject = shared.subjects.requests_to(&this.name);
        // With a group, one of two instances gets a request that have the same name by mistake.
        if let Ok(asked) = client.queue_subscribe(subject, "instance".to_owned()).await {
            readers.serve(asked, options.requests_served);
        }
        Link::new(shared, client, inbox, (requests, replies), readers).run().await;
    }
}

fn client_options(options: &NatsOptions, identity: Identity, shared: &Arc<Shared>) -> ConnectOptions {
    let reporter = Arc::downgrade(shared);
    let longest = options.longest_pause;
    let mut client = ConnectOptions::with_auth_callback(move |nonce| ready(identity.answer(&nonce)))
        .name(&options.name)
        .retry_on_initial_connect()
        .max_reconnects(None)
        .connection_timeout(options.connect_timeout)
        .ping_interval(PING)
        .subscription_capacity(options.received_messages)
        .reconnect_delay_callback(move |attempt| pause(attempt, longest))
        .event_callback(move |event| {
            if let Some(shared) = reporter.upgrade() {
                shared.report(event);
            }
            ready(())
        });
    let tls = &options.tls;
    if tls.required {
        // Otherwise it is chosen when the first connection is made, and a second provider in the application is a panic.
        let _ = async_nats::rustls::crypto::ring::default_provider().install_default();
        client = client.require_tls(true);
    }
    if tls.first {
        client = client.tls_first();
    }
    if let Some(path) = &tls.authorities {
        client = client.add_root_certificates(path.clone());
    }
    if let Some((certificate, key)) = &tls.client {
        client = client.add_client_certificate(certificate.clone(), key.clone());
    }
    client
}

/// Twice as long for each attempt, and different for each instance, so that they do not all come back at once.
fn pause(attempt: usize, longest: Duration) -> Duration {
    if attempt <= 1 {
        return Duration::ZERO;
    }
    let exponent = u32::try_from(attempt).unwrap_or(u32::MAX).min(16);
    let most = Duration::from_millis(25 << exponent).min(longest);
    most.mul_f64(0.5 + 0.5 * jitter())
}

/// From 0 to 1: the hash of nothing with a new random key.
fn jitter() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    let random = u32::try_from(RandomState::new().hash_one(0) >> 32).unwrap_or_default();
    f64::from(random) / f64::from(u32::MAX)
}

impl Cluster for NatsCluster {
    fn start(&self, this: &Instance, inbox: Arc<dyn Inbox>) {
        let mut started = self.started.lock();
        let Some(writer) = started.writer.take() else { return };
        let life = self.client.new_inbox().replace('.', "-");
        let requests = Arc::new(Requests::new(self.shared.subjects.replies_to(&this.name, &life)));
        started.requests = Some(Arc::clone(&requests));
        started.writing = Some(self.runtime.spawn(writer.run(self.client.clone())).into());
        let (options, client, shared) = (self.options.clone(), self.client.clone(), Arc::clone(&self.shared));
        let run = Self::run(options, client, shared, requests, this.clone(), inbox);
        started.link = Some(self.runtime.spawn(run).into());
    }

    fn subscribe(&self, topic: &Topic) {
        self.shared.want(topic, true);
    }

    fn unsubscribe(&self, topic: &Topic) {
        self.shared.want(topic, false);
    }

    fn publish(&self, topic: &Topic, message: Text) {
        if let Some(subject) = self.shared.subjects.of(topic) {
            self.shared.outgoing.publish(subject, &message);
        }
    }

    fn request(&self, to: &str, message: Text, at_most: Duration) -> BoxFuture<'static, Result<Text, RequestError>> {
        let requests = self.started.lock().requests.clone();
        let Some(requests) = requests.filter(|_| self.is_connected()) else {
            return ready(Err(RequestError::Away)).boxed();
        };
        if message.len() > self.client.max_payload() {
            return ready(Err(RequestError::TooLarge)).boxed();
        }
        let (client, places, subject) =
            (self.client.clone(), Arc::clone(&self.places), self.shared.subjects.requests_to(to));
        let message = Bytes::from(String::from(message));
        async move {
            let until = Instant::now() + at_most;
            // Without a place it was not sent.
            let Ok(Ok(_place)) = timeout(at_most, places.acquire()).await else { return Err(RequestError::Away) };
            requests.ask(&client, subject, message, until.saturating_duration_since(Instant::now())).await
        }
        .boxed()
    }

    fn is_connected(&self) -> bool {
        self.shared.outgoing.is_up()
    }

    fn stop(&self) -> BoxFuture<'static, ()> {
        let mut started = self.started.lock();
        let (link, writing) = (started.link.take(), started.writing.take());
        started.requests = None;
        drop(started);
        let (shared, client) = (Arc::clone(&self.shared), self.client.clone());
        async move {
            shared.outgoing.close();
            if let Some(writing) = writing {
                let _ = timeout(LAST, writing.ended()).await;
            }
            flush(&client, LAST).await;
            shared.stop();
            if let Some(link) = link {
                // It may wait for a server to subscribe, if there is none.
                let _ = timeout(LAST, link.ended()).await;
            }
            let _ = client.drain().await;
        }
        .boxed()
    }
}

impl fmt::Debug for NatsCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsCluster")
            .field("options", &self.options)
            .field("connected", &self.is_connected())
            .finish_non_exhaustive()
    }
}
