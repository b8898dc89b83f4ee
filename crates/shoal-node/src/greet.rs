//! Greetings: who a new process is, and what it is told.
use crate::clients::{Client, Kind};
use crate::config::DriverStart;
use crate::jobs::Job;
use crate::node::Node;
use crate::sys;
use crate::token::Token;
use rustc_hash::FxHashSet;
use shoal_gcs::Event as GcsEvent;
use shoal_net::{Interest, PidFd};
use shoal_proto::PROTOCOL;
use shoal_proto::control::{Hello, LogsWanted, Role, ToClient, Welcome};
use shoal_ring::PeerBell;
use shoal_sched::Event as SchedEvent;
use shoal_store::ClientSlot;
use shoal_types::{JobId, Resources, WorkerId};
use std::os::fd::OwnedFd;

/// A greeting that was accepted.
struct Joining {
    kind: Kind,
    job: JobId,
    start: Option<u64>,
}

impl Node {
    pub(crate) fn on_hello(&mut self, id: u64, hello: Hello, mut fds: Vec<OwnedFd>) {
        let joined = match fds.pop() {
            Some(bell) => self.check_hello(id, &hello).and_then(|joining| self.join(id, &hello, bell, joining)),
            None => Err("the greeting came without a doorbell".into()),
        };
        if let Err(why) = joined
            && let Some(mut conn) = self.conns.remove(&id)
        {
            conn.queue(&ToClient::Refused(why), Vec::new());
            conn.flush(&self.poller);
            let _ = self.poller.delete(&conn.fd);
        }
    }

    fn check_hello(&mut self, id: u64, hello: &Hello) -> Result<Joining, String> {
        if hello.protocol != PROTOCOL {
            let theirs = hello.protocol;
            return Err(format!(
                "this instance speaks protocol {PROTOCOL}, you speak {theirs}: use one version of shoal"
            ));
        }
        if hello.python != self.config.python && !matches!(hello.role, Role::Tool) {
            return Err(format!("this instance runs Python {}, you run {}", self.config.python, hello.python));
        }
        let pid = self.conns.get(&id).map_or(0, |c| c.pid);
        match &hello.role {
            Role::Driver { namespace, start, logs } => {
                let job = self.begin_job(namespace, start, *logs)?;
                Ok(Joining { kind: Kind::Driver, job, start: None })
            }
            Role::Worker { start } => {
                self.on_forked(*start, pid);
                let proc = self.procs.get(start).filter(|p| p.pid == Some(pid) && p.worker.is_none());
                let proc = proc.ok_or("nobody waits for this worker")?;
                Ok(Joining { kind: Kind::Worker, job: proc.job, start: Some(*start) })
            }
            Role::Tool => Ok(Joining { kind: Kind::Tool, job: self.job_of_process(pid), start: None }),
        }
    }

    fn begin_job(&mut self, namespace: &str, start: &str, logs: LogsWanted) -> Result<JobId, String> {
        let raw: serde_json::Value = serde_json::from_str(start).map_err(|e| format!("the driver's start: {e}"))?;
        let parsed: DriverStart = serde_json::from_str(start).map_err(|e| format!("the driver's start: {e}"))?;
        self.last_job += 1;
        let job = JobId(self.last_job);
        self.jobs.insert(job, Job::new(namespace, parsed, raw, logs));
        Ok(job)
    }

    /// The job that a process inside a worker belongs to; none for one from outside.
    fn job_of_process(&self, pid: u32) -> JobId {
        let job_of = |pid: u32| self.procs.values().find(|p| p.pid == Some(pid)).map(|p| p.job);
        if let Some(job) = sys::session_of(pid).and_then(job_of) {
            return job;
        }
        let mut at = pid;
        while let Some(parent) = sys::parent_of(at).filter(|parent| *parent > 1) {
            if let Some(job) = job_of(parent) {
                return job;
            }
            at = parent;
        }
        JobId(0)
    }

    fn join(&mut self, id: u64, hello: &Hello, bell: OwnedFd, joining: Joining) -> Result<(), String> {
        let worker = WorkerId(sys::random_id());
        let title = PeerBell::map(&bell).map_err(|e| format!("its doorbell: {e}"))?;
        let (slot, pins) = self.objects.arena.add_client(worker).map_err(|e| e.to_string())?;
        let arena = self.objects.arena.arena_fd().try_clone_to_owned().map_err(|e| e.to_string())?;
        let Joining { kind, job, start } = joining;
        let conn = self.conns.get_mut(&id).ok_or("its connection is gone")?;
        conn.client = Some(worker);
        let pid = conn.pid;
        let pidfd = if start.is_none() { PidFd::open(pid).ok() } else { None };
        if let Some(pidfd) = &pidfd {
            let _ = self.poller.add(pidfd, Token::Driver(id).into(), Interest::Read);
        }
        let (talked, bye) = (FxHashSet::default(), false);
        let client =
            Client { conn: id, kind, job, pid, wake: hello.wake, bell, title, slot, start, pidfd, talked, bye };
        self.clients.insert(worker, client);
        if kind == Kind::Driver {
            self.jobs.get_mut(&job).expect("begun in check_hello").driver = worker;
            self.gcs_event(GcsEvent::JobStarted { job, driver: worker });
        }
        let welcome = self.welcome(worker, job, slot, start);
        self.send(worker, &ToClient::Welcome(Box::new(welcome)), vec![arena, pins]);
        self.sched_event(SchedEvent::ClientJoined { client: worker, job, driver: kind == Kind::Driver });
        if let Some(start) = start {
            self.killed_starts = 0;
            if let Some(proc) = self.procs.get_mut(&start) {
                (proc.worker, proc.deadline) = (Some(worker), None);
            }
            self.sched_event(SchedEvent::WorkerReady { start, worker });
        }
        Ok(())
    }

    fn welcome(&self, worker: WorkerId, job: JobId, slot: ClientSlot, start: Option<u64>) -> Welcome {
        let proc = start.and_then(|start| self.procs.get(&start));
        let of_job = self.jobs.get(&job);
        Welcome {
            pid: std::process::id(),
            node: self.id,
            worker,
            job,
            namespace: of_job.map(|j| j.namespace.clone()).unwrap_or_default(),
            slot: slot.0,
            address: self.config.address(),
            session: self.config.session.display().to_string(),
            driver: self.address_of(of_job.map_or(worker, |j| j.driver)),
            resources: proc.map_or_else(Resources::new, |p| p.shape.resources.clone()),
            gpus: proc.map(|p| p.gpus.clone()).unwrap_or_default(),
            runtime_env: proc.map(|p| p.shape.runtime_env.clone()).unwrap_or_default(),
            max_calls: proc.and_then(|p| p.shape.function.map(|(_, calls)| calls)),
            lineage_bytes: self.config.settings.max_lineage_bytes,
        }
    }
}
