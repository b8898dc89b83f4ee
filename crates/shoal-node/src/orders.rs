//! The cores' orders, carried out.
use crate::node::Node;
use shoal_crash::crash_point;
use shoal_gcs::{Event as GcsEvent, Order as GcsOrder};
use shoal_proto::control::ToClient;
use shoal_sched::{Event as SchedEvent, Order as SchedOrder};
use shoal_types::{ActorId, JobId, LeaseId, RefWire, WorkerId};

impl Node {
    pub(crate) fn carry_out_sched(&mut self, order: SchedOrder) {
        match order {
            SchedOrder::StartWorker { start, shape, gpus } => self.start_worker(start, shape, gpus),
            SchedOrder::Grant { client, key, lease, worker } => self.grant(client, key, lease, worker),
            SchedOrder::Recall { client, lease } => self.send(client, &ToClient::Recall(lease), Vec::new()),
            SchedOrder::RecallIdle { client, lease } => self.send(client, &ToClient::RecallIdle(lease), Vec::new()),
            SchedOrder::AssignActor { actor, worker } => self.gcs_event(GcsEvent::Assigned { actor, worker }),
            SchedOrder::Retire(worker) => self.send(worker, &ToClient::Retire, Vec::new()),
            SchedOrder::KillWorker { worker, why } => self.kill_worker(worker, &why),
            SchedOrder::KillStart(start) => self.kill_proc(start, "its job is over"),
            SchedOrder::Warn(who) => self.warn(who),
            SchedOrder::Unschedulable { client, key, error } => {
                self.send(client, &ToClient::Unschedulable { key, error }, Vec::new());
            }
            SchedOrder::ActorUnschedulable { actor, error } => {
                self.gcs_event(GcsEvent::Unplaceable { actor, error });
            }
        }
    }

    fn grant(&mut self, client: WorkerId, key: u32, lease: LeaseId, worker: WorkerId) {
        let start = self.clients.get(&worker).and_then(|c| c.start);
        if let Some(shape) = start.and_then(|start| self.procs.get(&start)).map(|p| p.shape.clone()) {
            self.limit_memory(worker, &shape.resources);
        }
        let told = self.tell_with_lane(client, worker, |lane, worker| {
            crash_point!(41, "lease.granted");
            ToClient::Granted { key, lease, lane, worker }
        });
        if !told {
            // As the scheduler is about to hear.
            self.kill_worker(worker, "its caller is gone");
        }
    }

    pub(crate) fn carry_out_gcs(&mut self, order: GcsOrder) {
        match order {
            GcsOrder::Store { write, .. } => self.store(write),
            GcsOrder::Answer { ask, body } => self.answer(ask, body),
            GcsOrder::WantWorker { actor, job } => self.want_worker(actor, job),
            GcsOrder::Rest { actor, incarnation, micros } => {
                self.rests.insert((self.clock.micros() + micros, actor, incarnation));
            }
            GcsOrder::DropWant(actor) => self.sched_event(SchedEvent::ActorGone(actor)),
            GcsOrder::Become { worker, spec, incarnation, args } => {
                self.limit_memory(worker, &spec.resources);
                crash_point!(44, "actor.become");
                self.send(worker, &ToClient::BecomeActor { spec, incarnation, args }, Vec::new());
            }
            GcsOrder::TellUp { client, actor, incarnation, worker, kept } => {
                self.tell_up(client, (actor, incarnation), worker, kept);
            }
            GcsOrder::TellRestarting { client, actor, incarnation, error } => {
                let rest = self.rest_of(actor);
                self.send(client, &ToClient::ActorRestarting { actor, incarnation, error, rest }, Vec::new());
            }
            GcsOrder::TellDead { client, actor, error, dying, lingers } => {
                let dying = dying.map(|worker| self.address_of(worker));
                self.send(client, &ToClient::ActorDead { actor, error, dying, lingers }, Vec::new());
            }
            GcsOrder::End(worker) => {
                self.with_proc(worker, |proc| proc.dismissed = true);
                self.send(worker, &ToClient::EndActor, Vec::new());
            }
            GcsOrder::Kill { worker, why } => self.kill_worker(worker, &why),
        }
    }

    /// How many microseconds an actor still rests before its next life.
    fn rest_of(&self, actor: ActorId) -> u64 {
        let rest = self.rests.iter().find(|(_, resting, _)| *resting == actor);
        rest.map_or(0, |(due, ..)| due.saturating_sub(self.clock.micros()))
    }

    fn want_worker(&mut self, actor: ActorId, job: JobId) {
        let Some(spec) = self.gcs.spec(actor) else { return };
        let event = SchedEvent::ActorWanted {
            actor,
            job,
            hold: spec.resources.clone(),
            placement: spec.placement.clone(),
            runtime_env: spec.runtime_env.clone(),
            depth: spec.depth,
            detached: spec.detached,
        };
        self.sched_event(event);
    }

    fn tell_up(&mut self, client: WorkerId, life: (ActorId, u32), worker: WorkerId, kept: Vec<RefWire>) {
        let (actor, incarnation) = life;
        // One that is gone needs no news; of the other's end comes other news.
        self.tell_with_lane(client, worker, |lane, worker| {
            crash_point!(45, "actor.up");
            ToClient::ActorUp { actor, incarnation, lane, worker, kept }
        });
    }
}
