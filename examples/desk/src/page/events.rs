//! `/events`: a stream that names each section of the reader's page as it changes.

use std::convert::Infallible;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::change::Change;
use crate::login::SignedIn;
use crate::site::Site;
use crate::store::Login;

/// All sections, for a reader that has missed some changes.
const ALL: &str = "all";

pub(super) async fn stream(
    State(site): State<Site>,
    SignedIn(login): SignedIn,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let changes = site.desk.watch();
    let sections = stream::unfold((changes, login), |(mut changes, login)| async move {
        let name = next_section(&mut changes, &login).await?;
        Some((Ok(Event::default().data(name)), (changes, login)))
    });
    Sse::new(sections).keep_alive(KeepAlive::default())
}

/// The next section that `login`'s page must reload, or `None` when the stream ends.
async fn next_section(changes: &mut Receiver<Change>, login: &Login) -> Option<&'static str> {
    loop {
        match changes.recv().await {
            Ok(change) if change.ends(&login.id) => return None,
            Ok(change) => match change.area_for(&login.person) {
                Some(area) => return Some(area.as_str()),
                None => continue,
            },
            Err(RecvError::Lagged(_)) => return Some(ALL),
            Err(RecvError::Closed) => return None,
        }
    }
}
