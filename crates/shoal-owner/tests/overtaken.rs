//! Several cores, and messages between them that overtake each other in one chosen way.
mod world;
use shoal_owner::{Event, Order, Owner};
use shoal_proto::peer::PeerMsg;
use shoal_types::{ErrorKind, LaneId, ObjectId, RefWire, TaskId, Value};
use std::collections::{BTreeMap, VecDeque};
use world::{actor, address, error, inline};

type Messages = VecDeque<(u64, PeerMsg)>;

#[derive(Default)]
struct Net {
    cores: BTreeMap<u8, Owner>,
    /// From, to.
    under_way: BTreeMap<(u8, u8), Messages>,
}

impl Net {
    fn feed(&mut self, at: u8, event: Event) -> Vec<Order> {
        let core = self.core(at);
        let mut orders = Vec::new();
        core.handle(1, event, &mut orders);
        core.sanity_check();
        let (sent, rest): (Vec<_>, Vec<_>) = orders.into_iter().partition(|o| matches!(o, Order::Send { .. }));
        for order in sent {
            let Order::Send { to, seq, msg } = order else { continue };
            self.under_way.entry((at, to.worker.0[0])).or_default().push_back((seq, msg));
        }
        rest
    }

    fn core(&mut self, at: u8) -> &mut Owner {
        self.cores.entry(at).or_insert_with(|| Owner::new(address(at)))
    }

    /// Delivers all that is under way between two.
    fn deliver(&mut self, from: u8, to: u8) {
        for (seq, msg) in self.under_way.remove(&(from, to)).unwrap_or_default() {
            self.feed(to, Event::Peer { from: address(from), seq, msg });
        }
    }

    /// `caller` has called `executor`, which returns this ref.
    fn returns(&mut self, executor: u8, caller: u8, task: TaskId, r: RefWire) {
        self.feed(executor, Event::CallTaken { task, refs: vec![] });
        let done = self.feed(executor, Event::CallDone { task, caller: address(caller), refs: vec![r] });
        assert_eq!(done, [Order::Reply { task, kept: vec![] }]);
    }

    /// What [`Net::returns`] replied arrives.
    fn replied(&mut self, caller: u8, executor: u8, task: TaskId, r: RefWire) {
        let (values, worker) = (vec![inline(&[r])], address(executor).worker);
        self.feed(
            caller,
            Event::Replied { task, attempt: 0, retryable: false, micros: 1, kept: vec![], values, worker },
        );
    }

    /// A call of the actor by `caller`, pushed.
    fn calls(&mut self, caller: u8, incarnation: u32, worker: u8) -> TaskId {
        let task = TaskId::new([caller; 8], 1);
        let spec = shoal_types::CallSpec { id: task, ..world::call(1, A, None, &[]) };
        self.feed(caller, Event::CallSubmitted(Box::new(spec)));
        self.feed(caller, up(incarnation, worker, vec![]));
        task
    }
}

const A: u8 = 7;
const OWNER: u8 = 1;
const CREATOR: u8 = 2;
const CALLER: u8 = 3;
const WORKER: u8 = 4;

fn up(incarnation: u32, worker: u8, kept: Vec<RefWire>) -> Event {
    Event::ActorUp { actor: actor(A), incarnation, lane: LaneId(u64::from(worker)), worker: address(worker), kept }
}

/// The constructor keeps a ref of its arguments, a method returns it, and the process dies. Its creator hears of the
/// death before it hears that the actor was up; what it lets go of then overtakes what the dead had said.
#[test]
fn what_a_constructor_kept_is_credited_also_after_its_death() {
    let mut net = Net::default();
    let x = RefWire { id: ObjectId::new(TaskId::new([OWNER; 8], 1), 0), owner: address(OWNER) };
    net.feed(OWNER, Event::ValuePut { id: x.id, value: Value::Inline { bytes: [1][..].into(), refs: vec![] } });
    // The creator borrows it, through a value.
    let first = TaskId::new([CREATOR; 8], 1);
    let spec = shoal_types::TaskSpec { id: first, ..world::spec(1, &[], &[]) };
    net.feed(CREATOR, Event::TaskSubmitted(Box::new(spec)));
    let granted = Event::Granted { key: 0, lease: shoal_types::LeaseId(1), lane: LaneId(1), worker: address(OWNER) };
    net.feed(CREATOR, granted);
    net.returns(OWNER, CREATOR, first, x);
    net.replied(CREATOR, OWNER, first, x);
    net.feed(OWNER, Event::RefsDropped(vec![x.id]));
    // It makes the actor with it, which keeps it.
    let handle = ObjectId::new(TaskId::new([CREATOR; 8], 2), ObjectId::ACTOR_INDEX);
    net.feed(CREATOR, Event::ActorCreated { actor: actor(A), handle, deps: vec![], refs: vec![x], unordered: false });
    net.feed(WORKER, Event::CallTaken { task: handle.task, refs: vec![x] });
    net.feed(WORKER, Event::RefTaken(x));
    let done = net.feed(WORKER, Event::CallDone { task: handle.task, caller: address(CREATOR), refs: vec![] });
    assert_eq!(done, [Order::Reply { task: handle.task, kept: vec![x] }]);
    // Another process has heard that the actor is up, and gets the ref.
    let second = net.calls(CALLER, 0, WORKER);
    net.returns(WORKER, CALLER, second, x);
    net.replied(CALLER, WORKER, second, x);
    // The creator: first that it died, then that it was up, then that it is dead for good.
    let lost = |worker| {
        let (error, intended) = (error(ErrorKind::WorkerCrashed), false);
        Event::WorkerLost { worker: address(worker), error, intended, taken: vec![] }
    };
    net.feed(CREATOR, lost(WORKER));
    net.feed(CREATOR, up(0, WORKER, vec![x]));
    net.feed(CREATOR, Event::ActorDead { actor: actor(A), error: error(ErrorKind::ActorDied) });
    net.feed(CREATOR, Event::RefsDropped(vec![handle, ObjectId::new(first, 0)]));
    assert!(!net.core(CREATOR).knows(&x.id));
    // Its release overtakes the dead worker's credit for the caller.
    net.deliver(CREATOR, OWNER);
    assert!(net.core(OWNER).knows(&x.id), "XFER-1: freed while the caller holds it");
    net.deliver(WORKER, OWNER);
    net.feed(OWNER, lost(WORKER));
    assert!(net.core(OWNER).knows(&x.id));
    net.feed(CALLER, lost(WORKER));
    net.feed(CALLER, Event::RefsDropped(vec![ObjectId::new(second, 0)]));
    net.deliver(CALLER, OWNER);
    assert!(!net.core(OWNER).knows(&x.id), "COUNT-1: left");
    // Where the owner had heard of the death before, the credit counts nothing.
    net.feed(OWNER, Event::ValuePut { id: x.id, value: Value::Inline { bytes: [1][..].into(), refs: vec![] } });
    net.feed(
        OWNER,
        Event::Peer {
            from: address(9),
            seq: 1,
            msg: PeerMsg::Credit(vec![shoal_proto::peer::Credit { id: x.id, holder: address(WORKER).worker, n: 1 }]),
        },
    );
    net.feed(OWNER, Event::RefsDropped(vec![x.id]));
    assert!(!net.core(OWNER).knows(&x.id), "DEATH-1: a late credit counted");
}
