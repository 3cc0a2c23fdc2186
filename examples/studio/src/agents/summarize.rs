//! `summarize` streams the sentences of a text that say most of it. It needs no model: a sentence says much if its words
//! occur often in the text.

use std::collections::HashMap;
use std::time::Duration;

use grove_engine::{Agent, RunContext};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::run::{pause, read};
use crate::inbox;

#[derive(Deserialize, JsonSchema)]
struct Input {
    /// The inbox, if there is none.
    text: Option<String>,
    /// How long the summary is; three sentences if it does not say so.
    sentences: Option<usize>,
}

pub(crate) fn agent(pace: Duration) -> Agent {
    let agent = Agent::new("summarize", move |run: RunContext, input: Value| async move {
        let Input { text, sentences } = read(input)?;
        let text = text.unwrap_or_else(inbox::text);
        let summary = summary(&text, sentences.unwrap_or(3));
        for (number, sentence) in summary.iter().enumerate() {
            for word in sentence.split_inclusive(' ') {
                run.chunk(word);
                pause(&run, pace).await?;
            }
            run.chunk("\n");
            run.progress((number + 1) as f64 / summary.len() as f64, "");
        }
        Ok(json!({"sentences": summary.len(), "of": sentences_of(&text).len()}))
    });
    agent.input::<Input>()
}

/// The `most` sentences that say most, in their order.
fn summary(text: &str, most: usize) -> Vec<&str> {
    let sentences = sentences_of(text);
    let mut counts = HashMap::new();
    words_of(text).for_each(|word| *counts.entry(word).or_insert(0) += 1);
    let weight = |sentence: &str| words_of(sentence).map(|word| counts[&word]).sum::<u32>();
    let mut best: Vec<_> = (0..sentences.len()).collect();
    best.sort_by_key(|&number| std::cmp::Reverse(weight(sentences[number])));
    best.truncate(most);
    best.sort_unstable();
    best.into_iter().map(|number| sentences[number]).collect()
}

fn sentences_of(text: &str) -> Vec<&str> {
    text.split_inclusive(['.', '?', '!']).map(str::trim).filter(|sentence| !sentence.is_empty()).collect()
}

/// The words that mean something: short ones are mostly articles and pronouns.
fn words_of(text: &str) -> impl Iterator<Item = String> {
    let words = text.split(|letter: char| !letter.is_alphanumeric()).map(str::to_lowercase);
    words.filter(|word| word.chars().count() > 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_has_the_sentences_with_the_most_frequent_words_in_their_order() {
        let text = "Good morning. The chairs are broken. It rains! Send new chairs, as the broken chairs creak.";
        assert_eq!(summary(text, 2), ["The chairs are broken.", "Send new chairs, as the broken chairs creak."]);
        assert_eq!(summary(text, 9).len(), 4);
        assert_eq!(summary("", 3), [""; 0]);
        assert_eq!(summary("no full stop", 3), ["no full stop"]);
    }
}
