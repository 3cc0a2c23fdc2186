//! A work desk for several people: an inbox, tasks, a board that an org shares, settings. Each person works on a web
//! page, and the person's AI sees and changes the same desk as a SLOP tree.
//!
//! ```text
//!   a click             an AI's action
//!      |                      |
//!    page                   tree
//!      '------.       .-------'
//!             v       v
//!            desk: may this person? is it usable? is it theirs?
//!             |
//!           store      SQLite, written here and nowhere else
//!             |
//!            desk::announce, with a Change
//!             |------------------.
//!             v                  v
//!        open pages       engine.refresh(Scope)
//!        of whom it       of whom it concerns
//!        concerns
//! ```
//!
//! | module | what it knows |
//! |---|---|
//! | `people`, `id`, `clock`, `theme`, `due` | the nouns |
//! | `store`, `seed` | the SQLite file |
//! | `change`, `desk` | the one way in, and who hears of a change |
//! | `tree` | descriptors and actions for the engine |
//! | `login`, `page`, `guard` | the web side |

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
mod store;
mod theme;
mod tree;

use axum::Router;
use axum::middleware::from_fn;

pub use desk::Desk;
pub use error::DeskError;
pub use login::SignIn;
pub use people::{Person, Role};

/// What every handler of the web side needs.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    pub(crate) desk: Desk,
    pub(crate) sign_in: SignIn,
}

/// The whole application: the page, the login, `/slop` for AIs and tabs, `/slop/renew` for AIs whose login was prolonged, `/healthz` and `/readyz`.
pub fn app(desk: Desk, sign_in: SignIn) -> Router {
    let slop: Router = grove_axum::router(desk.engine().clone(), login::authenticator(&desk));
    let health: Router = grove_axum::health(desk.engine().clone());
    let pages = Router::new().merge(page::routes()).merge(login::routes()).layer(from_fn(guard::guard));
    pages.with_state(Site { desk, sign_in }).merge(slop).merge(health)
}
