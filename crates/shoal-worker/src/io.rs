//! The I/O thread: the daemon's socket, wake-ups by datagram, the core's deadlines; it leads when nobody else does.
//!
//! - IO-1 it blocks all signals, so that they reach the user's threads.
//! - IO-2 while `active` it looks every 200 µs, less and less often while there is nothing to do; after 100 ms of
//!   nothing it clears `active`, looks once more, and sleeps without a time limit: an idle process has no wake-ups.
//!   While something is outstanding a driver's wakes every few seconds to see that the daemon answers (`pulse`).
use crate::pulse::{Beat, Pulse};
use crate::runtime::Runtime;
use rustix::event::{PollFd, PollFlags, poll};
use shoal_owner::Event;
use shoal_proto::control::ToNode;
use shoal_wait::Leader;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const FIRST_LOOK: Duration = Duration::from_micros(200);
const LAST_LOOK: Duration = Duration::from_micros(3200);
const QUIET: Duration = Duration::from_millis(100);
/// How long frames wait before they ask a full arena again.
const FULL: Duration = Duration::from_millis(50);
const GOODBYE: Duration = Duration::from_secs(5);

pub(crate) fn spawn(runtime: Arc<Runtime>) -> JoinHandle<()> {
    let before = block_signals();
    let thread = std::thread::Builder::new().name("shoal-io".into()).spawn(move || run(&runtime));
    restore_signals(&before);
    thread.expect("a thread can be started")
}

/// A broken invariant on this thread ends the session, not this thread alone.
fn run(runtime: &Runtime) {
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| Io::new(runtime).run()));
    if ended.is_err() {
        runtime.die();
    }
}

fn block_signals() -> libc::sigset_t {
    // SAFETY: both sets are plain memory of this frame.
    unsafe {
        let (mut all, mut before) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
        before
    }
}

fn restore_signals(set: &libc::sigset_t) {
    // SAFETY: the set came from pthread_sigmask.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, set, std::ptr::null_mut()) };
}

struct Io<'a> {
    runtime: &'a Runtime,
    look: Duration,
    quiet_since: Instant,
    idle_looks: u32,
    bye: Option<Instant>,
    full_since: Option<Instant>,
    /// How long until a cancelled call that goes on is interrupted again.
    interrupt: Option<Duration>,
    pulse: Pulse,
    heard: bool,
}

impl<'a> Io<'a> {
    fn new(runtime: &'a Runtime) -> Self {
        Self {
            runtime,
            look: FIRST_LOOK,
            quiet_since: Instant::now(),
            idle_looks: 0,
            bye: None,
            full_since: None,
            interrupt: None,
            pulse: Pulse::default(),
            heard: false,
        }
    }

    fn run(&mut self) {
        // What came with the greeting's answer is in the reader already.
        if !self.dispatch() {
            return self.runtime.die();
        }
        loop {
            self.runtime.pay_rings();
            // What is not slept for is looked for.
            let readable = !self.runtime.io_may_sleep() || self.sleep();
            if readable && !self.read_control() {
                return self.runtime.die();
            }
            self.runtime.wake.drain();
            self.runtime.kick.drain();
            self.runtime.look_for_dump();
            if self.runtime.broken.get().is_some() {
                return self.runtime.die();
            }
            if self.closing() {
                return;
            }
            self.look_after();
        }
    }

    fn closing(&mut self) -> bool {
        if !self.runtime.closing.load(SeqCst) {
            return false;
        }
        let since = *self.bye.get_or_insert_with(Instant::now);
        since.elapsed() > GOODBYE
    }

    /// Whether the daemon's socket may be read or written afterwards.
    fn sleep(&self) -> bool {
        let runtime = self.runtime;
        let mut control = PollFlags::IN;
        if runtime.control.full.load(SeqCst) {
            control |= PollFlags::OUT;
        }
        let mut fds = [
            PollFd::from_borrowed_fd(runtime.control.fd(), control),
            PollFd::from_borrowed_fd(runtime.kick.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(runtime.wake.fd(), PollFlags::IN),
        ];
        let limit = self
            .limit()
            .map(|d| rustix::time::Timespec { tv_sec: d.as_secs() as i64, tv_nsec: d.subsec_nanos().into() });
        // An error here can only be EINTR, though signals are blocked: look and come again.
        let ready = poll(&mut fds, limit.as_ref());
        ready.is_err() || !fds[0].revents().is_empty()
    }

    /// How long to sleep; `None` is until something comes.
    fn limit(&self) -> Option<Duration> {
        let runtime = self.runtime;
        if self.bye.is_some() {
            return Some(GOODBYE / 10);
        }
        let deadline = runtime
            .state
            .lock()
            .owner
            .next_deadline()
            .into_iter()
            .chain(self.pulse.due())
            .min()
            .map(|at| Duration::from_micros(at.saturating_sub(runtime.now()).max(50)));
        let look = runtime.active.load(SeqCst).then_some(self.look);
        let full = runtime.arena_full.load(SeqCst).then_some(FULL);
        [deadline, look, full, self.interrupt].into_iter().flatten().min()
    }

    fn read_control(&mut self) -> bool {
        let runtime = self.runtime;
        if runtime.control.full.load(SeqCst) {
            runtime.control.flush();
        }
        loop {
            let Some(filled) = runtime.control.fill() else { return self.finish_reading() };
            let whole = self.dispatch();
            runtime.control.hold_reserve();
            if !whole {
                return false;
            }
            if filled == shoal_net::Filled::WouldBlock {
                return true;
            }
            self.heard = true;
        }
    }

    /// The connection is closed: what came before counts.
    fn finish_reading(&self) -> bool {
        self.dispatch();
        false
    }

    fn dispatch(&self) -> bool {
        loop {
            match self.runtime.control.next() {
                Ok(Some((msg, fds))) => self.runtime.on_message(msg, fds),
                Ok(None) => return true,
                Err(error) => {
                    shoal_net::say!("the node daemon sent something that cannot be read: {error}");
                    return false;
                }
            }
        }
    }

    fn look_after(&mut self) {
        let runtime = self.runtime;
        if runtime.leadership.leader() != Leader::User {
            runtime.poll_beside();
        }
        let mut state = runtime.state.lock();
        let dropped = runtime.drain_drops(&mut state);
        let short = state.owner.take_short();
        let now = runtime.now();
        if state.owner.next_deadline().is_some_and(|at| at <= now) {
            runtime.feed(&mut state, Event::Ticked);
        }
        runtime.look_whether_needed(&state);
        let waits = state.owner.has_unfinished() || runtime.asking.load(SeqCst) > 0;
        drop(state);
        if let Some((function, calls)) = short {
            runtime.hint_map(&function, calls);
        }
        self.feel_pulse(now, waits);
        if !runtime.arena_full.load(SeqCst) {
            self.full_since = None;
        } else if self.full_since.get_or_insert_with(Instant::now).elapsed() >= FULL {
            self.full_since = None;
            runtime.send_starved();
        }
        self.interrupt = runtime.executor.cancels.interrupt_due();
        if runtime.store.take_sweep_hint() {
            runtime.tell_node(&ToNode::Unpinned);
        }
        let unmapped = runtime.store.take_unmapped();
        if !unmapped.is_empty() {
            runtime.tell_node(&ToNode::Unmapped(unmapped));
        }
        if runtime.active.load(SeqCst) {
            self.adapt(dropped);
        }
    }

    /// Workers have nobody to tell, and end with their daemon.
    fn feel_pulse(&mut self, now: u64, waits: bool) {
        let heard = std::mem::take(&mut self.heard);
        if self.runtime.session.driver != self.runtime.address() {
            return;
        }
        match self.pulse.beat(now, waits, heard) {
            Beat::Nothing => {}
            Beat::Ask => self.runtime.ask_for_a_sign(),
            Beat::Silent => shoal_net::say!("{}", self.runtime.silence()),
            Beat::Back(micros) => {
                shoal_net::say!("the node daemon answers again, after {} s", micros / 1_000_000);
            }
        }
    }

    fn adapt(&mut self, dropped: bool) {
        let runtime = self.runtime;
        let outstanding = runtime.outstanding.load(SeqCst) > 0;
        let leader = runtime.leadership.leader();
        if outstanding && leader == Leader::Nobody {
            self.look = FIRST_LOOK;
            self.idle_looks += 1;
            if self.idle_looks > 1 {
                runtime.leadership.io_lead(true);
            }
            self.quiet_since = Instant::now();
            return;
        }
        self.idle_looks = 0;
        if leader == Leader::Io && !outstanding {
            runtime.leadership.io_lead(false);
        }
        self.look = if leader == Leader::Io { LAST_LOOK } else { (self.look * 2).min(LAST_LOOK) };
        if outstanding || dropped {
            self.quiet_since = Instant::now();
        } else if self.quiet_since.elapsed() > QUIET {
            runtime.active.store(false, SeqCst);
            self.look = FIRST_LOOK;
            let late = !runtime.drops.lock().is_empty() || runtime.outstanding.load(SeqCst) > 0;
            if late {
                runtime.active.store(true, SeqCst);
            }
        }
    }
}
