//! Workers' output on its way to the driver's terminal: bounded, coloured, folded.
//!
//! - OUTPUT-1 the I/O thread only appends, up to [`BOUND`]; what is more is counted, and the count is told.
mod colours;
mod fold;

use colours::Colours;
use fold::Fold;
use shoal_proto::control::LogLine;

/// Bytes of lines that wait for the thread that prints them.
const BOUND: usize = 8 << 20;
/// What a line costs besides its text.
const OVERHEAD: usize = 100;

/// Lines that nobody has taken yet.
#[derive(Default)]
pub(crate) struct Waiting {
    lines: Vec<LogLine>,
    bytes: usize,
    left_out: u64,
}

impl Waiting {
    /// Appends lines as far as there is room.
    pub fn extend(&mut self, lines: Vec<LogLine>) {
        for line in lines {
            self.bytes += line.line.len() + line.name.len() + OVERHEAD;
            if self.bytes <= BOUND {
                self.lines.push(line);
            } else {
                self.left_out += u64::from(!line.redraw);
            }
        }
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.left_out == 0
    }
}

/// What the thread that prints does with lines before.
#[derive(Default)]
pub(crate) struct Printing {
    colours: Colours,
    fold: Option<Fold>,
}

impl Printing {
    /// Folds lines of several workers from now on.
    pub fn fold(&mut self) {
        self.fold = Some(Fold::default());
    }

    /// What is to be printed of what waited; the number of lines that are missing after it. `end`: nothing follows.
    pub fn take(&mut self, now: u64, waiting: Waiting, end: bool) -> (Vec<LogLine>, u64) {
        let mut out = Vec::new();
        for mut line in waiting.lines {
            self.colours.paint(&mut line);
            match &mut self.fold {
                Some(fold) => fold.feed(now, line, &mut out),
                None => out.push(line),
            }
        }
        if let Some(fold) = &mut self.fold {
            if end { fold.finish(&mut out) } else { fold.flush(now, &mut out) }
        }
        (out, waiting.left_out)
    }

    /// When something is due that no new line brings about.
    pub fn due(&self) -> Option<u64> {
        self.fold.as_ref().and_then(Fold::due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_is_bounded_and_what_is_more_is_counted() {
        let line = LogLine { name: "f".into(), pid: 1, stderr: false, redraw: false, line: vec![b'x'; 1 << 20] };
        let mut waiting = Waiting::default();
        assert!(waiting.is_empty());
        waiting.extend(vec![line; 10]);
        let (lines, left_out) = Printing::default().take(0, waiting, false);
        assert_eq!((lines.len(), left_out), (7, 3));
    }
}
