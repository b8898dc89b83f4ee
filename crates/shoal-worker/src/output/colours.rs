//! Colours that a worker set: they hold for lines of the same task, and for nobody else's. No I/O.
use rustc_hash::FxHashMap;
use shoal_proto::control::LogLine;

const RESET: &[u8] = b"\x1b[0m";
/// Bytes of sequences that are kept for one stream.
const LONGEST: usize = 256;
/// Streams that leave a colour on.
const STREAMS: usize = 1_000;

/// What is switched on at the end of each stream's last line.
#[derive(Default)]
pub(crate) struct Colours {
    on: FxHashMap<(u32, bool), (String, Vec<u8>)>,
}

impl Colours {
    /// Makes a line begin with what its stream has switched on, and end with nothing switched on.
    pub fn paint(&mut self, line: &mut LogLine) {
        let key = (line.pid, line.stderr);
        let before = self.on.remove(&key).filter(|(name, _)| *name == line.name).map(|(_, state)| state);
        if before.is_none() && !line.line.contains(&0x1b) {
            return;
        }
        let before = before.unwrap_or_default();
        let (mut text, mut state) = (before.clone(), before.clone());
        text.append(&mut line.line);
        switch(&text[state.len()..], &mut state);
        if !state.is_empty() {
            text.extend_from_slice(RESET);
        }
        line.line = text;
        let after = if line.redraw { before } else { state };
        if !after.is_empty() && after.len() <= LONGEST && self.on.len() < STREAMS {
            self.on.insert(key, (line.name.clone(), after));
        }
    }
}

/// What is on after `text`: every `ESC [ … m` since the last that resets.
fn switch(text: &[u8], state: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = rest.windows(2).position(|pair| pair == b"\x1b[") {
        rest = &rest[at..];
        let length = rest[2..].iter().take_while(|b| b.is_ascii_digit() || b";:".contains(b)).count();
        let (parameters, end) = (&rest[2..2 + length], rest.get(2 + length));
        if end == Some(&b'm') {
            let resets = parameters.is_empty() || parameters == b"0" || parameters == b"00";
            if resets {
                state.clear();
            } else {
                if parameters.starts_with(b"0;") {
                    state.clear();
                }
                state.extend_from_slice(&rest[..length + 3]);
            }
        }
        rest = &rest[2..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn painted(colours: &mut Colours, pid: u32, text: &str) -> String {
        let mut line = LogLine { name: "f".into(), pid, stderr: false, redraw: false, line: text.into() };
        colours.paint(&mut line);
        String::from_utf8(line.line).unwrap()
    }

    #[test]
    fn a_colour_holds_for_its_stream_until_it_is_reset() {
        let mut colours = Colours::default();
        assert_eq!(painted(&mut colours, 1, "\x1b[31mred\x1b[0m"), "\x1b[31mred\x1b[0m");
        assert_eq!(painted(&mut colours, 1, "\x1b[1;31mred"), "\x1b[1;31mred\x1b[0m");
        assert_eq!(painted(&mut colours, 2, "plain"), "plain");
        assert_eq!(painted(&mut colours, 1, "still"), "\x1b[1;31mstill\x1b[0m");
        assert_eq!(painted(&mut colours, 1, "end\x1b[m."), "\x1b[1;31mend\x1b[m.");
        assert_eq!(painted(&mut colours, 1, "plain"), "plain");
        assert_eq!(painted(&mut colours, 1, "\x1b[4mline\x1b[0;32mgreen"), "\x1b[4mline\x1b[0;32mgreen\x1b[0m");
        assert_eq!(painted(&mut colours, 1, "green"), "\x1b[0;32mgreen\x1b[0m");
    }

    #[test]
    fn a_colour_ends_with_its_task() {
        let mut colours = Colours::default();
        assert_eq!(painted(&mut colours, 1, "\x1b[1mbold"), "\x1b[1mbold\x1b[0m");
        let mut line = LogLine { name: "g".into(), pid: 1, stderr: false, redraw: false, line: "plain".into() };
        colours.paint(&mut line);
        assert_eq!(line.line, b"plain");
        assert_eq!(painted(&mut colours, 1, "plain"), "plain");
    }

    #[test]
    fn other_sequences_and_torn_ones_change_nothing() {
        let mut colours = Colours::default();
        for text in ["\x1b[2K", "\x1b[", "\x1b[31", "\x1b]0;title\x07", "\x1b"] {
            assert_eq!(painted(&mut colours, 1, text), text);
        }
        assert!(colours.on.is_empty());
    }
}
