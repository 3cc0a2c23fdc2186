//! Text for the terminal.

use slop_ai::{PatchOp, PatchOpKind};

/// A patch operation as one line: the operation, its path, and its index or value.
pub(crate) fn op_line(op: &PatchOp) -> String {
    let name = match op.op {
        PatchOpKind::Add => "add",
        PatchOpKind::Remove => "remove",
        PatchOpKind::Replace => "replace",
        PatchOpKind::Move => "move",
    };
    let index = op.index.map(|index| format!(" at {index}")).unwrap_or_default();
    let value = op.value.as_ref().map(|value| format!(" {value}")).unwrap_or_default();
    format!("{name} {}{index}{value}", op.path)
}

/// The text without control characters other than line breaks, so that it cannot control the terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn line(op: serde_json::Value) -> String {
        op_line(&serde_json::from_value(op).unwrap())
    }

    #[test]
    fn an_operation_is_one_line() {
        assert_eq!(
            line(json!({"op": "replace", "path": "/t1/properties/done", "value": true})),
            "replace /t1/properties/done true"
        );
        assert_eq!(line(json!({"op": "remove", "path": "/t1"})), "remove /t1");
        assert_eq!(line(json!({"op": "move", "path": "/t1", "index": 2})), "move /t1 at 2");
        assert_eq!(
            line(json!({"op": "add", "path": "/t1", "index": 0, "value": {"id": "t1", "type": "item"}})),
            r#"add /t1 at 0 {"id":"t1","type":"item"}"#
        );
    }

    #[test]
    fn text_cannot_control_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\nc"), "a\u{fffd}[2Jb\nc");
    }
}
