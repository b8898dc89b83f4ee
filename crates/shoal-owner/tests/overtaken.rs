//! Several cores, and messages between them that overtake each other in one chosen way.
mod world;
use shoal_owner::{Event, Order, Owner};
use shoal_proto::peer::PeerMsg;
use shoal_types::{ErrorKind, LaneId, LeaseId, ObjectId, RefWire, TaskId, Value};
use std::collections::{BTreeMap, VecDeque};
use world::{actor, address, error, inline, stored};

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

    /// The `n`-th task of `caller`, with these dependencies.
    fn submits(&mut self, caller: u8, n: u64, deps: &[RefWire]) -> TaskId {
        let id = TaskId::new([caller; 8], n);
        let spec = shoal_types::TaskSpec { id, ..world::spec(n, deps, &[]) };
        self.feed(caller, Event::TaskSubmitted(Box::new(spec)));
        id
    }

    /// It is sent to `worker`.
    fn sends(&mut self, caller: u8, task: TaskId, worker: u8) {
        let (lease, lane) = (LeaseId(u64::from(worker)), LaneId(u64::from(worker)));
        let orders = self.feed(caller, Event::Granted { key: 0, lease, lane, worker: address(worker) });
        assert!(orders.contains(&Order::Push { lane, task, attempt: 0 }), "{orders:?}");
    }

    /// `caller` gets this ref as the result of its `n`-th task, run by `worker`, who owns or borrows it.
    fn gets(&mut self, caller: u8, n: u64, r: RefWire, worker: u8) -> ObjectId {
        let task = self.submits(caller, n, &[]);
        self.sends(caller, task, worker);
        self.returns(worker, caller, task, r);
        self.replied(caller, worker, task, r);
        self.feed(caller, Event::Recalled(LeaseId(u64::from(worker))));
        ObjectId::new(task, 0)
    }

    /// A call of the actor by `caller`, pushed.
    fn calls(&mut self, caller: u8, incarnation: u32, worker: u8) -> TaskId {
        self.lends(caller, incarnation, worker, &[])
    }

    /// The same with these refs.
    fn lends(&mut self, caller: u8, incarnation: u32, worker: u8, refs: &[RefWire]) -> TaskId {
        let task = TaskId::new([caller; 8], 9);
        let mut spec = shoal_types::CallSpec { id: task, ..world::call(9, A, None, &[]) };
        spec.args.refs = refs.to_vec();
        self.feed(caller, Event::CallSubmitted(Box::new(spec)));
        self.feed(caller, up(incarnation, worker, vec![]));
        task
    }
}

const A: u8 = 7;
const OWNER: u8 = 1;
const CREATOR: u8 = 2;
const MAKER: u8 = 5;
const CALLER: u8 = 3;
const WORKER: u8 = 4;

fn up(incarnation: u32, worker: u8, kept: Vec<RefWire>) -> Event {
    Event::ActorUp { actor: actor(A), incarnation, lane: LaneId(u64::from(worker)), worker: address(worker), kept }
}

fn lost(worker: u8) -> Event {
    let (error, intended) = (error(ErrorKind::WorkerCrashed), false);
    Event::WorkerLost { worker: address(worker), error, intended, taken: vec![] }
}

/// The actor was killed; its process is not gone yet.
fn killed(worker: u8) -> Event {
    Event::ActorDead {
        actor: actor(A),
        error: error(ErrorKind::ActorDied),
        dying: Some(address(worker)),
        lingers: false,
    }
}

/// An object of the process, put.
fn put(net: &mut Net, owner: u8, value: Value) -> RefWire {
    let r = world::foreign(owner, 100);
    net.feed(owner, Event::ValuePut { id: r.id, value });
    r
}

/// The constructor keeps a ref of its arguments, a method returns it, and the process dies. Its creator hears of the
/// death before it hears that the actor was up; what it lets go of then overtakes what the dead had said.
#[test]
fn what_a_constructor_kept_is_credited_also_after_its_death() {
    let mut net = Net::default();
    let x = put(&mut net, OWNER, inline(&[]));
    // The creator borrows it, through a value.
    let first = net.gets(CREATOR, 1, x, OWNER);
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
    net.feed(CREATOR, lost(WORKER));
    net.feed(CREATOR, up(0, WORKER, vec![x]));
    net.feed(
        CREATOR,
        Event::ActorDead { actor: actor(A), error: error(ErrorKind::ActorDied), dying: None, lingers: false },
    );
    net.feed(CREATOR, Event::RefsDropped(vec![handle, first]));
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

/// A task runs that was lent a ref inside a stored value, when the owner of that value dies: the value is gone, but its
/// caller holds the ref for the task until it replies (OWN-1).
#[test]
fn what_a_value_of_a_dead_owner_held_stays_lent() {
    let mut net = Net::default();
    let x = put(&mut net, OWNER, inline(&[]));
    // The maker's value in the arena holds it; the caller knows nothing of either but a ref of that value.
    let borrowed = net.gets(MAKER, 1, x, OWNER);
    let value = put(&mut net, MAKER, stored(1, &[x]));
    let got = net.gets(CALLER, 1, value, MAKER);
    let task = net.submits(CALLER, 2, &[value]);
    net.deliver(CALLER, MAKER);
    net.deliver(MAKER, OWNER);
    net.deliver(MAKER, CALLER);
    net.sends(CALLER, task, WORKER);
    net.feed(WORKER, Event::CallTaken { task, refs: vec![x] });
    // All but the task let go of it; then the maker dies.
    net.feed(OWNER, Event::RefsDropped(vec![x.id]));
    net.feed(MAKER, Event::RefsDropped(vec![borrowed]));
    net.deliver(MAKER, OWNER);
    net.feed(OWNER, lost(MAKER));
    net.feed(CALLER, lost(MAKER));
    net.deliver(CALLER, OWNER);
    assert!(net.core(OWNER).knows(&x.id), "OWN-1: freed while a task runs that was lent it");
    // It is returned, too, which costs nothing (XFER-6).
    let done = net.feed(WORKER, Event::CallDone { task, caller: address(CALLER), refs: vec![x] });
    assert_eq!(done, [Order::Reply { task, kept: vec![] }]);
    net.replied(CALLER, WORKER, task, x);
    net.deliver(CALLER, OWNER);
    assert!(net.core(OWNER).knows(&x.id), "OWN-1: freed while the result holds it");
    net.feed(CALLER, Event::RefsDropped(vec![got, ObjectId::new(task, 0)]));
    net.deliver(CALLER, OWNER);
    assert!(!net.core(OWNER).knows(&x.id), "COUNT-1: left");
}

/// An actor is killed while a call of it runs. Before its process is gone that still answers, and returns the ref that it
/// was lent, which costs nothing (XFER-6): its caller must know that it was lent it.
#[test]
fn a_reply_that_a_killed_actor_still_wrote_is_balanced() {
    let mut net = Net::default();
    let x = put(&mut net, OWNER, inline(&[]));
    let first = net.gets(CALLER, 1, x, OWNER);
    let task = net.lends(CALLER, 0, WORKER, &[x]);
    net.feed(WORKER, Event::CallTaken { task, refs: vec![x] });
    net.feed(CALLER, killed(WORKER));
    let done = net.feed(WORKER, Event::CallDone { task, caller: address(CALLER), refs: vec![x] });
    assert_eq!(done, [Order::Reply { task, kept: vec![] }]);
    net.replied(CALLER, WORKER, task, x);
    // Its only credit is the one for the first value. Another comes, and it holds that one's ref.
    net.feed(CALLER, Event::RefsDropped(vec![first, ObjectId::new(task, 0)]));
    net.deliver(CALLER, OWNER);
    let second = net.gets(CALLER, 2, x, OWNER);
    net.feed(OWNER, Event::RefsDropped(vec![x.id]));
    assert!(net.core(OWNER).knows(&x.id), "XFER-6: freed while the caller holds it");
    net.feed(CALLER, lost(WORKER));
    net.feed(CALLER, Event::RefsDropped(vec![second]));
    net.deliver(CALLER, OWNER);
    assert!(!net.core(OWNER).knows(&x.id), "COUNT-1: left");
}

/// An actor that is killed has credited a ref that it was lent to somebody else. That is under way; its lender hears of
/// the kill, and must not let go before the process is gone, and all that it said was heard.
#[test]
fn what_a_killed_actor_had_passed_on_is_held_until_its_process_is_gone() {
    let mut net = Net::default();
    let x = put(&mut net, OWNER, inline(&[]));
    let first = net.gets(MAKER, 1, x, OWNER);
    let task = net.lends(MAKER, 0, WORKER, &[x]);
    net.feed(WORKER, Event::CallTaken { task, refs: vec![x] });
    net.feed(OWNER, Event::RefsDropped(vec![x.id]));
    // Another call of it returns the ref.
    let second = net.calls(CALLER, 0, WORKER);
    net.returns(WORKER, CALLER, second, x);
    net.replied(CALLER, WORKER, second, x);
    net.feed(MAKER, killed(WORKER));
    net.feed(MAKER, Event::RefsDropped(vec![first, ObjectId::new(task, 0)]));
    net.deliver(MAKER, OWNER);
    assert!(net.core(OWNER).knows(&x.id), "XFER-1: freed while the caller holds it");
    net.deliver(WORKER, OWNER);
    net.feed(MAKER, lost(WORKER));
    net.deliver(MAKER, OWNER);
    net.feed(OWNER, lost(WORKER));
    assert!(net.core(OWNER).knows(&x.id));
    net.feed(CALLER, lost(WORKER));
    net.feed(CALLER, Event::RefsDropped(vec![ObjectId::new(second, 0)]));
    net.deliver(CALLER, OWNER);
    assert!(!net.core(OWNER).knows(&x.id), "COUNT-1: left");
}

/// An actor ends itself in a call, and lives on for what it owns: that call is never answered, and nobody may wait for the
/// process to go, which may wait for its refs to go. What the call was lent is the actor's own now.
#[test]
fn what_an_actor_that_ends_itself_was_lent_is_its_own() {
    let mut net = Net::default();
    let x = put(&mut net, OWNER, inline(&[]));
    let first = net.gets(CALLER, 1, x, OWNER);
    let task = net.lends(CALLER, 0, WORKER, &[x, x]);
    net.feed(OWNER, Event::RefsDropped(vec![x.id]));
    net.feed(WORKER, Event::CallTaken { task, refs: vec![x] });
    let value = put(&mut net, WORKER, inline(&[x]));
    net.feed(WORKER, Event::Ended);
    let (error, dying) = (error(ErrorKind::ActorDied), Some(address(WORKER)));
    let lane = LaneId(u64::from(WORKER));
    let told = net.feed(CALLER, Event::ActorDead { actor: actor(A), error, dying, lingers: true });
    assert!(told.contains(&Order::Withdraw { lane, task }), "it may not have taken the call: {told:?}");
    net.feed(CALLER, Event::Withdrawn { task, done: false });
    net.feed(CALLER, Event::RefsDropped(vec![first, ObjectId::new(task, 0)]));
    assert!(!net.core(CALLER).knows(&x.id), "DEATH-8: lent as long as the process lives");
    net.deliver(CALLER, OWNER);
    assert!(net.core(OWNER).knows(&x.id), "DEATH-8: freed while a value of the actor holds it");
    net.feed(WORKER, Event::RefsDropped(vec![value.id]));
    net.deliver(WORKER, OWNER);
    assert!(!net.core(OWNER).knows(&x.id), "COUNT-1: left");
    assert!(!net.core(WORKER).knows(&x.id));
}

/// Its threads go on for a while, and the main one may take a call that came before it hears of the end.
#[test]
fn what_the_threads_of_an_actor_that_has_ended_still_give_is_credited_to_nobody() {
    let mut net = Net::default();
    let x = put(&mut net, OWNER, inline(&[]));
    net.gets(CALLER, 1, x, OWNER);
    let (task, items, late) = (TaskId::new([3; 8], 9), TaskId::new([3; 8], 10), TaskId::new([3; 8], 11));
    net.feed(WORKER, Event::CallTaken { task, refs: vec![x] });
    let mine = put(&mut net, WORKER, inline(&[]));
    net.feed(WORKER, Event::Ended);
    net.feed(WORKER, Event::CallTaken { task: late, refs: vec![x] });
    let caller = address(CALLER);
    for task in [task, late] {
        let done = net.feed(WORKER, Event::CallDone { task, caller, refs: vec![mine] });
        assert_eq!(done, [], "DEATH-8: no reply");
    }
    net.feed(WORKER, Event::Yielded { task: items, caller, refs: vec![mine, x] });
    assert!(!net.core(WORKER).holds_for_others(), "DEATH-8: nobody was given it");
    net.feed(WORKER, Event::RefsDropped(vec![mine.id]));
    assert!(net.core(WORKER).is_empty(), "COUNT-1: left");
    let released = net.under_way.get(&(WORKER, OWNER)).into_iter().flatten().collect::<Vec<_>>();
    let two = PeerMsg::Release(vec![(x.id, 1)]);
    assert!(matches!(&released[..], [(_, first), (_, second)] if *first == two && *second == two), "{released:?}");
}
