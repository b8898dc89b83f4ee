//! Marks in a worker's stream that say whose text follows. No I/O.
//!
//! ```text
//! ESC ] shoal: NAME BEL     what follows was written by the task NAME
//! ESC ] shoal: BEL          the task is over: who writes next is not known
//! ```
//!
//! `shoal.runtime.marks` writes them.
//!
//! - MARKS-1 marks are in no file and in no line; whatever only looks like one is text, byte for byte.
//! - MARKS-2 what may yet become a mark is kept until it is clear, at most [`LONGEST`] bytes.

const BEGIN: &[u8] = b"\x1b]shoal:";
const END: u8 = 7;
/// A mark with more bytes than this is none.
const LONGEST: usize = 128;

/// A part of what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    Text(&'a [u8]),
    /// Who writes what follows; empty: nobody knows.
    Name(&'a [u8]),
}

/// Takes marks out of a stream.
#[derive(Default)]
pub(crate) struct Marks {
    held: Vec<u8>,
}

/// What an escape character begins.
enum Found<'a> {
    /// A mark of so many bytes.
    Mark(&'a [u8], usize),
    Unclear,
    Text,
}

impl Marks {
    /// Takes what was read; `end`: nothing follows.
    pub fn feed(&mut self, bytes: &[u8], end: bool, part: &mut impl FnMut(Part<'_>)) {
        if self.held.is_empty() {
            let rest = split(bytes, end, part);
            self.held.extend_from_slice(rest);
        } else {
            let mut whole = std::mem::take(&mut self.held);
            whole.extend_from_slice(bytes);
            self.held = split(&whole, end, part).to_vec();
        }
    }
}

/// Tells the parts of `bytes`; what is not clear yet.
fn split<'a>(bytes: &'a [u8], end: bool, part: &mut impl FnMut(Part<'_>)) -> &'a [u8] {
    let (mut told, mut at) = (0, 0);
    let text = |from: usize, to: usize, part: &mut dyn FnMut(Part<'_>)| {
        if from < to {
            part(Part::Text(&bytes[from..to]));
        }
    };
    while let Some(escape) = bytes[at..].iter().position(|b| *b == BEGIN[0]).map(|n| at + n) {
        match look(&bytes[escape..]) {
            Found::Mark(name, length) => {
                text(told, escape, part);
                part(Part::Name(name));
                (told, at) = (escape + length, escape + length);
            }
            Found::Unclear if !end => {
                text(told, escape, part);
                return &bytes[escape..];
            }
            Found::Unclear | Found::Text => at = escape + 1,
        }
    }
    text(told, bytes.len(), part);
    &[]
}

fn look(bytes: &[u8]) -> Found<'_> {
    let Some(rest) = bytes.strip_prefix(BEGIN) else {
        return if BEGIN.starts_with(bytes) { Found::Unclear } else { Found::Text };
    };
    match rest.iter().take(LONGEST).position(|b| *b < b' ') {
        Some(at) if rest[at] == END => Found::Mark(&rest[..at], BEGIN.len() + at + 1),
        None if rest.len() < LONGEST => Found::Unclear,
        _ => Found::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names in brackets, text as it is.
    fn fed(parts: &[&[u8]]) -> String {
        let (mut marks, mut out) = (Marks::default(), Vec::new());
        for (n, bytes) in parts.iter().enumerate() {
            marks.feed(bytes, n + 1 == parts.len(), &mut |part| match part {
                Part::Text(text) => out.extend_from_slice(text),
                Part::Name(name) => out.extend_from_slice(&[b"[", name, b"]"].concat()),
            });
        }
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn marks_are_taken_out_however_they_were_read() {
        let stream = b"a\x1b]shoal:f\x07b\n\x1b]shoal:\x07c\x1b]shoal:g\x07".as_slice();
        for first in 0..stream.len() {
            for second in first..stream.len() {
                let parts = [&stream[..first], &stream[first..second], &stream[second..]];
                assert_eq!(fed(&parts), "a[f]b\n[]c[g]");
            }
        }
    }

    #[test]
    fn what_looks_like_a_mark_is_text() {
        let long = format!("\x1b]shoal:{}\x07", "x".repeat(LONGEST));
        for text in ["\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x1b]shoal:a\nb\x07", "\x1b", "\x1b]shoal:f", &long] {
            for cut in 0..text.len() {
                assert_eq!(fed(&[&text.as_bytes()[..cut], &text.as_bytes()[cut..]]), text);
            }
        }
    }

    #[test]
    fn little_is_kept() {
        let mut marks = Marks::default();
        marks.feed(b"\x1b]shoal:", false, &mut |_| panic!("it is not clear yet"));
        for _ in 0..1_000 {
            marks.feed(b"x", false, &mut |_| ());
            assert!(marks.held.len() < BEGIN.len() + LONGEST);
        }
    }
}
