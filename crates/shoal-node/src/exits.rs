//! How a process ended, for people.

/// How a worker's process ended, by its wait status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ended {
    Code(i32),
    Signal(i32),
    /// Who would have told us is gone.
    Unknown,
}

impl Ended {
    pub fn from_status(status: i32) -> Self {
        if libc::WIFSIGNALED(status) {
            Self::Signal(libc::WTERMSIG(status))
        } else if libc::WIFEXITED(status) {
            Self::Code(libc::WEXITSTATUS(status))
        } else {
            Self::Unknown
        }
    }

    /// It may be no fault of its own: whoever has killed it, the kernel's memory killer included, left no other trace.
    pub fn is_from_outside(self) -> bool {
        matches!(self, Self::Signal(libc::SIGKILL) | Self::Unknown)
    }

    /// "exited with code 3", "was killed by signal 9 (SIGKILL)".
    pub fn text(self) -> String {
        match self {
            Self::Code(code) => format!("exited with code {code}"),
            Self::Signal(n) => match signal_name(n) {
                Some(name) => format!("was killed by signal {n} ({name})"),
                None => format!("was killed by signal {n}"),
            },
            Self::Unknown => "ended, its exit code is not known".into(),
        }
    }
}

fn signal_name(n: i32) -> Option<&'static str> {
    Some(match n {
        libc::SIGHUP => "SIGHUP",
        libc::SIGINT => "SIGINT",
        libc::SIGQUIT => "SIGQUIT",
        libc::SIGILL => "SIGILL",
        libc::SIGTRAP => "SIGTRAP",
        libc::SIGABRT => "SIGABRT",
        libc::SIGBUS => "SIGBUS",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL",
        libc::SIGUSR1 => "SIGUSR1",
        libc::SIGSEGV => "SIGSEGV",
        libc::SIGUSR2 => "SIGUSR2",
        libc::SIGPIPE => "SIGPIPE",
        libc::SIGALRM => "SIGALRM",
        libc::SIGTERM => "SIGTERM",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGXFSZ => "SIGXFSZ",
        libc::SIGSYS => "SIGSYS",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_told_in_words() {
        assert_eq!(Ended::from_status(3 << 8).text(), "exited with code 3");
        assert_eq!(Ended::from_status(9).text(), "was killed by signal 9 (SIGKILL)");
        assert_eq!(Ended::from_status(50).text(), "was killed by signal 50");
    }
}
