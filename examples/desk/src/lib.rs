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

use axum::Router;
use axum::middleware::from_fn;
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
/// When SQLite cannot open, create or migrate the file, or another desk has it open.
pub fn open(path: &Path) -> Result<Desk, DeskError> {
    with_tree(Store::open(path)?)
}

/// A desk on a fresh store that is gone when the process ends; for tests and demonstrations.
///
/// # Errors
///
/// When SQLite fails.
pub fn open_in_memory() -> Result<Desk, DeskError> {
    with_tree(Store::in_memory()?)
}

fn with_tree(store: Store) -> Result<Desk, DeskError> {
    let desk = Desk::new(store)?;
    tree::register(&desk);
    desk.open_rooms()?;
    Ok(desk)
}

/// The whole application: the pages, the login, `/slop` for AIs and tabs, `/slop/renew` for AIs whose login was extended,
/// `/board/slop` for the people at the page of the board, `/healthz` and `/readyz`. `trust_forwarded` is for a desk behind
/// a proxy, see [`Slop::trust_forwarded`].
pub fn app(desk: Desk, sign_in: SignIn, trust_forwarded: bool) -> Router {
    let slop = Slop::new(desk.engine().clone(), login::authenticator(&desk)).trust_forwarded(trust_forwarded);
    let people = Slop::new(desk.engine().clone(), login::person_authenticator(&desk)).path("/board/slop");
    let endpoint: Router = slop.clone().router().merge(people.trust_forwarded(trust_forwarded).router());
    let health: Router = grove_axum::health(desk.engine().clone());
    let pages = Router::new().merge(page::routes()).merge(login::routes()).layer(from_fn(guard::guard));
    pages.with_state(Site { desk, sign_in, slop }).merge(endpoint).merge(health)
}
