//! The runtime of one process: what it holds, how it begins and ends.
use crate::asking::Questions;
use crate::control::Control;
use crate::exec::Executor;
use crate::hints::Hints;
use crate::io;
use crate::lanes::Burst;
use crate::output::{Printing, Waiting};
use crate::stacks::Stacks;
use crate::state::{Session, State};
use parking_lot::{Condvar, Mutex};
use shoal_net::{EventFd, NetError, WakeSocket};
use shoal_proto::control::{Hello, LogLine, Role, ToClient, ToNode};
use shoal_ring::Bell;
use shoal_store::{ArenaClient, ClientSlot};
use shoal_types::{ErrorValue, ObjectId, TaskId};
use shoal_wait::Leadership;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Who this process is.
pub struct Greeting {
    /// "3.11".
    pub python: String,
    /// What it is to the daemon.
    pub role: Role,
}

/// The runtime can't go on.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// The daemon said no, in one sentence.
    #[error("{0}")]
    Refused(String),
    /// The connection failed.
    #[error("cannot talk to the node daemon: {0}")]
    Net(#[from] NetError),
    /// Shared memory failed.
    #[error("cannot map shared memory: {0}")]
    Memory(String),
    /// The daemon said something else than was its turn.
    #[error("the node daemon answered out of turn")]
    Protocol,
}

/// What goes to the one thread of Python's that we own.
#[derive(Default)]
pub struct Notices {
    /// Numbers given by [`Runtime::watch`] whose objects are ready.
    pub ready: Vec<u64>,
    /// Lines of workers' output.
    pub logs: Vec<LogLine>,
    /// Lines that are missing after those, because this process was too busy to print them.
    pub left_out: u64,
    pub(crate) waiting: Waiting,
    /// Calls that run here beside others and are cancelled.
    pub cancels: Vec<TaskId>,
    /// To be said on standard error.
    pub warnings: Vec<String>,
    /// Somebody wants to know what this process's threads do: [`Runtime::tell_stacks`].
    pub stacks: bool,
    pub(crate) closed: bool,
}

/// One process's part of the instance.
pub struct Runtime {
    pub(crate) session: Session,
    pub(crate) start: Instant,
    pub(crate) state: Mutex<State>,
    pub(crate) control: Control,
    pub(crate) store: ArenaClient,
    pub(crate) bell: Bell,
    pub(crate) wake: Arc<WakeSocket>,
    pub(crate) kick: EventFd,
    pub(crate) executor: Executor,
    // who sleeps on the bell (RUN-3)
    pub(crate) leadership: Leadership,
    // what is going on: lets the I/O thread sleep for good when nothing is
    pub(crate) active: AtomicBool,
    /// Requests without a reply, and replies that found no room: while there are any, somebody reads the lanes.
    pub(crate) outstanding: AtomicU64,
    pub(crate) burst: Burst,
    /// Whether any worker was left asleep (PUSH-4).
    pub(crate) owes_rings: AtomicBool,
    pub(crate) drops: Mutex<Vec<ObjectId>>,
    pub(crate) questions: Mutex<Questions>,
    /// Questions that have waited for more than a second.
    pub(crate) asking: AtomicU32,
    /// Whether the thread that asks is to give up.
    pub(crate) interrupted: OnceLock<fn() -> bool>,
    pub(crate) notices: Mutex<Notices>,
    pub(crate) noticed: Condvar,
    pub(crate) printing: Mutex<Printing>,
    pub(crate) stacks: Stacks,
    pub(crate) hints: Hints,
    pub(crate) closing: AtomicBool,
    // frames that wait for space in the arena
    pub(crate) asked_for_chunk: AtomicBool,
    pub(crate) arena_full: AtomicBool,
    /// The daemon has called for chunks: some may go when their writers are done.
    pub(crate) called_in: AtomicBool,
    /// An invariant of ours is broken.
    pub(crate) broken: OnceLock<ErrorValue>,
    pub(crate) io_thread: Mutex<Option<JoinHandle<()>>>,
    pub(crate) prefix: [u8; 8],
    pub(crate) counter: AtomicU64,
    tokens: AtomicU64,
    pub(crate) rounds: AtomicU64,
    /// How many values were lost, to be made again (SIGHT-1).
    pub(crate) losses: AtomicU64,
}

impl Notices {
    /// Whether there is nothing to tell.
    pub fn is_empty(&self) -> bool {
        let lines = self.logs.is_empty() && self.left_out == 0 && self.warnings.is_empty();
        self.ready.is_empty() && self.cancels.is_empty() && lines && !self.stacks
    }
}

impl Runtime {
    /// Greets the daemon over `socket` and starts the I/O thread. `blocked_signals` of the calling thread are as they
    /// were; the I/O thread blocks all.
    pub fn connect(socket: OwnedFd, greeting: Greeting) -> Result<Arc<Self>, Fatal> {
        let memory = |e: &dyn std::fmt::Display| Fatal::Memory(format!("{e}{}", crate::unmapped::limits()));
        shoal_crash::set_process(match greeting.role {
            Role::Driver { .. } => shoal_crash::Process::Driver,
            _ => shoal_crash::Process::Worker,
        });
        let (bell, bell_fd) = Bell::create().map_err(|e| memory(&e))?;
        let (wake, name) = WakeSocket::bind()?;
        let hello = ToNode::Hello(Hello {
            protocol: shoal_proto::PROTOCOL,
            python: greeting.python,
            pid: std::process::id(),
            wake: name,
            role: greeting.role,
        });
        let control = Control::new(socket);
        control.send_blocking(&hello, vec![bell_fd])?;
        let (session, mut fds) = match control.receive_blocking(Duration::from_secs(30))? {
            (ToClient::Welcome(welcome), fds) => (*welcome, fds),
            (ToClient::Refused(why), _) => return Err(Fatal::Refused(why)),
            _ => return Err(Fatal::Protocol),
        };
        let (Some(pins), Some(arena)) = (fds.pop(), fds.pop()) else { return Err(Fatal::Protocol) };
        let store = ArenaClient::attach(arena, pins, ClientSlot(session.slot)).map_err(|e| memory(&e))?;
        let runtime = Arc::new(Self::new(session, control, store, bell, wake)?);
        let thread = io::spawn(Arc::clone(&runtime));
        *runtime.io_thread.lock() = Some(thread);
        Ok(runtime)
    }

    fn new(
        session: Session,
        control: Control,
        store: ArenaClient,
        bell: Bell,
        wake: WakeSocket,
    ) -> Result<Self, Fatal> {
        let me = shoal_types::Address { node: session.node, worker: session.worker };
        let mut prefix = [0; 8];
        rustix::rand::getrandom(&mut prefix, rustix::rand::GetRandomFlags::empty())
            .map_err(|e| Fatal::Memory(e.to_string()))?;
        let mut state = State::new(me);
        state.owner.set_lineage_limit(session.lineage_bytes);
        Ok(Self {
            start: Instant::now(),
            state: Mutex::new(state),
            control,
            store,
            bell,
            wake: Arc::new(wake),
            kick: EventFd::new()?,
            executor: Executor::default(),
            leadership: Leadership::new(),
            active: AtomicBool::new(false),
            outstanding: AtomicU64::new(0),
            burst: Burst::default(),
            owes_rings: AtomicBool::new(false),
            drops: Mutex::default(),
            questions: Mutex::default(),
            asking: AtomicU32::new(0),
            interrupted: OnceLock::new(),
            notices: Mutex::default(),
            noticed: Condvar::new(),
            printing: Mutex::default(),
            stacks: Stacks::default(),
            hints: Hints::default(),
            closing: AtomicBool::new(false),
            asked_for_chunk: AtomicBool::new(false),
            arena_full: AtomicBool::new(false),
            called_in: AtomicBool::new(false),
            broken: OnceLock::new(),
            io_thread: Mutex::new(None),
            prefix,
            counter: AtomicU64::new(0),
            tokens: AtomicU64::new(0),
            rounds: AtomicU64::new(0),
            losses: AtomicU64::new(0),
            session,
        })
    }

    /// What the daemon said at the greeting.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// This process's address.
    pub fn address(&self) -> shoal_types::Address {
        shoal_types::Address { node: self.session.node, worker: self.session.worker }
    }

    /// A task id that no other process and no earlier call has.
    pub fn next_task(&self) -> TaskId {
        TaskId::new(self.prefix, self.counter.fetch_add(1, SeqCst))
    }

    pub(crate) fn next_token(&self) -> u64 {
        self.tokens.fetch_add(1, SeqCst)
    }

    /// Microseconds since the runtime began: the core's clock.
    pub(crate) fn now(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }

    /// Lines that several workers write at the same time are told once, with a count, from now on.
    pub fn fold_logs(&self) {
        self.printing.lock().fold();
    }

    /// Says what runs now: the prefix of this process's lines of output.
    pub fn set_title(&self, title: &str) {
        self.bell.set_title(title);
    }

    /// What runs now, as others see it.
    pub fn title(&self) -> String {
        self.bell.title().unwrap_or_default()
    }

    /// Says that a task begins, and that it will not be tried again: whom memory costs least.
    pub fn set_task(&self, last_try: bool) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        self.bell.set_task(now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1_000, last_try);
    }

    /// Says that nothing runs.
    pub fn end_task(&self) {
        self.bell.set_task(0, false);
    }

    /// Ends the session: says goodbye, stops the I/O thread, waits until the daemon has closed the connection (at most
    /// five seconds). Threads that wait are told, unless the process is about to end.
    pub fn close(&self, at_exit: bool) {
        if self.closing.swap(true, SeqCst) {
            return;
        }
        if !at_exit {
            self.end_session();
        }
        self.control.send(&ToNode::Bye);
        self.control.flush();
        self.kick.kick();
        if let Some(thread) = self.io_thread.lock().take() {
            let _ = thread.join();
        }
        self.end_notices();
    }
}
