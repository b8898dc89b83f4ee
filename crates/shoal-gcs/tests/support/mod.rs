//! A world for the directory: clients, a scheduler that obeys, a store that is done at once.
#![allow(dead_code)]
use shoal_gcs::{Ask, Event, Exit, Gcs, Order};
use shoal_proto::control::Response;
use shoal_types::{
    ActorId, ActorSpec, Address, Args, ErrorKind, ErrorValue, FunctionId, JobId, NodeId, ObjectId, RefWire, Resources,
    WorkerId,
};
use std::collections::{BTreeMap, BTreeSet};

pub fn client(n: u8) -> WorkerId {
    WorkerId([n; 16])
}

pub fn actor(n: u8) -> ActorId {
    ActorId([n; 16])
}

pub fn spec(n: u8, name: &str) -> ActorSpec {
    let owner = Address { node: NodeId([0; 16]), worker: client(1) };
    ActorSpec {
        id: actor(n),
        handle: RefWire { id: ObjectId::default(), owner },
        class: FunctionId([0; 16]),
        class_name: "Probe".into(),
        class_bytes: vec![1, 2, 3].into(),
        name: name.into(),
        namespace: "ns".into(),
        detached: false,
        named_lives_on: true,
        resources: Resources::new(),
        placement: Resources::new(),
        runtime_env: String::new(),
        max_restarts: 0,
        max_task_retries: 0,
        unordered: false,
        args: Args::default(),
        meta: String::new(),
        max_pending_calls: -1,
        depth: 0,
    }
}

pub fn crash() -> Exit {
    Exit { text: "worker process 7 was killed by signal 9 (SIGKILL)".into(), clean: false, lived: 1_000 }
}

pub fn goodbye() -> Exit {
    Exit { text: "worker process 7 exited with code 0".into(), clean: true, lived: 1_000 }
}

pub fn raised(text: &str) -> ErrorValue {
    ErrorValue { pickled: vec![9], ..ErrorValue::new(ErrorKind::Task, text) }
}

/// What one watcher has heard of one actor.
#[derive(Clone, Default, Debug)]
pub struct Heard {
    pub up: Vec<u32>,
    pub restarting: Vec<u32>,
    pub dead: Option<ErrorValue>,
}

#[derive(Default)]
pub struct World {
    pub gcs: Gcs,
    pub heard: BTreeMap<(WorkerId, ActorId), Heard>,
    pub wanted: BTreeSet<ActorId>,
    pub become_actor: BTreeMap<ActorId, (WorkerId, u32)>,
    /// (actor, life to come, microseconds), those that are over, too.
    pub rests: Vec<(ActorId, u32, u64)>,
    pub killed: Vec<WorkerId>,
    pub ended: Vec<WorkerId>,
    pub answers: Vec<(Ask, Response)>,
    last_req: u64,
}

impl World {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn ask(&mut self, n: u8) -> Ask {
        self.last_req += 1;
        Ask { client: client(n), req: self.last_req }
    }

    /// Feeds one event; what the store would say follows at once. All orders, in order.
    pub fn go(&mut self, event: Event) -> Vec<Order> {
        let mut out = Vec::new();
        self.gcs.handle(event, &mut out);
        let mut all = Vec::new();
        while !out.is_empty() {
            let order = out.remove(0);
            if let Order::Store { write, .. } = order {
                self.gcs.handle(Event::Stored(write), &mut out);
            }
            self.note(&order);
            all.push(order);
        }
        self.gcs.sanity_check();
        all
    }

    fn note(&mut self, order: &Order) {
        match order.clone() {
            Order::Store { .. } => {}
            Order::Answer { ask, body } => self.answers.push((ask, body)),
            Order::Rest { actor, incarnation, micros } => self.rests.push((actor, incarnation, micros)),
            Order::WantWorker { actor, .. } => assert!(self.wanted.insert(actor), "wanted twice"),
            Order::DropWant(actor) => assert!(self.wanted.remove(&actor), "dropped, but not wanted"),
            Order::Become { worker, spec, incarnation, .. } => {
                assert_eq!(spec.class_bytes.len(), 3);
                self.become_actor.insert(spec.id, (worker, incarnation));
            }
            Order::TellUp { client, actor, incarnation, kept, .. } => {
                let heard = self.heard.entry((client, actor)).or_default();
                assert!(heard.up.last().is_none_or(|last| *last < incarnation), "GCS-3");
                assert!(heard.dead.is_none() || !kept.is_empty(), "GCS-7: only what it keeps is told of a dead actor");
                heard.up.push(incarnation);
            }
            Order::TellRestarting { client, actor, incarnation, .. } => {
                let heard = self.heard.entry((client, actor)).or_default();
                assert!(heard.dead.is_none() && heard.restarting.last().is_none_or(|last| *last < incarnation));
                heard.restarting.push(incarnation);
            }
            Order::TellDead { client, actor, error, .. } => {
                let heard = self.heard.entry((client, actor)).or_default();
                heard.dead = Some(error);
            }
            Order::End(worker) => self.ended.push(worker),
            Order::Kill { worker, .. } => self.killed.push(worker),
        }
    }

    /// Registered by client `n`, which hears that, and asks for the news of its actor.
    pub fn register(&mut self, n: u8, spec: ActorSpec) -> Response {
        let id = spec.id;
        let answer = self.register_unheard(n, spec);
        if answer == Response::Registered(Ok(())) {
            self.go(Event::Watch { actor: id, client: client(n) });
        }
        answer
    }

    /// Its creator hasn't heard the answer yet.
    pub fn register_unheard(&mut self, n: u8, spec: ActorSpec) -> Response {
        let ask = self.ask(n);
        self.go(Event::Register { ask, job: JobId(1), spec: Box::new(spec) });
        self.answer(ask)
    }

    pub fn answer(&self, ask: Ask) -> Response {
        self.answers.iter().find(|(a, _)| *a == ask).expect("an answer").1.clone()
    }

    pub fn args(&mut self, n: u8) -> Vec<Order> {
        self.go(Event::ArgsReady { actor: actor(n), args: vec![5], error: None })
    }

    /// The scheduler gives worker `w` to a wanted actor.
    pub fn assign(&mut self, n: u8, w: u8) -> Vec<Order> {
        self.wanted.remove(&actor(n));
        self.go(Event::Assigned { actor: actor(n), worker: client(w) })
    }

    pub fn started(&mut self, n: u8, w: u8, incarnation: u32, error: Option<ErrorValue>) -> Vec<Order> {
        self.go(Event::Started { worker: client(w), actor: actor(n), incarnation, error, kept: Vec::new() })
    }

    /// Registered by client 1, constructed on worker `w`.
    pub fn up(&mut self, spec: ActorSpec, w: u8) {
        let n = spec.id.0[0];
        assert_eq!(self.register(1, spec), Response::Registered(Ok(())));
        self.args(n);
        self.assign(n, w);
        self.started(n, w, 0, None);
    }

    pub fn lose(&mut self, n: u8, exit: Exit) -> Vec<Order> {
        self.go(Event::ClientLost { client: client(n), exit })
    }

    /// The last rest of this actor is over.
    pub fn rested(&mut self, n: u8) -> Vec<Order> {
        let last = self.rests.iter().rev().find(|(id, ..)| *id == actor(n)).copied();
        last.map_or_else(Vec::new, |(actor, incarnation, _)| self.go(Event::Rested { actor, incarnation }))
    }

    pub fn state(&self, n: u8) -> &'static str {
        self.gcs.actors().find(|a| a.id == actor(n)).map_or("", |a| a.state)
    }

    pub fn cause(&self, n: u8) -> String {
        self.gcs.actors().find(|a| a.id == actor(n)).map(|a| a.cause).unwrap_or_default()
    }

    pub fn heard(&self, who: u8, n: u8) -> Heard {
        self.heard.get(&(client(who), actor(n))).cloned().unwrap_or_default()
    }
}
