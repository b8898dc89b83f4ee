//! A session that can't go on: its daemon is gone, or an invariant of ours is broken (DESIGN §8).
//!
//! - DEAD-1 a runtime dies once; from then on every wait ends and every call fails with the same error.
//! - DEAD-2 after a broken invariant the core takes no event: nobody knows what it would do.
//! - DEAD-3 [`Runtime::broke`] runs inside the panic, with any of our locks held: it takes none of them. The thread
//!   that panics, or the I/O thread, does the rest when the locks are free again.
use crate::runtime::Runtime;
use crate::state::{State, Watcher};
use shoal_owner::Event;
use shoal_types::{ErrorKind, ErrorValue};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::PathBuf;
use std::sync::atomic::Ordering::SeqCst;

impl Runtime {
    /// Why the runtime is dead, if it is.
    pub fn dead(&self) -> Option<ErrorValue> {
        self.broken.get().cloned().or_else(|| self.state.lock().dead.clone())
    }

    /// The error of every call after a broken invariant.
    pub fn broken(&self) -> Option<&ErrorValue> {
        self.broken.get()
    }

    /// A driver's panic hook: writes down what broke and lets the I/O thread end every wait.
    pub fn broke(&self, line: &str, stack: &str) {
        let path = self.log_path(&format!("driver-{}.log", std::process::id()));
        let text = format!("{stack}\nshoal: {line}\n");
        let written = std::fs::File::options().create(true).append(true).open(&path);
        let written = written.and_then(|mut file| file.write_all(text.as_bytes()));
        let log = match written {
            Ok(()) => format!("the log is {}", path.display()),
            Err(error) => format!("the log {} could not be written: {error}", path.display()),
        };
        let text = format!("{line}; call shoal.shutdown() and shoal.init() to begin anew; {log}");
        let _ = self.broken.set(ErrorValue::new(ErrorKind::System, text));
        self.kick.kick();
    }

    fn log_path(&self, name: &str) -> PathBuf {
        [&*self.session.session, "logs", name].iter().collect()
    }

    /// The connection to the daemon is gone, or something is broken: every wait and every later call fails.
    pub(crate) fn die(&self) {
        self.die_locked(&mut self.state.lock());
    }

    fn die_locked(&self, state: &mut State) {
        // A connection that this process closes itself is no death.
        if state.dead.is_none() && !self.closing.load(SeqCst) {
            let error = self.broken.get().cloned().unwrap_or_else(|| self.node_died());
            self.end_with(state, error);
            self.end_notices();
            self.executor.stop(self);
        }
    }

    /// The user ends the session while threads of theirs wait. Output that is still to come is told.
    pub(crate) fn end_session(&self) {
        let mut state = self.state.lock();
        if state.dead.is_none() {
            let text = "this session has ended: shoal.shutdown() was called";
            self.end_with(&mut state, ErrorValue::new(ErrorKind::System, text));
        }
    }

    /// DEAD-1.
    fn end_with(&self, state: &mut State, error: ErrorValue) {
        state.dead = Some(error);
        for watcher in std::mem::take(&mut state.watchers).into_values().flatten() {
            match watcher {
                // `wake_leader` below.
                Watcher::Thread(waiter) | Watcher::Every(waiter) => drop(waiter.finish()),
                Watcher::Ref(_) => {}
                Watcher::Token(token) => self.notice_ready(token),
            }
        }
        for (_, waiter) in &state.rounds {
            let _ = waiter.finish();
        }
        self.end_questions();
        self.wake_leader();
    }

    fn node_died(&self) -> ErrorValue {
        if let Some(error) = self.control.lost() {
            let text = "the connection to the node daemon can't be used any more; call shoal.shutdown() and shoal.init() to \
                        begin anew";
            return ErrorValue::new(ErrorKind::System, format!("{text}: {error}{}", crate::unmapped::limits()));
        }
        let log = self.log_path("node.log");
        let text =
            "the node daemon of this session is gone; call shoal.shutdown() and shoal.init() to begin anew; its log is";
        ErrorValue::new(ErrorKind::NodeDied, format!("{text} {}", log.display()))
    }

    pub(crate) fn end_notices(&self) {
        self.notices.lock().closed = true;
        self.noticed.notify_all();
    }

    /// Hands an event to the core and carries out what it orders; DEAD-2.
    pub(crate) fn feed_or_die(&self, state: &mut State, event: Event) {
        if self.broken.get().is_some() {
            return self.die_locked(state);
        }
        let fed = catch_unwind(AssertUnwindSafe(|| {
            if matches!(event, Event::TaskSubmitted(_)) {
                self.break_point(Place::Call);
            }
            state.handle(self.now(), event);
            self.carry_out(state);
        }));
        if let Err(panic) = fed {
            if self.broken.get().is_none() {
                resume_unwind(panic);
            }
            self.die_locked(state);
        }
    }

    /// Where a test breaks an invariant (`SHOAL_BREAK_AT`).
    pub(crate) fn break_point(&self, place: Place) {
        let driver = self.session.driver == self.address();
        shoal_net::broken::break_point(match (driver, place) {
            (true, Place::Io) => "driver.io",
            (true, Place::Call) => "driver.call",
            (false, Place::Io) => "worker.io",
            (false, Place::Call) => "worker.call",
        });
    }
}

#[derive(Clone, Copy)]
pub(crate) enum Place {
    /// The I/O thread has a message.
    Io,
    /// A user's thread hands an event to the core.
    Call,
}
