//! The subcommands that this program starts itself with.

use std::path::PathBuf;

use clap::Subcommand;

use super::serve_options::ServeOptions;
use crate::plan::database_kind::DatabaseKind;

/// The entry point of a child process.
#[derive(Subcommand)]
pub(crate) enum InternalCommand {
    /// Measure one cell in this process
    #[command(hide = true)]
    Cell {
        /// The cell as JSON
        cell: String,
    },
    /// Run the server of `live` and `slow`
    #[command(hide = true)]
    Serve(ServeOptions),
    /// Run the server of the room of `rooms --case live`
    #[command(hide = true)]
    ServeRoom {
        /// How many members it has
        #[arg(long)]
        sessions: u32,
    },
    /// Run the server of `peers`
    #[command(hide = true)]
    ServePeers {
        /// How many peers there will be
        #[arg(long)]
        sessions: u32,
        /// How many of them are in each project
        #[arg(long)]
        per_project: u32,
    },
    /// Write in the rooms of `storage --case kill` until the process is killed
    #[command(hide = true)]
    WriteRooms {
        /// Where the rooms are kept
        #[arg(long)]
        directory: PathBuf,
        /// How many there are
        #[arg(long)]
        rooms: u32,
    },
    /// Append events of `storage --case databases` until the process is killed
    #[command(hide = true)]
    AppendEvents {
        /// To which database
        #[arg(long)]
        database: DatabaseKind,
        /// Where it is
        #[arg(long)]
        directory: PathBuf,
        /// In how many rooms they happen
        #[arg(long)]
        rooms: u32,
    },
    /// Publish the notices of `cluster --case foreign` until the process is killed
    #[command(hide = true)]
    PublishNotices {
        /// The server of NATS
        #[arg(long)]
        url: String,
    },
    /// Run the server of `soak`
    #[command(hide = true)]
    SoakServer {
        /// The address to listen on
        #[arg(long)]
        listen: String,
        /// Where rooms are kept
        #[arg(long)]
        storage: Option<PathBuf>,
    },
}
