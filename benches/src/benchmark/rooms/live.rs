//! Messages to thousands of live sockets, which are in one room; the server is another process.

use tokio_tungstenite::tungstenite::Message;

use crate::failure::Failure;
use crate::measure::latencies::Latencies;
use crate::output::console;
use crate::plan::cell::Cell;
use crate::result::row::Row;
use crate::sockets::listeners::{Dialect, Listeners};
use crate::sockets::room_server::ROOM;
use crate::sockets::server_handle::start_process;
use crate::sockets::socket_consumers::SocketConsumers;
use crate::subject::nats::{Nats, NatsClients};

/// How many messages are said, each when the one before has arrived everywhere.
const MESSAGES: u32 = 40;

/// Before those that count.
const WARM_UP: u32 = 3;

const TEXT: &str = "Has anybody looked at the quarterly report?";

/// A connection of each member, by which it hears what is said.
struct Members(String);

impl Dialect for Members {
    fn url(&self, u: u32) -> String {
        format!("{}?token={u}", self.0)
    }

    fn greeting(&self) -> (Option<Message>, &'static str) {
        (None, r#""type":"hello""#)
    }

    fn say(&self, number: u32, text: &str) -> Message {
        let call = format!(r#""type":"invoke","id":"{number}","path":"/rooms/{ROOM}","action":"say""#);
        Message::text(format!(r#"{{{call},"params":{{"data":{text}}}}}"#))
    }
}

pub(super) async fn measure(cell: &Cell, row: &mut Row) -> Result<(), Failure> {
    let count = SocketConsumers::at_most(cell.sessions)?;
    row.connections = Some(count);
    let (url, mut server) = start_process(None, &["serve-room", "--sessions", &count.to_string()]).await?;
    let own = time_messages(Members(url), count).await?;
    // An error means that it has ended already.
    let _ = server.kill().await;
    row.p50_ms = Some(own.quantile_ms(0.5));
    row.p99_ms = Some(own.quantile_ms(0.99));
    row.max_ms = Some(own.max_ms());
    let Some(nats) = Nats::start().await? else {
        console::note(
            "nats-server is not installed, so nothing is compared with it: ./test installs it in target/venv",
        );
        return Ok(());
    };
    let peer = time_messages(NatsClients(nats.url.clone()), count).await?;
    nats.stop().await;
    row.peer_p50_ms = Some(peer.quantile_ms(0.5));
    row.peer_p99_ms = Some(peer.quantile_ms(0.99));
    row.p99_ratio = Some(own.quantile_ms(0.99) / peer.quantile_ms(0.99));
    Ok(())
}

async fn time_messages(dialect: impl Dialect, count: u32) -> Result<Latencies, Failure> {
    let mut listeners = Listeners::connect(dialect, count).await?;
    let mut latencies = Latencies::new()?;
    for number in 0..WARM_UP + MESSAGES {
        let latencies_us = listeners.say(number, TEXT).await?;
        if number >= WARM_UP {
            latencies.record_all_us(&latencies_us);
        }
    }
    Ok(latencies)
}
