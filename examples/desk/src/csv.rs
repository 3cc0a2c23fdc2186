//! Tasks as comma-separated values (RFC 4180).

use std::fmt::Write as _;

use crate::store::Task;

pub(crate) fn header() -> String {
    "id,title,done,due,priority\r\n".to_owned()
}

/// Puts one task under the others.
pub(crate) fn write_task(text: &mut String, task: &Task) {
    let due = task.due.map(|day| day.to_string()).unwrap_or_default();
    let title = quoted(&task.title);
    let _ = write!(text, "{},{title},{},{due},{}\r\n", task.id, task.done, task.priority.as_str());
}

/// A cell that a spreadsheet would take for a formula gets an apostrophe in front.
fn quoted(cell: &str) -> String {
    let guard = if cell.starts_with(['=', '+', '-', '@']) { "'" } else { "" };
    format!("\"{guard}{}\"", cell.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_cell_cannot_leave_its_quotes_or_become_a_formula() {
        assert_eq!(quoted("say \"hi\", then go"), "\"say \"\"hi\"\", then go\"");
        assert_eq!(quoted("=1+1"), "\"'=1+1\"");
    }
}
