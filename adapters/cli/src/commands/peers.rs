//! `grove peers`.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::output::{Output, table};
use crate::settings::{MemberSettings, SocketSetting};
use crate::speaker::Speaker;

#[derive(Debug, Args)]
#[command(after_help = "\
Inside a launched session, it asks as the session; otherwise it opens a link of the member's own, which nobody sees.")]
pub(crate) struct Peers {
    #[command(flatten)]
    socket: SocketSetting,
    #[command(flatten)]
    member: MemberSettings,
}

impl Peers {
    pub(crate) async fn run(self, output: &Output) -> Result<ExitCode, Failure> {
        let rows = Speaker::find(&self.socket, &self.member).await?.peers().await?;
        output.result(&json!({ "peers": rows }), || shown(&rows));
        Ok(ExitCode::SUCCESS)
    }
}

fn shown(rows: &[Value]) -> String {
    let cell = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    };
    let columns = ["name", "kind", "role", "groups", "status", "connected_at", "pid", "cwd", "participant"];
    let cells: Vec<Vec<_>> = rows.iter().map(|row| columns.iter().map(|column| cell(&row[column])).collect()).collect();
    table(&["NAME", "KIND", "ROLE", "GROUPS", "STATUS", "SINCE", "PID", "CWD", "PARTICIPANT"], &cells)
}
