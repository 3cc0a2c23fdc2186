//! `grove inbox`.

use std::path::Path;
use std::pin::pin;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use futures_util::StreamExt;
use grove_client::BackOff;
use grove_client::peer::{FromServer, ToServer};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

use crate::event_stream::EventStream;
use crate::failure::{Failure, Kind};
use crate::local::Local;
use crate::output::{Output, Spinner};
use crate::settings::{MemberSettings, Membership, SocketSetting, own_card, session_token, user_at_host};
use crate::speaker::open_member;
use crate::token::Token;

/// The longest first pause before reading goes on after it was interrupted.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// For how long that is tried: a session is registered again within seconds.
const TRY_FOR: Duration = Duration::from_secs(60);

/// How long the daemon may take to end after the last message that was wanted.
const LAST: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
#[command(after_help = "\
Prints messages as they come, until it is stopped. Inside a launched session, it reads the session's messages; otherwise it \
opens a link of the member's own, which others see and can write to. A message that was printed is acknowledged.")]
pub(crate) struct Inbox {
    /// End after so many messages
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// How the member is shown to others outside of a launched session
    #[arg(long, value_name = "NAME", default_value_t = user_at_host())]
    name: String,
    #[command(flatten)]
    socket: SocketSetting,
    #[command(flatten)]
    member: MemberSettings,
}

/// Reads messages, until there are enough.
struct Reading<'a> {
    output: &'a Output,
    spinner: Spinner,
    /// How many messages are wanted; none if there is no end.
    left: Option<u64>,
}

/// Whether there may be more.
#[derive(PartialEq, Eq)]
enum Read {
    Enough,
    Interrupted,
}

impl Inbox {
    pub(crate) async fn run(self, output: &Output) -> Result<ExitCode, Failure> {
        let (token, socket) = (session_token()?, self.socket.path());
        let membership = if token.is_none() { Some(self.member.membership()?) } else { None };
        let spinner = output.spinner("waiting for messages");
        let mut reading = Reading { output, spinner, left: self.count };
        let (mut back_off, mut worked) = (BackOff::starting_at(FIRST_PAUSE), None::<Instant>);
        while reading.left != Some(0) {
            let read = match (&token, &membership) {
                (Some(token), _) => reading.of_session(&socket, token).await,
                (None, Some(membership)) => reading.of_member(membership, &self.name).await,
                (None, None) => Ok(Read::Enough),
            };
            match read {
                Ok(Read::Enough) => break,
                Ok(Read::Interrupted) => {
                    worked = Some(Instant::now());
                    back_off.reset();
                }
                Err(failure) if worked.is_none_or(|at| at.elapsed() > TRY_FOR) => return Err(failure),
                Err(_) => {}
            }
            sleep(back_off.next_pause()).await;
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Reading<'_> {
    /// The messages of the launched session, by the daemon, which acknowledges what it could write to us.
    async fn of_session(&mut self, socket: &Path, token: &Token) -> Result<Read, Failure> {
        let mut daemon = Local::connect(socket).await?;
        // It acknowledges what it writes, so it must not write more than we print.
        let path = self.left.map_or_else(|| "/v1/inbox".to_owned(), |left| format!("/v1/inbox?limit={left}"));
        let mut bytes = pin!(daemon.events(&path, token).await?);
        let mut events = EventStream::default();
        while let Some(some) = bytes.next().await {
            let too_long = |_| Failure::new(Kind::Refused, "the daemon sends an endless message");
            for event in events.take(&some).map_err(too_long)? {
                if self.print(&serde_json::from_str(&event).unwrap_or(Value::Null)) {
                    // It ends when the daemon has acknowledged the last one. If it does not, that is there again next time.
                    let _ = timeout(LAST, async { while bytes.next().await.is_some() {} }).await;
                    return Ok(Read::Enough);
                }
            }
        }
        Ok(Read::Interrupted)
    }

    /// The messages of the member, by a link of its own.
    async fn of_member(&mut self, membership: &Membership, name: &str) -> Result<Read, Failure> {
        let mut link = open_member(membership, Some(own_card(name.to_owned()))).await?;
        loop {
            match link.next().await {
                Ok(FromServer::Message(mail)) => {
                    let is_enough = self.print(&json!(mail));
                    let acknowledged = link.send(&ToServer::ack(mail.message)).await;
                    if is_enough {
                        link.bye().await;
                        return Ok(Read::Enough);
                    }
                    if acknowledged.is_err() {
                        return Ok(Read::Interrupted);
                    }
                }
                Ok(_) => {}
                Err(_) => return Ok(Read::Interrupted),
            }
        }
    }

    /// Whether there are enough now.
    fn print(&mut self, message: &Value) -> bool {
        let output = self.output;
        self.spinner.suspended(|| output.result(message, || shown(message)));
        self.left = self.left.map(|left| left.saturating_sub(1));
        self.left == Some(0)
    }
}

/// A message in one line or more, without what could control the terminal.
fn shown(message: &Value) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let from = &message["from"];
    let line = format!("{} {}: {}", text(&message["at"]), text(&from["name"]), text(&message["body"]));
    line.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_does_not_control_the_terminal() {
        let message = json!({"at": "now", "from": {"name": "\u{1b}[2JB"}, "body": "a\u{7}\nb"});
        assert_eq!(shown(&message), "now [2JB: a\nb");
        assert_eq!(shown(&json!({"at": "now", "from": {"name": "B"}, "body": {"n": 1}})), "now B: {\"n\":1}");
    }
}
