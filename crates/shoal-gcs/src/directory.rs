//! The state and its one door.
use crate::actor::Actor;
use crate::{ActorInfo, Ask, Event, Order, Record};
use shoal_proto::control::{NodeInfo, Response};
use shoal_types::{ActorId, JobId, Resources, WorkerId};
use std::collections::{BTreeMap, VecDeque};

/// Dead actors whose cause is kept; the oldest goes.
const TOMBSTONES: usize = 1_000;

/// The cluster's directory.
#[derive(Clone, Debug, Default)]
pub struct Gcs {
    pub(crate) actors: BTreeMap<ActorId, Actor>,
    /// (namespace, name) of living actors (GCS-1).
    pub(crate) names: BTreeMap<(String, String), ActorId>,
    /// The actor that runs on a worker.
    pub(crate) workers: BTreeMap<WorkerId, ActorId>,
    pub(crate) dead: VecDeque<ActorId>,
    jobs: BTreeMap<JobId, WorkerId>,
    nodes: Vec<NodeInfo>,
    kv: BTreeMap<Vec<u8>, Vec<u8>>,
    last_write: u64,
    /// Answers that wait for a write.
    pending: BTreeMap<u64, (Ask, Response)>,
}

impl Gcs {
    /// Empty.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one event and appends what is to be done.
    pub fn handle(&mut self, event: Event, out: &mut Vec<Order>) {
        match event {
            Event::NodeJoined { node, hostname, address, total } => {
                let available = total.clone();
                self.nodes.push(NodeInfo { id: node, alive: true, hostname, address, total, available });
            }
            Event::JobStarted { job, driver } => drop(self.jobs.insert(job, driver)),
            Event::JobEnded { job, exit } => {
                self.jobs.remove(&job);
                self.on_job_ended(job, &exit, out);
            }
            Event::Register { ask, job, spec } => self.on_register(ask, job, spec, out),
            Event::ArgsReady { actor, args, error } => self.on_args_ready(actor, args, error, out),
            Event::Assigned { actor, worker } => self.on_assigned(actor, worker, out),
            Event::Unplaceable { actor, error } => self.bury(actor, error, out),
            Event::Started { worker, actor, incarnation, error, kept } => {
                self.on_started(worker, (actor, incarnation), error, kept, out);
            }
            Event::Watch { actor, client } => self.on_watch(actor, client, out),
            Event::ExitWished { worker, actor, reason } => self.on_exit_wished(worker, actor, reason),
            Event::OutOfScope(actor) => self.on_out_of_scope(actor, out),
            Event::Kill { ask, actor, no_restart } => self.on_kill(ask, actor, no_restart, out),
            Event::NameAsked { ask, name, namespace } => {
                let found = self.names.get(&(namespace, name)).map(|id| self.actors[id].spec.clone());
                out.push(Order::Answer { ask, body: Response::Actor(found) });
            }
            Event::NamesAsked(ask) => {
                let body = Response::NamedActors(self.names.keys().cloned().collect());
                out.push(Order::Answer { ask, body });
            }
            Event::ClientLost { client, exit } => self.on_client_lost(client, &exit, out),
            Event::ClientLingers { client, exit } => self.on_client_lingers(client, &exit, out),
            Event::Rested { actor, incarnation } => self.on_rested(actor, incarnation, out),
            Event::KvPut { ask, key, value } => {
                self.kv.insert(key.clone(), value.clone());
                self.store(Record::Kv(key, value), Some((ask, Response::Done)), out);
            }
            Event::KvGet { ask, key } => {
                out.push(Order::Answer { ask, body: Response::Value(self.kv.get(&key).cloned()) });
            }
            Event::Stored(write) => {
                if let Some((ask, body)) = self.pending.remove(&write) {
                    out.push(Order::Answer { ask, body });
                }
            }
        }
    }

    /// Every node; `available` is what the caller says of the one node that it knows best.
    pub fn nodes(&self, available: &Resources) -> Vec<NodeInfo> {
        let fresh = |node: &NodeInfo| NodeInfo { available: available.clone(), ..node.clone() };
        self.nodes.iter().map(fresh).collect()
    }

    /// Every actor that is known, dead ones included.
    pub fn actors(&self) -> impl Iterator<Item = ActorInfo> {
        self.actors.values().map(Actor::info)
    }

    /// The actor that runs on this worker.
    pub fn actor_of(&self, worker: WorkerId) -> Option<ActorId> {
        self.workers.get(&worker).copied()
    }

    /// Who made an actor.
    pub fn creator(&self, actor: ActorId) -> Option<WorkerId> {
        self.actors.get(&actor).map(|a| a.creator)
    }

    /// Whether another life follows if its process dies.
    pub fn may_restart(&self, actor: ActorId) -> bool {
        self.actors.get(&actor).is_some_and(|a| a.may_restart() && !a.out_of_scope)
    }

    /// What is known of an actor, for the scheduler.
    pub fn spec(&self, actor: ActorId) -> Option<&shoal_types::ActorSpec> {
        self.actors.get(&actor).map(|a| &*a.spec)
    }

    /// The job that an actor belongs to.
    pub fn job_of(&self, actor: ActorId) -> Option<JobId> {
        self.actors.get(&actor).map(|a| a.job)
    }

    /// Orders a write, and the answer that waits for it.
    pub(crate) fn store(&mut self, record: Record, then: Option<(Ask, Response)>, out: &mut Vec<Order>) {
        self.last_write += 1;
        if let Some(then) = then {
            self.pending.insert(self.last_write, then);
        }
        out.push(Order::Store { write: self.last_write, record });
    }

    /// Keeps the cause only (GCS-5).
    pub(crate) fn entomb(&mut self, actor: ActorId) {
        self.dead.push_back(actor);
        if self.dead.len() > TOMBSTONES
            && let Some(oldest) = self.dead.pop_front()
        {
            self.actors.remove(&oldest);
        }
    }

    /// Panics with the invariant's code when an index disagrees with the actors; for tests.
    pub fn sanity_check(&self) {
        for (name, id) in &self.names {
            let actor = &self.actors[id];
            assert!(!actor.is_dead(), "GCS-1: {name:?} belongs to a dead actor");
            assert_eq!(name, &(actor.spec.namespace.clone(), actor.spec.name.clone()), "GCS-1");
        }
        for (worker, id) in &self.workers {
            assert_eq!(self.actors[id].worker(), Some(*worker), "GCS-2: worker of {id:?}");
        }
        for (id, actor) in &self.actors {
            if let Some(worker) = actor.worker() {
                assert_eq!(self.workers.get(&worker), Some(id), "GCS-2: actor of {worker:?}");
            }
            let small = actor.args.is_empty() && actor.spec.class_bytes.is_empty() && actor.watchers.is_empty();
            assert!(!actor.is_dead() || small, "GCS-5: {id:?}");
        }
    }
}

impl Actor {
    fn info(&self) -> ActorInfo {
        let cause = match &self.state {
            crate::actor::State::Dead(error) => error.message.clone(),
            _ => self.before.clone(),
        };
        ActorInfo {
            id: self.spec.id,
            class_name: self.spec.class_name.clone(),
            name: self.spec.name.clone(),
            namespace: self.spec.namespace.clone(),
            state: self.state_name(),
            stage: self.stage_name(),
            job: self.job,
            creator: self.creator,
            detached: self.spec.detached,
            holds: self.spec.resources.clone(),
            needs: self.spec.placement.clone(),
            runtime_env: self.spec.runtime_env.clone(),
            worker: self.worker(),
            incarnation: self.incarnation,
            cause,
        }
    }
}
