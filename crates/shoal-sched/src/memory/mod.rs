//! Who is killed when memory runs out. One door, as [`Sched`](crate::Sched) has: [`Monitor::handle`] takes a past fact
//! and appends orders.
//!
//! ```text
//! Watching ──look: too much is used──► asks for the lock ──got: survey──► kills ──all gone: survey──► …
//!     ▲                                      │ another instance has it       │ not too much any more, or nothing helps
//!     └──────────────────────────────────────┴───────────────────────────────┘
//! ```
//!
//! - MEM-1 nothing is killed but after a look that was taken under the lock which all instances of a user share.
//! - MEM-2 one at a time: between a kill and the next survey the victim's process ends, or fails to in [`STUBBORN`].
//! - MEM-3 idle workers go first, all at once: alone where they hold enough. Else one process more: of those that hold enough to matter, a task with
//!   retries left, before an actor with restarts left, before other tasks, before other actors; of the owner whose
//!   processes of that kind hold most; the one that began last.
//! - MEM-4 a kill must help: where all that may be killed holds less than an eighth of what is lacking, somebody else
//!   has the memory, and nothing is killed.
//! - MEM-5 no look is due while nothing runs. While something does, the next one is due before what is left could have
//!   been filled, as far as the kernel does not tell.
mod pick;
mod text;

pub use text::bytes_text;

use crate::memory::pick::pick;
use shoal_types::WorkerId;

/// A process that was killed and is there after so long does not hold up the others: 10 s.
pub const STUBBORN: u64 = 10_000_000;
/// No two looks are farther apart, while something runs: 10 s.
const LONGEST: u64 = 10_000_000;

/// What the monitor goes by.
#[derive(Clone, PartialEq, Debug)]
pub struct Rules {
    /// The share of a limit that may be used, 0 to 1.
    pub threshold: f64,
    /// The shortest time between two looks, in microseconds, a tenth of it close to the threshold; 0: never look.
    pub interval: u64,
    /// How many bytes a second this machine's CPUs can fill.
    pub fill_rate: u64,
}

/// How much memory is used, where that is closest to a limit.
#[derive(Clone, PartialEq, Debug)]
pub struct Reading {
    /// Bytes in use that can't be had back by dropping caches.
    pub used: u64,
    /// Bytes that may be.
    pub limit: u64,
    /// Whose limit it is: "the machine", or a control group.
    pub place: String,
    /// Bytes that can be filled up to the threshold without a notice from the kernel; `None`: it always tells.
    pub unnoticed: Option<u64>,
}

/// What a process of the instance is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A worker that runs nothing.
    Idle,
    /// It runs tasks.
    Task,
    /// It is an actor.
    Actor,
    /// Not ours to kill: a driver, the daemon, shared memory.
    Other,
}

/// Who holds memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holding {
    /// The worker; nil for [`Kind::Other`].
    pub worker: WorkerId,
    /// Its process.
    pub pid: u32,
    /// For people.
    pub title: String,
    /// What it is.
    pub kind: Kind,
    /// Bytes that come back when it ends, those of its child processes included.
    pub bytes: u64,
    /// Whose task or actor it is.
    pub owner: WorkerId,
    /// A number that grows: when its task, or the actor, began.
    pub since: u64,
    /// Its task or actor may be run once more.
    pub retriable: bool,
}

/// Something that has happened.
#[derive(Clone, PartialEq, Debug)]
pub enum MemoryEvent {
    /// Whether any task runs or any actor lives.
    Running(bool),
    /// The kernel says that memory is short.
    Noticed,
    /// [`MemoryOrder::Look`] is done.
    Looked(Reading),
    /// [`MemoryOrder::Survey`] is done: a look under the lock, and who holds what.
    Surveyed(Reading, Vec<Holding>),
    /// Another instance has the lock.
    Refused,
    /// A worker's process has ended.
    Gone(WorkerId),
    /// [`Monitor::deadline`] has come.
    Ticked,
}

/// Something to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum MemoryOrder {
    /// See how much is used.
    Look,
    /// Take the lock, unless it is held already; look, and see who holds how much.
    Survey,
    /// Kill a worker.
    Kill {
        /// Which.
        worker: WorkerId,
        /// Why, for people.
        why: String,
    },
    /// Let go of the lock.
    Unlock,
}

#[derive(Clone, PartialEq, Debug)]
enum State {
    Watching,
    Asking,
    Killing(Vec<WorkerId>),
}

/// The memory monitor of one node.
#[derive(Clone, Debug)]
pub struct Monitor {
    rules: Rules,
    state: State,
    running: bool,
    due: Option<u64>,
}

impl Monitor {
    /// One that has seen nothing.
    pub fn new(rules: Rules) -> Self {
        Self { rules, state: State::Watching, running: false, due: None }
    }

    /// When [`MemoryEvent::Ticked`] is due (MEM-5).
    pub fn deadline(&self) -> Option<u64> {
        self.due
    }

    /// Takes one event and appends what is to be done.
    pub fn handle(&mut self, now: u64, event: MemoryEvent, out: &mut Vec<MemoryOrder>) {
        if self.rules.interval == 0 {
            return;
        }
        match (event, &mut self.state) {
            (MemoryEvent::Running(running), State::Watching) => self.on_running(now, running),
            (MemoryEvent::Running(running), State::Asking | State::Killing(_)) => self.running = running,
            (MemoryEvent::Noticed | MemoryEvent::Ticked, State::Watching) => self.look(out),
            (MemoryEvent::Noticed, State::Asking | State::Killing(_)) | (MemoryEvent::Ticked, State::Asking) => {}
            (MemoryEvent::Looked(reading), State::Watching) => self.on_looked(now, &reading, out),
            (MemoryEvent::Surveyed(reading, all), State::Asking) => self.on_surveyed(now, &reading, &all, out),
            (MemoryEvent::Refused, State::Asking) => self.watch(now + self.rules.interval),
            (MemoryEvent::Gone(worker), State::Killing(victims)) => {
                victims.retain(|v| *v != worker);
                if victims.is_empty() {
                    self.survey(out);
                }
            }
            (MemoryEvent::Ticked, State::Killing(_)) => self.survey(out),
            (MemoryEvent::Gone(_), State::Watching | State::Asking) => {}
            (MemoryEvent::Looked(_), State::Asking | State::Killing(_))
            | (MemoryEvent::Surveyed(..) | MemoryEvent::Refused, State::Watching | State::Killing(_)) => {
                unreachable!("MEM-1: an answer that nobody asked for")
            }
        }
    }

    fn on_running(&mut self, now: u64, running: bool) {
        match (self.running, running) {
            (false, true) => self.due = Some(now),
            (true, false) => self.due = None,
            (true, true) | (false, false) => {}
        }
        self.running = running;
    }

    fn look(&mut self, out: &mut Vec<MemoryOrder>) {
        self.due = None;
        if self.running {
            out.push(MemoryOrder::Look);
        }
    }

    fn survey(&mut self, out: &mut Vec<MemoryOrder>) {
        (self.state, self.due) = (State::Asking, None);
        out.push(MemoryOrder::Survey);
    }

    /// Nothing is being killed; the next look is due then, if anything runs.
    fn watch(&mut self, next: u64) {
        self.state = State::Watching;
        self.due = self.running.then_some(next);
    }

    fn on_looked(&mut self, now: u64, reading: &Reading, out: &mut Vec<MemoryOrder>) {
        if self.lacking(reading).is_some() {
            self.survey(out);
        } else {
            self.watch_from(now, reading);
        }
    }

    fn on_surveyed(&mut self, now: u64, reading: &Reading, all: &[Holding], out: &mut Vec<MemoryOrder>) {
        let Some(lacking) = self.lacking(reading) else {
            out.push(MemoryOrder::Unlock);
            return self.watch_from(now, reading);
        };
        let victims = pick(lacking, all);
        if victims.is_empty() {
            out.push(MemoryOrder::Unlock);
            return self.watch(now + self.rules.interval);
        }
        for victim in &victims {
            let why = text::why(&self.rules, reading, victim, all);
            out.push(MemoryOrder::Kill { worker: victim.worker, why });
        }
        self.state = State::Killing(victims.iter().map(|v| v.worker).collect());
        self.due = Some(now + STUBBORN);
    }

    /// How much has to come back: down to the threshold and a fiftieth of the limit below it.
    fn lacking(&self, reading: &Reading) -> Option<u64> {
        let over = reading.used.checked_sub(self.allowed(reading))?;
        (over > 0).then_some(over + reading.limit / 50)
    }

    fn allowed(&self, reading: &Reading) -> u64 {
        (reading.limit as f64 * self.rules.threshold) as u64
    }

    /// MEM-5.
    fn watch_from(&mut self, now: u64, reading: &Reading) {
        self.state = State::Watching;
        let filled = |room: u64| (room as f64 / self.rules.fill_rate.max(1) as f64 * 1e6) as u64;
        // Close to the threshold a whole interval is too long: what is left is filled in less.
        let close = |room: u64| room < reading.limit / 10;
        let shortest = |room: u64| if close(room) { self.rules.interval / 10 } else { self.rules.interval };
        let wait = reading.unnoticed.map(|room| filled(room).clamp(shortest(room), LONGEST.max(self.rules.interval)));
        self.due = wait.filter(|_| self.running).map(|wait| now + wait);
    }
}
