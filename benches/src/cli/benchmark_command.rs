//! The subcommands that measure.

use clap::Subcommand;

use super::cluster_options::ClusterOptions;
use super::conditions::Conditions;
use super::output_options::OutputOptions;
use super::peer_options::PeerOptions;
use super::peers_options::PeersOptions;
use super::rooms_options::RoomsOptions;
use super::runs_options::RunsOptions;
use super::storage_options::StorageOptions;
use crate::plan::benchmark::Benchmark;
use crate::plan::change::Change;

/// A benchmark, or a suite of all benchmarks.
#[derive(Subcommand)]
pub(crate) enum BenchmarkCommand {
    /// Memory per session, live heap and resident
    #[command(long_about = Benchmark::Memory.description())]
    Memory {
        #[command(flatten)]
        conditions: Conditions,
        #[command(flatten)]
        peer: PeerOptions,
        #[command(flatten)]
        output: OutputOptions,
        /// Give each session its own provider, made by a factory, instead of one provider for all
        #[arg(long)]
        per_session: bool,
    },
    /// Time per session from a change to the encoded frame
    #[command(long_about = Benchmark::Refresh.description())]
    Refresh {
        #[command(flatten)]
        conditions: Conditions,
        #[command(flatten)]
        peer: PeerOptions,
        #[command(flatten)]
        output: OutputOptions,
        /// Measure only this kind of change [default: all three]
        #[arg(long)]
        change: Option<Change>,
    },
    /// A storm of connections, each with its first snapshot
    #[command(long_about = Benchmark::Connect.description())]
    Connect {
        #[command(flatten)]
        conditions: Conditions,
        #[command(flatten)]
        output: OutputOptions,
    },
    /// Bytes that consumers receive when they resume after lost sockets
    #[command(long_about = Benchmark::Resume.description())]
    Resume {
        #[command(flatten)]
        conditions: Conditions,
        #[command(flatten)]
        output: OutputOptions,
        /// Number of private changes that each consumer misses [default: 1 and 20]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
        gap: Option<u32>,
    },
    /// Memory and latency over WebSockets, with the server in its own process
    #[command(long_about = Benchmark::Live.description())]
    Live {
        #[command(flatten)]
        conditions: Conditions,
        #[command(flatten)]
        output: OutputOptions,
        /// A `grove-bench` binary to start as the server, or the URL of a running one (`ws://HOST:PORT/slop`)
        /// [default: this binary]
        #[arg(long, value_name = "PATH_OR_URL")]
        server: Option<String>,
    },
    /// What stalled readers cost the server and the other consumers
    #[command(long_about = Benchmark::Slow.description())]
    Slow {
        #[command(flatten)]
        conditions: Conditions,
        #[command(flatten)]
        output: OutputOptions,
    },
    /// What is left after consumers have connected and disconnected
    #[command(long_about = Benchmark::Churn.description())]
    Churn {
        #[command(flatten)]
        conditions: Conditions,
        #[command(flatten)]
        output: OutputOptions,
    },
    /// What rooms cost: memory, messages, joining and leaving, leases
    #[command(long_about = Benchmark::Rooms.description())]
    Rooms {
        #[command(flatten)]
        options: RoomsOptions,
        #[command(flatten)]
        output: OutputOptions,
    },
    /// What runs cost: chunks on their way to watchers, watchers that read nothing, memory
    #[command(long_about = Benchmark::Runs.description())]
    Runs {
        #[command(flatten)]
        options: RunsOptions,
        #[command(flatten)]
        output: OutputOptions,
    },
    /// What it costs to keep what happens in rooms: appending, reading again, starting again, recovery
    #[command(long_about = Benchmark::Storage.description())]
    Storage {
        #[command(flatten)]
        options: StorageOptions,
        #[command(flatten)]
        output: OutputOptions,
    },
    /// What processes with keys of their own cost: their hello, their links, and telling them of each other
    #[command(long_about = Benchmark::Peers.description())]
    Peers {
        #[command(flatten)]
        options: PeersOptions,
        #[command(flatten)]
        output: OutputOptions,
    },
    /// What several instances cost each other
    #[command(long_about = Benchmark::Cluster.description())]
    Cluster {
        #[command(flatten)]
        options: ClusterOptions,
        #[command(flatten)]
        output: OutputOptions,
    },
    /// All benchmarks at small sizes, within three minutes
    ///
    /// For continuous integration: the figures mean little, but every check is made. Exit code 1 if a mirror differs
    /// or a count is wrong.
    Smoke(OutputOptions),
    /// All benchmarks with their defaults, within a quarter of an hour
    ///
    /// Both workloads, one provider for all and one per session, with the peer measured once for each workload.
    All(OutputOptions),
}
