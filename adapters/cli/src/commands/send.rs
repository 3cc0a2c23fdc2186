//! `grove send`.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;

use crate::failure::{Failure, Kind};
use crate::output::Output;
use crate::settings::{MemberSettings, SocketSetting};
use crate::speaker::Speaker;

#[derive(Debug, Args)]
#[command(after_help = "\
Inside a launched session, it is the session's message; otherwise the member's. It waits until the receiver reads it.")]
pub(crate) struct Send {
    /// The receiver: a participant id, a session key, or a name that only one peer has
    to: String,
    /// What it says
    text: String,
    /// TEXT is JSON
    #[arg(long)]
    data: bool,
    #[command(flatten)]
    socket: SocketSetting,
    #[command(flatten)]
    member: MemberSettings,
}

impl Send {
    pub(crate) async fn run(self, output: &Output) -> Result<ExitCode, Failure> {
        let body = match self.data {
            true => serde_json::from_str(&self.text)
                .map_err(|error| Failure::failed(format!("TEXT is not JSON: {error}")))?,
            false => Value::String(self.text),
        };
        let mut speaker = Speaker::find(&self.socket, &self.member).await?;
        let to = match is_name(&self.to) {
            true => receiver(&self.to, &speaker.peers().await?)?,
            false => self.to,
        };
        let sent = speaker.send(to, body).await?;
        output.result(&sent, || {
            let text = |field: &str| sent[field].as_str().unwrap_or_default().to_owned();
            format!("{} {}", text("status"), text("message"))
        });
        Ok(ExitCode::SUCCESS)
    }
}

/// Whether it is neither a participant id nor a session key.
fn is_name(to: &str) -> bool {
    !to.starts_with("p_") && to.parse::<grove_attest::PublicKey>().is_err()
}

/// The participant with this name.
fn receiver(name: &str, rows: &[Value]) -> Result<String, Failure> {
    let named: Vec<_> = rows.iter().filter(|row| row["name"] == name).collect();
    let participants = || named.iter().filter_map(|row| row["participant"].as_str()).collect::<Vec<_>>();
    match participants().as_slice() {
        [one] => Ok((*one).to_owned()),
        [] => Err(Failure::new(Kind::NotFound, format!("no peer has the name `{name}`")).advice("see `grove peers`")),
        several => {
            let message = format!("{} peers have the name `{name}`", several.len());
            Err(Failure::new(Kind::NotFound, message).advice(format!("give one of {}", several.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_is_a_receiver_if_only_one_peer_has_it() {
        let rows = [("A", "p_1"), ("B", "p_2"), ("B", "p_3")];
        let rows = rows.map(|(name, participant)| json!({"name": name, "participant": participant}));
        assert_eq!(receiver("A", &rows).as_deref(), Ok("p_1"));
        assert_eq!(receiver("C", &rows).unwrap_err().kind, Kind::NotFound);
        assert_eq!(receiver("B", &rows).unwrap_err().advice.as_deref(), Some("give one of p_2, p_3"));
        assert!(is_name("A") && !is_name("p_1") && !is_name(&"a".repeat(64)));
    }
}
