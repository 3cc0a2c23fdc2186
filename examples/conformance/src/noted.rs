//! What the agent `once` has noted: a key, and for whom.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use parking_lot::Mutex;

/// A key, and the call or run for which it was noted.
type Pair = (String, String);

/// Pairs, each noted once. With a file, a process that starts again goes on with them.
#[derive(Debug, Default)]
pub(crate) struct Noted(Mutex<List>);

#[derive(Debug, Default)]
struct List {
    pairs: BTreeSet<Pair>,
    /// A pair on each line, as JSON.
    file: Option<File>,
}

impl Noted {
    /// Reads what is noted in a directory. Of a line that was not finished, nothing was told to anybody.
    ///
    /// # Errors
    /// When the file cannot be opened or read.
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        let path = directory.join("once.jsonl");
        let mut file = OpenOptions::new().create(true).read(true).append(true).open(path)?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        if !text.is_empty() && !text.ends_with('\n') {
            file.write_all(b"\n")?;
        }
        let pairs = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        Ok(Self(Mutex::new(List { pairs, file: Some(file) })))
    }

    /// Notes a pair, unless it is present. It may block.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn note(&self, pair: Pair) -> io::Result<()> {
        let mut list = self.0.lock();
        if list.pairs.contains(&pair) {
            return Ok(());
        }
        if let Some(file) = &mut list.file {
            writeln!(file, "{}", serde_json::to_string(&pair)?)?;
            file.sync_data()?;
        }
        list.pairs.insert(pair);
        Ok(())
    }

    /// How often a key is noted.
    pub(crate) fn count(&self, key: &str) -> usize {
        self.0.lock().pairs.iter().filter(|(noted, _)| noted == key).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_noted_once_also_after_a_start_and_behind_a_torn_line() {
        let directory = std::env::temp_dir().join(format!("grove-noted-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let pair = |call: &str| ("k".to_owned(), call.to_owned());
        let noted = Noted::open(&directory).unwrap();
        for call in ["a", "b", "a"] {
            noted.note(pair(call)).unwrap();
        }
        let mut file = OpenOptions::new().append(true).open(directory.join("once.jsonl")).unwrap();
        file.write_all(br#"["k","#).unwrap();
        for call in ["a", "c"] {
            Noted::open(&directory).unwrap().note(pair(call)).unwrap();
        }
        let counted = Noted::open(&directory).unwrap().count("k");
        std::fs::remove_dir_all(&directory).unwrap();
        assert_eq!((noted.count("k"), counted), (2, 3));
    }
}
