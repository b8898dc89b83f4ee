//! Values that are lost and made again: a test for each rule of `docs/design/lineage.md`.
mod world;
use shoal_owner::{Event, Order};
use shoal_proto::peer::PeerMsg;
use shoal_types::{ArenaLoc, ErrorKind, ErrorValue, FunctionId, RefWire, TaskSpec, Value};
use world::*;

fn retried(n: u64, max_retries: i32, deps: &[RefWire], refs: &[RefWire]) -> TaskSpec {
    TaskSpec { max_retries, ..spec(n, deps, refs) }
}

fn gone(n: u64, at: u64) -> Event {
    Event::StoredLost { id: object(n), loc: loc(at), why: "its file is gone".into() }
}

fn free(n: u64, at: u64) -> Order {
    Order::Free { id: object(n), loc: loc(at) }
}

fn why(w: &World, n: u64) -> ErrorValue {
    match w.owner.value(&object(n)) {
        Some(Value::Error(e)) => (**e).clone(),
        other => panic!("{n}: {other:?}"),
    }
}

fn unready(n: u64) -> Order {
    Order::Unready(object(n))
}

/// A world with a lease that is idle, on worker 10.
fn warm() -> World {
    let mut w = World::default();
    w.warm(10);
    w
}

impl World {
    /// Task `n` runs and gives this value.
    #[track_caller]
    fn runs(&mut self, spec: &TaskSpec, n: u64, value: Value) {
        let pushed = self.feed(submit(spec));
        assert!(pushed.contains(&push(10, n, 0)), "{pushed:?}");
        self.feed(reply(n, 0, 10, vec![value]));
    }
}

#[test]
fn a_lost_value_is_made_again_by_its_task_and_who_waits_waits_on() {
    let mut w = warm();
    w.runs(&retried(1, 2, &[], &[]), 1, stored(1, &[]));
    w.on(gone(1, 1), &[free(1, 1), unready(1), push(10, 1, 1)]);
    assert!(!w.owner.is_ready(&object(1)));
    w.on(Event::Wanted(vec![object(1)]), &[]);
    w.on(reply(1, 1, 10, vec![stored(2, &[])]), &[ready(1)]);
    assert_eq!(w.owner.value(&object(1)), Some(&stored(2, &[])));
    w.on(gone(1, 2), &[free(1, 2), unready(1), push(10, 1, 2)]);
    w.on(reply(1, 2, 10, vec![stored(3, &[])]), &[ready(1)]);
    // Two retries are two times.
    w.on(gone(1, 3), &[free(1, 3), ready(1)]);
    let error = why(&w, 1);
    assert_eq!(error.kind, ErrorKind::RetriesSpent);
    assert!(error.message.contains("its file is gone") && error.message.contains("max_retries"), "{}", error.message);
    w.drop_ref(&mine(1), &[]);
    assert_eq!(w.owner.lineage_size(), (0, 0));
}

#[test]
fn what_is_said_of_another_place_is_ignored() {
    let mut w = warm();
    w.runs(&retried(1, 1, &[], &[]), 1, stored(1, &[]));
    w.quiet(gone(1, 9));
    w.quiet(gone(7, 7));
    w.feed(gone(1, 1));
    w.quiet(gone(1, 1));
}

#[test]
fn nothing_is_kept_of_tasks_whose_values_are_small_or_that_may_run_once() {
    let mut w = warm();
    w.runs(&retried(1, 3, &[], &[]), 1, inline(&[]));
    w.runs(&retried(2, 0, &[], &[]), 2, stored(2, &[]));
    assert_eq!(w.owner.lineage_size(), (0, 0));
    w.runs(&retried(3, 3, &[], &[]), 3, stored(3, &[]));
    assert_eq!(w.owner.lineage_size().0, 1);
    w.drop_ref(&mine(3), &[free(3, 3)]);
    assert_eq!(w.owner.lineage_size(), (0, 0));
}

#[test]
fn what_cannot_be_made_again_says_why() {
    let mut w = warm();
    w.put(1, stored(1, &[]));
    w.runs(&retried(2, 0, &[], &[]), 2, stored(2, &[]));
    for (n, text) in [(1, "it was put"), (2, "max_retries=0")] {
        w.on(gone(n, n), &[free(n, n), ready(n)]);
        let error = why(&w, n);
        assert!(error.kind == ErrorKind::Reconstruction && error.message.contains(text), "{}", error.message);
    }
}

#[test]
fn a_chain_is_made_again_from_where_it_is_missing_and_let_go_again() {
    let mut w = warm();
    w.runs(&retried(1, 3, &[], &[]), 1, stored(1, &[]));
    for n in 2..=4 {
        w.runs(&retried(n, 3, &[mine(n - 1)], &[]), n, stored(n, &[]));
        // Its argument's value goes, what is known of its making stays.
        w.drop_ref(&mine(n - 1), &[free(n - 1, n - 1)]);
    }
    assert_eq!(w.owner.lineage_size().0, 4);
    w.on(gone(4, 4), &[free(4, 4), unready(4), push(10, 1, 1)]);
    for n in 1..=3 {
        let mut expect = vec![push(10, n + 1, 1)];
        expect.insert(0, ready(n));
        if n > 1 {
            expect.insert(1, free(n - 1, 10 + n - 1));
        }
        let got = w.feed(reply(n, 1, 10, vec![stored(10 + n, &[])]));
        assert_eq!(got.len(), expect.len(), "{got:?}");
        expect.iter().for_each(|order| assert!(got.contains(order), "{order:?} in {got:?}"));
    }
    w.on(reply(4, 1, 10, vec![stored(14, &[])]), &[ready(4), free(3, 13)]);
    assert_eq!(w.owner.lineage_size().0, 4);
    w.drop_ref(&mine(4), &[free(4, 14)]);
    assert_eq!(w.owner.lineage_size(), (0, 0));
}

#[test]
fn a_chain_of_any_length_needs_no_stack() {
    const N: u64 = 20_000;
    let mut w = warm();
    let mut out = vec![];
    for n in 1..=N {
        let deps: Vec<RefWire> = (n > 1).then(|| mine(n - 1)).into_iter().collect();
        w.owner.handle(w.now, submit(&retried(n, 3, &deps, &[])), &mut out);
        w.owner.handle(w.now, reply(n, 0, 10, vec![stored(n, &[])]), &mut out);
        if n > 1 {
            w.owner.handle(w.now, Event::RefsDropped(vec![object(n - 1)]), &mut out);
        }
    }
    out.clear();
    w.feed(gone(N, N));
    for n in 1..=N {
        w.owner.handle(w.now, reply(n, 1, 10, vec![stored(N + n, &[])]), &mut out);
    }
    assert_eq!(w.owner.value(&object(N)), Some(&stored(2 * N, &[])));
    w.owner.sanity_check();
    w.drop_ref(&mine(N), &[free(N, 2 * N)]);
    assert_eq!(w.owner.lineage_size(), (0, 0));
}

#[test]
fn small_arguments_are_held_and_put_ones_are_missed() {
    let mut w = warm();
    w.put(1, inline(&[]));
    w.put(2, stored(2, &[]));
    w.runs(&retried(3, 3, &[mine(1)], &[]), 3, stored(3, &[]));
    w.runs(&retried(4, 3, &[mine(2)], &[]), 4, stored(4, &[]));
    w.drop_ref(&mine(1), &[]);
    w.drop_ref(&mine(2), &[free(2, 2)]);
    w.on(gone(3, 3), &[free(3, 3), unready(3), push(10, 3, 1)]);
    w.on(reply(3, 1, 10, vec![stored(13, &[])]), &[ready(3)]);
    w.on(gone(4, 4), &[free(4, 4), ready(2), unready(4), ready(4)]);
    let error = why(&w, 4);
    assert_eq!(error.kind, ErrorKind::Reconstruction);
    assert!(error.message.contains(&object(2).to_string()) && error.message.contains("nothing is kept"));
    w.drop_ref(&mine(3), &[free(3, 13)]);
    assert!(!w.owner.knows(&object(1)), "what is held goes with the last that needs it");
}

#[test]
fn nested_arguments_are_made_again_too_and_not_waited_for() {
    let mut w = warm();
    w.runs(&retried(1, 3, &[], &[]), 1, stored(1, &[]));
    w.runs(&retried(2, 3, &[], &[mine(1)]), 2, stored(2, &[]));
    w.drop_ref(&mine(1), &[free(1, 1)]);
    let got = w.feed(gone(2, 2));
    assert!(got.contains(&push(10, 2, 1)) && got.contains(&push(10, 1, 1)), "{got:?}");
    w.feed(reply(1, 1, 10, vec![stored(11, &[])]));
    w.on(reply(2, 1, 10, vec![stored(12, &[])]), &[ready(2), free(1, 11)]);
}

#[test]
fn what_is_still_there_is_not_replaced() {
    let mut w = warm();
    let mut two = retried(1, 3, &[], &[]);
    two.num_returns = 2;
    w.feed(submit(&two));
    w.feed(reply(1, 0, 10, vec![stored(1, &[]), stored(2, &[])]));
    let second = RefWire { id: shoal_types::ObjectId::new(task(1), 1), ..mine(1) };
    w.on(gone(1, 1), &[free(1, 1), unready(1), push(10, 1, 1)]);
    let again = vec![stored(11, &[]), stored(12, &[])];
    w.on(reply(1, 1, 10, again), &[ready(1), Order::Free { id: second.id, loc: loc(12) }]);
    assert_eq!(w.owner.value(&second.id), Some(&stored(2, &[])));
}

#[test]
fn a_failure_of_the_second_run_is_the_value() {
    let mut w = warm();
    w.runs(&retried(1, 3, &[], &[]), 1, stored(1, &[]));
    w.feed(gone(1, 1));
    w.on(reply(1, 1, 10, vec![failed(ErrorKind::Task)]), &[ready(1)]);
    assert_eq!(why(&w, 1).kind, ErrorKind::Task);
    assert_eq!(w.owner.lineage_size(), (0, 0));
}

#[test]
fn the_oldest_is_let_go_beyond_the_bound_and_its_value_says_so() {
    let mut w = warm();
    w.owner.set_lineage_limit(3_000);
    for n in 1..=20 {
        w.runs(&retried(n, 3, &[], &[]), n, stored(n, &[]));
    }
    let (kept, bytes) = w.owner.lineage_size();
    assert!((1..20).contains(&kept) && bytes <= 3_000, "{kept} in {bytes} bytes");
    w.on(gone(1, 1), &[free(1, 1), ready(1)]);
    let error = why(&w, 1);
    assert_eq!(error.kind, ErrorKind::LineageEvicted);
    assert!(error.message.contains("3000 bytes (SHOAL_MAX_LINEAGE_BYTES)"), "{}", error.message);
    w.on(gone(20, 20), &[free(20, 20), unready(20), push(10, 20, 1)]);
}

#[test]
fn a_queued_task_whose_argument_is_lost_waits_for_it() {
    let mut w = warm();
    w.runs(&retried(1, 3, &[], &[]), 1, stored(1, &[]));
    // A function that was never measured fills its lease.
    let long = TaskSpec { function: FunctionId([2; 16]), ..spec(2, &[], &[]) };
    w.on(submit(&long), &[push(10, 2, 0)]);
    w.feed(submit(&spec(3, &[mine(1)], &[])));
    w.feed(gone(1, 1));
    // Both wait for the lease; the one that is to come first is not ready any more.
    w.on(reply(2, 0, 10, vec![inline(&[])]), &[ready(2), push(10, 1, 1), demand(0, 1, 0)]);
    w.on(reply(1, 1, 10, vec![stored(11, &[])]), &[ready(1), push(10, 3, 0)]);
}

fn not_begun(n: u64, attempt: u16, lost: &[(RefWire, ArenaLoc)]) -> Event {
    let worker = address(10).worker;
    Event::ArgumentsLost { task: task(n), attempt, kept: vec![], lost: lost.to_vec(), worker }
}

#[test]
fn a_task_that_finds_its_argument_gone_has_not_begun() {
    let mut w = warm();
    w.runs(&retried(1, 3, &[], &[]), 1, stored(1, &[]));
    // No retry of its own: it may run once, and has not.
    w.on(submit(&spec(2, &[mine(1)], &[])), &[push(10, 2, 0)]);
    w.on(not_begun(2, 0, &[(mine(1), loc(1))]), &[free(1, 1), unready(1), push(10, 1, 1)]);
    w.on(reply(1, 1, 10, vec![stored(11, &[])]), &[ready(1), push(10, 2, 1)]);
    w.quiet(not_begun(2, 0, &[]));
    w.on(reply(2, 1, 10, vec![inline(&[])]), &[ready(2)]);
}

#[test]
fn a_call_that_finds_its_argument_gone_keeps_its_turn() {
    let mut w = warm();
    w.runs(&retried(1, 3, &[], &[]), 1, stored(1, &[]));
    let a = actor(7);
    w.feed(Event::ActorKnown { actor: a, unordered: false });
    let up = Event::ActorUp { actor: a, incarnation: 0, lane: lane(20), worker: address(20), kept: vec![] };
    w.quiet(up);
    w.on(submit_call(&call(2, 7, None, &[mine(1)])), &[push(20, 2, 0)]);
    w.feed(not_begun(2, 0, &[(mine(1), loc(1))]));
    w.quiet(submit_call(&call(3, 7, None, &[])));
    let got = w.feed(reply(1, 1, 10, vec![stored(11, &[])]));
    assert_eq!(got, [ready(1), push(20, 2, 1), push(20, 3, 0)]);
}

#[test]
fn a_borrower_that_finds_nothing_tells_the_owner_and_asks_again() {
    let mut w = World::default();
    let theirs = foreign(2, 1);
    w.quiet(Event::RefTaken(theirs));
    w.on(Event::Wanted(vec![theirs.id]), &[send(2, 1, PeerMsg::Fetch(theirs.id))]);
    let message = w.peer(2, PeerMsg::Fetched { id: theirs.id, value: stored(1, &[]) });
    w.on(message, &[Order::Ready(theirs.id)]);
    let lost = Event::StoredLost { id: theirs.id, loc: loc(1), why: "gone".into() };
    let told = PeerMsg::Lost { id: theirs.id, loc: loc(1) };
    w.on(lost, &[send(2, 2, told), send(2, 3, PeerMsg::Fetch(theirs.id)), Order::Unready(theirs.id)]);
    assert!(!w.owner.is_ready(&theirs.id));
}

#[test]
fn an_owner_that_is_told_makes_it_again_before_it_answers() {
    let mut w = warm();
    w.runs(&retried(1, 3, &[], &[]), 1, stored(1, &[]));
    let lost = w.peer(3, PeerMsg::Lost { id: object(1), loc: loc(1) });
    w.on(lost, &[free(1, 1), unready(1), push(10, 1, 1)]);
    let fetch = w.peer(3, PeerMsg::Fetch(object(1)));
    w.quiet(fetch);
    let fetched = PeerMsg::Fetched { id: object(1), value: stored(11, &[]) };
    w.on(reply(1, 1, 10, vec![stored(11, &[])]), &[ready(1), send(3, 1, fetched)]);
    let late = w.peer(4, PeerMsg::Lost { id: object(1), loc: loc(1) });
    w.quiet(late);
}

#[test]
fn a_cancelled_second_run_is_cancelled() {
    let mut w = World::default();
    w.warm(10);
    w.runs(&retried(1, 3, &[], &[]), 1, stored(1, &[]));
    w.on(gone(1, 1), &[free(1, 1), unready(1), push(10, 1, 1)]);
    w.on(Event::Cancelled { id: object(1), force: false, recursive: false }, &[withdraw(10, 1)]);
    w.on(withdrawn(1, true), &[ready(1)]);
    assert_eq!(why(&w, 1).kind, ErrorKind::Cancelled);
    assert_eq!(w.owner.lineage_size(), (0, 0));
}

#[test]
fn a_value_that_held_refs_is_made_again_and_may_hold_others() {
    let mut w = warm();
    let (old, new) = (foreign(5, 1), foreign(6, 1));
    let counts = |w: &World, r: &RefWire| w.state(r).map(|s| (s.contained, s.credits));
    w.runs(&retried(1, 2, &[], &[]), 1, stored(1, &[old]));
    w.on(submit(&spec(2, &[mine(1)], &[])), &[push(10, 2, 0)]);
    w.on(gone(1, 1), &[free(1, 1), unready(1), push(10, 1, 1)]);
    w.on(reply(1, 1, 10, vec![stored(2, &[new])]), &[ready(1)]);
    assert_eq!((counts(&w, &old), counts(&w, &new)), (Some((1, 1)), Some((1, 1))));
    // It was sent the lost value: that one's ref was lent, the other was not.
    w.on(reply(2, 0, 10, vec![inline(&[old, new])]), &[ready(2)]);
    assert_eq!((counts(&w, &old), counts(&w, &new)), (Some((2, 1)), Some((2, 2))));
    // It is sent the present one.
    w.on(submit(&spec(3, &[mine(1)], &[])), &[push(10, 3, 0)]);
    w.on(reply(3, 0, 10, vec![inline(&[old, new])]), &[ready(3)]);
    assert_eq!((counts(&w, &old), counts(&w, &new)), (Some((3, 2)), Some((3, 2))));
    w.quiet(Event::RefsDropped(vec![object(2), object(3)]));
    let release = |to: u8, r: &RefWire| send(to, 1, PeerMsg::Release(vec![(r.id, 2)]));
    w.drop_ref(&mine(1), &[free(1, 2), release(6, &new), release(5, &old)]);
}

#[test]
fn a_borrower_keeps_the_refs_of_a_lost_value_and_gets_those_of_the_next() {
    let mut w = warm();
    let (theirs, old, new) = (foreign(3, 1), foreign(5, 1), foreign(6, 1));
    w.feed(Event::RefTaken(theirs));
    w.feed(Event::Wanted(vec![theirs.id]));
    let fetched = |refs: &[RefWire], at| PeerMsg::Fetched { id: theirs.id, value: stored(at, refs) };
    let first = w.peer(3, fetched(&[old], 1));
    w.feed(first);
    let orders = w.feed(Event::StoredLost { id: theirs.id, loc: loc(1), why: "gone".into() });
    assert_eq!(orders.last(), Some(&Order::Unready(theirs.id)));
    let second = w.peer(3, fetched(&[new], 2));
    w.feed(second);
    for r in [&old, &new] {
        assert_eq!(w.state(r).map(|s| (s.contained, s.credits)), Some((1, 1)));
    }
    let orders = w.feed(Event::RefsDropped(vec![theirs.id]));
    assert_eq!(orders.len(), 2, "both are released: {orders:?}");
    assert!(!w.owner.knows(&old.id) && !w.owner.knows(&new.id));
}
