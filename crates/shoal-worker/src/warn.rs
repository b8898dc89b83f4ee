//! Warnings on standard error.
//!
//! - WARN-1 the I/O thread doesn't write where a thread reads notices: standard error may be a pipe that nobody reads.
use crate::runtime::Runtime;

/// Functions that one warning names.
const NAMED: usize = 4;

impl Runtime {
    /// Says something on standard error.
    pub(crate) fn warn(&self, text: String) {
        if self.has_listener() {
            self.notices.lock().warnings.push(text);
            self.noticed.notify_all();
        } else {
            shoal_net::say!("{text}");
        }
    }

    /// Says that tasks of a key wait.
    pub(crate) fn warn_of_key(&self, key: u32, text: &str) {
        let (count, mut names) = self.state.lock().owner.queued(key, NAMED + 1);
        if names.len() > NAMED {
            names[NAMED] = "…".into();
        }
        let (tasks, have) = if count == 1 { ("task", "has") } else { ("tasks", "have") };
        if count > 0 {
            self.warn(format!("{count} {tasks} ({}) {have} waited {text}", names.join(", ")));
        }
    }
}
