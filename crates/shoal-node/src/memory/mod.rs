//! Memory: reads how much is used, asks the kernel for notices, kills whom `shoal_sched::memory` names.
//!
//! The lock that all instances of a user share is an flock on the folder that their sessions are in; it is held from the
//! survey until what was killed is gone and the next look has found enough.
mod limits;
mod notice;
mod reader;

use crate::clients::Kind as ClientKind;
use crate::config::Settings;
use crate::exits::Ended;
use crate::node::Node;
use crate::procs::Proc;
use crate::sys;
use crate::token::Token;
use limits::Limits;
pub(crate) use limits::WorkerGroup;
use notice::Notices;
use reader::Reader;
use shoal_net::{Interest, Poller};
use shoal_sched::WorkerInfo;
use shoal_sched::memory::{Holding, Kind, MemoryEvent, MemoryOrder, Monitor, Reading, Rules, bytes_text};
use shoal_types::{Resources, UNIT, WorkerId};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Bytes a second that one CPU fills at most.
const FILL_RATE: u64 = 4 << 30;

/// The daemon's part of the monitor.
pub(crate) struct Memory {
    monitor: Monitor,
    threshold: f64,
    reader: Reader,
    /// Asked for when the first task runs.
    notices: Option<Notices>,
    /// Whether they are heard: while something runs. An idle instance sleeps through what others make the machine suffer.
    hearing: bool,
    /// Held from a survey to the end of what it led to.
    lock: Option<OwnedFd>,
    /// Kills of the kernel's that are accounted for.
    kernel_kills: u64,
    /// With `enforce_memory`.
    limits: Option<Limits>,
}

impl Memory {
    pub fn new(settings: &Settings) -> Self {
        let reader = Reader::new(Path::new("/"));
        let cpus = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
        let rules = Rules {
            threshold: settings.memory_usage_threshold,
            interval: (settings.memory_monitor_interval * 1e6) as u64,
            fill_rate: cpus * FILL_RATE,
        };
        let kernel_kills = reader.kernel_kills();
        let threshold = rules.threshold;
        let monitor = Monitor::new(rules);
        Self { monitor, threshold, reader, notices: None, hearing: false, lock: None, kernel_kills, limits: None }
    }

    /// From here on `memory=` is a limit; the folder of the groups that enforce it.
    pub fn enforce(&mut self) -> std::io::Result<&Path> {
        let limits = Limits::new(&self.reader, std::process::id())?;
        Ok(self.limits.insert(limits).folder())
    }

    /// The instance has ended.
    pub fn end(&mut self) {
        if let Some(limits) = &mut self.limits {
            limits.end();
        }
    }

    pub fn deadline(&self) -> Option<u64> {
        self.monitor.deadline()
    }

    /// Nothing is to be waited for that the kernel would not tell, should memory never be read.
    fn read(&self) -> Reading {
        let tells = |group: &reader::Group, limit| self.notices.as_ref().is_some_and(|n| n.tells(group, limit));
        let unknown = Reading { used: 0, limit: 0, place: "the machine".into(), unnoticed: None };
        self.reader.read(self.threshold, tells).unwrap_or(unknown)
    }

    /// What can't be heard is done without, as what can't be had.
    fn hear_notices(&mut self, poller: &Poller, busy: bool) {
        if std::mem::replace(&mut self.hearing, busy) == busy {
            return;
        }
        let notices = self.notices.get_or_insert_with(|| Notices::ask(&self.reader, self.threshold));
        for (number, fd) in notices.events() {
            let _ = if busy { poller.add(fd, Token::Memory(number).into(), Interest::Read) } else { poller.delete(fd) };
        }
        if let Some(file) = notices.pressure() {
            let _ =
                if busy { poller.add(file, Token::Memory(0).into(), Interest::Notice) } else { poller.delete(file) };
        }
    }
}

impl Node {
    fn memory_event(&mut self, event: MemoryEvent) {
        let mut orders = Vec::new();
        self.memory.monitor.handle(self.clock.micros(), event, &mut orders);
        for order in orders {
            match order {
                MemoryOrder::Look => {
                    let reading = self.memory.read();
                    self.memory_event(MemoryEvent::Looked(reading));
                }
                MemoryOrder::Survey => self.survey_memory(),
                MemoryOrder::Kill { worker, why } => self.kill_for_memory(worker, &why),
                MemoryOrder::Unlock => self.memory.lock = None,
            }
        }
    }

    /// Once a round of the loop: whether anything runs that could use up memory.
    pub(crate) fn tell_memory_who_runs(&mut self) {
        let busy = self.sched.is_busy();
        self.memory.hear_notices(&self.poller, busy);
        self.memory_event(MemoryEvent::Running(busy));
    }

    pub(crate) fn tick_memory(&mut self, now: u64) {
        if self.memory.deadline().is_some_and(|due| due <= now) {
            self.memory_event(MemoryEvent::Ticked);
        }
    }

    /// A notice of the kernel's; `closed`: there will be no more.
    pub(crate) fn on_memory_notice(&mut self, number: u64, closed: bool) {
        let Some(notices) = &mut self.memory.notices else { return };
        notices.take(number);
        if closed
            && number == 0
            && let Some(file) = notices.drop_pressure()
        {
            let _ = self.poller.delete(&file);
        }
        self.memory_event(MemoryEvent::Noticed);
    }

    pub(crate) fn on_memory_back(&mut self, worker: WorkerId) {
        self.memory_event(MemoryEvent::Gone(worker));
    }

    fn survey_memory(&mut self) {
        if self.memory.lock.is_none() {
            self.memory.lock = self.config.session.parent().and_then(sys::lock_folder);
        }
        if self.memory.lock.is_none() {
            return self.memory_event(MemoryEvent::Refused);
        }
        let (reading, holdings) = (self.memory.read(), self.holdings());
        self.memory_event(MemoryEvent::Surveyed(reading, holdings));
    }

    fn kill_for_memory(&mut self, worker: WorkerId, why: &str) {
        let Some(start) = self.clients.get(&worker).and_then(|c| c.start) else { return };
        if let Some(proc) = self.procs.get_mut(&start) {
            proc.memory = true;
            shoal_net::say!("process {} is killed: {why}", proc.pid.unwrap_or(0));
        }
        self.kill_proc(start, why);
    }

    /// Who holds how much.
    fn holdings(&self) -> Vec<Holding> {
        let groups = self.bytes_by_session();
        let roles: BTreeMap<WorkerId, WorkerInfo> = self.sched.workers().map(|w| (w.worker, w)).collect();
        let zygotes: BTreeMap<u64, u64> =
            self.zygotes.iter().map(|(id, z)| (*id, self.memory.reader.held_by(z.pid))).collect();
        let shared = |start: u64| self.procs.get(&start).and_then(|p| zygotes.get(&p.zygote)).copied().unwrap_or(0);
        let mut all = Vec::new();
        for (id, client) in &self.clients {
            let Some(start) = client.start else {
                let title = if client.kind == ClientKind::Driver { "the driver" } else { "a subprocess of a task" };
                all.push(self.other(title, client.pid));
                continue;
            };
            // What it shares with the zygote that it was forked from stays.
            let bytes = groups.get(&client.pid).copied().unwrap_or(0).saturating_sub(shared(start));
            let dying = self.procs.get(&start).is_none_or(|p| p.killed.is_some());
            let role = roles.get(id).filter(|_| !dying);
            all.push(self.holding(*id, client, start, role, bytes));
        }
        all.push(self.other("the node daemon", std::process::id()));
        all.extend(self.zygotes.values().map(|z| self.other("the process that forks workers", z.pid)));
        let arena = self.objects.arena.stats();
        let shared = Holding { bytes: arena.used + arena.warm, ..self.other("objects in shared memory", 0) };
        all.push(shared);
        all
    }

    fn other(&self, title: &str, pid: u32) -> Holding {
        let bytes = if pid == 0 { 0 } else { self.memory.reader.held_by(pid) };
        let (worker, owner) = (WorkerId::NIL, WorkerId::NIL);
        Holding { worker, pid, title: title.into(), kind: Kind::Other, bytes, owner, since: 0, retriable: false }
    }

    fn holding(
        &self,
        worker: WorkerId,
        client: &crate::clients::Client,
        start: u64,
        role: Option<&WorkerInfo>,
        bytes: u64,
    ) -> Holding {
        let title = client.title.title().filter(|t| !t.is_empty()).unwrap_or_else(|| "a worker".into());
        let (began, last_try) = client.title.task();
        let actor = role.and_then(|r| r.actor).and_then(|id| Some((id, self.gcs.creator(id)?)));
        let (kind, owner, since, retriable) = match (role.map(|r| r.role), actor) {
            // A lease that waits for its next task has none to lose.
            (Some("leased"), _) if began == 0 => (Kind::Idle, WorkerId::NIL, 0, true),
            (Some("idle"), _) => (Kind::Idle, WorkerId::NIL, 0, true),
            (Some("leased"), _) => {
                let owner = role.and_then(|r| r.holder).map_or(WorkerId::NIL, |h| h.0);
                (Kind::Task, owner, began, !last_try)
            }
            (_, Some((id, creator))) => (Kind::Actor, creator, start, self.gcs.may_restart(id)),
            _ => (Kind::Other, WorkerId::NIL, 0, false),
        };
        Holding { worker, pid: client.pid, title, kind, bytes, owner, since, retriable }
    }

    /// What each worker's session holds: it, and the processes that it has started.
    fn bytes_by_session(&self) -> BTreeMap<u32, u64> {
        let mut held: BTreeMap<u32, u64> = self.procs.values().filter_map(|p| p.pid).map(|pid| (pid, 0)).collect();
        for pid in sys::all_processes() {
            if let Some(sum) = sys::session_of(pid).and_then(|session| held.get_mut(&session)) {
                *sum += self.memory.reader.held_by(pid);
            }
        }
        held
    }

    /// The worker may use what it holds of `memory` and no more, from now on (LIMIT-1).
    pub(crate) fn limit_memory(&mut self, worker: WorkerId, holds: &Resources) {
        let bytes = holds.get("memory") / UNIT;
        let Some(start) = self.clients.get(&worker).and_then(|c| c.start).filter(|_| bytes > 0) else { return };
        let (Some(limits), Some(proc)) = (&self.memory.limits, self.procs.get_mut(&start)) else { return };
        let Some(pid) = proc.pid.filter(|_| proc.group.is_none()) else { return };
        match limits.hold(start, pid, bytes) {
            Ok(group) => proc.group = Some(group),
            Err(error) => self.kill_proc(start, &format!("its limit of memory cannot be set: {error}")),
        }
    }

    /// Words for a death by the worker's own limit, if it was that (LIMIT-2).
    pub(crate) fn killed_by_limit(&mut self, proc: &Proc, ended: Ended) -> Option<String> {
        let (limits, group) = (self.memory.limits.as_mut()?, proc.group.as_ref()?);
        if !limits.release(group) {
            return None;
        }
        // In v2 the groups around it count it, too.
        self.memory.kernel_kills = self.memory.reader.kernel_kills();
        (ended == Ended::Signal(libc::SIGKILL)).then(|| {
            format!("memory ran out: it needed more than the {} that memory= gives it", bytes_text(group.limit))
        })
    }

    /// Words for a death that the kernel's own killer has caused, if it has.
    pub(crate) fn killed_by_kernel(&mut self, ended: Ended) -> Option<String> {
        if ended != Ended::Signal(libc::SIGKILL) || self.memory.reader.kernel_kills() <= self.memory.kernel_kills {
            return None;
        }
        self.memory.kernel_kills += 1;
        let (used, limit, place) = self.memory.reader.innermost()?;
        Some(format!(
            "memory ran out, and the kernel killed it; now {} of {} are used in {place}",
            bytes_text(used),
            bytes_text(limit)
        ))
    }
}
