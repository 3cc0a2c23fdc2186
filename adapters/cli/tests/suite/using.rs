//! The command line: keys, completions, exit codes, JSON.

use std::fs;

use serde_json::{Value, json};

use crate::home::{Home, mode};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_is_in_a_private_file_and_its_public_half_is_printed() {
    let home = Home::new(&[]).await;
    let made = home.grove(&["keys", "new", "k", "--json"]).await;
    let file = home.directory.join("k");
    assert_eq!((mode(&file), fs::read_to_string(&file).unwrap().len()), (0o600, 65));
    let public = made.json()["public_key"].clone();
    assert_eq!(home.grove(&["keys", "show", "k"]).await.stdout.trim_end(), public.as_str().unwrap());
    assert!(!made.stdout.contains(fs::read_to_string(&file).unwrap().trim_end()), "the secret is not shown");
    let again = home.grove(&["keys", "new", "k", "--json"]).await;
    let error: Value = serde_json::from_str(&again.stderr).unwrap();
    assert_eq!((again.code, again.stdout.as_str(), &error["error"]["code"]), (1, "", &json!("failed")));
    assert!(error["error"]["advice"].as_str().unwrap().contains("no key is overwritten"));
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_usage_is_2_and_help_says_which_codes_there_are() {
    let home = Home::new(&[]).await;
    for wrong in [&[][..], &["none"], &["send", "x"], &["daemon", "--server", "x"], &["daemon", "--reap-ms", "60000"]] {
        assert_eq!(home.grove(wrong).await.code, 2, "{wrong:?}");
    }
    let help = home.grove(&["--help"]).await;
    assert!(help.code == 0 && help.stdout.contains("Exit codes"), "{}", help.stdout);
    for command in ["keys", "daemon", "launch", "peers", "send", "inbox", "completions"] {
        assert!(help.stdout.contains(command), "{command}");
        assert_eq!(home.grove(&[command, "--help"]).await.code, 0, "{command}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_setting_is_named_with_its_option_and_its_variable() {
    let home = Home::new(&[]).await;
    for (variable, option) in
        [("GROVE_SERVER", "--server"), ("GROVE_PROJECT", "--project"), ("GROVE_MEMBER_KEY", "--member-key")]
    {
        let mut command = home.command(&["peers"]);
        let refused = crate::home::ended({
            command.env_remove(variable);
            command
        })
        .await;
        assert!(
            refused.code == 1 && refused.stderr.contains(variable) && refused.stderr.contains(option),
            "{}",
            refused.stderr
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn shells_can_complete_its_arguments() {
    let home = Home::new(&[]).await;
    for shell in ["bash", "zsh", "fish"] {
        let script = home.grove(&["completions", shell]).await;
        assert!(script.code == 0 && script.stdout.contains("launch"), "{shell}: {}", script.stderr);
    }
}
