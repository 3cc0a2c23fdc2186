//! Text that does not repeat and costs only a copy: passages of one long text, each at an offset given by its seed.

use std::sync::OnceLock;

/// Long enough that no two passages of a session begin at the same offset.
const CORPUS_BYTES: usize = 256 * 1024;

const SYLLABLES: [&str; 16] =
    ["ba", "ne", "to", "ri", "sul", "men", "ka", "vo", "lin", "dra", "pe", "zu", "gor", "hi", "fa", "wex"];

/// A passage of `len` bytes, the same for the same seed.
pub(super) fn passage(seed: u64, len: usize) -> &'static str {
    let corpus = corpus();
    let from = (mix(seed) % (corpus.len() - len) as u64) as usize;
    // The corpus is ASCII, so a passage may begin at any byte.
    &corpus[from..from + len]
}

/// A pseudo-random number, the same for the same seed (the output function of SplitMix64).
pub(super) const fn mix(seed: u64) -> u64 {
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
