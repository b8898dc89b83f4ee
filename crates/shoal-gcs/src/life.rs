//! An actor's way up: registered, placed, constructed, watched.
use crate::actor::{Actor, State, Watcher};
use crate::{Ask, Gcs, Order, Record, texts};
use shoal_proto::control::{NameTaken, Response};
use shoal_types::{ActorId, ActorSpec, ErrorKind, ErrorValue, JobId, RefWire, WorkerId};

impl Gcs {
    pub(crate) fn on_register(&mut self, ask: Ask, job: JobId, spec: Box<ActorSpec>, out: &mut Vec<Order>) {
        let named = (!spec.name.is_empty()).then(|| (spec.namespace.clone(), spec.name.clone()));
        if let Some(id) = named.as_ref().and_then(|name| self.names.get(name)) {
            let by = self.actors[id].spec.clone();
            out.push(Order::Answer { ask, body: Response::Registered(Err(NameTaken { by })) });
            return;
        }
        if self.actors.contains_key(&spec.id) {
            let text = format!("actor {} is registered already", spec.id);
            let error = ErrorValue::new(ErrorKind::System, text);
            out.push(Order::Answer { ask, body: Response::Failed(error) });
            return;
        }
        if let Some(name) = named {
            self.names.insert(name, spec.id);
        }
        self.actors.insert(spec.id, Actor::new(spec.clone(), job, ask.client));
        self.store(Record::Actor(spec), Some((ask, Response::Registered(Ok(())))), out);
    }

    pub(crate) fn on_args_ready(
        &mut self,
        id: ActorId,
        args: Vec<u8>,
        error: Option<ErrorValue>,
        out: &mut Vec<Order>,
    ) {
        let Some(actor) = self.actors.get_mut(&id).filter(|a| a.state == State::Args) else { return };
        if let Some(error) = error {
            let error = texts::no_args(&actor.spec, &error);
            self.bury(id, error, out);
            return;
        }
        actor.args = args;
        actor.state = State::Placing;
        out.push(Order::WantWorker { actor: id, job: actor.job });
    }

    pub(crate) fn on_assigned(&mut self, id: ActorId, worker: WorkerId, out: &mut Vec<Order>) {
        let Some(actor) = self.actors.get_mut(&id).filter(|a| a.state == State::Placing) else {
            out.push(Order::Kill { worker, why: "the actor that it was to be is gone".into() });
            return;
        };
        actor.state = State::Constructing(worker);
        let args = if actor.spec.max_restarts == 0 { std::mem::take(&mut actor.args) } else { actor.args.clone() };
        let (spec, incarnation) = (actor.spec.clone(), actor.incarnation);
        self.workers.insert(worker, id);
        out.push(Order::Become { worker, spec, incarnation, args });
    }

    pub(crate) fn on_started(
        &mut self,
        worker: WorkerId,
        life: (ActorId, u32),
        error: Option<ErrorValue>,
        kept: Vec<RefWire>,
        out: &mut Vec<Order>,
    ) {
        let current = |a: &&mut Actor| a.state == State::Constructing(worker) && a.incarnation == life.1;
        let Some(actor) = self.actors.get_mut(&life.0).filter(current) else {
            return self.tell_kept(life.0, worker, kept, out);
        };
        if let Some(error) = error {
            let error = texts::constructor(&actor.spec, error);
            self.bury(life.0, error, out);
            return self.tell_kept(life.0, worker, kept, out);
        }
        actor.state = State::Alive(worker);
        actor.kept = kept;
        self.store(Record::Life(life.0, life.1), None, out);
        self.tell_up(life.0, out);
        if self.actors[&life.0].out_of_scope {
            self.end(life.0, out);
        }
    }

    /// The constructor of one that is dead is done: its creator credits what its process keeps until it is gone
    /// (GCS-7).
    fn tell_kept(&mut self, id: ActorId, worker: WorkerId, kept: Vec<RefWire>, out: &mut Vec<Order>) {
        let dying = |a: &&mut Actor| a.dying == Some(worker) && !kept.is_empty();
        let Some(actor) = self.actors.get_mut(&id).filter(dying) else { return };
        let (client, incarnation) = (actor.creator, actor.incarnation);
        out.push(Order::TellUp { client, actor: id, incarnation, worker, kept });
    }

    /// Tells every watcher that has not heard of this life (GCS-3).
    pub(crate) fn tell_up(&mut self, id: ActorId, out: &mut Vec<Order>) {
        let Some(actor) = self.actors.get_mut(&id) else { return };
        let State::Alive(worker) = actor.state else { return };
        let (incarnation, creator) = (actor.incarnation, actor.creator);
        for watcher in actor.watchers.iter_mut().filter(|w| w.told != Some(incarnation)) {
            watcher.told = Some(incarnation);
            let client = watcher.client;
            let kept = if client == creator { std::mem::take(&mut actor.kept) } else { Vec::new() };
            out.push(Order::TellUp { client, actor: id, incarnation, worker, kept });
        }
    }

    pub(crate) fn on_watch(&mut self, id: ActorId, client: WorkerId, out: &mut Vec<Order>) {
        let Some(actor) = self.actors.get_mut(&id) else {
            out.push(Order::TellDead { client, actor: id, error: texts::unknown(id), dying: None, lingers: false });
            return;
        };
        if let State::Dead(error) = &actor.state {
            out.push(Order::TellDead { client, actor: id, error: error.clone(), dying: None, lingers: false });
            return;
        }
        if actor.watchers.iter().all(|w| w.client != client) {
            actor.watchers.push(Watcher { client, told: None });
            out.extend(actor.is_restarting().then(|| actor.restarting(client)));
        }
        self.tell_up(id, out);
    }
}
