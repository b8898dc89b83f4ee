//! One actor's record and its states.
//!
//! ```text
//! PENDING     Args ──args──► Placing ──assigned──► Constructing ──started──► ALIVE
//! RESTARTING                 Placing ◄─worker lost, restarts left── Constructing, ALIVE
//!            Resting ──its time──► Placing, when several lives in a row were short
//! DEAD        from each of them, for good
//! ```
use crate::{Order, texts};
use shoal_types::{ActorSpec, ErrorValue, JobId, RefWire, WorkerId};

/// Where it stands. PENDING and RESTARTING are the first three, told apart by the incarnation.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum State {
    /// Its creator resolves the constructor's arguments.
    Args,
    /// It waits before its next life (GCS-6).
    Resting,
    /// The scheduler looks for a worker.
    Placing,
    /// The worker runs the constructor.
    Constructing(WorkerId),
    /// It takes calls.
    Alive(WorkerId),
    /// Gone, and why.
    Dead(ErrorValue),
}

/// A client that wants to hear of it.
#[derive(Clone, Debug)]
pub(crate) struct Watcher {
    pub client: WorkerId,
    /// The life that it was told of.
    pub told: Option<u32>,
}

#[derive(Clone, Debug)]
pub(crate) struct Actor {
    pub spec: Box<ActorSpec>,
    pub job: JobId,
    pub creator: WorkerId,
    pub state: State,
    pub incarnation: u32,
    pub restarts: u32,
    /// How many lives in a row were short, the last one included.
    pub short: u32,
    /// The constructor's arguments: until it is up, or as long as it may be restarted.
    pub args: Vec<u8>,
    /// Refs of the arguments that this life keeps, until the creator is told.
    pub kept: Vec<RefWire>,
    pub watchers: Vec<Watcher>,
    /// It is dead, and this worker of its last life is not gone yet; its creator still hears what that keeps.
    pub dying: Option<WorkerId>,
    /// No handle is left: it ends as soon as it is up.
    pub out_of_scope: bool,
    /// Why its process is about to end for good.
    pub ending: Option<String>,
    /// What ended its life before this one.
    pub before: String,
}

impl Actor {
    pub fn new(spec: Box<ActorSpec>, job: JobId, creator: WorkerId) -> Self {
        Self {
            spec,
            job,
            creator,
            state: State::Args,
            incarnation: 0,
            restarts: 0,
            short: 0,
            args: Vec::new(),
            kept: Vec::new(),
            watchers: Vec::new(),
            dying: None,
            out_of_scope: false,
            ending: None,
            before: String::new(),
        }
    }

    pub fn is_dead(&self) -> bool {
        matches!(self.state, State::Dead(_))
    }

    pub fn worker(&self) -> Option<WorkerId> {
        match self.state {
            State::Constructing(worker) | State::Alive(worker) => Some(worker),
            State::Args | State::Resting | State::Placing | State::Dead(_) => None,
        }
    }

    pub fn may_restart(&self) -> bool {
        self.ending.is_none()
            && (self.spec.max_restarts < 0 || i64::from(self.restarts) < i64::from(self.spec.max_restarts))
    }

    /// Between two lives: the news of that.
    pub fn restarting(&self, client: WorkerId) -> Order {
        let (actor, incarnation) = (self.spec.id, self.incarnation - 1);
        Order::TellRestarting { client, actor, incarnation, error: texts::restarting(&self.spec, &self.before) }
    }

    pub fn stage_name(&self) -> &'static str {
        match self.state {
            State::Args => "args",
            State::Resting => "resting",
            State::Placing => "placing",
            State::Constructing(_) => "constructing",
            State::Alive(_) | State::Dead(_) => "",
        }
    }

    /// Between two lives.
    pub fn is_restarting(&self) -> bool {
        let up = matches!(self.state, State::Alive(_) | State::Dead(_));
        !up && self.incarnation > 0
    }

    pub fn state_name(&self) -> &'static str {
        match self.state {
            State::Dead(_) => "DEAD",
            State::Alive(_) => "ALIVE",
            _ if self.is_restarting() => "RESTARTING",
            State::Args | State::Resting | State::Placing | State::Constructing(_) => "PENDING",
        }
    }
}
