//! The tables as rows, for who looks inside. Read-only; what only the I/O layer knows is left open.
use crate::{Owner, actors::Phase, calls::CallState, objects::Entry, objects::Flow, tasks::TaskState};
use shoal_proto::look::{ActorPhase, ObjectRow, Place, Rows, Stage, TaskRow};
use shoal_types::{Args, ObjectId, RefWire, Resources, Value};

/// Tasks of a queue that are looked at for their names.
const SEEN: usize = 1_000;
/// Arguments without a value that are named for one task.
const NAMED: usize = 8;

impl Owner {
    /// Tasks and calls that are not over, in the order of their ids; times by the core's clock. Whether a sent one is
    /// taken, and what a task needs, the I/O layer knows.
    pub fn task_rows(&self, limit: usize) -> Rows<TaskRow> {
        let mut ids: Vec<_> = self.tasks.keys().chain(self.calls.keys()).copied().collect();
        ids.sort_unstable();
        let left_out = ids.len().saturating_sub(limit) as u64;
        ids.truncate(limit);
        let rows = ids.iter().filter_map(|id| self.task_row(id).or_else(|| self.call_row(id))).collect();
        Rows { rows, left_out }
    }

    fn task_row(&self, id: &shoal_types::TaskId) -> Option<TaskRow> {
        let task = self.tasks.get(id)?;
        let lease = task.lease().and_then(|lease| self.keys.get(&task.spec.key)?.leases.iter().find(|l| l.id == lease));
        Some(TaskRow {
            id: *id,
            name: task.spec.name.to_string(),
            actor: None,
            phase: None,
            stage: match task.state {
                TaskState::Waiting(_) => Stage::Waiting,
                TaskState::Queued => Stage::Queued,
                TaskState::Resting(_) => Stage::Resting,
                TaskState::Pushed(_) | TaskState::Withdrawing(_) => Stage::Sent,
                TaskState::Abandoned(_) => Stage::Cancelled,
            },
            key: Some(task.spec.key),
            needs: Resources::new(),
            depth: task.spec.depth,
            worker: lease.map(|l| l.worker.worker),
            waits_for: self.missing(&task.spec.args),
            attempt: task.retries,
            born: task.born,
            again: match task.state {
                TaskState::Resting(at) => Some(at),
                _ => None,
            },
        })
    }

    fn call_row(&self, id: &shoal_types::TaskId) -> Option<TaskRow> {
        let call = self.calls.get(id)?;
        let actor = self.actors.get(&call.spec.actor);
        let sent_to = actor.filter(|_| call.is_in_flight()).and_then(|a| a.up()).map(|(_, worker)| worker.worker);
        Some(TaskRow {
            id: *id,
            name: call.spec.method.to_string(),
            actor: Some(call.spec.actor),
            phase: actor.map(|a| match a.phase {
                Phase::Pending | Phase::Restarting(_) => ActorPhase::Pending,
                Phase::Up(..) => ActorPhase::Up,
                Phase::Down => ActorPhase::Down,
                Phase::Dead(_) => ActorPhase::Dead,
            }),
            stage: match call.state {
                CallState::Waiting(_) => Stage::Waiting,
                CallState::Queued => Stage::Queued,
                CallState::Resting(_) => Stage::Resting,
                CallState::Pushed | CallState::Withdrawing => Stage::Sent,
                CallState::Abandoned => Stage::Cancelled,
            },
            key: None,
            needs: Resources::new(),
            depth: 0,
            worker: sent_to,
            waits_for: self.missing(&call.spec.args),
            attempt: call.retries,
            born: call.born,
            again: match call.state {
                CallState::Resting(at) => Some(at),
                _ => None,
            },
        })
    }

    /// What the constructor of an actor made here waits for.
    pub fn actor_waits(&self) -> Vec<(shoal_types::ActorId, Vec<RefWire>)> {
        let waits = |(id, a): (&shoal_types::ActorId, &crate::actors::Actor)| {
            let missing = self.missing(&a.creation.as_ref()?.args);
            (!missing.is_empty()).then_some((*id, missing))
        };
        let mut all: Vec<_> = self.actors.iter().filter_map(waits).collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all
    }

    /// How many tasks of a key want a lease, and the names of the first functions among them.
    pub fn queued(&self, key: u32, names: usize) -> (u32, Vec<String>) {
        let Some(key) = self.keys.get(&key) else { return (0, Vec::new()) };
        let mut found: Vec<String> = Vec::new();
        for (_, task) in key.queue.iter().take(SEEN) {
            let Some(task) = self.tasks.get(task).filter(|t| t.state == TaskState::Queued) else { continue };
            if found.len() < names && !found.iter().any(|name| **name == *task.spec.name) {
                found.push(task.spec.name.to_string());
            }
        }
        (key.live, found)
    }

    fn missing(&self, args: &Args) -> Vec<RefWire> {
        args.deps.iter().filter(|r| !self.is_ready(&r.id)).take(NAMED).copied().collect()
    }

    /// Objects that are owned or borrowed here, the largest first.
    pub fn object_rows(&self, limit: usize) -> Rows<ObjectRow> {
        let mut all: Vec<_> = self.objects.map.iter().map(|(id, e)| (std::cmp::Reverse(size(e)), *id)).collect();
        all.sort_unstable();
        let left_out = all.len().saturating_sub(limit) as u64;
        let rows = all.iter().take(limit).map(|(_, id)| object_row(*id, &self.objects.map[id])).collect();
        Rows { rows, left_out }
    }
}

fn size(e: &Entry) -> u64 {
    match &e.value {
        Some(Value::Inline { bytes, .. }) => bytes.len() as u64,
        Some(Value::Stored { loc, .. }) => loc.len,
        Some(Value::Error(_)) | None => 0,
    }
}

fn object_row(id: ObjectId, e: &Entry) -> ObjectRow {
    let holders = e.shared.iter().flat_map(|s| s.holders.keys()).filter(|(_, flow)| *flow == Flow::Holds);
    let mut holders: Vec<_> = holders.map(|(worker, _)| *worker).collect();
    holders.sort_unstable();
    ObjectRow {
        object: RefWire { id, owner: e.owner },
        place: match &e.value {
            None if id.index == ObjectId::ACTOR_INDEX => Place::Handle,
            None => Place::Nowhere,
            Some(Value::Inline { .. }) => Place::Inline,
            Some(Value::Stored { .. }) => Place::Arena,
            Some(Value::Error(_)) => Place::Error,
        },
        size: size(e),
        local: e.local,
        lent: e.lent,
        contained: e.contained,
        executing: e.executing,
        pinned: false,
        mapped: false,
        pending: e.pending,
        holders,
        site: String::new(),
    }
}
