//! Processes that tests fork, and what they share.
#![allow(dead_code)] // each test file uses its part

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use shoal_ring::{Bell, PeerBell, Sleep, Wake};

pub const LIMIT: Duration = Duration::from_secs(20);

/// Runs `body` in a child; gives back its pid. The child leaves without the test harness's exit code.
pub fn fork(body: impl FnOnce()) -> libc::pid_t {
    // SAFETY: the child runs `body`, which allocates (glibc allows it after fork) and makes system calls, and ends.
    match unsafe { libc::fork() } {
        0 => {
            let ok = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).is_ok();
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(if ok { 0 } else { 1 }) }
        }
        pid => pid,
    }
}

pub fn wait_for(pid: libc::pid_t) -> i32 {
    let mut status = 0;
    // SAFETY: `status` is writable.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    status
}

/// Sleeps until something is ready.
pub fn sleep(bell: &Bell) {
    if bell.prepare_sleep(Sleep::Futex) {
        assert_eq!(bell.sleep_futex(Sleep::Futex, Some(LIMIT)), Wake::Woken);
    }
    bell.awake();
    bell.drain(|_| {});
}

/// The bell that a child made, by way of `/proc`: the parent has no descriptor of it.
pub fn bell_of(child: libc::pid_t, fd: &AtomicU32) -> PeerBell {
    let start = Instant::now();
    while fd.load(Relaxed) == 0 {
        assert!(start.elapsed() < LIMIT);
        std::thread::yield_now();
    }
    let path = format!("/proc/{child}/fd/{}", fd.load(Relaxed));
    PeerBell::map(std::fs::File::options().read(true).write(true).open(path).unwrap()).unwrap()
}

/// A word that both processes see.
pub fn shared_word() -> &'static AtomicU32 {
    // SAFETY: a new anonymous page, never unmapped.
    unsafe {
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        let page = libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
        assert_ne!(page, libc::MAP_FAILED);
        AtomicU32::from_ptr(page.cast())
    }
}
