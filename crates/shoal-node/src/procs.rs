//! Worker processes: asked of a zygote, forked, greeted, ended.
use crate::exits::Ended;
use crate::logs::{Output, Stream};
use crate::memory::WorkerGroup;
use crate::node::Node;
use crate::sys;
use crate::token::Token;
use shoal_net::{Interest, PidFd};
use shoal_sched::{Event as SchedEvent, Shape};
use shoal_types::{JobId, WorkerId};
use std::sync::Arc;

/// How long a worker may take to end after it closed its connection, and its zygote to say how it ended.
pub(crate) const GRACE: u64 = 1_000_000;

/// How long a worker may take from its fork to its greeting.
const GREETING: u64 = 60_000_000;

/// How long a zygote that is to fork may say nothing, once it has come up: one that is stopped, say, is replaced then.
const FORKING: u64 = 5_000_000;

/// So many starts in a row that were killed from outside are made again: somebody kills them all.
const KILLED_STARTS: u32 = 20;

/// One worker process, by the number of its start.
pub(crate) struct Proc {
    pub job: JobId,
    pub shape: Arc<Shape>,
    pub gpus: Vec<u32>,
    /// The zygote that forks it.
    pub zygote: u64,
    pub pid: Option<u32>,
    pub pidfd: Option<PidFd>,
    /// When it was asked for.
    pub born: u64,
    /// After its greeting.
    pub worker: Option<WorkerId>,
    pub output: Output,
    /// Why we killed it.
    pub killed: Option<String>,
    /// That was for its memory.
    pub memory: bool,
    /// What enforces its `memory=`.
    pub group: Option<WorkerGroup>,
    /// It is an actor that saves when its job ends.
    pub saves: bool,
    /// It said that it ends, and what that costs: `Some(None)` nothing.
    pub leaving: Option<Option<String>>,
    /// It was told to end, or its actor ends.
    pub dismissed: bool,
    /// Its process has ended.
    pub ended: Option<Ended>,
    /// When patience with it ends: it is not forked, it does not greet, it closed its connection, or nobody says how it ended.
    pub deadline: Option<u64>,
}

impl Node {
    /// Carries out `Order::StartWorker`.
    pub(crate) fn start_worker(&mut self, start: u64, shape: Arc<Shape>, gpus: Vec<u32>) {
        let job = shape.job;
        if let Some(reason) = self.no_room_for_a_worker() {
            return self.sched_event(SchedEvent::StartFailed { start, reason });
        }
        let (Some((out, out_end)), Some((err, err_end))) = (sys::pipe(), sys::pipe()) else {
            let reason = "no descriptors are left for its output".to_owned();
            return self.sched_event(SchedEvent::StartFailed { start, reason });
        };
        let zygote = match self.zygote_for(job, &shape) {
            Ok(zygote) => zygote,
            Err(reason) => return self.sched_event(SchedEvent::StartFailed { start, reason }),
        };
        self.ask_fork(zygote, start, &shape, &gpus, vec![out_end, err_end]);
        let output = Output::new(Stream::new(out), Stream::new(err));
        let (pid, pidfd, worker, killed, leaving) = (None, None, None, None, None);
        let (born, dismissed, memory, ended) = (self.clock.micros(), false, false, None);
        let (saves, group) = (false, None);
        let deadline = Some(born + FORKING);
        let proc = Proc {
            job,
            shape,
            gpus,
            zygote,
            pid,
            pidfd,
            born,
            worker,
            output,
            killed,
            memory,
            group,
            saves,
            leaving,
            dismissed,
            ended,
            deadline,
        };
        self.procs.insert(start, proc);
    }

    /// The process of a start is known: from the zygote, or from the worker's own greeting.
    pub(crate) fn on_forked(&mut self, start: u64, pid: u32) {
        let Some(proc) = self.procs.get_mut(&start).filter(|p| p.pid.is_none()) else { return };
        proc.pid = Some(pid);
        proc.deadline = Some(self.clock.micros() + GREETING);
        if let Ok(pidfd) = PidFd::open(pid) {
            let _ = self.poller.add(&pidfd, Token::Proc(start).into(), Interest::Read);
            proc.pidfd = Some(pidfd);
        }
        if proc.killed.is_some() {
            sys::kill_group(pid);
        }
        self.open_logs(start, pid);
    }

    /// Its pidfd is readable: who reaps it says how it ended, soon.
    pub(crate) fn on_proc_gone(&mut self, start: u64) {
        let until = self.clock.micros() + GRACE;
        let Some(proc) = self.procs.get_mut(&start) else { return };
        if let Some(pidfd) = proc.pidfd.take() {
            let _ = self.poller.delete(&pidfd);
        }
        proc.deadline = Some(proc.deadline.map_or(until, |d| d.min(until)));
    }

    /// It has been reaped, by its zygote or by us.
    pub(crate) fn on_reaped(&mut self, pid: u32, status: i32) {
        let found = self.procs.iter().find(|(_, p)| p.pid == Some(pid)).map(|(start, _)| *start);
        if let Some(start) = found {
            return self.end_proc(start, Ended::from_status(status));
        }
        self.on_zygote_reaped(pid, Ended::from_status(status));
    }

    /// Kills a worker's process group, or remembers to when there is none yet.
    pub(crate) fn kill_proc(&mut self, start: u64, why: &str) {
        let Some(proc) = self.procs.get_mut(&start) else { return };
        proc.killed.get_or_insert_with(|| why.to_owned());
        if let (Some(pid), None) = (proc.pid, proc.ended) {
            sys::kill_group(pid);
        }
    }

    /// Kills the process of a client that is a worker.
    pub(crate) fn kill_worker(&mut self, worker: WorkerId, why: &str) {
        if let Some(start) = self.clients.get(&worker).and_then(|c| c.start) {
            self.kill_proc(start, why);
        }
    }

    /// What patience ran out of: kills the zygote that forks nothing, who closed its connection and lives on, gives up on who can't say how it ended.
    pub(crate) fn check_deadlines(&mut self, now: u64) {
        let due = self.procs.iter().filter(|(_, p)| p.deadline.is_some_and(|d| d <= now));
        for start in due.map(|(start, _)| *start).collect::<Vec<_>>() {
            let Some(proc) = self.procs.get_mut(&start) else { continue };
            proc.deadline = None;
            if proc.pid.is_none() {
                let zygote = proc.zygote;
                self.check_zygote(start, zygote, now);
            } else if proc.pidfd.is_none() {
                self.end_proc(start, Ended::Unknown);
            } else if proc.worker.is_none() {
                self.kill_proc(start, "it did not greet the daemon in a minute");
            } else {
                self.kill_proc(start, "it closed its connection to the daemon");
            }
        }
    }

    /// This start has waited for its fork since long: by the zygote's fault if it has said nothing meanwhile.
    fn check_zygote(&mut self, start: u64, zygote: u64, now: u64) {
        let Some(z) = self.zygotes.get(&zygote) else { return };
        let patience = if z.is_up() { FORKING } else { GREETING };
        if z.heard + patience <= now {
            return self.kill_zygote(zygote);
        }
        let due = z.heard + patience;
        if let Some(proc) = self.procs.get_mut(&start) {
            proc.deadline = Some(due);
        }
    }

    /// A start came to nothing. What was killed from outside is made again, but not for ever.
    pub(crate) fn end_start(&mut self, start: u64, reason: String, lost: bool) {
        self.killed_starts += u32::from(lost);
        if lost && self.killed_starts < KILLED_STARTS {
            self.sched_event(SchedEvent::StartLost(start));
        } else {
            self.sched_event(SchedEvent::StartFailed { start, reason });
        }
    }

    /// The process has ended: everything that it wrote is read, then its death is told (NODE-3, NODE-4).
    pub(crate) fn end_proc(&mut self, start: u64, ended: Ended) {
        let Some(proc) = self.procs.get_mut(&start) else { return };
        proc.ended = Some(ended);
        let (worker, pid) = (proc.worker, proc.pid);
        if let Some(conn) = worker.and_then(|w| self.clients.get(&w)).map(|c| c.conn) {
            self.read_conn(conn);
        }
        self.drain_output(start);
        if let (Some(pid), Ended::Unknown) = (pid, ended) {
            sys::kill_group(pid);
        }
        let Some(proc) = self.procs.remove(&start) else { return };
        if let Some(pidfd) = &proc.pidfd {
            let _ = self.poller.delete(pidfd);
        }
        match worker {
            Some(worker) => {
                self.on_worker_death(worker, &proc, ended);
                self.on_memory_back(worker);
            }
            None => {
                let killed = proc.killed.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
                let tail = proc.output.tail_text();
                let reason = format!("it {} before it was ready{killed}{tail}", ended.text());
                let lost = proc.killed.is_none() && ended.is_from_outside();
                self.end_start(start, reason, lost);
            }
        }
        self.check_job(proc.job);
    }
}
