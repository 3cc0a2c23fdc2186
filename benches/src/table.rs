//! Rows as a table for people.

use crate::question::Question;
use crate::row::Row;

/// A column: its heading, and what it shows of a row.
type Column = (&'static str, fn(&Row) -> Option<String>);

fn bytes(value: Option<f64>) -> Option<String> {
    value.map(|value| grouped(value.round() as i64))
}

fn fraction(value: Option<f64>) -> Option<String> {
    value.map(|value| if value >= 100.0 { grouped(value.round() as i64) } else { format!("{value:.2}") })
}

fn count(value: Option<u64>) -> Option<String> {
    value.map(|value| grouped(i64::try_from(value).unwrap_or(i64::MAX)))
}

fn ratio(value: Option<f64>) -> Option<String> {
    value.map(|value| format!("{value:.1}x"))
}

/// Digits in groups of three.
fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::from(if number < 0 { "-" } else { "" });
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

const CONDITIONS: &[Column] = &[
    ("workload", |row| Some(row.workload?.name().to_owned())),
    ("likeness", |row| Some(row.likeness?.name().to_owned())),
    ("providers", |row| row.per_session.map(|_| "per session".to_owned())),
    ("change", |row| Some(format!("{:?}", row.change?).to_lowercase())),
    ("gap", |row| count(row.gap.map(u64::from))),
    ("sessions", |row| count(row.sessions.map(u64::from))),
    ("active", |row| Some(format!("{}%", row.active?))),
];

const MEMORY: &[Column] = &[
    ("rss/active", |row| bytes(row.rss_bytes_per_active)),
    ("heap/active", |row| bytes(row.heap_bytes_per_active)),
    ("heap/idle", |row| bytes(row.heap_bytes_per_idle)),
    ("connection", |row| bytes(row.heap_bytes_of_connection)),
    ("1st tree", |row| bytes(row.heap_bytes_of_first_tree)),
    ("2nd tree", |row| bytes(row.heap_bytes_of_second_tree)),
    ("4 changes", |row| bytes(row.heap_bytes_of_more_changes)),
    ("no consumer", |row| bytes(row.heap_bytes_without_consumer)),
    ("left in all", |row| bytes(row.heap_bytes_left)),
    ("fragments", |row| bytes(row.tree_bytes_per_active)),
    ("symbols in all", |row| count(row.symbol_bytes)),
    ("json", |row| count(row.tree_json_bytes)),
    ("peer rss", |row| bytes(row.peer_rss_bytes_per_active)),
    ("ratio", |row| ratio(row.memory_ratio)),
];

const REFRESH: &[Column] = &[
    ("us/session", |row| fraction(row.us_per_session)),
    ("render", |row| fraction(row.render_us_per_session)),
    ("deliver", |row| fraction(row.deliver_us_per_session)),
    ("cpu us", |row| fraction(row.cpu_us_per_session)),
    ("p99 ms", |row| fraction(row.p99_ms)),
    ("call p99 ms", |row| fraction(row.call_p99_ms)),
    ("evaluations", |row| count(row.evaluations)),
    ("commits", |row| count(row.commits)),
    ("diffs", |row| count(row.diffs)),
    ("encodes", |row| count(row.encodes)),
    ("frames", |row| count(row.frames)),
    ("bytes/frame", |row| bytes(row.frame_bytes)),
    ("peer us", |row| fraction(row.peer_us_per_session)),
    ("ratio", |row| ratio(row.speed_ratio)),
    ("peer cpu", |row| fraction(row.peer_cpu_us_per_session)),
    ("ratio", |row| ratio(row.cpu_ratio)),
];

const CONNECT: &[Column] = &[
    ("us/session", |row| fraction(row.us_per_session)),
    ("cpu us", |row| fraction(row.cpu_us_per_session)),
    ("p50 ms", |row| fraction(row.p50_ms)),
    ("p99 ms", |row| fraction(row.p99_ms)),
    ("passes", |row| count(row.passes)),
    ("evaluations", |row| count(row.evaluations)),
    ("encodes", |row| count(row.encodes)),
    ("snapshot", |row| count(row.snapshot_bytes)),
];

const RESUME: &[Column] = &[
    ("us/session", |row| fraction(row.us_per_session)),
    ("snapshot", |row| count(row.snapshot_bytes)),
    ("resume", |row| fraction(row.resume_bytes)),
    ("of it", |row| row.resume_percent.map(|percent| format!("{percent:.2}%"))),
    ("resumed", |row| row.resumed_percent.map(|percent| format!("{percent:.1}%"))),
];

const LIVE: &[Column] = &[
    ("connections", |row| count(row.connections.map(u64::from))),
    ("rss/conn", |row| bytes(row.rss_bytes_per_connection)),
    ("heap/conn", |row| bytes(row.heap_bytes_per_connection)),
    ("idle cpu us/s", |row| fraction(row.idle_cpu_us_per_connection)),
    ("shared p50 ms", |row| fraction(row.p50_ms)),
    ("p99 ms", |row| fraction(row.p99_ms)),
    ("max ms", |row| fraction(row.max_ms)),
    ("private/s", |row| fraction(row.private_per_second)),
    ("private p50 ms", |row| fraction(row.private_p50_ms)),
    ("p99 ms", |row| fraction(row.private_p99_ms)),
];

const SLOW: &[Column] = &[
    ("readers", |row| count(row.connections.map(u64::from))),
    ("stalled", |row| count(row.stalled.map(u64::from))),
    ("shared p50 ms", |row| fraction(row.p50_ms)),
    ("beside", |row| fraction(row.stalled_p50_ms)),
    ("p99 ms", |row| fraction(row.p99_ms)),
    ("beside", |row| fraction(row.stalled_p99_ms)),
    ("ratio", |row| fraction(row.shared_p99_ratio)),
    ("private p50 ms", |row| fraction(row.private_p50_ms)),
    ("beside", |row| fraction(row.stalled_private_p50_ms)),
    ("p99 ms", |row| fraction(row.private_p99_ms)),
    ("beside", |row| fraction(row.stalled_private_p99_ms)),
    ("ratio", |row| fraction(row.private_p99_ratio)),
    ("rss/stalled", |row| bytes(row.rss_bytes_per_stalled)),
    ("heap/stalled", |row| bytes(row.heap_bytes_per_stalled)),
];

const CHURN: &[Column] = &[
    ("us/cycle", |row| fraction(row.us_per_session)),
    ("heap before", |row| bytes(row.heap_bytes_before)),
    ("heap after", |row| bytes(row.heap_bytes_after)),
    ("symbols in all", |row| count(row.symbol_bytes)),
    ("ratio", |row| row.heap_ratio.map(|ratio| format!("{ratio:.4}"))),
];

const CHECKS: &[Column] = &[("mirrors", |row| count(row.mirrors_checked)), ("wrong", |row| count(row.mirrors_wrong))];

/// The table of a question's rows. Columns that no row fills are left out.
pub(crate) fn of(question: Question, rows: &[Row]) -> String {
    let own = match question {
        Question::Memory => MEMORY,
        Question::Refresh => REFRESH,
        Question::Connect => CONNECT,
        Question::Resume => RESUME,
        Question::Live => LIVE,
        Question::Slow => SLOW,
        Question::Churn => CHURN,
    };
    let mut columns: Vec<Vec<String>> = Vec::new();
    for (heading, show) in CONDITIONS.iter().chain(own).chain(CHECKS) {
        let cells: Vec<Option<String>> = rows.iter().map(show).collect();
        if cells.iter().any(Option::is_some) {
            let shown = cells.into_iter().map(|cell| cell.unwrap_or_else(|| "-".to_owned()));
            columns.push(std::iter::once((*heading).to_owned()).chain(shown).collect());
        }
    }
    let widths: Vec<usize> = columns.iter().map(|column| column.iter().map(String::len).max().unwrap_or(0)).collect();
    let line = |at: usize| {
        let cells = columns.iter().zip(&widths).map(|(column, width)| format!("{:>width$}", column[at]));
        cells.collect::<Vec<_>>().join("  ")
    };
    (0..=rows.len()).map(|at| line(at) + "\n").collect()
}
