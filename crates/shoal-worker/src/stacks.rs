//! Python stacks for who looks inside, also while the user's code holds the GIL.
//!
//! - STACK-1 a worker's are written by a signal handler of Python's (`faulthandler`) into a file in memory; ours, which
//!   calls it, then wakes the I/O thread, which reads the file and answers. Nobody takes the GIL. System calls that the
//!   signal interrupts go on.
//! - STACK-2 one dump at a time: who asks meanwhile gets the same.
//! - STACK-3 a driver's signals are its own: the thread that prints its workers' lines tells its stacks.
use crate::runtime::Runtime;
use parking_lot::Mutex;
use rustix::fs::{OFlags, ftruncate};
use rustix::io::pread;
use shoal_proto::look::Wish;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicUsize, Ordering::SeqCst};

/// Who asks without getting an answer is forgotten but for so many.
const ASKED: usize = 64;

/// A dump is complete.
static DONE: AtomicBool = AtomicBool::new(false);
/// The handler of `faulthandler`.
static DUMPER: AtomicUsize = AtomicUsize::new(0);
/// What wakes the I/O thread.
static WAKE: AtomicI32 = AtomicI32::new(-1);

/// What a worker's dumps need.
struct Dump {
    file: OwnedFd,
    signal: i32,
}

#[derive(Default)]
struct Table {
    dump: Option<Dump>,
    asked: Vec<(u64, Wish)>,
    /// A thread reads notices, and can tell.
    listens: bool,
}

#[derive(Default)]
pub(crate) struct Stacks(Mutex<Table>);

extern "C" fn on_signal(signal: libc::c_int) {
    // SAFETY: what is called is made for handlers; what was interrupted finds its errno again.
    unsafe {
        let errno = *libc::__errno_location();
        let dump: extern "C" fn(libc::c_int) = std::mem::transmute(DUMPER.load(SeqCst));
        dump(signal);
        DONE.store(true, SeqCst);
        let one = 1_u64.to_ne_bytes();
        libc::write(WAKE.load(SeqCst), one.as_ptr().cast(), one.len());
        *libc::__errno_location() = errno;
    }
}

impl Runtime {
    /// `faulthandler` writes the stacks of all threads into `file`, which is in memory, on this signal: from now on they
    /// are told to who asks. Once a process, which is a worker.
    pub fn tell_stacks_on(&self, signal: i32, file: OwnedFd) -> std::io::Result<()> {
        // Each dump is appended, wherever the one before was cut.
        rustix::fs::fcntl_setfl(&file, OFlags::APPEND)?;
        WAKE.store(self.kick.as_fd().as_raw_fd(), SeqCst);
        // SAFETY: the action is plain memory, and its handler does what a handler may.
        let set = unsafe {
            let (mut action, mut before): (libc::sigaction, libc::sigaction) = std::mem::zeroed();
            libc::sigaction(signal, std::ptr::null(), &mut before);
            if before.sa_sigaction == libc::SIG_DFL || before.sa_sigaction == libc::SIG_IGN {
                return Err(std::io::ErrorKind::NotFound.into());
            }
            DUMPER.store(before.sa_sigaction, SeqCst);
            action.sa_sigaction = on_signal as extern "C" fn(libc::c_int) as usize;
            action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
            libc::sigaction(signal, &action, std::ptr::null_mut())
        };
        if set != 0 {
            return Err(std::io::Error::last_os_error());
        }
        self.stacks.0.lock().dump = Some(Dump { file, signal });
        Ok(())
    }

    /// Asks for the stacks; [`Runtime::finish_look`] is called with them. Or says why there are none.
    pub(crate) fn ask_for_stacks(&self, look: u64, wish: Wish) -> Result<(), &'static str> {
        let mut table = self.stacks.0.lock();
        let first = table.asked.is_empty();
        match &table.dump {
            Some(dump) if first => dump.begin(),
            Some(_) => {}
            None if !table.listens => {
                return Err("it shows no output of workers, so no thread of shoal's can tell them");
            }
            None => {
                self.notices.lock().stacks = true;
                self.noticed.notify_all();
            }
        }
        if table.asked.len() >= ASKED {
            table.asked.remove(0);
        }
        table.asked.push((look, wish));
        Ok(())
    }

    /// Looks whether a dump is complete. On the I/O thread.
    pub(crate) fn look_for_dump(&self) {
        if !DONE.load(SeqCst) || !DONE.swap(false, SeqCst) {
            return;
        }
        let table = self.stacks.0.lock();
        let Some(dump) = &table.dump else { return };
        let text = dump.take();
        drop(table);
        self.tell_stacks(text);
    }

    /// The stacks of all threads, as text: whoever has asked is told.
    pub fn tell_stacks(&self, text: String) {
        let asked = std::mem::take(&mut self.stacks.0.lock().asked);
        for (look, wish) in asked {
            self.finish_look(look, wish, text.clone(), "");
        }
    }

    /// Whether a thread reads notices.
    pub(crate) fn has_listener(&self) -> bool {
        self.stacks.0.lock().listens
    }

    /// A thread reads notices from now on.
    pub(crate) fn listen_for_stacks(&self) {
        self.stacks.0.lock().listens = true;
    }
}

impl Dump {
    fn begin(&self) {
        // SAFETY: a signal to this very process; its handler is in place.
        unsafe { libc::kill(libc::getpid(), self.signal) };
    }

    fn take(&self) -> String {
        let (mut text, mut block) = (Vec::new(), vec![0; 1 << 16]);
        while let Ok(n @ 1..) = pread(&self.file, &mut block, text.len() as u64) {
            text.extend_from_slice(&block[..n]);
        }
        let _ = ftruncate(&self.file, 0);
        String::from_utf8_lossy(&text).into_owned()
    }
}
