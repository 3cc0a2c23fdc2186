//! What do processes with keys of their own cost?

use grove_attest::{Challenge, Checking, Member, Members, MemoryMembers};
use tokio::process::Child;

use crate::cli::peers_options::PeersOptions;
use crate::failure::Failure;
use crate::measure::stopwatch::{Stopwatch, time_of_day_us};
use crate::output::plot::{self, Bar};
use crate::plan::benchmark::Benchmark;
use crate::plan::cell::Cell;
use crate::plan::peer_case::PeerCase;
use crate::process;
use crate::result::row::Row;
use crate::sockets::peer_links::{PeerLinks, hello};
use crate::sockets::peer_server::{AUDIENCE, member, project};
use crate::sockets::server_handle::start_process;
use crate::sockets::socket_consumers::SocketConsumers;

/// How many times the hellos are measured; the fastest round counts.
const ROUNDS: u32 = 5;

/// The cells that these options ask for.
pub(crate) fn cells(options: &PeersOptions) -> Vec<Cell> {
    let cases = options.case.map_or_else(|| PeerCase::ALL.to_vec(), |case| vec![case]);
    let cell = |case| {
        let sessions = options.sessions.unwrap_or(default_sessions(case));
        Cell { peers: Some(case), ..Cell::without_workload(Benchmark::Peers, sessions) }
    };
    cases.into_iter().map(cell).collect()
}

const fn default_sessions(case: PeerCase) -> u32 {
    match case {
        PeerCase::Hello => 2_000,
        PeerCase::Sockets => 5_000,
        PeerCase::Crowd => 1_000,
    }
}

pub(super) async fn measure(cell: &Cell) -> Result<Row, Failure> {
    let mut row = Row::of(cell);
    row.active = None;
    match cell.peers.ok_or("a cell of peers without a case")? {
        PeerCase::Hello => hellos(cell.sessions, &mut row)?,
        case @ (PeerCase::Sockets | PeerCase::Crowd) => sockets(case, cell.sessions, &mut row).await?,
    }
    Ok(row)
}

/// What the server does, without sockets.
fn hellos(count: u32, row: &mut Row) -> Result<(), Failure> {
    let members = MemoryMembers::new();
    let (id, key) = member(0, count);
    members.add(&project(0, count), Member::new(id, key.public_key()).right("write"))?;
    let mut fastest_us = f64::MAX;
    for _ in 0..ROUNDS {
        let mut us = 0.0;
        for _ in 0..count {
            let now_ms = time_of_day_us() / 1_000;
            let watch = Stopwatch::start();
            let mut challenge = Challenge::new(AUDIENCE, now_ms)?;
            let text = challenge.frame().to_json();
            us += watch.elapsed_us();
            let answer = hello(0, count, &serde_json::from_str(&text)?)?;
            let watch = Stopwatch::start();
            let peer = Checking::new(&members).check(&mut challenge, &answer, now_ms);
            us += watch.elapsed_us();
            row.expect(peer.is_ok(), || format!("a peer was refused: {peer:?}"));
        }
        fastest_us = fastest_us.min(us / f64::from(count));
    }
    row.hello_us = Some(fastest_us);
    row.hellos_per_cpu_second = Some(1e6 / fastest_us);
    Ok(())
}

async fn sockets(case: PeerCase, wanted: u32, row: &mut Row) -> Result<(), Failure> {
    let count = SocketConsumers::at_most(wanted)?;
    let per_project = case.per_project(count);
    let arguments = ["--sessions", &count.to_string(), "--per-project", &per_project.to_string()];
    let (url, mut server) = start_process(None, &[&["serve-peers"], &arguments[..]].concat()).await?;
    let url = url.replace("/slop", "/peers");
    let before = Usage::of(&server)?;
    let watch = Stopwatch::start();
    let mut links = PeerLinks::open(&url, count, per_project).await?;
    let after = Usage::of(&server)?;
    let (projects, rest) = (u64::from(count / per_project), u64::from(count % per_project));
    let pairs_of = |peers: u64| peers * peers.saturating_sub(1) / 2;
    let pairs = projects * pairs_of(u64::from(per_project)) + pairs_of(rest);
    let told = links.until_told(pairs).await?;
    row.told_ms = Some(watch.elapsed_us() / 1_000.0);
    row.told_frames = Some(told);
    // An error means that it has ended already.
    let _ = server.kill().await;
    row.connections = Some(count);
    let hello_us = (after.cpu_us - before.cpu_us) / f64::from(count);
    row.hello_us = Some(hello_us);
    row.hellos_per_cpu_second = Some(1e6 / hello_us);
    row.rss_bytes_per_connection = Some((after.rss_bytes - before.rss_bytes) / f64::from(count));
    (row.p50_ms, row.p99_ms) = (Some(links.latencies.quantile_ms(0.5)), Some(links.latencies.quantile_ms(0.99)));
    Ok(())
}

/// What another process has used so far.
struct Usage {
    cpu_us: f64,
    rss_bytes: f64,
}

impl Usage {
    fn of(server: &Child) -> Result<Self, Failure> {
        let id = server.id().ok_or("the server has ended")?;
        Ok(Self { cpu_us: process::cpu_us_of(id)?, rss_bytes: process::rss_bytes_of(id)? as f64 })
    }
}

pub(super) fn plot(rows: &[Row]) -> Result<String, Failure> {
    let bar = |row: &Row| Some(Bar { label: row.case()?.to_owned(), value: row.hello_us? });
    plot::bars("CPU us of the server per peer that arrives", &rows.iter().filter_map(bar).collect::<Vec<_>>())
}
