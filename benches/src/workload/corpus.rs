//! Texts that do not repeat, at the cost of a copy: passages of a long text, each beginning where its seed says.

use std::sync::OnceLock;

/// Long enough that no two of a session's passages begin at the same place.
const CORPUS_BYTES: usize = 256 * 1024;

const SYLLABLES: [&str; 16] =
    ["ba", "ne", "to", "ri", "sul", "men", "ka", "vo", "lin", "dra", "pe", "zu", "gor", "hi", "fa", "wex"];

/// A passage of `len` bytes, always the same for a seed.
pub(crate) fn passage(seed: u64, len: usize) -> &'static str {
    let corpus = corpus();
    let from = (mix(seed) % (corpus.len() - len) as u64) as usize;
    // All of it is ASCII, so any byte may begin a passage.
    &corpus[from..from + len]
}

/// A number that looks random, always the same for a seed (the finish of SplitMix64).
pub(crate) const fn mix(seed: u64) -> u64 {
    let mixed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

fn corpus() -> &'static str {
    static CORPUS: OnceLock<String> = OnceLock::new();
    CORPUS.get_or_init(|| {
        let mut text = String::with_capacity(CORPUS_BYTES + 64);
        let mut seed = 1;
        while text.len() < CORPUS_BYTES {
            seed = mix(seed);
            for syllable in 0..1 + seed % 4 {
                text.push_str(SYLLABLES[(seed >> (8 + syllable * 4)) as usize % SYLLABLES.len()]);
            }
            text.push(' ');
        }
        text
    })
}
