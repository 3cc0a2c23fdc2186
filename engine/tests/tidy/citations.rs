//! Every citation leads somewhere: the tests that the requirement pages name, and the sections, traps and rows that
//! code and tests cite.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// All files below a folder that have one of these extensions, with their text.
fn files(folder: &Path, extensions: &[&str]) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if !name.starts_with('.') && !["target", "node_modules"].contains(&name) {
                found.extend(files(&path, extensions));
            }
        } else if path.extension().is_some_and(|extension| extensions.iter().any(|wanted| extension == *wanted)) {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found.sort();
    found
}

fn pages(folder: &str) -> Vec<(PathBuf, String)> {
    files(&root().join("docs").join(folder), &["md"])
}

/// The tests that a line names between backticks: `file::test`, or `axum/file::test` and the like.
fn named_tests(line: &str) -> Vec<(String, String)> {
    let quoted = line.split('`').skip(1).step_by(2);
    quoted.filter_map(|text| text.split_once("::")).map(|(file, test)| (file.to_owned(), test.to_owned())).collect()
}

/// The file that a citation such as `views` or `concurrency/ending` means.
fn file_of_tests(cited: &str) -> PathBuf {
    match cited.split_once('/') {
        Some(("axum", file)) => root().join(format!("adapters/axum/tests/suite/{file}.rs")),
        Some(("attest", file)) => {
            let tests = root().join("adapters/attest/tests");
            let of_suite = tests.join(format!("suite/{file}.rs"));
            if of_suite.exists() { of_suite } else { tests.join(format!("{file}.rs")) }
        }
        Some(("cli", file)) => root().join(format!("adapters/cli/tests/suite/{file}.rs")),
        Some(("cli-units", file)) => root().join(format!("adapters/cli/src/{file}.rs")),
        Some(("nats", file)) => root().join(format!("adapters/nats/tests/suite/{file}.rs")),
        Some(("conformance", file)) => root().join(format!("examples/conformance/tests/suite/{file}.rs")),
        Some(("concurrency", file)) => root().join(format!("engine/src/concurrency/{file}.rs")),
        Some(("isolation", file)) => root().join(format!("engine/tests/isolation/{file}.rs")),
        _ => root().join(format!("engine/tests/suite/{cited}.rs")),
    }
}

#[test]
fn every_test_that_the_requirements_name_exists() {
    let (mut named, mut missing) = (0, Vec::new());
    for (page, text) in pages("requirements") {
        for (file, test) in text.lines().filter(|line| line.starts_with('|')).flat_map(named_tests) {
            named += 1;
            let tests = fs::read_to_string(file_of_tests(&file)).unwrap_or_default();
            if !tests.contains(&format!("fn {test}(")) {
                missing.push(format!("{}: `{file}::{test}`", page.display()));
            }
        }
    }
    assert!(named > 100, "{named} tests are named");
    assert!(missing.is_empty(), "no such tests:\n{}", missing.join("\n"));
}

/// The contracts that are cited by a word and a section number, and the pages that hold their sections.
const CONTRACTS: [(&str, &[&str]); 4] = [
    ("contract", &["wire.md", "tabs.md", "mcp.md"]),
    ("rooms", &["rooms.md"]),
    ("peers", &["peers.md"]),
    ("cluster", &["cluster.md"]),
];

/// Whether this is the number of a section, such as `4` or `1.10`. None begins with 0.
fn is_section(text: &str) -> bool {
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split('.').count() <= 2 && text.split('.').all(number) && !text.starts_with('0')
}

/// Whether this is the id of a row: `S1.49`, `SEC13b`, `U16`, `T25` or `MT4`.
fn is_row(text: &str) -> bool {
    let digits = |text: &str| (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let sub = |text: &str| digits(text.strip_suffix('b').unwrap_or(text));
    let letters = text.find(|c: char| !c.is_ascii_uppercase()).unwrap_or(text.len());
    match text.split_at(letters) {
        ("S", rest) => rest.split_once('.').is_some_and(|(family, row)| digits(family) && sub(row)),
        ("SEC", rest) => sub(rest),
        ("U" | "T" | "MT", rest) => digits(rest),
        _ => false,
    }
}

/// What can be cited, as it is cited: the headings of the contracts, and the first cells of all tables.
fn citable() -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for (word, files) in CONTRACTS {
        for file in files {
            let text = fs::read_to_string(root().join("docs/contract").join(file)).unwrap();
            let headings =
                text.lines().filter_map(|line| line.strip_prefix('#')?.trim_start_matches('#').split(' ').nth(1));
            known.extend(headings.filter(|number| is_section(number)).map(|number| format!("{word} {number}")));
        }
    }
    for (_, text) in pages("requirements").into_iter().chain(pages("contract")) {
        let cells = text.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" |"));
        known.extend(cells.map(|(id, _)| id.to_owned()).filter(|id| is_row(id)));
    }
    known
}

/// What a file says in prose: its comments, or all of it where comments cannot be told apart easily.
fn prose(path: &Path, text: &str) -> String {
    let comment =
        |line: &str| line.split_once("//").map(|(_, comment)| comment.trim_start_matches(['/', '!']).to_owned());
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("rs" | "js" | "ts") => {
            text.lines().map(|line| comment(line).unwrap_or_default()).collect::<Vec<_>>().join(" \n ")
        }
        _ => text.to_owned(),
    }
}

/// The citations in a text, such as `contract 1.7`, `rooms 4` and `SEC13`; also those after a comma, "and", "or", "to".
fn citations(text: &str) -> Vec<String> {
    let mut cited = Vec::new();
    let mut contract: Option<&str> = None;
    for raw in text.split(|c: char| c.is_whitespace() || "/()[]`\"".contains(c)).filter(|word| !word.is_empty()) {
        let end = raw.find(|c: char| !c.is_ascii_alphanumeric() && c != '.').unwrap_or(raw.len());
        let word = raw[..end].trim_end_matches('.');
        let sentence_ends = raw.ends_with(['.', ';', ':']);
        if CONTRACTS.iter().any(|(name, _)| *name == raw) {
            contract = CONTRACTS.iter().map(|(name, _)| *name).find(|name| *name == raw);
        } else if let Some(name) = contract.filter(|_| is_section(word)) {
            cited.push(format!("{name} {word}"));
            contract = contract.filter(|_| raw.ends_with(',') || !sentence_ends);
        } else {
            cited.extend(Some(word.to_owned()).filter(|word| is_row(word)));
            contract = contract.filter(|_| ["and", "or", "to"].contains(&raw) && !cited.is_empty());
        }
    }
    cited
}

#[test]
fn citations_are_found_in_prose() {
    let text =
        "see (wire contract 1.7, 1.8 and 2.5), rooms 4; `SEC13b`, S1.49's, T25/U16 but neither 4.2 nor U2028 nor S3";
    let found = ["contract 1.7", "contract 1.8", "contract 2.5", "rooms 4", "SEC13b", "S1.49", "T25", "U16"];
    assert_eq!(citations(text), found);
    assert!(citations("the contract has 3 parts").is_empty());
}

#[test]
fn every_citation_leads_to_a_heading_or_a_row() {
    let known = citable();
    let (mut count, mut dead) = (0, Vec::new());
    for folder in ["engine/src", "engine/tests", "adapters", "examples", "benches/src"] {
        for (path, text) in files(&root().join(folder), &["rs", "js", "ts", "py", "json"]) {
            for cited in citations(&prose(&path, &text)) {
                count += 1;
                if !known.contains(&cited) {
                    dead.push(format!("{}: {cited}", path.display()));
                }
            }
        }
    }
    assert!(count > 100, "{count} citations were found");
    assert!(dead.is_empty(), "nothing there:\n{}", dead.join("\n"));
}

/// The cases of the wire contract name their section first: `"rule": "1.6 rule 3"`.
#[test]
fn every_rule_of_a_conformance_case_has_a_heading() {
    let known = citable();
    let mut rules = 0;
    for (path, text) in files(&root().join("engine/tests/suite/conformance"), &["json"]) {
        for rule in text.split("\"rule\": \"").skip(1).map(|rest| rest.split('"').next().unwrap()) {
            rules += 1;
            let section = rule.split([' ', ',']).next().unwrap();
            assert!(known.contains(&format!("contract {section}")), "{}: {rule}", path.display());
        }
    }
    assert!(rules > 50, "{rules} rules");
}
