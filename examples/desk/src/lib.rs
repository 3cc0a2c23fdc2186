//! A work desk for several people: an inbox, tasks, a board that an org shares, settings. Each person works on a web
//! page, and the person's AI sees and changes the same desk as a SLOP tree.
//!
//! ```text
//!   a click             an AI's action
//!      |                      |
//!    page                   tree
//!      '------.       .-------'
//!             v       v
//!            desk: may this person? is it valid? is it theirs?
//!             |
//!           store      SQLite, written here and nowhere else
//!             |
//!            Desk::announce, with a Change
//!             |------------------.
//!             v                  v
//!        the open pages     engine.refresh(Scope)
//!        that show it       of the trees that show it
//! ```
//!
//! | module | contents |
//! |---|---|
//! | `people`, `id`, `clock`, `theme`, `due` | the nouns |
//! | `store`, `seed` | the SQLite file |
//! | `change`, `desk` | the single entry point, and who is notified of a change |
//! | `session`, `tree` | sessions, descriptors and actions for the engine |
//! | `launched` | the processes that people launch as sessions of theirs |
//! | `board_room` | the room in which the people of an org and their AIs are at its board together |
//! | `login`, `page`, `guard` | the web side |

mod board_room;
mod change;
mod clock;
mod csv;
mod desk;
mod due;
mod error;
mod guard;
mod html;
mod id;
mod launched;
mod login;
mod page;
mod people;
mod secret;
mod seed;
mod session;
mod sign_in;
mod site;
mod store;
mod theme;
mod tree;

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn;
use grove_attest::{Members, MemoryMembers, StoredMembers};
use grove_axum::Slop;

use crate::site::Site;
use crate::store::Store;

pub use desk::Desk;
pub use error::DeskError;
pub use people::{Person, Role};
pub use sign_in::SignIn;

/// Opens the desk of a SQLite file, creating and filling the file when it is new, and registers its tree with a new
/// engine. Must be called inside a tokio runtime.
///
/// # Errors
///
/// When SQLite cannot open, create or migrate the file, or another desk has it open; or the keys of its people, which stand
/// in a directory beside it.
pub fn open(path: &Path) -> Result<Desk, DeskError> {
    let store = Store::open(path)?;
    with_tree(store, StoredMembers::open(path.with_extension("keys"))?)
}

/// A desk on a fresh store that is gone when the process ends; for tests and demonstrations.
///
/// # Errors
///
/// When SQLite fails.
pub fn open_in_memory() -> Result<Desk, DeskError> {
    with_tree(Store::in_memory()?, MemoryMembers::new())
}

fn with_tree(store: Store, members: impl Members + 'static) -> Result<Desk, DeskError> {
    let desk = Desk::new(store, members)?;
    tree::register(&desk);
    desk.open_rooms()?;
    Ok(desk)
}

/// The whole application: the pages, the login, `/slop` for AIs and tabs, `/slop/renew` for AIs whose login was extended,
/// `/board/slop` for the people at the page of the board, `/peers` for sessions that people launch, `/healthz` and `/readyz`. `trust_forwarded` is for a desk behind
/// a proxy, see [`Slop::trust_forwarded`].
pub fn app(desk: Desk, sign_in: SignIn, trust_forwarded: bool) -> Router {
    let authenticator = Arc::new(desk.peers().authenticator(login::authenticator(&desk)));
    let peers: Router = desk.peers().routes(Arc::clone(&authenticator));
    let slop = Slop::new(desk.engine().clone(), authenticator).trust_forwarded(trust_forwarded);
    let people = Slop::new(desk.engine().clone(), login::person_authenticator(&desk)).path("/board/slop");
    let endpoint: Router = slop.clone().router().merge(people.trust_forwarded(trust_forwarded).router());
    let health: Router = grove_axum::health(desk.engine().clone());
    let pages = Router::new().merge(page::routes()).merge(login::routes()).layer(from_fn(guard::guard));
    pages.with_state(Site { desk, sign_in, slop }).merge(endpoint).merge(peers).merge(health)
}
