//! Values that are lost and made again: a test for each rule of `docs/design/lineage.md`.
mod world;
use shoal_owner::{Event, Order};
use shoal_proto::peer::PeerMsg;
use shoal_types::{ArenaLoc, ErrorKind, ErrorValue, FunctionId, ObjectId, RefWire, STREAMING, TaskSpec, Value};
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

// ---- items of generators

/// Task 1 is a generator in flight on lease 10.
fn generating(max_retries: i32, window: u32, deps: &[RefWire]) -> World {
    let mut w = warm();
    w.feed(submit(&generator(max_retries, window, deps)));
    w
}

fn generator(max_retries: i32, window: u32, deps: &[RefWire]) -> TaskSpec {
    TaskSpec { num_returns: STREAMING, window, ..retried(1, max_retries, deps, &[]) }
}

fn item(index: u32) -> RefWire {
    RefWire { id: ObjectId::new(task(1), index), owner: address(ME) }
}

fn handle() -> RefWire {
    item(ObjectId::STREAM_INDEX)
}

fn yields(attempt: u16, index: u32, value: Value) -> Event {
    Event::Item { task: task(1), attempt, index, value, worker: address(10).worker }
}

/// Its present value lies there.
fn item_gone(index: u32, at: u64) -> Event {
    Event::StoredLost { id: item(index).id, loc: loc(at), why: "its file is gone".into() }
}

fn item_freed(index: u32, at: u64) -> Order {
    Order::Free { id: item(index).id, loc: loc(at) }
}

fn stop(seq: u64, attempt: u16) -> Order {
    send(10, seq, PeerMsg::StreamStop { task: task(1), attempt })
}

fn stop_over(seq: u64) -> Order {
    send(10, seq, PeerMsg::StreamOver(task(1)))
}

fn item_error(w: &World, index: u32) -> ErrorValue {
    match w.owner.value(&item(index).id) {
        Some(Value::Error(e)) => (**e).clone(),
        other => panic!("item {index}: {other:?}"),
    }
}

impl World {
    /// Attempt 0 yields `n` items at the places 1 to n, and they are read.
    fn yields(&mut self, n: u32) {
        for index in 0..n {
            self.feed(yields(0, index, stored(u64::from(index) + 1, &[])));
            self.feed(Event::StreamRead(handle()));
        }
    }

    #[track_caller]
    fn lies(&self, index: u32, at: u64) {
        assert_eq!(self.owner.value(&item(index).id), Some(&stored(at, &[])), "item {index}");
    }
}

#[test]
fn a_lost_item_is_made_again_by_a_run_that_stops_when_it_has_it() {
    let mut w = generating(2, 0, &[]);
    w.yields(3);
    w.feed(reply(1, 0, 10, vec![]));
    w.on(item_gone(1, 2), &[item_freed(1, 2), Order::Unready(item(1).id), push(10, 1, 1)]);
    w.on(yields(1, 0, stored(10, &[])), &[item_freed(0, 10)]);
    w.on(yields(1, 1, stored(11, &[])), &[Order::Ready(item(1).id), stop(1, 1)]);
    // It yields once more before it hears of that.
    w.on(yields(1, 2, stored(12, &[])), &[item_freed(2, 12)]);
    w.on(reply(1, 1, 10, vec![]), &[stop_over(2)]);
    [(0, 1), (1, 11), (2, 3)].into_iter().for_each(|(index, at)| w.lies(index, at));
    assert_eq!(w.owner.stream_state(&task(1)), Some((3, 3, true)));
    // The record lives as long as a large item.
    w.drop_ref(&handle(), &[]);
    assert_eq!(w.owner.stream_state(&task(1)), None);
    w.on(item_gone(0, 1), &[item_freed(0, 1), Order::Unready(item(0).id), push(10, 1, 2)]);
    w.on(yields(2, 0, stored(20, &[])), &[Order::Ready(item(0).id), stop(3, 2)]);
    w.on(reply(1, 2, 10, vec![]), &[stop_over(4)]);
    // Two retries are two runs.
    w.on(item_gone(2, 3), &[item_freed(2, 3), Order::Ready(item(2).id)]);
    assert_eq!(item_error(&w, 2).kind, ErrorKind::RetriesSpent);
    assert_eq!(w.owner.lineage_size(), (0, 0));
    w.drop_ref(&item(0), &[item_freed(0, 20)]);
    w.drop_ref(&item(1), &[item_freed(1, 11)]);
    w.drop_ref(&item(2), &[]);
}

#[test]
fn several_lost_items_take_one_run() {
    let mut w = generating(1, 0, &[]);
    w.yields(4);
    w.feed(reply(1, 0, 10, vec![]));
    w.feed(item_gone(0, 1));
    w.on(item_gone(2, 3), &[item_freed(2, 3), Order::Unready(item(2).id)]);
    w.on(yields(1, 0, stored(10, &[])), &[Order::Ready(item(0).id)]);
    w.on(item_gone(3, 4), &[item_freed(3, 4), Order::Unready(item(3).id)]);
    // One that it has passed takes another run, and there is none.
    w.on(item_gone(0, 10), &[item_freed(0, 10), Order::Ready(item(0).id)]);
    assert_eq!(item_error(&w, 0).kind, ErrorKind::RetriesSpent);
    w.on(yields(1, 1, stored(11, &[])), &[item_freed(1, 11)]);
    w.on(yields(1, 2, stored(12, &[])), &[Order::Ready(item(2).id)]);
    w.on(yields(1, 3, stored(13, &[])), &[Order::Ready(item(3).id), stop(1, 1)]);
    w.on(reply(1, 1, 10, vec![]), &[stop_over(2)]);
}

#[test]
fn an_item_that_the_run_has_passed_takes_another_run_after_it() {
    let mut w = generating(3, 0, &[]);
    w.yields(2);
    w.feed(reply(1, 0, 10, vec![]));
    w.feed(item_gone(1, 2));
    w.feed(yields(1, 0, stored(10, &[])));
    w.on(item_gone(0, 1), &[item_freed(0, 1), Order::Unready(item(0).id)]);
    w.on(yields(1, 1, stored(11, &[])), &[Order::Ready(item(1).id), stop(1, 1)]);
    w.on(reply(1, 1, 10, vec![]), &[stop_over(2), push(10, 1, 2)]);
    w.on(yields(2, 0, stored(20, &[])), &[Order::Ready(item(0).id), stop(3, 2)]);
    // Lost while the run is told to stop: it may yield no more.
    w.feed(item_gone(1, 11));
    w.on(reply(1, 2, 10, vec![]), &[stop_over(4), push(10, 1, 3)]);
}

#[test]
fn while_the_stream_is_open_the_next_attempt_begins_at_once_and_goes_on_with_it() {
    let mut w = generating(1, 2, &[]);
    w.yields(2);
    w.feed(yields(0, 2, stored(3, &[])));
    let told = w.feed(item_gone(0, 1));
    let stops = |o: &Order| matches!(o, Order::Send { msg: PeerMsg::StreamStop { attempt: 0, .. }, .. });
    assert!(told.iter().any(stops), "{told:?}");
    // An end that is due to the stop ends nothing; what comes before it counts.
    w.feed(yields(0, 3, stored(4, &[])));
    let again = w.feed(reply(1, 0, 10, vec![]));
    assert!(again.contains(&push(10, 1, 1)), "{again:?}");
    assert_eq!(w.owner.stream_state(&task(1)), Some((4, 2, false)));
    let made = w.feed(yields(1, 0, stored(10, &[])));
    assert!(made.contains(&Order::Ready(item(0).id)), "{made:?}");
    for index in 1..4 {
        let freed = w.feed(yields(1, index, stored(10 + u64::from(index), &[])));
        assert!(freed.contains(&item_freed(index, 10 + u64::from(index))), "{freed:?}");
    }
    let next = Order::Ready(ObjectId::new(task(1), ObjectId::NEXT_INDEX));
    w.on(yields(1, 4, stored(14, &[])), std::slice::from_ref(&next));
    w.on(reply(1, 1, 10, vec![]), &[next, Order::Ready(handle().id)]);
    assert_eq!(w.owner.stream_state(&task(1)), Some((5, 2, true)));
    [(0, 10), (1, 2), (2, 3), (3, 4), (4, 14)].into_iter().for_each(|(index, at)| w.lies(index, at));
}

#[test]
fn an_item_that_the_next_attempt_has_not_reached_is_just_awaited() {
    let mut w = generating(1, 0, &[]);
    w.yields(2);
    w.on(lost(10, &[1]), &[demand(1, 1, 0)]);
    w.on(item_gone(1, 2), &[item_freed(1, 2), Order::Unready(item(1).id)]);
    let grant = w.grant(11);
    w.on(grant, &[push(11, 1, 1)]);
    w.on(item_gone(0, 1), &[item_freed(0, 1), Order::Unready(item(0).id)]);
    w.on(yields(1, 0, stored(10, &[])), &[Order::Ready(item(0).id)]);
    w.on(yields(1, 1, stored(11, &[])), &[Order::Ready(item(1).id)]);
}

#[test]
fn a_run_for_items_waits_for_no_reader() {
    let half = |at| Value::Stored { loc: ArenaLoc { len: shoal_owner::WINDOW_BYTES / 2, ..loc(at) }, refs: vec![] };
    let mut w = generating(1, 1, &[]);
    w.yields(1);
    w.feed(yields(0, 1, half(2)));
    w.feed(Event::StreamRead(handle()));
    w.feed(yields(0, 2, stored(3, &[])));
    w.feed(reply(1, 0, 10, vec![]));
    let Value::Stored { loc: at, .. } = half(2) else { unreachable!() };
    w.feed(Event::StoredLost { id: item(1).id, loc: at, why: String::new() });
    assert_eq!(w.owner.task(&task(1)).unwrap().window, 0, "its bytes count alone");
    w.feed(item_gone(2, 3));
    w.feed(yields(1, 0, stored(10, &[])));
    let told = w.feed(yields(1, 1, half(11)));
    let read = PeerMsg::StreamRead { task: task(1), attempt: 1, read: 2 };
    assert!(told.iter().any(|o| matches!(o, Order::Send { msg, .. } if *msg == read)), "{told:?}");
}

#[test]
fn a_generator_that_yields_something_else_is_told_of() {
    for (values, text) in [(vec![], "ended after 1 items"), (vec![failed(ErrorKind::Task)], "raised after 1 items")] {
        let mut w = generating(5, 0, &[]);
        w.yields(3);
        w.feed(reply(1, 0, 10, vec![]));
        w.feed(item_gone(0, 1));
        w.feed(item_gone(2, 3));
        w.feed(yields(1, 0, stored(10, &[])));
        w.on(reply(1, 1, 10, values), &[Order::Ready(item(2).id)]);
        w.lies(0, 10);
        let error = item_error(&w, 2);
        assert_eq!(error.kind, ErrorKind::ReplayInconsistent);
        assert!(error.message.contains(text) && error.message.contains(&item(2).id.to_string()), "{}", error.message);
        assert_eq!(w.owner.stream_state(&task(1)), Some((3, 3, true)));
        // What is left may be made again all the same.
        let again = w.feed(item_gone(1, 2));
        assert!(again.contains(&push(10, 1, 2)), "{again:?}");
    }
}

#[test]
fn a_generator_that_raised_has_its_items_made_again() {
    let mut w = generating(1, 0, &[]);
    w.yields(1);
    w.feed(reply(1, 0, 10, vec![failed(ErrorKind::Task)]));
    w.on(item_gone(0, 1), &[item_freed(0, 1), Order::Unready(item(0).id), push(10, 1, 1)]);
    w.feed(yields(1, 0, stored(10, &[])));
    w.feed(reply(1, 1, 10, vec![failed(ErrorKind::Task)]));
    w.lies(0, 10);
}

#[test]
fn a_stream_that_is_closed_goes_on_for_what_is_missing_alone() {
    let mut w = generating(3, 1, &[]);
    w.yields(2);
    w.feed(item_gone(0, 1));
    // Its end was asked for, and comes when the next attempt has the item.
    w.feed(Event::RefsDropped(vec![handle().id]));
    assert_eq!(w.owner.stream_state(&task(1)), None);
    let again = w.feed(reply(1, 0, 10, vec![]));
    assert!(again.contains(&push(10, 1, 1)), "{again:?}");
    let made = w.feed(yields(1, 0, stored(10, &[])));
    let stops = |o: &Order| matches!(o, Order::Send { msg: PeerMsg::StreamStop { attempt: 1, .. }, .. });
    assert!(made.contains(&Order::Ready(item(0).id)) && made.iter().any(stops), "{made:?}");
    w.feed(reply(1, 1, 10, vec![]));
    w.lies(0, 10);
    w.lies(1, 2);
    w.drop_ref(&item(0), &[item_freed(0, 10)]);
    w.drop_ref(&item(1), &[item_freed(1, 2)]);
    assert_eq!(w.owner.lineage_size(), (0, 0));
}

#[test]
fn a_closed_stream_whose_worker_dies_is_at_rest_and_its_items_can_be_made_again() {
    let mut w = generating(1, 0, &[]);
    w.yields(1);
    let stopped = w.feed(Event::RefsDropped(vec![handle().id]));
    assert!(stopped.contains(&stop(1, 0)), "{stopped:?}");
    w.on(lost(10, &[1]), &[]);
    assert!(w.owner.task(&task(1)).is_none());
    // No retry was spent: nobody wanted one.
    w.on(item_gone(0, 1), &[item_freed(0, 1), Order::Unready(item(0).id), demand(1, 1, 0)]);
    let grant = w.grant(11);
    w.on(grant, &[push(11, 1, 1)]);
    w.on(
        yields(1, 0, stored(10, &[])),
        &[Order::Ready(item(0).id), send(11, 1, PeerMsg::StreamStop { task: task(1), attempt: 1 })],
    );
}

#[test]
fn a_worker_that_dies_in_the_run_spends_a_retry() {
    for (retries, kind) in [(1, Some(ErrorKind::WorkerCrashed)), (2, None)] {
        let mut w = generating(retries, 0, &[]);
        w.yields(1);
        w.feed(reply(1, 0, 10, vec![]));
        w.feed(item_gone(0, 1));
        w.feed(lost(10, &[1]));
        match kind {
            Some(kind) => assert_eq!(item_error(&w, 0).kind, kind),
            None => assert!(!w.owner.is_ready(&item(0).id) && w.owner.task(&task(1)).is_some()),
        }
    }
}

#[test]
fn items_with_what_they_are_made_of_are_made_again() {
    let mut w = warm();
    w.runs(&retried(2, 3, &[], &[]), 2, stored(2, &[]));
    w.feed(submit(&generator(3, 0, &[mine(2)])));
    w.feed(yields(0, 0, stored(1, &[])));
    w.feed(Event::StreamRead(handle()));
    w.feed(reply(1, 0, 10, vec![]));
    w.runs(&retried(3, 3, &[item(0)], &[]), 3, stored(3, &[]));
    // All that the last value was made of is let go of.
    w.drop_ref(&mine(2), &[free(2, 2)]);
    w.feed(Event::RefsDropped(vec![handle().id]));
    w.drop_ref(&item(0), &[item_freed(0, 1)]);
    assert_eq!(w.owner.lineage_size().0, 3);
    w.on(gone(3, 3), &[free(3, 3), unready(3), push(10, 2, 1)]);
    w.on(reply(2, 1, 10, vec![stored(12, &[])]), &[ready(2), push(10, 1, 1)]);
    w.on(yields(1, 0, stored(11, &[])), &[Order::Ready(item(0).id), stop(1, 1), push(10, 3, 1)]);
    w.on(reply(1, 1, 10, vec![]), &[stop_over(2), free(2, 12)]);
    w.on(reply(3, 1, 10, vec![stored(13, &[])]), &[ready(3), item_freed(0, 11)]);
    w.drop_ref(&mine(3), &[free(3, 13)]);
    assert_eq!(w.owner.lineage_size(), (0, 0));
}

#[test]
fn items_that_cannot_be_made_again_say_why() {
    let mut w = generating(0, 0, &[]);
    w.yields(1);
    w.on(item_gone(0, 1), &[item_freed(0, 1), Order::Ready(item(0).id)]);
    assert!(item_error(&w, 0).message.contains("max_retries=0"));

    let mut w = generating(3, 0, &[]);
    w.yields(1);
    w.feed(Event::Cancelled { id: handle().id, force: false, recursive: false });
    w.feed(withdrawn(1, false));
    w.on(item_gone(0, 1), &[item_freed(0, 1), Order::Ready(item(0).id)]);
    assert!(item_error(&w, 0).message.contains("cancelled"));

    let mut w = generating(3, 0, &[]);
    w.yields(2);
    w.feed(Event::Cancelled { id: handle().id, force: false, recursive: false });
    w.feed(withdrawn(1, false));
    w.feed(reply(1, 0, 10, vec![failed(ErrorKind::Cancelled)]));
    w.on(item_gone(1, 2), &[item_freed(1, 2), Order::Ready(item(1).id)]);
    assert!(item_error(&w, 1).message.contains("has failed or was cancelled since"));
    assert_eq!(w.owner.lineage_size(), (0, 0));
}

#[test]
fn a_cancel_while_items_are_made_again_is_their_error() {
    let mut w = generating(3, 0, &[]);
    w.yields(2);
    w.feed(reply(1, 0, 10, vec![]));
    w.feed(item_gone(0, 1));
    w.on(Event::Cancelled { id: item(0).id, force: false, recursive: false }, &[withdraw(10, 1)]);
    w.feed(withdrawn(1, false));
    assert_eq!(item_error(&w, 0).kind, ErrorKind::Cancelled);
    // It runs still, and is heard no more.
    w.on(yields(1, 0, stored(10, &[])), &[item_freed(0, 10)]);
    w.feed(reply(1, 1, 10, vec![]));
    assert_eq!(w.owner.lineage_size(), (0, 0));
}

#[test]
fn a_borrower_gets_an_item_that_is_made_again() {
    let mut w = generating(1, 0, &[]);
    w.yields(1);
    w.feed(reply(1, 0, 10, vec![]));
    let told = w.peer(3, PeerMsg::Lost { id: item(0).id, loc: loc(1) });
    w.on(told, &[item_freed(0, 1), Order::Unready(item(0).id), push(10, 1, 1)]);
    let fetch = w.peer(3, PeerMsg::Fetch(item(0).id));
    w.quiet(fetch);
    let fetched = PeerMsg::Fetched { id: item(0).id, value: stored(10, &[]) };
    w.on(yields(1, 0, stored(10, &[])), &[Order::Ready(item(0).id), send(3, 1, fetched), stop(1, 1)]);
}

#[test]
fn what_is_kept_of_generators_counts_against_the_bound() {
    let mut w = warm();
    w.owner.set_lineage_limit(3_000);
    w.feed(submit(&generator(3, 0, &[])));
    w.yields(1);
    w.feed(reply(1, 0, 10, vec![]));
    let (kept, bytes) = w.owner.lineage_size();
    assert!(kept == 1 && bytes > 200, "{kept} in {bytes} bytes");
    for n in 2..=20 {
        w.runs(&retried(n, 3, &[], &[]), n, stored(n, &[]));
    }
    w.on(item_gone(0, 1), &[item_freed(0, 1), Order::Ready(item(0).id)]);
    assert_eq!(item_error(&w, 0).kind, ErrorKind::LineageEvicted);
}

#[test]
fn an_item_that_nobody_wants_any_more_is_freed_when_it_is_made() {
    let mut w = generating(1, 0, &[]);
    w.yields(2);
    w.feed(reply(1, 0, 10, vec![]));
    w.feed(item_gone(1, 2));
    w.drop_ref(&item(1), &[]);
    w.feed(yields(1, 0, stored(10, &[])));
    w.on(yields(1, 1, stored(11, &[])), &[stop(1, 1), item_freed(1, 11)]);
    assert!(!w.owner.knows(&item(1).id));
    w.feed(reply(1, 1, 10, vec![]));
    w.lies(0, 1);
}
