//! Frames that are almost valid.

/// Valid frames with some of their characters dropped, doubled or replaced; the same ones in the same order each time.
#[derive(Debug, Clone)]
pub struct MutilatedFrames {
    seeds: [String; 4],
    state: u64,
}

impl MutilatedFrames {
    /// Frames that concern one node and one of its actions.
    #[must_use]
    pub fn new(path: &str, action: &str) -> Self {
        let seeds = [
            format!(
                r#"{{"type":"subscribe","id":"s","path":"{path}","depth":1,"filter":{{"types":["group"]}},"window":[0,5]}}"#
            ),
            format!(
                r#"{{"type":"invoke","id":"i","path":"{path}","action":"{action}","params":{{"a":[1,2,{{"b":null}}]}}}}"#
            ),
            r#"{"type":"batch","messages":[{"type":"query","id":1},{"type":"unsubscribe","id":"s"}]}"#.to_owned(),
            "\u{0}\u{1}{}[]\"\\".to_owned(),
        ];
        Self { seeds, state: 1 }
    }

    fn random(&mut self, below: usize) -> usize {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) as usize % below
    }
}

impl Iterator for MutilatedFrames {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let seed = self.random(self.seeds.len());
        let mut frame = String::new();
        for character in self.seeds[seed].clone().chars() {
            match self.random(40) {
                0 => {}
                1 => frame.extend([character, character]),
                2 => frame.push(['"', '{', '}', ',', ':', '\\', '\u{fffd}', '9', '-'][self.random(9)]),
                _ => frame.push(character),
            }
        }
        Some(frame)
    }
}
