//! What do others notice of readers that take nothing?

use std::time::Duration;

use futures_util::SinkExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::crowd::Crowd;
use super::remote::Remote;
use super::{Latencies, allowed};
use crate::Failure;
use crate::cell::Cell;
use crate::consumer::{QUERY, SUBSCRIBE};
use crate::options::Asked;
use crate::plot::{self, Line};
use crate::question::Question;
use crate::question::plan::{InStore, cells_of};
use crate::question::rounds::median;
use crate::row::Row;
use crate::workload::Likeness;

pub(crate) const PROSE: &str = "\
The server in its own process, real WebSocket consumers in this one. In turns, thrice each: everybody reads, and beside
them one stalled reader for every ten, which has asked for more than the kernel holds for it and reads nothing. In each
turn: changes that all show alike, and private changes at a steady rate, timed from the refresh call to the consumer's
last byte. A p99 is the middle one of the turns', and the ratios are those of the others' p99 with and without the
stalled. Baseline: the turns without.";

/// For how many consumers there is one that reads nothing.
const ONE_IN: u32 = 10;

/// How many trees a stalled reader asks for: more bytes than the buffers of both kernels take.
const QUESTIONS: usize = 150;

/// The stalled reader's own kernel buffer, in bytes.
const RECEIVE_BUFFER_BYTES: u32 = 4 << 10;

/// How often a turn without and one with the stalled is taken.
const TURNS: usize = 3;

/// How long the kernels' buffers get to fill, and the server to see that the stalled are gone.
const SETTLING: Duration = Duration::from_secs(1);

const SHARED_ROUNDS: usize = 10;
const PRIVATE_PER_SECOND: f64 = 250.0;
const PRIVATE_AT_MOST: u32 = 1_000;

const PERCENTILES: [f64; 7] = [1.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0];

/// A socket that nobody reads.
type Stalled = WebSocketStream<TcpStream>;

/// The latencies of one kind of turn.
struct Timed {
    shared: Latencies,
    private: Latencies,
    /// The p99 of each turn, in ms.
    shared_p99s: Vec<f64>,
    private_p99s: Vec<f64>,
}

pub(crate) fn cells(asked: &Asked) -> Vec<Cell> {
    cells_of(Question::Slow, asked, |_| InStore { likenesses: &[Likeness::Distinct], sizes: &[(1_100, 100)] })
}

pub(crate) async fn measure(cell: &Cell) -> Result<Row, Failure> {
    let mut row = Row::of(cell);
    // The stalled have sessions of their own, behind those of the others.
    let healthy = allowed(cell.active_sessions())? * ONE_IN / (ONE_IN + 1);
    let stalled = (healthy / ONE_IN).max(1);
    let mut remote = Remote::reach(cell).await?;
    let crowd = Crowd::gather(remote.url(), healthy).await?;
    row.connections = Some(healthy);
    row.stalled = Some(stalled);
    let (mut calm, mut beside) = (Timed::new()?, Timed::new()?);
    // What runs for the first time costs more; it belongs to neither.
    take_turn(&mut remote, &crowd, &mut Timed::new()?).await?;
    for _ in 0..TURNS {
        take_turn(&mut remote, &crowd, &mut calm).await?;
        let before = remote.usage().await?;
        let readers = stall(remote.url(), healthy..healthy + stalled).await?;
        tokio::time::sleep(SETTLING).await;
        let with = remote.usage().await?;
        let each = |more: u64, less: u64| Some((more as f64 - less as f64) / f64::from(stalled));
        row.heap_bytes_per_stalled = each(with.heap_bytes, before.heap_bytes);
        row.rss_bytes_per_stalled = each(with.rss_bytes, before.rss_bytes);
        take_turn(&mut remote, &crowd, &mut beside).await?;
        drop(readers);
        tokio::time::sleep(SETTLING).await;
    }
    fill(&mut row, &calm, &beside);
    row.set_verdict(crowd.check().await?);
    remote.stop().await;
    Ok(row)
}

fn fill(row: &mut Row, calm: &Timed, beside: &Timed) {
    row.p50_ms = Some(calm.shared.quantile_ms(0.5));
    row.p99_ms = Some(median(calm.shared_p99s.clone()));
    row.private_p50_ms = Some(calm.private.quantile_ms(0.5));
    row.private_p99_ms = Some(median(calm.private_p99s.clone()));
    row.stalled_p50_ms = Some(beside.shared.quantile_ms(0.5));
    row.stalled_p99_ms = Some(median(beside.shared_p99s.clone()));
    row.stalled_private_p50_ms = Some(beside.private.quantile_ms(0.5));
    row.stalled_private_p99_ms = Some(median(beside.private_p99s.clone()));
    let ratio = |with: Option<f64>, without: Option<f64>| Some(with? / without?);
    row.shared_p99_ratio = ratio(row.stalled_p99_ms, row.p99_ms);
    row.private_p99_ratio = ratio(row.stalled_private_p99_ms, row.private_p99_ms);
    let points = |of: &Latencies| Some(PERCENTILES.map(|at| (at, of.quantile_ms(at / 100.0))).to_vec());
    row.latencies = points(&calm.private);
    row.stalled_latencies = points(&beside.private);
}

/// Shared changes, and then private ones at a steady rate.
async fn take_turn(remote: &mut Remote, crowd: &Crowd, timed: &mut Timed) -> Result<(), Failure> {
    let mut turn = Latencies::new()?;
    for _ in 0..SHARED_ROUNDS {
        let seen = crowd.frames();
        let made = remote.change_shared().await?;
        for (u, seen) in (0..).zip(seen) {
            let took_us = crowd.wait_for_next(u, seen).await?.saturating_sub(made.at_us) as f64;
            turn.record_us(took_us);
            timed.shared.record_us(took_us);
        }
    }
    timed.shared_p99s.push(turn.quantile_ms(0.99));
    let mut turn = Latencies::new()?;
    let mut tick = tokio::time::interval(Duration::from_secs_f64(1.0 / PRIVATE_PER_SECOND));
    let seen = crowd.frames();
    let mut made = Vec::new();
    for u in 0..crowd.len().min(PRIVATE_AT_MOST) {
        tick.tick().await;
        made.push((u, remote.change_private(u).await?.at_us));
    }
    for (u, at_us) in made {
        let took_us = crowd.wait_for_next(u, seen[u as usize]).await?.saturating_sub(at_us) as f64;
        turn.record_us(took_us);
        timed.private.record_us(took_us);
    }
    timed.private_p99s.push(turn.quantile_ms(0.99));
    Ok(())
}

/// Connects readers that ask for much and read nothing.
async fn stall(url: &str, members: std::ops::Range<u32>) -> Result<Vec<Stalled>, Failure> {
    let mut stalled = Vec::new();
    for u in members {
        let address = url.trim_start_matches("ws://").split('/').next().unwrap_or_default().parse()?;
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
        let (mut reader, _) = client_async(format!("{url}?token={u}"), socket.connect(address).await?).await?;
        reader.send(Message::text(SUBSCRIBE)).await?;
        for _ in 0..QUESTIONS {
            reader.feed(Message::text(QUERY)).await?;
        }
        reader.flush().await?;
        stalled.push(reader);
    }
    Ok(stalled)
}

impl Timed {
    fn new() -> Result<Self, Failure> {
        let (shared, private) = (Latencies::new()?, Latencies::new()?);
        Ok(Self { shared, private, shared_p99s: Vec::new(), private_p99s: Vec::new() })
    }
}

pub(crate) fn draw(rows: &[Row]) -> Result<String, Failure> {
    let lines = rows.iter().flat_map(|row| {
        let others = row.connections.unwrap_or_default();
        let line = |label: String, points: &Option<Vec<(f64, f64)>>| Line {
            label,
            points: points.clone().unwrap_or_default(),
        };
        let stalled = row.stalled.unwrap_or_default();
        [
            line(format!("{others} readers"), &row.latencies),
            line(format!("and {stalled} stalled"), &row.stalled_latencies),
        ]
    });
    let title = "ms from the refresh call to the last byte at the client, private change";
    plot::lines(title, "percentile", &lines.collect::<Vec<_>>())
}
