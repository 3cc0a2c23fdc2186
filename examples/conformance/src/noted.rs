//! What the agent `once` has noted.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;

use serde_json::{from_str, to_string};

/// Keys, each with the call that it was noted for. In a directory, they are there again after a restart.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    pairs: Vec<(String, String)>,
    /// One pair on each line.
    file: Option<File>,
}

impl Noted {
    /// # Panics
    /// If the file cannot be opened.
    pub(crate) fn open(directory: Option<&Path>) -> Self {
        let Some(path) = directory.map(|directory| directory.join("once.jsonl")) else { return Self::default() };
        let lines = std::fs::read_to_string(&path).unwrap_or_default();
        let pairs = lines.lines().filter_map(|line| from_str(line).ok()).collect();
        let file = OpenOptions::new().create(true).append(true).open(&path).expect("the file of `once`");
        Self { pairs, file: Some(file) }
    }

    /// Notes a pair, unless it is noted already.
    pub(crate) fn note(&mut self, key: &str, call: &str) {
        let pair = (key.to_owned(), call.to_owned());
        if self.pairs.contains(&pair) {
            return;
        }
        if let Some(file) = &mut self.file {
            let line = to_string(&pair).expect("two texts") + "\n";
            file.write_all(line.as_bytes()).expect("the file of `once`");
        }
        self.pairs.push(pair);
    }

    /// How often a key was noted.
    pub(crate) fn count(&self, key: &str) -> usize {
        self.pairs.iter().filter(|(noted, _)| noted == key).count()
    }
}
