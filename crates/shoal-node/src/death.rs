//! The death of a client, told in this order (NODE-3): what it relayed (before we come here), `WorkerDied`, what becomes
//! of actors, the end of its lanes, then what it had sealed in the arena.
use crate::clients::{Client, Kind};
use crate::exits::Ended;
use crate::node::{Node, Todo};
use crate::procs::Proc;
use shoal_gcs::{Event as GcsEvent, Exit};
use shoal_proto::control::ToClient;
use shoal_sched::Event as SchedEvent;
use shoal_store::Left;
use shoal_store::spill::Event;
use shoal_types::{ArenaLoc, ErrorKind, ErrorValue, ObjectId, WorkerId};
use std::collections::BTreeMap;

/// Deaths that are remembered, for who still speaks to the dead. Who speaks to an older one hears that it is gone, and
/// not how.
pub(crate) const REMEMBERED: usize = 1_000;
/// Objects in one message.
const NAMED: usize = 4_096;

/// How a client ended.
pub(crate) struct Death {
    /// For people.
    pub text: String,
    /// In order: nothing of what it made has to end with it.
    pub clean: bool,
    /// On purpose: its task is not tried again.
    pub intended: bool,
    /// How long it lived, in microseconds.
    pub lived: u64,
    /// What its callers get.
    pub kind: ErrorKind,
}

impl Node {
    /// A worker's process has ended and everything that it said was heard.
    pub(crate) fn on_worker_death(&mut self, worker: WorkerId, proc: &Proc, ended: Ended) {
        let death = self.death_of(worker, proc, ended);
        self.remember_worker(worker, proc, &death);
        self.lose(worker, death);
        self.sched_event(SchedEvent::WorkerLost(worker));
    }

    fn death_of(&mut self, worker: WorkerId, proc: &Proc, ended: Ended) -> Death {
        let name = self.clients.get(&worker).and_then(|c| c.title.title()).filter(|name| !name.is_empty());
        let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
        let who = format!("worker process {}{name} {}", proc.pid.unwrap_or(0), ended.text());
        let tail = proc.output.tail_text();
        let lived = self.clock.micros().saturating_sub(proc.born);
        let kind = if proc.memory { ErrorKind::OutOfMemory } else { ErrorKind::WorkerCrashed };
        let death = |text, clean, intended| Death { text, clean, intended, lived, kind };
        let limit = self.killed_by_limit(proc, ended);
        if let Some(why) = &proc.killed {
            return death(format!("{who}: {why}"), false, false);
        }
        match &proc.leaving {
            Some(Some(reason)) => death(format!("{who}: {reason}"), true, true),
            Some(None) => death(who, true, false),
            None if proc.dismissed && ended == Ended::Code(0) => death(who, true, false),
            None => match limit.or_else(|| self.killed_by_kernel(ended)) {
                Some(why) => {
                    Death { kind: ErrorKind::OutOfMemory, ..death(format!("{who}: {why}{tail}"), false, false) }
                }
                None => death(format!("{who}{tail}"), false, false),
            },
        }
    }

    /// The worker is done, but others need what it owns: as far as leases and actors go, it is gone.
    pub(crate) fn on_lingering(&mut self, worker: WorkerId) {
        self.with_proc(worker, |proc| proc.saves = false);
        self.sched_event(SchedEvent::WorkerLingers(worker));
        let exit = Exit { text: format!("worker process of {worker} ended in order"), clean: true, lived: 0 };
        self.gcs_event(GcsEvent::ClientLingers { client: worker, exit });
    }

    /// A driver or a tool is gone. `closed`: its connection is; else its process is, and children that it forked may
    /// hold the connection.
    pub(crate) fn on_outsider_lost(&mut self, worker: WorkerId, closed: bool) {
        let Some(client) = self.clients.get(&worker) else { return };
        let (pid, bye, kind, job, conn) = (client.pid, client.bye, client.kind, client.job, client.conn);
        let how = match (bye, closed) {
            (true, _) => "has ended its job",
            (false, true) => "closed its connection without a goodbye",
            (false, false) => "died",
        };
        let (what, clean) = (if kind == Kind::Driver { "driver" } else { "process" }, bye);
        let text = format!("the {what} (process {pid}) {how}");
        let exit = Exit { text: text.clone(), clean, lived: 0 };
        self.lose(worker, Death { text, clean, intended: false, lived: 0, kind: ErrorKind::WorkerCrashed });
        if closed {
            self.conns.remove(&conn);
        } else if let Some(conn) = self.conns.get_mut(&conn) {
            conn.lingering = true;
        }
        match kind {
            Kind::Driver => self.end_job(job, exit, conn),
            // It waits for that; a driver's connection stays until its workers are gone.
            Kind::Tool | Kind::Worker => self.half_close(conn),
        }
    }

    fn half_close(&self, conn: u64) {
        if let Some(conn) = self.conns.get(&conn) {
            crate::sys::half_close(&conn.fd);
        }
    }

    /// A forked child of a client that is gone was the last to hold its connection.
    pub(crate) fn on_last_copy_gone(&mut self, conn: u64) {
        self.conns.remove(&conn);
        if let Some(slot) = self.orphan_slots.remove(&conn) {
            let left = self.slot_gone(slot);
            self.tell_sealed(left);
        }
    }

    /// Takes a client off every index and tells whom it concerns.
    fn lose(&mut self, worker: WorkerId, death: Death) {
        let Some(client) = self.clients.remove(&worker) else { return };
        if let Some(pidfd) = &client.pidfd {
            let _ = self.poller.delete(pidfd);
        }
        self.forget_looks(worker);
        self.tell_death(worker, &client, &death);
        let left = self.forget_memory(worker, &client);
        let exit = Exit { text: death.text, clean: death.clean, lived: death.lived };
        self.gcs_event(GcsEvent::ClientLost { client: worker, exit });
        self.sched_event(SchedEvent::ClientLost(worker));
        self.todo.push_back(Todo::CloseLanes(worker));
        self.todo.push_back(Todo::TellSealed(left));
    }

    /// To clients of its job, whoever has a lane with it, and whoever spoke with it or asked.
    fn tell_death(&mut self, worker: WorkerId, client: &Client, death: &Death) {
        let error = ErrorValue::new(death.kind, death.text.clone());
        let intended = death.intended;
        self.dead.insert(worker, (error.clone(), intended));
        let mut concerned = self.lanes.peers(worker);
        concerned.extend(client.talked.iter().copied());
        concerned.extend(self.clients.iter().filter(|(_, c)| c.job == client.job).map(|(id, _)| *id));
        let died = ToClient::WorkerDied { worker: self.address_of(worker), error, intended };
        for peer in concerned {
            self.send(peer, &died, Vec::new());
        }
    }

    /// Its pins and open chunks, and what it owned. A worker's forked children were killed with it; a driver's may
    /// still read what it had pinned (ARENA-3). What it had sealed for others is returned.
    fn forget_memory(&mut self, worker: WorkerId, client: &Client) -> Vec<Left> {
        self.object_event(Event::OwnerDied(worker));
        let held = client.start.is_none() && !self.at_end(client.conn);
        let left = if held {
            self.orphan_slots.insert(client.conn, client.slot);
            Vec::new()
        } else {
            self.slot_gone(client.slot)
        };
        if client.start.is_some()
            && let Some(conn) = self.conns.remove(&client.conn)
        {
            let _ = self.poller.delete(&conn.fd);
        }
        left
    }

    /// Owners free what they were not told of; without an owner nobody will ask for it.
    pub(crate) fn tell_sealed(&mut self, left: Vec<Left>) {
        let mut by_owner: BTreeMap<WorkerId, Vec<(ObjectId, ArenaLoc)>> = BTreeMap::new();
        for Left { owner, id, loc } in left {
            by_owner.entry(owner).or_default().push((id, loc));
        }
        for (owner, objects) in by_owner {
            if self.clients.contains_key(&owner) {
                for some in objects.chunks(NAMED) {
                    self.send(owner, &ToClient::Sealed(some.to_vec()), Vec::new());
                }
            } else {
                self.object_event(Event::Freed(objects));
            }
        }
    }

    /// Whether nobody holds the other end of a connection any more.
    fn at_end(&self, conn: u64) -> bool {
        let Some(conn) = self.conns.get(&conn) else { return true };
        let mut fds = [rustix::event::PollFd::new(&conn.fd, rustix::event::PollFlags::RDHUP)];
        let none = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
        rustix::event::poll(&mut fds, Some(&none)).is_ok_and(|n| n > 0)
    }

    pub(crate) fn close_lanes(&mut self, worker: WorkerId) {
        for (lane, peer) in self.lanes.close_all(worker) {
            self.send(peer, &ToClient::LaneClosed(lane), Vec::new());
        }
    }
}
