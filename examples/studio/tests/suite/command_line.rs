//! The command line.

use std::process::Output;

use crate::studio::{Studio, command, within_deadline};

async fn output(arguments: &[&str]) -> Output {
    within_deadline(command().args(arguments).output()).await.expect("an output")
}

#[tokio::test]
async fn help_names_what_can_be_set_and_wrong_usage_is_exit_code_2() {
    let help = output(&["--help"]).await;
    let text = String::from_utf8_lossy(&help.stdout);
    assert!(help.status.success(), "{text}");
    for wanted in ["--listen", "--addr", "--storage", "--model-url", "STUDIO_MODEL_KEY"] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    assert_eq!(output(&["--storag", "x"]).await.status.code(), Some(2));
}

#[tokio::test]
async fn what_keeps_it_from_starting_is_named_in_a_sentence() {
    let file = std::env::temp_dir().join(format!("studio-file-{}", std::process::id()));
    std::fs::write(&file, "no directory").expect("a file");
    let running = Studio::start(&[]).await;
    for (arguments, expected) in [
        (["--addr", running.address.as_str()], "studio: cannot listen on"),
        (["--storage", file.to_str().expect("a path")], "studio: "),
    ] {
        let failed = output(&arguments).await;
        let text = String::from_utf8_lossy(&failed.stderr);
        assert_eq!(failed.status.code(), Some(1), "{text}");
        assert!(text.starts_with(expected) && !text.contains("Os {"), "{text}");
    }
    std::fs::remove_file(&file).expect("the file");
}
