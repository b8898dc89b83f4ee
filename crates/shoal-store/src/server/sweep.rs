//! What is done later: frees that were put off, pages that have cooled.
use super::ArenaServer;
use std::time::Duration;

/// Punching 64 MiB takes ~15 ms; more would hold up the daemon's event loop.
const BUDGET: u64 = 64 << 20;
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(10);

/// When to look again whether pins are gone: ever less often while nothing changes.
#[derive(Default)]
pub(super) struct Retry {
    at: Option<Duration>,
    wait: Duration,
}

impl ArenaServer {
    /// Does what is due at `now`, a time of any clock that only goes forward. Call it after each batch of other calls,
    /// and at the time that it returned last; `None` means that nothing is pending.
    pub fn sweep(&mut self, now: Duration) -> Option<Duration> {
        let retry = self.retry(now);
        let cooled = self.space.cool(now, BUDGET);
        self.punch(cooled);
        [retry, self.space.next_cool(now)].into_iter().flatten().min()
    }

    /// A client says ([`ArenaClient::take_sweep_hint`](crate::ArenaClient::take_sweep_hint)) that a pin went which a free
    /// waits for.
    pub fn on_pin_hint(&mut self) {
        self.retry_put_off();
        self.retry = Retry::default();
    }

    fn retry(&mut self, now: Duration) -> Option<Duration> {
        if self.retry.at.is_some_and(|at| at <= now) {
            let before = self.put_off.len();
            self.retry_put_off();
            let wait = if self.put_off.len() == before { self.retry.wait * 2 } else { FIRST_RETRY };
            self.retry = Retry { at: Some(now + wait.min(LAST_RETRY)), wait: wait.min(LAST_RETRY) };
        }
        if self.put_off.is_empty() {
            self.retry = Retry::default();
        } else if self.retry.at.is_none() {
            self.retry = Retry { at: Some(now + FIRST_RETRY), wait: FIRST_RETRY };
        }
        self.retry.at
    }
}
