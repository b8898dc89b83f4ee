//! Bytes of a stream, split into lines. No I/O.
//!
//! - LINES-1 a line is told once, when it ends, as a terminal would show it then: of a line that redraws itself with
//!   `\r`, its last redraw, and nothing when it wiped itself out.
//! - LINES-2 what is kept of a line without an end is at most [`LONGEST`] bytes; longer lines are cut there.
//! - LINES-3 a line that is whole in what was read is not copied.

/// A line is cut there; what follows is a line of its own.
pub(crate) const LONGEST: usize = 64 << 10;

/// The line that has no end yet.
#[derive(Default)]
pub(crate) struct Splitter {
    partial: Vec<u8>,
}

impl Splitter {
    /// Takes what was read; `line` is called with each line that ends in it.
    pub fn feed(&mut self, bytes: &[u8], line: &mut impl FnMut(&[u8])) {
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|b| *b == b'\n') {
            if self.partial.is_empty() {
                told_in_parts(&rest[..at], line);
            } else {
                self.partial.extend_from_slice(&rest[..at]);
                told_in_parts(&self.partial, line);
                self.partial.clear();
            }
            rest = &rest[at + 1..];
        }
        self.partial.extend_from_slice(rest);
        self.compact(line);
    }

    /// The stream has ended: so has its last line.
    pub fn finish(&mut self, line: &mut impl FnMut(&[u8])) {
        if !self.partial.is_empty() {
            told_in_parts(&std::mem::take(&mut self.partial), line);
        }
    }

    /// What the unfinished line shows, if it redraws itself; empty when it wiped itself out.
    pub fn redrawn(&self) -> Option<&[u8]> {
        self.partial.contains(&b'\r').then(|| last_redraw(&self.partial))
    }

    fn compact(&mut self, line: &mut impl FnMut(&[u8])) {
        if self.partial.contains(&b'\r') {
            let kept = last_redraw_at(&self.partial).saturating_sub(1);
            self.partial.drain(..kept);
        }
        while self.partial.len() >= LONGEST {
            line(&self.partial[..LONGEST]);
            self.partial.drain(..LONGEST);
        }
    }
}

fn told_in_parts(whole: &[u8], line: &mut impl FnMut(&[u8])) {
    let Some(whole) = shown(whole) else { return };
    if whole.is_empty() {
        return line(whole);
    }
    whole.chunks(LONGEST).for_each(line);
}

/// What of a finished line a terminal shows; `None`: it wiped itself out.
fn shown(whole: &[u8]) -> Option<&[u8]> {
    let whole = whole.strip_suffix(b"\r").unwrap_or(whole);
    if !whole.contains(&b'\r') {
        return Some(whole);
    }
    Some(last_redraw(whole)).filter(|text| !text.is_empty())
}

/// The last redraw that is not empty; empty if it is blank.
fn last_redraw(whole: &[u8]) -> &[u8] {
    let text = &whole[last_redraw_at(whole)..];
    let text = &text[..text.iter().position(|b| *b == b'\r').unwrap_or(text.len())];
    if text.iter().all(u8::is_ascii_whitespace) { &[] } else { text }
}

/// Where the last redraw begins.
fn last_redraw_at(whole: &[u8]) -> usize {
    let end = whole.iter().rposition(|b| *b != b'\r').map_or(0, |at| at + 1);
    whole[..end].iter().rposition(|b| *b == b'\r').map_or(0, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(parts: &[&str]) -> (Vec<String>, Splitter) {
        let (mut splitter, mut lines) = (Splitter::default(), Vec::new());
        for part in parts {
            splitter.feed(part.as_bytes(), &mut |line| lines.push(String::from_utf8_lossy(line).into_owned()));
        }
        (lines, splitter)
    }

    fn ended(parts: &[&str]) -> Vec<String> {
        let (mut lines, mut splitter) = split(parts);
        splitter.finish(&mut |line| lines.push(String::from_utf8_lossy(line).into_owned()));
        lines
    }

    #[test]
    fn lines_are_whole_however_they_were_read() {
        assert_eq!(ended(&["one\ntw", "o\n\nend"]), ["one", "two", "", "end"]);
        assert_eq!(ended(&["a\r\nb\r", "\nc\r\n\r\n"]), ["a", "b", "c", ""]);
    }

    #[test]
    fn of_a_redrawn_line_the_last_redraw_is_told() {
        assert_eq!(ended(&["\r 10%\r 20%", "\r100%\n", "done\n"]), ["100%", "done"]);
        assert_eq!(ended(&["10%\r20%\r", "30%\r\n"]), ["30%"]);
        assert_eq!(ended(&["\r 10%\r     \r", "next\n"]), ["next"]);
        assert_eq!(ended(&["\r 10%\r     \r\n", "next\n"]), ["next"]);
        assert_eq!(ended(&["\r 10%\r 50%"]), [" 50%"]);
    }

    #[test]
    fn a_redrawn_line_shows_its_state_and_costs_no_memory() {
        let (lines, mut splitter) = split(&["\r 10%", "\r 20%"]);
        assert!(lines.is_empty());
        assert_eq!(splitter.redrawn(), Some(" 20%".as_bytes()));
        splitter.feed(b"\r    \r", &mut |_| panic!("no line has ended"));
        assert_eq!(splitter.redrawn(), Some("".as_bytes()));
        for _ in 0..10_000 {
            splitter.feed(b"\r|####      |", &mut |_| panic!("no line has ended"));
        }
        assert!(splitter.partial.len() < 20);
        assert_eq!(split(&["plain"]).1.redrawn(), None);
    }

    #[test]
    fn long_lines_are_cut() {
        let long = "x".repeat(LONGEST + 3);
        let lengths = |parts: &[&str]| ended(parts).iter().map(String::len).collect::<Vec<_>>();
        assert_eq!(lengths(&[&long]), [LONGEST, 3]);
        assert_eq!(lengths(&[&long, "\n"]), [LONGEST, 3]);
        assert_eq!(lengths(&[&format!("{long}\n")]), [LONGEST, 3]);
    }
}
