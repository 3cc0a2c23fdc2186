//! What carries messages between engines in one process, and loses them as a test likes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::cluster::inbox::Inbox;
use crate::cluster::instance::Instance;
use crate::cluster::request_error::RequestError;
use crate::cluster::topic::Topic;
use crate::model::Text;
use crate::sync::Mutex;

/// A bus in memory between engines that share one clock. What it loses, doubles, delays and reorders follows from a seed;
/// nothing is delivered before the test says so ([`SimulatedBus::deliver`]).
#[derive(Clone)]
pub struct SimulatedBus {
    shared: Arc<Shared>,
}

/// How a [`SimulatedBus`] treats messages. By default it loses none and delivers each once, in order, at once.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weather {
    /// How many of a thousand messages are lost.
    pub lost: u64,
    /// How many of a thousand messages come twice.
    pub doubled: u64,
    /// How long a message may be on its way, in ms; those that follow may overtake it.
    pub delay_ms: u64,
}

struct Shared {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    random: u64,
    weather: Weather,
    members: BTreeMap<Text, Member>,
    cut: BTreeSet<(Text, Text)>,
    on_the_way: BTreeMap<(u64, u64), Delivery>,
    count: u64,
    /// Requests without a reply: their senders wait as long as they like.
    unanswered: Vec<oneshot::Sender<Text>>,
    /// All that was said.
    said: Vec<Text>,
}

#[derive(Clone)]
struct Member {
    life: u64,
    inbox: Arc<dyn Inbox>,
    topics: BTreeSet<Topic>,
}

struct Delivery {
    /// To which life of whom.
    to: (Text, u64),
    what: What,
}

enum What {
    Message(Topic, Text),
    Subscribed(Topic),
    Connected,
    Request { from: Text, message: Text, reply: oneshot::Sender<Text> },
}

impl SimulatedBus {
    /// A bus that behaves the same for the same seed and the same steps.
    #[must_use]
    pub fn new(seed: u64, clock: Arc<dyn Clock>) -> Self {
        let state = State {
            random: seed,
            weather: Weather::default(),
            members: BTreeMap::new(),
            cut: BTreeSet::new(),
            on_the_way: BTreeMap::new(),
            count: 0,
            unanswered: Vec::new(),
            said: Vec::new(),
        };
        Self { shared: Arc::new(Shared { clock, state: Mutex::new(state) }) }
    }

    /// One end of it, for one engine.
    #[must_use]
    pub fn end(&self) -> Arc<dyn Cluster> {
        Arc::new(End { bus: self.clone(), this: Mutex::new(None) })
    }

    /// From now on messages are treated so.
    pub fn set_weather(&self, weather: Weather) {
        self.shared.state.lock().weather = weather;
    }

    /// Nothing passes between these two any more, and neither is told.
    pub fn cut(&self, one: &str, other: &str) {
        let mut state = self.shared.state.lock();
        state.cut.extend([(one.into(), other.into()), (other.into(), one.into())]);
    }

    /// Everything passes again.
    pub fn heal(&self) {
        self.shared.state.lock().cut.clear();
    }

    /// An instance is dead: nothing reaches it any more, and nothing of it anybody.
    pub fn kill(&self, name: &str) {
        let gone = self.shared.state.lock().members.remove(name);
        drop(gone);
    }

    /// An instance loses its connection, and with it what is published meanwhile.
    pub fn disconnect(&self, name: &str) {
        let member = self.shared.state.lock().members.get(name).cloned();
        let others: Vec<_> = self.shared.state.lock().members.keys().cloned().collect();
        others.iter().filter(|other| *other != name).for_each(|other| self.cut(name, other));
        member.into_iter().for_each(|member| member.inbox.disconnected("the test says so"));
    }

    /// It has a connection again.
    pub fn connect(&self, name: &str) {
        let mut state = self.shared.state.lock();
        state.cut.retain(|(one, other)| one != name && other != name);
        let life = state.members.get(name).map(|member| member.life);
        life.into_iter().for_each(|life| state.send_reliably((name.into(), life), What::Connected));
    }

    /// Hands over what is due by now, with what follows from it at once. Returns how much there was.
    pub fn deliver(&self) -> usize {
        let mut delivered = 0;
        loop {
            let now_ms = self.shared.clock.now_ms();
            let mut state = self.shared.state.lock();
            let due = state.on_the_way.first_entry().filter(|entry| entry.key().0 <= now_ms);
            let Some(Delivery { to: (name, life), what }) = due.map(|entry| entry.remove()) else { return delivered };
            let member = state.members.get(&name).filter(|member| member.life == life).cloned();
            drop(state);
            delivered += 1;
            if let Some(member) = member {
                self.hand_over(&name, &member, what);
            }
        }
    }

    fn hand_over(&self, name: &Text, member: &Member, what: What) {
        match what {
            What::Message(topic, message) if member.topics.contains(&topic) => {
                member.inbox.published(&topic, &message);
            }
            What::Message(..) => {}
            What::Subscribed(topic) => member.inbox.subscribed(&topic),
            What::Connected => member.inbox.connected(),
            What::Request { from, message, reply } => self.serve((name, &from), member, message, reply),
        }
    }

    fn serve(&self, ends: (&Text, &Text), member: &Member, message: Text, reply: oneshot::Sender<Text>) {
        let mut served = member.inbox.requested(message);
        let (bus, ends) = (self.clone(), (ends.0.clone(), ends.1.clone()));
        match (&mut served).now_or_never() {
            Some(text) => bus.reply(&ends, text, reply),
            None => drop(tokio::spawn(async move { bus.reply(&ends, served.await, reply) })),
        }
    }

    fn reply(&self, (from, to): &(Text, Text), text: Text, reply: oneshot::Sender<Text>) {
        let mut state = self.shared.state.lock();
        state.said.push(text.clone());
        if state.is_lost(from, to) {
            state.unanswered.push(reply);
        } else {
            drop(state);
            let _ = reply.send(text);
        }
    }

    /// When the next message is due, in ms.
    #[must_use]
    pub fn due_ms(&self) -> Option<u64> {
        self.shared.state.lock().on_the_way.keys().next().map(|(at_ms, _)| *at_ms)
    }

    /// Publishes a text as if an instance of this name had.
    pub fn say(&self, from: &str, topic: &Topic, message: &str) {
        self.shared.publish(&from.into(), topic, &message.into());
    }

    /// All that was said so far.
    #[must_use]
    pub fn said(&self) -> Vec<Text> {
        self.shared.state.lock().said.clone()
    }
}

impl Shared {
    fn publish(&self, from: &Text, topic: &Topic, message: &Text) {
        let now_ms = self.clock.now_ms();
        let mut state = self.state.lock();
        state.said.push(message.clone());
        let receivers = state.members.iter().filter(|(name, member)| *name != from && member.topics.contains(topic));
        let receivers: Vec<_> = receivers.map(|(name, member)| (name.clone(), member.life)).collect();
        for to in receivers {
            let doubled = state.weather.doubled;
            for _ in 0..=u64::from(state.happens(doubled)) {
                if !state.is_lost(from, &to.0) {
                    let at_ms = now_ms + state.delay_ms();
                    state.send(at_ms, to.clone(), What::Message(topic.clone(), message.clone()));
                }
            }
        }
    }
}

impl State {
    /// The next number of a row that follows from the seed.
    const fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    const fn happens(&mut self, of_a_thousand: u64) -> bool {
        self.random() % 1_000 < of_a_thousand
    }

    const fn delay_ms(&mut self) -> u64 {
        self.random() % (self.weather.delay_ms + 1)
    }

    fn is_lost(&mut self, from: &Text, to: &Text) -> bool {
        self.happens(self.weather.lost) || self.cut.contains(&(from.clone(), to.clone()))
    }

    fn send(&mut self, at_ms: u64, to: (Text, u64), what: What) {
        self.count += 1;
        self.on_the_way.insert((at_ms, self.count), Delivery { to, what });
    }

    /// What an end is told by its own side of the bus.
    fn send_reliably(&mut self, to: (Text, u64), what: What) {
        self.send(0, to, what);
    }
}

/// One end of the bus.
struct End {
    bus: SimulatedBus,
    this: Mutex<Option<(Text, u64)>>,
}

impl End {
    fn with(&self, act: impl FnOnce(&mut State, (Text, u64))) {
        if let Some(this) = self.this.lock().clone() {
            act(&mut self.bus.shared.state.lock(), this);
        }
    }
}

impl Cluster for End {
    fn start(&self, this: &Instance, inbox: Arc<dyn Inbox>) {
        *self.this.lock() = Some((this.name.clone(), this.incarnation));
        let member = Member { life: this.incarnation, inbox, topics: BTreeSet::new() };
        let mut state = self.bus.shared.state.lock();
        let before = state.members.insert(this.name.clone(), member);
        state.send_reliably((this.name.clone(), this.incarnation), What::Connected);
        drop(state);
        drop(before);
    }

    fn subscribe(&self, topic: &Topic) {
        self.with(|state, (name, life)| {
            if let Some(member) = state.members.get_mut(&name).filter(|member| member.life == life) {
                member.topics.insert(topic.clone());
                state.send_reliably((name, life), What::Subscribed(topic.clone()));
            }
        });
    }

    fn unsubscribe(&self, topic: &Topic) {
        self.with(|state, (name, life)| {
            if let Some(member) = state.members.get_mut(&name).filter(|member| member.life == life) {
                member.topics.remove(topic);
            }
        });
    }

    fn publish(&self, topic: &Topic, message: Text) {
        let this = self.this.lock().clone();
        let Some((name, life)) = this else { return };
        let is_alive = self.bus.shared.state.lock().members.get(&name).is_some_and(|member| member.life == life);
        if is_alive {
            self.bus.shared.publish(&name, topic, &message);
        }
    }

    fn request(&self, to: &str, message: Text, _: Duration) -> BoxFuture<'static, Result<Text, RequestError>> {
        let now_ms = self.bus.shared.clock.now_ms();
        let (reply, replied) = oneshot::channel();
        let mut sent = Err(RequestError::Away);
        self.with(|state, (from, _)| {
            state.said.push(message.clone());
            let Some(life) = state.members.get(to).map(|member| member.life) else {
                sent = Err(RequestError::NoInstance);
                return;
            };
            sent = Ok(());
            if state.is_lost(&from, &to.into()) {
                state.unanswered.push(reply);
            } else {
                let at_ms = now_ms + state.delay_ms();
                state.send(at_ms, (to.into(), life), What::Request { from, message, reply });
            }
        });
        match sent {
            Err(error) => ready(Err(error)).boxed(),
            Ok(()) => replied.map(|reply| reply.map_err(|_| RequestError::TimedOut)).boxed(),
        }
    }

    fn is_connected(&self) -> bool {
        let this = self.this.lock().clone();
        let state = self.bus.shared.state.lock();
        let is_cut = |name: &Text| state.members.keys().any(|other| state.cut.contains(&(name.clone(), other.clone())));
        this.is_some_and(|(name, _)| !is_cut(&name))
    }

    fn stop(&self) -> BoxFuture<'static, ()> {
        self.with(|state, (name, life)| {
            if state.members.get(&name).is_some_and(|member| member.life == life) {
                state.members.remove(&name);
            }
        });
        ready(()).boxed()
    }
}

impl fmt::Debug for SimulatedBus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimulatedBus").field("weather", &self.shared.state.lock().weather).finish_non_exhaustive()
    }
}

impl fmt::Debug for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("End").finish_non_exhaustive()
    }
}
