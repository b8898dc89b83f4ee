//! The daemon's own tables as JSON, for who looks inside.
use crate::clients::{Client, Kind};
use crate::death::Death;
use crate::node::Node;
use crate::procs::Proc;
use crate::status::amounts;
use crate::sys::ProcStat;
use serde_json::{Value, json};
use shoal_sched::{Holder, Missing, Refusal, Wait, Waiter, WorkerInfo, amount};
use shoal_types::{JobId, WorkerId};
use std::collections::{BTreeMap, VecDeque};
use std::time::{SystemTime, UNIX_EPOCH};

/// Workers and jobs that are over and still listed.
const PAST: usize = 1_000;
/// Holders that one sentence names.
const NAMED: usize = 5;

/// What is over.
#[derive(Default)]
pub(crate) struct Past {
    workers: VecDeque<Value>,
    jobs: VecDeque<Value>,
}

fn keep(list: &mut VecDeque<Value>, row: Value) {
    if list.len() >= PAST {
        list.pop_front();
    }
    list.push_back(row);
}

/// Microseconds since 1970.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros() as u64)
}

impl Node {
    pub(crate) fn tables(&self) -> Value {
        let (arena, disk) = (self.objects.arena.stats(), self.objects.stats());
        json!({
            "node": self.id.to_string(),
            "pid": std::process::id(),
            "address": self.config.address(),
            "session": self.config.session,
            "hostname": self.config.hostname,
            "now": unix_now(),
            "uptime": self.clock.elapsed().as_secs_f64(),
            "total": amounts(self.sched.total()),
            "available": amounts(&self.sched.available()),
            "workers": self.worker_rows(),
            "outsiders": self.outsider_rows(),
            "past_workers": self.past.workers,
            "jobs": self.job_rows(),
            "past_jobs": self.past.jobs,
            "actors": self.actor_rows(),
            "waits": self.wait_rows(),
            "object_store": {
                "capacity": arena.capacity, "used": arena.used, "objects": arena.objects,
                "object_bytes": arena.object_bytes, "warm": arena.warm, "spilled": disk,
            },
        })
    }

    fn worker_rows(&self) -> Vec<Value> {
        let roles: BTreeMap<WorkerId, WorkerInfo> = self.sched.workers().map(|w| (w.worker, w)).collect();
        self.procs.values().map(|p| self.worker_row(p, p.worker.and_then(|w| roles.get(&w)))).collect()
    }

    fn worker_row(&self, p: &Proc, role: Option<&WorkerInfo>) -> Value {
        let title = p.worker.and_then(|w| self.clients.get(&w)).and_then(|c| c.title.title());
        let stat = p.pid.and_then(ProcStat::of);
        json!({
            "worker": p.worker.map(|w| w.to_string()),
            "pid": p.pid,
            "job": p.job.0,
            "title": title,
            "role": role.map_or("starting", |r| r.role),
            "actor": role.and_then(|r| r.actor).map(|a| a.to_string()),
            "holder": role.and_then(|r| r.holder).map(|(client, key)| json!([client.to_string(), key])),
            "holds": role.map(|r| amounts(&r.holds)),
            "blocked": role.is_some_and(|r| r.blocked),
            "gpus": p.gpus,
            "runtime_env": p.shape.runtime_env,
            "state": stat.as_ref().map(|s| s.state.to_string()),
            "began": stat.map(|s| s.began),
        })
    }

    fn outsider_rows(&self) -> Vec<Value> {
        let outsider = |(id, c): (&WorkerId, &Client)| {
            let kind = if c.kind == Kind::Driver { "driver" } else { "tool" };
            let stat = ProcStat::of(c.pid);
            json!({
                "worker": id.to_string(), "pid": c.pid, "kind": kind, "job": c.job.0,
                "state": stat.as_ref().map(|s| s.state.to_string()), "began": stat.map(|s| s.began),
            })
        };
        self.clients.iter().filter(|(_, c)| c.start.is_none()).map(outsider).collect()
    }

    fn job_rows(&self) -> Vec<Value> {
        self.jobs.iter().filter(|(_, j)| j.ended.is_none()).map(|(id, j)| self.job_row(*id, j)).collect()
    }

    fn job_row(&self, id: JobId, job: &crate::jobs::Job) -> Value {
        let pid = self.clients.get(&job.driver).map(|c| c.pid);
        json!({
            "job": id.0, "namespace": job.namespace, "driver": job.driver.to_string(), "pid": pid,
            "argv": job.raw_start.get("argv"), "began": job.began,
        })
    }

    /// A job is over.
    pub(crate) fn remember_job(&mut self, id: JobId, clean: bool, text: &str) {
        let Some(job) = self.jobs.get(&id) else { return };
        let mut row = self.job_row(id, job);
        row["ended"] = unix_now().into();
        row["clean"] = clean.into();
        row["cause"] = text.into();
        keep(&mut self.past.jobs, row);
    }

    /// A worker's process is gone.
    pub(crate) fn remember_worker(&mut self, worker: WorkerId, p: &Proc, death: &Death) {
        let title = self.clients.get(&worker).and_then(|c| c.title.title());
        let actor = self.sched.workers().find(|w| w.worker == worker).and_then(|w| w.actor);
        let row = json!({
            "worker": worker.to_string(), "pid": p.pid, "job": p.job.0, "title": title, "role": "dead",
            "actor": actor.map(|a| a.to_string()),
            "ended": unix_now(), "clean": death.clean, "intended": death.intended, "cause": death.text,
        });
        keep(&mut self.past.workers, row);
    }

    fn actor_rows(&self) -> Vec<Value> {
        let pid = |w| self.clients.get(&w).map(|c: &Client| c.pid);
        let actor = |a: shoal_gcs::ActorInfo| {
            json!({
                "actor": a.id.to_string(), "class": a.class_name, "name": a.name, "namespace": a.namespace,
                "state": a.state, "stage": a.stage, "worker": a.worker.map(|w| w.to_string()),
                "pid": a.worker.and_then(pid), "incarnation": a.incarnation, "cause": a.cause, "job": a.job.0,
                "creator": a.creator.to_string(), "detached": a.detached, "holds": amounts(&a.holds),
                "needs": amounts(&a.needs), "runtime_env": a.runtime_env,
            })
        };
        self.gcs.actors().map(actor).collect()
    }

    fn wait_rows(&self) -> Vec<Value> {
        let now = self.clock.micros();
        let row = |wait: Wait| {
            let mut row = json!({
                "job": wait.job.0, "count": wait.count, "needs": amounts(&wait.needs), "lasting": wait.lasting,
                "seconds": now.saturating_sub(wait.since) as f64 / 1e6, "text": self.wait_text(&wait),
            });
            match wait.who {
                Waiter::Key(client, key) => (row["client"], row["key"]) = (client.to_string().into(), key.into()),
                Waiter::Actor(actor) => row["actor"] = actor.to_string().into(),
            }
            row
        };
        self.sched.waits().into_iter().map(row).collect()
    }

    /// Why somebody waits, in words.
    pub(crate) fn wait_text(&self, wait: &Wait) -> String {
        match &wait.refusal {
            Refusal::Never(missing) => {
                let needs: Vec<_> = missing.iter().map(never).collect();
                format!("no node can ever run it: {}", needs.join("; "))
            }
            Refusal::InUse(missing, holders) => {
                let needs: Vec<_> = missing.iter().map(in_use).collect();
                format!("{}; {}", needs.join("; "), self.holders_text(&missing[0], holders))
            }
            Refusal::Scattered => "what it needs is free only in parts of several GPUs".into(),
            Refusal::Starting => "waits for a worker process to start".into(),
            Refusal::Failing(n) => format!("its worker process failed to start {n} times in a row; it is tried again"),
            Refusal::NoProcess(n) => format!("all {n} worker processes that may run here are in use"),
        }
    }

    fn holders_text(&self, first: &Missing, holders: &[Holder]) -> String {
        if holders.is_empty() {
            return "nobody holds it".into();
        }
        let one = |h: &Holder| {
            let client = self.clients.get(&h.worker);
            let title = client.and_then(|c| c.title.title()).unwrap_or_default();
            let kind = if h.actor.is_some() { "actor" } else { "task" };
            let pid = client.map_or(0, |c| c.pid);
            let waits = if h.blocked { ", which waits itself" } else { "" };
            format!("{kind} {title} (pid {pid}) {}{waits}", amount(&first.name, h.amount))
        };
        let mut named: Vec<_> = holders.iter().take(NAMED).map(one).collect();
        if holders.len() > NAMED {
            named.push(format!("{} others the rest", holders.len() - NAMED));
        }
        format!("held by {}", named.join(", "))
    }
}

fn never(m: &Missing) -> String {
    format!("needs {} {}, the node has {}", amount(&m.name, m.needed), m.name, amount(&m.name, m.total))
}

fn in_use(m: &Missing) -> String {
    let amount = |n| amount(&m.name, n);
    format!("needs {} {}, {} of {} free", amount(m.needed), m.name, amount(m.free), amount(m.total))
}
