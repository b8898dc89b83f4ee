//! The end of the instance (NODE-6).
use crate::node::Node;
use crate::sys;
use std::time::{Duration, Instant};

/// How long zygotes may take to kill and reap their children.
const PATIENCE: Duration = Duration::from_secs(2);

impl Node {
    /// Kills every process, takes away every file that is no closed log.
    pub(crate) fn end_instance(&mut self) {
        drop(self.listener.take());
        let _ = std::fs::remove_file(&self.config.socket);
        for pid in self.procs.values().filter_map(|p| p.pid) {
            sys::kill_group(pid);
        }
        self.end_zygotes();
        for start in self.procs.keys().copied().collect::<Vec<_>>() {
            self.drain_output(start);
        }
        self.memory.end();
        self.clean_session();
        self.flush();
    }

    /// Only logs stay.
    fn clean_session(&self) {
        let entries = std::fs::read_dir(&self.config.session).into_iter().flatten().flatten();
        for entry in entries.filter(|e| e.file_name() != "logs") {
            let folder = entry.file_type().is_ok_and(|t| t.is_dir());
            let path = entry.path();
            let _ = if folder { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
        }
    }

    /// Closing its socket tells a zygote to kill its children, also those that we have not heard of, and to end.
    fn end_zygotes(&mut self) {
        let pids: Vec<u32> = std::mem::take(&mut self.zygotes).into_values().map(|z| z.pid).collect();
        let handles: Vec<_> = pids.iter().filter_map(|pid| Some((*pid, shoal_net::PidFd::open(*pid).ok()?))).collect();
        let deadline = Instant::now() + PATIENCE;
        for (pid, handle) in handles {
            let left = deadline.saturating_duration_since(Instant::now());
            if !sys::wait_readable(&handle, left) {
                sys::kill_group(pid);
            }
        }
        while sys::reap().is_some() {}
    }
}
