//! Carries out what the cores order, as `shoal-worker` does.
use crate::{
    process::{Pid, Request, ends_of, pid_of},
    world::{Relayed, World},
};
use shoal_owner::{Event, Order};
use shoal_proto::peer::PeerMsg;
use shoal_types::{ArenaLoc, Args, LaneId, ObjectId, RefWire, TaskId, Value};
use std::collections::VecDeque;

/// One order of so many is the last of its process.
const CUTS: usize = 150;

impl World {
    /// Hands an event to a process and carries out what comes of it.
    pub(crate) fn feed(&mut self, pid: Pid, event: Event) {
        if self.cut == Some(pid) {
            return;
        }
        let mut orders: VecDeque<Order> = self.handle(pid, event).into();
        let mut credited = Vec::new();
        loop {
            if !self.processes[pid].alive {
                return;
            }
            if self.is_cut() {
                return self.cut(pid, credited);
            }
            let Some(order) = orders.pop_front() else { return };
            match &order {
                Order::Send { msg: PeerMsg::Credit(list), .. } => credited.extend(list.iter().map(|c| c.id)),
                Order::Send { msg: PeerMsg::Fetched { .. }, .. } => credited.clear(),
                _ => {}
            }
            if let Some(event) = self.carry_out(pid, order) {
                orders.extend(self.handle(pid, event));
            }
        }
    }

    /// Whether a process dies between two orders.
    fn is_cut(&mut self) -> bool {
        let may = self.options.kills && self.options.cuts && self.stepping && self.cut.is_none();
        may && self.choices.one_in(CUTS) && self.alive().len() > 2
    }

    /// It has credited these, and what holds them has not left.
    fn cut(&mut self, pid: Pid, credited: Vec<ObjectId>) {
        self.cut = Some(pid);
        self.audit.taint(credited);
        let in_hand = std::mem::take(&mut self.in_hand);
        self.audit.taint(in_hand);
        self.kill(pid, false);
    }

    fn handle(&mut self, pid: Pid, event: Event) -> Vec<Order> {
        let process = &mut self.processes[pid];
        assert!(process.alive, "SIM-2: {pid} is dead and got {event:?}");
        let mut orders = Vec::new();
        if self.log {
            eprintln!("{} P{pid} {event:?}", self.now);
        }
        let recorded = self.options.record.then(|| (self.now, event.clone()));
        process.owner.handle(self.now, event, &mut orders);
        if let Some(recorded) = recorded {
            process.trace.events.push(recorded);
            process.trace.orders.push(orders.clone());
        }
        if self.log {
            eprintln!("    {orders:?}");
        }
        process.owner.sanity_check();
        orders
    }

    fn carry_out(&mut self, pid: Pid, order: Order) -> Option<Event> {
        match order {
            Order::Push { lane, task, attempt } => self.push(pid, lane, task, attempt),
            Order::Withdraw { lane, task } => return Some(self.withdraw(lane, task)),
            Order::Send { to, seq, msg } => {
                let to = pid_of(&to.worker);
                self.acquaint(pid, to);
                if self.processes[to].alive {
                    self.relay.entry((pid, to)).or_default().push_back(Relayed::Message(seq, msg));
                } else {
                    self.tell_gone(pid, to);
                }
            }
            Order::WatchProcess(worker) => {
                let worker = pid_of(&worker);
                self.acquainted.insert((pid, worker));
                if !self.processes[worker].alive {
                    self.tell_gone(pid, worker);
                }
            }
            Order::Free { id, loc } => self.audit.freed(pid, &id, &loc),
            Order::Reply { kept, .. } => self.processes[pid].kept = Some(kept),
            Order::Demand { key, want, seen, .. } => self.daemon.demand(pid, key, want, seen),
            Order::ReturnLease(lease) => self.return_lease(pid, lease),
            Order::WatchActor(actor) => self.watch_actor(pid, actor),
            Order::StartActor { actor, error } => self.start_actor(pid, actor, error),
            Order::ActorOutOfScope(actor) => self.actor_out_of_scope(actor),
            Order::KillWorker(worker) => {
                let worker = pid_of(&worker);
                self.doom(worker);
            }
            Order::Ready(_) | Order::Unready(_) => {}
        }
        None
    }

    /// Who speaks to the dead hears of the death, though it may have come to be after it.
    fn tell_gone(&mut self, pid: Pid, gone: Pid) {
        let lost = Relayed::Lost { intended: false, sealed: Vec::new() };
        self.relay.entry((gone, pid)).or_default().push_back(lost);
    }

    /// Each hears of the other's death.
    pub(crate) fn acquaint(&mut self, one: Pid, other: Pid) {
        self.acquainted.extend([(one, other), (other, one)]);
    }

    fn push(&mut self, pid: Pid, lane: LaneId, task: TaskId, attempt: u16) {
        let owner = &self.processes[pid].owner;
        let ((num_returns, window), retry_exceptions, args, actor) = match (owner.task(&task), owner.call(&task)) {
            (Some(t), _) => ((t.num_returns, t.window), t.retry_exceptions, &t.args, None),
            (None, Some(c)) => ((c.num_returns, c.window), c.retry_exceptions, &c.args, Some(c.actor)),
            (None, None) => panic!("TASK-1: {task} is pushed and not known"),
        };
        let (refs, stored) = (self.resolved(pid, args), self.stored(pid, args));
        let (caller, worker) = ends_of(lane);
        assert_eq!(caller, pid, "LEASE-2: a lane of another process");
        if actor.is_some() {
            self.audit.call_sent(task, worker);
        }
        if self.processes[worker].alive {
            let taken = false;
            let request = Request { task, attempt, num_returns, window, retry_exceptions, refs, stored, actor, taken };
            self.lanes.entry((caller, worker)).or_default().requests.push_back(request);
        }
    }

    /// The refs of a request: nested ones, then those inside the values of its dependencies.
    pub(crate) fn resolved(&self, pid: Pid, args: &Args) -> Vec<RefWire> {
        let mut refs = args.refs.clone();
        for index in 0..args.deps.len() as u32 {
            let (object, value) = self.processes[pid].owner.dep_value(args, index);
            assert!(!matches!(value, shoal_types::Value::Error(_)), "TASK-2: {} is an error", object.id);
            refs.extend_from_slice(value.refs());
        }
        refs
    }

    /// Where those dependencies lie that are in the arena.
    fn stored(&self, pid: Pid, args: &Args) -> Vec<(RefWire, ArenaLoc)> {
        let owner = &self.processes[pid].owner;
        let place = |r: &RefWire| match owner.value(&r.id) {
            Some(Value::Stored { loc, .. }) => Some((*r, *loc)),
            _ => None,
        };
        args.deps.iter().filter_map(place).collect()
    }

    fn withdraw(&mut self, lane: LaneId, task: TaskId) -> Event {
        let requests = self.lanes.get_mut(&ends_of(lane)).map(|l| &mut l.requests);
        let at = requests.as_ref().map(|r| r.iter().position(|r| r.task == task && !r.taken));
        let done = match (requests, at) {
            (Some(requests), Some(Some(at))) => requests.remove(at).is_some(),
            (Some(_), Some(None)) => false,
            _ => true,
        };
        Event::Withdrawn { task, done }
    }
}
