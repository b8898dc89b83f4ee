//! What the instance holds and does, as JSON for `shoal status`.
use crate::clients::Kind;
use crate::node::Node;
use serde_json::{Map, Value, json};
use shoal_types::{Resources, UNIT};

impl Node {
    pub(crate) fn status(&self) -> Value {
        let (idle, leased, actors, starting) = self.sched.counts();
        let (arena, disk) = (self.objects.arena.stats(), self.objects.stats());
        json!({
            "node": self.id.to_string(),
            "pid": std::process::id(),
            "address": self.config.address(),
            "session": self.config.session,
            "uptime": self.clock.elapsed().as_secs_f64(),
            "resources": {"total": amounts(self.sched.total()), "available": amounts(&self.sched.available())},
            "workers": {"idle": idle, "leased": leased, "actors": actors, "starting": starting},
            "processes": self.processes(),
            "jobs": self.job_list(),
            "actors": self.actor_list(),
            "object_store": {
                "capacity": arena.capacity, "used": arena.used, "objects": arena.objects,
                "object_bytes": arena.object_bytes, "put_off": arena.put_off, "spilled": disk,
            },
            "waiting": self.sched.waits().iter().map(|wait| self.wait_text(wait)).collect::<Vec<_>>(),
        })
    }

    fn processes(&self) -> Vec<Value> {
        let outsiders = self.clients.values().filter(|c| c.start.is_none());
        let outsider = |c: &crate::clients::Client| {
            let kind = if c.kind == Kind::Driver { "driver" } else { "tool" };
            json!({"pid": c.pid, "kind": kind, "job": c.job.0})
        };
        let worker = |p: &crate::procs::Proc| {
            let title = p.worker.and_then(|w| self.clients.get(&w)).and_then(|c| c.title.title());
            json!({"pid": p.pid, "kind": "worker", "job": p.job.0, "title": title, "gpus": p.gpus})
        };
        let zygote = |z: &crate::zygote::Zygote| json!({"pid": z.pid, "kind": "zygote"});
        let zygotes = self.zygotes.values().map(zygote);
        zygotes.chain(outsiders.map(outsider)).chain(self.procs.values().map(worker)).collect()
    }

    fn job_list(&self) -> Vec<Value> {
        let job = |(id, j): (&shoal_types::JobId, &crate::jobs::Job)| json!({"job": id.0, "namespace": j.namespace, "ended": j.ended.is_some()});
        self.jobs.iter().map(job).collect()
    }

    fn actor_list(&self) -> Vec<Value> {
        let pid = |w| self.clients.get(&w).map(|c: &crate::clients::Client| c.pid);
        let actor = |a: shoal_gcs::ActorInfo| {
            json!({
                "id": a.id.to_string(), "class": a.class_name, "name": a.name, "namespace": a.namespace,
                "state": a.state, "pid": a.worker.and_then(pid), "incarnation": a.incarnation, "cause": a.cause,
            })
        };
        self.gcs.actors().map(actor).collect()
    }
}

pub(crate) fn amounts(resources: &Resources) -> Map<String, Value> {
    resources.iter().map(|(name, n)| (name.to_owned(), json!(n as f64 / UNIT as f64))).collect()
}
