//! An actor's way down: killed, out of scope, its process or creator or job gone.
use crate::actor::State;
use crate::{Ask, Exit, Gcs, Order, Record, texts};
use shoal_proto::control::Response;
use shoal_types::{ActorId, ErrorValue, JobId, WorkerId, backoff};
use std::sync::Arc;

/// A life of so many microseconds says nothing against the next.
const STEADY: u64 = 10_000_000;

impl Gcs {
    pub(crate) fn on_exit_wished(&mut self, worker: WorkerId, id: ActorId, reason: String) {
        if let Some(actor) = self.actors.get_mut(&id).filter(|a| a.worker() == Some(worker)) {
            actor.ending = Some(reason);
        }
    }

    /// A named or detached actor lives on without handles.
    pub(crate) fn on_out_of_scope(&mut self, id: ActorId, out: &mut Vec<Order>) {
        let Some(actor) = self.actors.get_mut(&id) else { return };
        let named = actor.spec.named_lives_on && !actor.spec.name.is_empty();
        if actor.spec.detached || named || actor.out_of_scope {
            return;
        }
        actor.out_of_scope = true;
        self.end(id, out);
    }

    /// Asks its worker to finish and end, once it is up.
    pub(crate) fn end(&mut self, id: ActorId, out: &mut Vec<Order>) {
        let Some(actor) = self.actors.get_mut(&id) else { return };
        if let State::Alive(worker) = actor.state {
            actor.ending = Some("every handle of it is gone".into());
            out.push(Order::End(worker));
        }
    }

    pub(crate) fn on_kill(&mut self, ask: Ask, id: ActorId, no_restart: bool, out: &mut Vec<Order>) {
        let alive = self.actors.get(&id).filter(|a| !a.is_dead());
        if let Some(actor) = alive {
            let (spec, worker) = (&actor.spec, actor.worker());
            if no_restart || !actor.may_restart() {
                let error = texts::killed(spec);
                self.bury(id, error, out);
            } else if let Some(worker) = worker {
                out.push(Order::Kill { worker, why: "killed by shoal.kill()".into() });
            }
        }
        out.push(Order::Answer { ask, body: Response::Done });
    }

    pub(crate) fn on_client_lost(&mut self, client: WorkerId, exit: &Exit, out: &mut Vec<Order>) {
        if let Some(id) = self.workers.remove(&client) {
            self.on_actor_process_lost(id, exit, out);
        }
        for actor in self.actors.values_mut() {
            actor.watchers.retain(|w| w.client != client);
        }
        if exit.clean {
            return;
        }
        let orphans = self.actors.iter().filter(|(_, a)| a.creator == client && !a.spec.detached && !a.is_dead());
        let orphans: Vec<_> = orphans.map(|(id, _)| *id).collect();
        for id in orphans {
            let error = texts::orphan(&self.actors[&id].spec, client, exit);
            self.bury(id, error, out);
        }
    }

    /// The actor that it was is dead. It still hears of those that it watches (GCS-8).
    pub(crate) fn on_client_lingers(&mut self, client: WorkerId, exit: &Exit, out: &mut Vec<Order>) {
        let Some(id) = self.workers.remove(&client) else { return };
        let Some(actor) = self.actors.get_mut(&id) else { return };
        actor.dying = Some(client);
        let error = texts::process_gone(&actor.spec, actor.ending.as_deref(), exit);
        self.bury(id, error, out);
    }

    fn on_actor_process_lost(&mut self, id: ActorId, exit: &Exit, out: &mut Vec<Order>) {
        let Some(actor) = self.actors.get_mut(&id) else { return };
        if !actor.may_restart() || actor.out_of_scope {
            let error = texts::process_gone(&actor.spec, actor.ending.as_deref(), exit);
            self.bury(id, error, out);
            return;
        }
        actor.incarnation += 1;
        actor.restarts += 1;
        actor.before = exit.text.clone();
        actor.short = if exit.lived < STEADY { actor.short + 1 } else { 1 };
        actor.kept.clear();
        // Before it is told, so that how long it rests is known then.
        self.next_life(id, out);
        let Some(actor) = self.actors.get(&id) else { return };
        out.extend(actor.watchers.iter().map(|watcher| actor.restarting(watcher.client)));
    }

    /// GCS-6.
    fn next_life(&mut self, id: ActorId, out: &mut Vec<Order>) {
        let Some(actor) = self.actors.get_mut(&id) else { return };
        let salt = id.0.iter().fold(0, |salt: u64, byte| salt.rotate_left(8) ^ u64::from(*byte));
        match backoff(actor.short, salt) {
            0 => {
                actor.state = State::Placing;
                out.push(Order::WantWorker { actor: id, job: actor.job });
            }
            micros => {
                actor.state = State::Resting;
                out.push(Order::Rest { actor: id, incarnation: actor.incarnation, micros });
            }
        }
    }

    pub(crate) fn on_rested(&mut self, id: ActorId, incarnation: u32, out: &mut Vec<Order>) {
        let rests = |a: &&mut crate::actor::Actor| a.state == State::Resting && a.incarnation == incarnation;
        let Some(actor) = self.actors.get_mut(&id).filter(rests) else { return };
        actor.state = State::Placing;
        out.push(Order::WantWorker { actor: id, job: actor.job });
    }

    pub(crate) fn on_job_ended(&mut self, job: JobId, exit: &Exit, out: &mut Vec<Order>) {
        let ends = self.actors.iter().filter(|(_, a)| a.job == job && !a.spec.detached && !a.is_dead());
        let ends: Vec<_> = ends.map(|(id, _)| *id).collect();
        for id in ends {
            let error = texts::job_over(&self.actors[&id].spec, exit);
            self.bury(id, error, out);
        }
    }

    /// It is dead: its name is free, its worker killed, everybody who watches told.
    pub(crate) fn bury(&mut self, id: ActorId, error: ErrorValue, out: &mut Vec<Order>) {
        let Some(actor) = self.actors.get_mut(&id).filter(|a| !a.is_dead()) else { return };
        let mut killed = false;
        match std::mem::replace(&mut actor.state, State::Dead(error.clone())) {
            State::Placing => out.push(Order::DropWant(id)),
            State::Constructing(worker) | State::Alive(worker) if self.workers.remove(&worker).is_some() => {
                (actor.dying, killed) = (Some(worker), true);
                out.push(Order::Kill { worker, why: error.message.clone() });
            }
            State::Args | State::Resting | State::Constructing(_) | State::Alive(_) | State::Dead(_) => {}
        }
        let lingers = actor.dying.is_some() && !killed;
        let name = (actor.spec.namespace.clone(), actor.spec.name.clone());
        (actor.args, actor.kept) = (Vec::new(), Vec::new());
        actor.spec.class_bytes = Arc::from([]);
        for watcher in actor.watchers.drain(..) {
            let (client, error) = (watcher.client, error.clone());
            out.push(Order::TellDead { client, actor: id, error, dying: actor.dying, lingers });
        }
        if self.names.get(&name) == Some(&id) {
            self.names.remove(&name);
        }
        self.store(Record::Death(id, error), None, out);
        self.entomb(id);
    }
}
