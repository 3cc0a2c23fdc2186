//! Grove serves live application state to AI consumers, one tree per session, in the SLOP protocol.
//!
//! An application registers descriptors, functions from a [`Session`] to a [`Descriptor`]. The [`Engine`] renders one
//! tree for each session, keeps it, and sends consumers a snapshot and then patches. Every session sees only its own
//! tree; what several sessions have in common is computed and kept once.
//!
//! ```
//! use grove_engine::{Action, Descriptor, Engine, Invocation, Item, Scope, Session};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::builder("desk", "Desk").build();
//! let toggle = Action::new("toggle", |call: Invocation<()>| {
//!     println!("{:?} toggles {}", call.session.user(), call.path);
//! });
//! engine.register("tasks", move |session: &Session| {
//!     let owner = session.user().unwrap_or("nobody");
//!     Descriptor::collection().item(Item::new("t1").prop("title", format!("{owner}'s task")).action(&toggle))
//! });
//! let alice = Session::new("session-1").with_user("alice");
//! let consumer = engine.connect(&alice)?; // an adapter does this for each socket
//! engine.refresh(Scope::user("alice")); // after a change of alice's data
//! # drop(consumer);
//! # Ok(())
//! # }
//! ```
//!
//! # The way through
//!
//! ```text
//! out  Engine::refresh(Scope) -> whose trees? -> with the next batch -> one pass over those sessions:
//!        evaluate each source once per read class -> assemble a tree -> unchanged? stop -> commit -> wake writers
//!      writer, when its socket has room: the tree last sent and the tree now -> operations -> JSON -> socket
//! in   socket -> Connection::receive -> decode -> subscribe | query | invoke | a tab's messages
//!        invoke: find in the live tree -> check -> authorise -> handler -> refresh -> patches, then the result
//! ```
//!
//! # What there is, and how long
//!
//! | type | what | made by | ends |
//! |---|---|---|---|
//! | [`Engine`] | one provider for many users | [`Engine::builder`] | with its last clone and connection |
//! | [`PerSession`] | a provider for each session, by a factory | [`PerSession::new`] | as an engine; each with its session |
//! | [`Session`] | for whom a tree is rendered | the application's authenticator | expiry, revocation, idleness |
//! | [`Source`] | a descriptor function under a path | [`Engine::register`] | [`Engine::unregister`] |
//! | [`Descriptor`] | the wanted shape of one path | a descriptor function | when it is packed |
//! | [`Action`] | something to do, with its handler | the application, once | with its last handle |
//! | [`Connection`] | one consumer or one tab, bound to a session | [`Engine::connect`] | when it is dropped |
//! | [`Task`] | work that outlives its call | [`Invocation::start_task`] | some time after it ended |
//!
//! # Modules, in reading order
//!
//! A module uses only those before it; a test checks that.

mod sync;

mod panics;

mod model;

mod config;

mod error;

mod render;

mod protocol;

mod entered;

mod event;

mod clock;

mod in_flight;

mod background;

mod count;

mod cluster;

mod storage;

mod deliver;

mod sessions;

mod span;

mod session_provider;

mod refresh;

mod runs;

mod rooms;

mod lifecycle;

mod instances;

mod receive;

mod connection;

mod emit;

pub mod client;

mod provider;

mod stats;

mod engine;

mod per_session;

#[cfg(feature = "testing")]
pub mod testing;

#[cfg(all(test, feature = "shuttle"))]
mod concurrency;

pub use clock::system::SystemClock;
pub use clock::{Clock, Sleep};
pub use cluster::Cluster;
pub use cluster::inbox::Inbox;
pub use cluster::instance::Instance;
pub use cluster::local::Local;
pub use cluster::request_error::RequestError;
pub use cluster::topic::Topic;
pub use config::{
    ClusterLimits, Config, ConfigError, Execution, Limit, Limits, Memory, RoomLimits, RunLimits, Sizes, Times,
};
pub use connection::Connection;
pub use deliver::frame::Frame;
pub use engine::Engine;
pub use engine::builder::EngineBuilder;
pub use engine::drain::Shutdown;
pub use engine::rooms::Rooms;
pub use engine::rooms::query::{RoomPage, RoomQuery};
pub use engine::rooms::received_event::ReceivedEvent;
pub use engine::rooms::room_events::{RoomEvents, RoomPosition};
pub use engine::rooms::room_memory::RoomMemory;
pub use error::{ActionError, ConnectError, FrameError, RegisterError};
pub use event::{CallStatus, ClusterEvent, Event, EvictionReason, PanicSite, RepairCause};
pub use model::Text;
pub use model::affordance::Estimate;
pub use model::content_ref::{ContentKind, ContentRef};
pub use model::id::{IdError, check as check_id};
pub use model::meta::Urgency;
pub use model::path::normal as normal_path;
pub use model::room::end_reason::EndReason;
pub use model::room::event::EventKind;
pub use model::room::handle::{ParticipantView, Room};
pub use model::room::history::{HistoryEntry, HistoryRole};
pub use model::room::leave_reason::LeaveReason;
pub use model::room::memory::Expected;
pub use model::room::memory_entry::MemoryEntry;
pub use model::room::memory_query::{MemoryPage, MemoryQuery};
pub use model::room::message::Message;
pub use model::room::new_run::NewRun;
pub use model::room::participant::{ParticipantKind, Presence, Status};
pub use model::room::policy::{Access, ArchiveFor, Facet, Mode, NewRoom, OnEnd, Origin, Queue, Trust};
pub use model::room::record::RoomState;
pub use model::room::role::Role as RoomRole;
pub use model::room::run::asked::RunActor;
pub use model::room::run::delivery::{Delivery, OnTimeout};
pub use model::room::run::failure::{ErrorClass, RunError};
pub use model::room::run::state::RunStatus;
pub use model::room::run_view::{RunOutput, RunView};
pub use model::selector::Selector;
pub use model::session::Session;
pub use model::value::{JsonText, Value};
pub use per_session::PerSession;
pub use protocol::close_reason::CloseReason;
pub use protocol::code::{CloseCode, ErrorCode};
pub use protocol::{CAPABILITIES, SLOP_VERSION};
pub use provider::{Discovery, Provider, Renewed, Role};
pub use refresh::scope::Scope;
pub use render::action::{Action, IntoOutcome, Invocation, Outcome};
pub use render::descriptor::{Descriptor, Item};
pub use render::room_source::RoomSource;
pub use render::source::{IntoDescriptor, IntoLoaded, Sharing, Source, WindowRequest};
pub use render::task::{Task, TaskResult};
pub use rooms::creating::CreatedRoom;
pub use rooms::ending::Ended;
pub use rooms::options::RoomOptions;
pub use rooms::presence::PresenceRow;
pub use rooms::reading_archives::ArchivedEvents;
pub use rooms::replaying::Replay;
pub use rooms::room_stats::RoomStats;
pub use rooms::said::Said;
pub use runs::agent::{Agent, RunAgent, RunFuture, RunResult};
pub use runs::run_context::RunContext;
pub use runs::run_memory::RunMemory;
pub use runs::tool::Tool;
pub use runs::tool_result::ToolResult;
pub use session_provider::SessionProvider;
pub use sessions::revocations::Revocation;
pub use sessions::source_edit::SourceEdits;
pub use stats::Stats;
pub use storage::archive::Archive;
pub use storage::choice::Storage;
pub use storage::error::StorageError;
pub use storage::event_log::{EventLog, LogBounds, LoggedEvent, PageSize};
pub use storage::memory_store::MemoryStore;
pub use storage::room_store::{Part, PartKind, RoomStore, ShowRoom};
pub use storage::storage_stats::StorageStats;
pub use storage::store::{Store, Write};
