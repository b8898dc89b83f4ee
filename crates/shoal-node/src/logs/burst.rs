//! How much of a stream goes to the driver. No I/O, no clock.
//!
//! - BURST-1 at most so many lines and bytes in any window of a second; what is more is counted.
//! - BURST-2 the count is told where the lines are missing: before the next line that goes through, and at the latest
//!   when the window or the stream has ended.

/// Length of a window in microseconds.
const WINDOW: u64 = 1_000_000;
/// Bytes of lines in a window.
const BYTES: usize = 4 << 20;

/// What went through in this window, and what did not.
#[derive(Default)]
pub(crate) struct Burst {
    begun: u64,
    lines: u64,
    bytes: usize,
    left_out: u64,
}

impl Burst {
    /// Whether one more line of this length goes through; if not, it is counted. `limit`: lines in a window.
    pub fn admit(&mut self, now: u64, limit: u64, len: usize) -> bool {
        if now >= self.begun + WINDOW {
            (self.begun, self.lines, self.bytes) = (now, 0, 0);
        }
        let fits = self.lines < limit && self.bytes + len <= BYTES;
        if fits {
            self.lines += 1;
            self.bytes += len;
        } else {
            self.left_out += 1;
            // A shorter one would come out of its turn.
            self.lines = limit;
        }
        fits
    }

    /// A line finds no room, whatever the limit is.
    pub fn refuse(&mut self) {
        self.left_out += 1;
    }

    /// Lines that are missing and not told of, if the window is over.
    pub fn take_left_out(&mut self, now: u64) -> u64 {
        if now < self.begun + WINDOW { 0 } else { std::mem::take(&mut self.left_out) }
    }

    /// The same at the stream's end.
    pub fn take_all_left_out(&mut self) -> u64 {
        std::mem::take(&mut self.left_out)
    }

    /// When to tell of lines that are missing.
    pub fn due(&self) -> Option<u64> {
        (self.left_out > 0).then_some(self.begun + WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_more_than_the_limit_is_counted_once() {
        let mut burst = Burst::default();
        let now = 5 * WINDOW;
        let admitted = (0..10).filter(|_| burst.admit(now, 4, 10)).count();
        assert_eq!((admitted, burst.due(), burst.take_left_out(now)), (4, Some(now + WINDOW), 0));
        assert_eq!(burst.take_left_out(now + WINDOW), 6);
        assert_eq!((burst.due(), burst.take_all_left_out()), (None, 0));
        assert!(burst.admit(now + WINDOW, 4, 10));
    }

    #[test]
    fn bytes_count_and_a_short_line_does_not_overtake() {
        let mut burst = Burst::default();
        assert!(burst.admit(WINDOW, 100, BYTES - 1));
        assert!(!burst.admit(WINDOW, 100, 2));
        assert!(!burst.admit(WINDOW, 100, 1));
        assert_eq!(burst.take_all_left_out(), 2);
    }

    #[test]
    fn lines_that_found_no_room_are_counted() {
        let mut burst = Burst::default();
        assert!(burst.admit(WINDOW, 100, 1));
        burst.refuse();
        burst.refuse();
        assert_eq!(burst.take_left_out(2 * WINDOW), 2);
    }
}
