//! Whether the node daemon answers: a driver says so when it has not for five seconds (DESIGN §8).
//!
//! - PULSE-1 it is looked at only while something is outstanding; whatever the daemon says begins the time anew.
//! - PULSE-2 after half of the time the daemon is asked what it answers at once, so that silence is no lack of news.
//! - PULSE-3 a time in which this process did not run itself counts for nothing.
//! - PULSE-4 each silence is told once, and so is its end.

const ASK: u64 = 2_500_000;
const SILENT: u64 = 5_000_000;
/// Who looks so much later than was due has not run meanwhile.
const LATE: u64 = 1_000_000;

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Beat {
    Nothing,
    /// Ask the daemon something.
    Ask,
    /// Say that it doesn't answer.
    Silent,
    /// Say that it answers again, after so many microseconds.
    Back(u64),
}

#[derive(Debug, Default)]
pub(crate) struct Pulse {
    since: Option<u64>,
    asked: bool,
    told: bool,
}

impl Pulse {
    /// Looks at time `now`, in microseconds: whether something is outstanding, and whether the daemon has said anything
    /// since the last look.
    pub fn beat(&mut self, now: u64, waits: bool, heard: bool) -> Beat {
        if heard {
            let before = std::mem::replace(self, Self { since: waits.then_some(now), ..Self::default() });
            return match before {
                Self { told: true, since: Some(since), .. } => Beat::Back(now - since),
                _ => Beat::Nothing,
            };
        }
        if self.told {
            return Beat::Nothing;
        }
        if !waits {
            *self = Self::default();
            return Beat::Nothing;
        }
        self.beat_silence(now)
    }

    fn beat_silence(&mut self, now: u64) -> Beat {
        let slept = self.due().is_some_and(|due| now > due + LATE);
        let since = self.since.get_or_insert(now);
        if slept {
            *since = now - if self.asked { ASK } else { 0 };
        }
        let silence = now - *since;
        if !self.asked && silence >= ASK {
            self.asked = true;
            Beat::Ask
        } else if self.asked && silence >= SILENT {
            self.told = true;
            Beat::Silent
        } else {
            Beat::Nothing
        }
    }

    /// When to look again, if nothing happens.
    pub fn due(&self) -> Option<u64> {
        let since = self.since.filter(|_| !self.told)?;
        Some(since + if self.asked { SILENT } else { ASK })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn silence_is_asked_then_told_once_and_so_is_its_end() {
        let mut pulse = Pulse::default();
        assert_eq!((pulse.beat(SECOND, true, false), pulse.due()), (Beat::Nothing, Some(3_500_000)));
        assert_eq!(pulse.beat(2 * SECOND, true, false), Beat::Nothing);
        assert_eq!((pulse.beat(3_500_000, true, false), pulse.due()), (Beat::Ask, Some(6 * SECOND)));
        assert_eq!(pulse.beat(5 * SECOND, true, false), Beat::Nothing);
        assert_eq!((pulse.beat(6 * SECOND, true, false), pulse.due()), (Beat::Silent, None));
        assert_eq!(pulse.beat(20 * SECOND, true, false), Beat::Nothing);
        assert_eq!(pulse.beat(21 * SECOND, false, false), Beat::Nothing);
        assert_eq!(pulse.beat(31 * SECOND, false, true), Beat::Back(30 * SECOND));
        assert_eq!((pulse.beat(32 * SECOND, false, true), pulse.due()), (Beat::Nothing, None));
    }

    #[test]
    fn a_word_of_the_daemon_begins_the_time_anew() {
        let mut pulse = Pulse::default();
        pulse.beat(0, true, false);
        assert_eq!(pulse.beat(ASK, true, false), Beat::Ask);
        assert_eq!((pulse.beat(ASK + 1, true, true), pulse.due()), (Beat::Nothing, Some(2 * ASK + 1)));
    }

    #[test]
    fn without_anything_outstanding_nothing_is_due() {
        let mut pulse = Pulse::default();
        pulse.beat(0, true, false);
        assert_eq!((pulse.beat(1, false, false), pulse.due()), (Beat::Nothing, None));
        assert_eq!((pulse.beat(2, false, true), pulse.due()), (Beat::Nothing, None));
    }

    #[test]
    fn a_process_that_was_stopped_itself_blames_nobody() {
        let mut pulse = Pulse::default();
        pulse.beat(0, true, false);
        assert_eq!(pulse.beat(ASK, true, false), Beat::Ask);
        assert_eq!((pulse.beat(60 * SECOND, true, false), pulse.due()), (Beat::Nothing, Some(60 * SECOND + ASK)));
        assert_eq!(pulse.beat(60 * SECOND + ASK, true, false), Beat::Silent);
    }
}
