//! Consumers inside this process: what a socket's task would be, without the socket.

use grove_engine::{Connection, Engine, Frame, Session};
use serde_json::Value;

use crate::failure::Failure;
use crate::mirror::{Mirror, count_nodes};
use crate::process;

/// The subscription of every consumer here: the whole tree.
pub(crate) const SUBSCRIBE: &str = r#"{"type":"subscribe","id":"all","path":"/","depth":-1}"#;

/// A query for the same view, to compare a mirror with.
pub(crate) const QUERY: &str = r#"{"type":"query","id":"fresh","path":"/","depth":-1}"#;

/// One consumer.
pub(crate) struct Consumer {
    connection: Connection,
    /// Every frame since the start, for those consumers whose mirror is checked at the end.
    tape: Option<Vec<String>>,
}

/// What consumers took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Taken {
    pub(crate) frames: u64,
    pub(crate) bytes: u64,
}

/// How many mirrors were compared with a fresh query, and what was wrong with those that differed.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) checked: u64,
    pub(crate) wrong: Vec<String>,
}

/// A tree as a query shows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) nodes: u64,
    pub(crate) json_bytes: u64,
}

impl Consumer {
    /// Connects to the session.
    pub(crate) fn connect(engine: &Engine, session: &Session, recorded: bool) -> Result<Self, Failure> {
        let connection = engine.connect(session).map_err(|error| error.to_string())?;
        Ok(Self { connection, tape: recorded.then(Vec::new) })
    }

    /// Records every frame from now on.
    pub(crate) fn record_from_now(&mut self) {
        self.tape = Some(Vec::new());
    }

    pub(crate) fn say(&self, message: &str) {
        self.connection.receive(message);
    }

    /// Waits for a message of this type; takes what comes before it. Answers its bytes.
    pub(crate) async fn wait_for(&mut self, kind: &str) -> Result<u64, Failure> {
        Ok(self.hear(kind).await?.len() as u64)
    }

    /// Waits for a message of this type; takes what comes before it. Answers its text.
    pub(crate) async fn hear(&mut self, kind: &str) -> Result<String, Failure> {
        let start = format!(r#"{{"type":"{kind}""#);
        loop {
            match self.connection.next_frame().await {
                Frame::Text(text) => {
                    self.record(&text);
                    if text.starts_with(&start) {
                        return Ok(text);
                    }
                }
                Frame::Ping => {}
                Frame::Close { code, reason } => return Err(format!("closed: {code} {reason}").into()),
            }
        }
    }

    /// Takes whatever is ready.
    pub(crate) fn take_ready(&mut self) -> Taken {
        self.take_each(|_| {})
    }

    /// Takes whatever is ready, with a look at each message.
    pub(crate) fn take_each(&mut self, mut look: impl FnMut(&str)) -> Taken {
        let mut taken = Taken::default();
        while let Some(frame) = self.connection.try_next_frame() {
            if let Frame::Text(text) = frame {
                taken.frames += 1;
                taken.bytes += text.len() as u64;
                look(&text);
                self.record(&text);
            }
        }
        taken
    }

    fn record(&mut self, text: &str) {
        if let Some(tape) = &mut self.tape {
            tape.push(text.to_owned());
        }
    }

    /// Loses the socket. The engine notices at once, or takes the connection that is handed back for alive.
    pub(crate) fn lose(self, noticed: bool) -> (Lost, Option<Connection>) {
        (Lost { tape: self.tape }, (!noticed).then_some(self.connection))
    }

    /// Bytes that the bench itself keeps here.
    fn tape_bytes(&self) -> usize {
        let tape = self.tape.iter();
        tape.map(|tape| tape.capacity() * size_of::<String>() + tape.iter().map(String::capacity).sum::<usize>()).sum()
    }

    /// The tree that a fresh query is answered now.
    pub(crate) async fn query(&mut self) -> Result<Value, Failure> {
        self.say(QUERY);
        loop {
            match self.connection.next_frame().await {
                Frame::Text(text) if text.starts_with(r#"{"type":"snapshot","id":"fresh""#) => {
                    let mut answer: Value = serde_json::from_str(&text)?;
                    return Ok(answer["tree"].take());
                }
                Frame::Text(text) => self.record(&text),
                Frame::Ping => {}
                Frame::Close { code, reason } => return Err(format!("closed: {code} {reason}").into()),
            }
        }
    }

    /// Plays the tape into a mirror and compares it with a fresh query. Nothing, if nothing was recorded.
    async fn check(&mut self) -> Result<Option<Result<(), String>>, Failure> {
        if self.tape.is_none() {
            return Ok(None);
        }
        let fresh = self.query().await?;
        let mut mirror = Mirror::default();
        let played = self.tape.iter().flatten().try_for_each(|frame| mirror.take(frame));
        let same = || if mirror.shows(&fresh) { Ok(()) } else { Err("a mirror differs from a fresh query".to_owned()) };
        Ok(Some(played.and_then(|()| same())))
    }
}

/// Takes everything that is ready for all consumers, on as many threads as the peer gets.
pub(crate) fn take_all(consumers: &mut [Consumer]) -> Taken {
    let share = consumers.len().div_ceil(process::threads()).max(1);
    std::thread::scope(|scope| {
        let take =
            |share: &mut [Consumer]| share.iter_mut().map(Consumer::take_ready).fold(Taken::default(), Taken::and);
        let threads: Vec<_> = consumers.chunks_mut(share).map(|share| scope.spawn(move || take(share))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a consumer's thread ends"))
            .fold(Taken::default(), Taken::and)
    })
}

/// Bytes that the bench itself keeps for its checks.
pub(crate) fn tape_bytes(consumers: &[Consumer]) -> usize {
    consumers.iter().map(Consumer::tape_bytes).sum()
}

/// Compares every mirror that was recorded with a fresh query.
pub(crate) async fn check_all(consumers: &mut [Consumer]) -> Result<Verdict, Failure> {
    let mut verdict = Verdict::default();
    for consumer in consumers {
        if let Some(outcome) = consumer.check().await? {
            verdict.checked += 1;
            verdict.wrong.extend(outcome.err());
        }
    }
    Ok(verdict)
}

/// The size of a tree.
pub(crate) fn size_of_tree(tree: &Value) -> Size {
    Size { nodes: count_nodes(tree), json_bytes: tree.to_string().len() as u64 }
}

/// What a consumer keeps when its socket is lost.
pub(crate) struct Lost {
    tape: Option<Vec<String>>,
}

impl Lost {
    /// Connects again.
    pub(crate) fn come_back(self, engine: &Engine, session: &Session) -> Result<Consumer, Failure> {
        let connection = engine.connect(session).map_err(|error| error.to_string())?;
        Ok(Consumer { connection, tape: self.tape })
    }
}

impl Taken {
    pub(crate) const fn and(self, other: Self) -> Self {
        Self { frames: self.frames + other.frames, bytes: self.bytes + other.bytes }
    }
}
