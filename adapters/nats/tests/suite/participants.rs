//! What participants who connect to the servers themselves can do, and what they cannot (SEC10 to SEC12, MT11).

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event, Request, Subscriber};
use futures_util::StreamExt;
use grove_engine::{Cluster, Topic};
use grove_nats::testing::NatsServer;
use grove_nats::{Minted, NatsOptions, ParticipantUser, Permissions, Subjects, server_configuration};
use parking_lot::Mutex;
use tokio::time::timeout;

use crate::accounts::{Accounts, now};
use crate::recorder::{Recorder, Seen};
use crate::{LONG, connected, of_project, of_room, programs};

fn subjects() -> Subjects {
    Subjects::below(Subjects::DEFAULT_PREFIX).unwrap()
}

/// A client in any language that has credentials for one room.
struct Participant {
    client: Client,
    permissions: Permissions,
    /// What the server complained about.
    complaints: Arc<Mutex<Vec<String>>>,
}

impl Participant {
    async fn connect(url: String, permissions: Permissions, options: ConnectOptions) -> Self {
        let complaints = Arc::<Mutex<Vec<String>>>::default();
        let heard = Arc::clone(&complaints);
        let options = options.event_callback(move |event| {
            if let Event::ServerError(error) = event {
                heard.lock().push(error.to_string());
            }
            std::future::ready(())
        });
        Self { client: options.connect(url).await.unwrap(), permissions, complaints }
    }

    async fn events(&self) -> Subscriber {
        self.client.subscribe(self.permissions.subscribe[0].clone()).await.unwrap()
    }

    /// Sends to the room, and waits for the reply on the one subject that there is for it.
    async fn send(&self, text: &str) -> String {
        let mut replies = self.client.subscribe(self.permissions.subscribe[1].clone()).await.unwrap();
        let (to, reply) = (self.permissions.publish[0].clone(), self.permissions.subscribe[1].clone());
        self.client.publish_with_reply(to, reply, text.to_owned().into()).await.unwrap();
        let reply = timeout(LONG, replies.next()).await.unwrap().unwrap();
        String::from_utf8(reply.payload.to_vec()).unwrap()
    }

    async fn is_refused(&self, what: &str, subject: &str) {
        let wanted = format!("Permissions Violation for {what} to \"{subject}\"");
        let heard = async {
            while !self.complaints.lock().iter().any(|complaint| complaint.contains(&wanted)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(timeout(LONG, heard).await.is_ok(), "{wanted}: {:?}", self.complaints.lock());
    }

    async fn may_not_publish(&self, subject: &str) {
        self.client.publish(subject.to_owned(), "forged".into()).await.unwrap();
        self.is_refused("Publish", subject).await;
    }

    async fn may_not_subscribe(&self, subject: &str) {
        // The library says that it worked: the refusal comes later.
        let _subscription = self.client.subscribe(subject.to_owned()).await.unwrap();
        self.is_refused("Subscription", subject).await;
    }
}

/// Replies to whatever participants of a room send, as an instance does.
async fn answer_inputs(options: ConnectOptions, url: String, room: &str) {
    let client = options.connect(url).await.unwrap();
    let mut inputs = client.subscribe(subjects().room_input("a", room)).await.unwrap();
    let replies = client.clone();
    tokio::spawn(async move {
        while let Some(input) = inputs.next().await {
            let text = String::from_utf8_lossy(&input.payload).into_owned();
            replies.publish(input.reply.unwrap(), format!("got {text}").into()).await.unwrap();
        }
    });
    client.request("grove.v1.inst.nobody.rpc", "".into()).await.unwrap_err();
}

/// Plays through what a participant of room `r1` of project `a` can do, with an instance beside it.
async fn play(instance: (impl Cluster, Arc<Recorder>), alice: Participant) {
    let (instance, recorder) = instance;
    let (here, other) = (of_room("a", "r1"), of_room("a.b", "r1"));
    for topic in [&here, &other, &Topic::Heartbeats, &of_project("a"), &Topic::Presence("a".into())] {
        instance.subscribe(topic);
        recorder.saw(&Seen::Subscribed(topic.clone())).await;
    }
    assert_eq!(alice.send("hello").await, "got hello");
    let mut events = alice.events().await;
    assert_eq!(alice.send("again").await, "got again");
    instance.publish(&other, "of another project".into());
    instance.publish(&here, "first".into());
    let event = timeout(LONG, events.next()).await.unwrap().unwrap();
    assert_eq!(event.payload, "first");

    for forged in [
        "grove.v1.a.room.r1.ev",
        "grove.v1.a.room.r2.in",
        "grove.v1.=YS5i.room.r1.in",
        "grove.v1.a.notice",
        "grove.v1.notice",
        "grove.v1.a.presence",
        "grove.v1.inst.hb",
        "grove.v1.inst.one.rpc",
        "anything",
    ] {
        alice.may_not_publish(forged).await;
    }
    for foreign in [
        ">",
        "grove.v1.>",
        "grove.v1.*.room.*.ev",
        "grove.v1.a.room.*.ev",
        "grove.v1.*.room.r1.ev",
        "grove.v1.=YS5i.room.r1.ev",
        "grove.v1.a.room.r1.in",
        "grove.v1.inst.>",
        "grove.v1.a.notice",
        "_INBOX.>",
    ] {
        alice.may_not_subscribe(foreign).await;
    }
    instance.publish(&here, "last".into());
    recorder.received(&here, "last").await;
    assert_eq!(recorder.published_on(&here), ["first", "last"], "nothing forged arrived");
    for topic in [&Topic::Heartbeats, &of_project("a"), &Topic::Presence("a".into())] {
        assert!(recorder.published_on(topic).is_empty());
    }
    assert_eq!(timeout(LONG, events.next()).await.unwrap().unwrap().payload, "last", "nothing foreign arrived");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_generated_configuration_a_participant_reaches_its_room_and_nothing_else() {
    let alice = ParticipantUser {
        user: "alice".to_owned(),
        password: "$ALICE".to_owned(),
        project: "a".to_owned(),
        room: "r1".to_owned(),
    };
    let configuration = server_configuration(&subjects(), &[alice]);
    for program in programs() {
        let environment = [("GROVE_NATS_PASSWORD", "of-instances"), ("ALICE", "of-alice")];
        let server = NatsServer::start_with(&program, &configuration, &environment);
        let instance = || ConnectOptions::with_user_and_password("instance".into(), "of-instances".into());
        answer_inputs(instance().custom_inbox_prefix("grove.v1.inst.test.reply"), server.url(), "r1").await;
        let options = NatsOptions::new(&server.url()).user_and_password("instance", "of-instances");
        let cluster = connected(options, "one").await;
        let permissions = Permissions::of_participant(&subjects(), "a", "r1", "alice");
        let as_alice = ConnectOptions::with_user_and_password("alice".into(), "of-alice".into());
        play(cluster, Participant::connect(server.url(), permissions, as_alice).await).await;
    }
}

fn minted(accounts: &Accounts, expires_in: Duration) -> Minted {
    let now = now();
    accounts.participants().mint(&subjects(), "alice", ("a", "r1"), now + expires_in, now).unwrap()
}

async fn participant(accounts: &Accounts, minted: &Minted) -> Participant {
    let options = ConnectOptions::with_credentials(&minted.file()).unwrap();
    Participant::connect(accounts.server.url(), minted.permissions.clone(), options).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_minted_credentials_a_participant_reaches_its_room_and_nothing_else() {
    for program in programs() {
        let accounts = Accounts::start(&program);
        let path = accounts.write_instance(None);
        let instance = ConnectOptions::with_credentials_file(&path).await.unwrap();
        answer_inputs(instance.custom_inbox_prefix("grove.v1.inst.test.reply"), accounts.server.url(), "r1").await;
        let cluster = connected(NatsOptions::new(&accounts.server.url()).credentials_file(path), "one").await;
        play(cluster, participant(&accounts, &minted(&accounts, Duration::from_secs(3_600))).await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn minted_credentials_end_when_they_expire() {
    for program in programs() {
        let accounts = Accounts::start(&program);
        let minted = minted(&accounts, Duration::from_secs(2));
        let alice = participant(&accounts, &minted).await;
        let mut events = alice.events().await;
        let expired = async {
            while !alice.complaints.lock().iter().any(|complaint| complaint.to_lowercase().contains("expired")) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(timeout(LONG, expired).await.is_ok(), "{:?}", alice.complaints.lock());
        // Until the second is over in which they expire, the server would let somebody in for the rest of it.
        let refused = async {
            let again = || ConnectOptions::with_credentials(&minted.file()).unwrap().connect(accounts.server.url());
            while again().await.is_ok() {}
        };
        assert!(timeout(LONG, refused).await.is_ok(), "nobody comes in again with them");
        assert!(futures_util::FutureExt::now_or_never(events.next()).is_none());
    }
}

/// Of a forged signature, of a key of another account, and of changed subjects, none is accepted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_that_the_account_has_not_signed_are_refused() {
    let Some(program) = NatsServer::program() else { return };
    let (accounts, other) = (Accounts::start(&program), Accounts::start(Path::new(&program)));
    let mut changed = minted(&accounts, Duration::from_secs(3_600));
    let claims: Vec<&str> = changed.jwt.split('.').collect();
    let decoded = data_encoding::BASE64URL_NOPAD.decode(claims[1].as_bytes()).unwrap();
    let wider = String::from_utf8(decoded).unwrap().replace("room.r1.ev", "room.r2.ev");
    changed.jwt = format!("{}.{}.{}", claims[0], data_encoding::BASE64URL_NOPAD.encode(wider.as_bytes()), claims[2]);
    for wrong in [changed, minted(&other, Duration::from_secs(3_600))] {
        let options = ConnectOptions::with_credentials(&wrong.file()).unwrap();
        assert!(options.connect(accounts.server.url()).await.is_err());
    }
    let right = participant(&accounts, &minted(&accounts, Duration::from_secs(3_600))).await;
    let request = Request::new().inbox(right.permissions.subscribe[1].clone()).payload("x".into());
    let reply = right.client.send_request(right.permissions.publish[0].clone(), request).await;
    assert!(reply.is_err(), "no instance is there to reply");
}
