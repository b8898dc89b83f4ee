//! Generators: a test for each rule of `docs/design/generators.md`.
mod world;
use shoal_owner::{Event, Next, Order, WINDOW_BYTES};
use shoal_proto::{flat, peer::PeerMsg};
use shoal_types::{ArenaLoc, DYNAMIC, ErrorKind, ErrorValue, ObjectId, RefWire, STREAMING, TaskSpec, Value};
use std::sync::Arc;
use world::*;

const UNLIMITED: u32 = u32::MAX;

fn streaming(n: u64, window: u32) -> TaskSpec {
    TaskSpec { num_returns: STREAMING, window, ..spec(n, &[], &[]) }
}

fn handle(n: u64) -> RefWire {
    RefWire { id: ObjectId::new(task(n), ObjectId::STREAM_INDEX), owner: address(ME) }
}

fn item(n: u64, index: u32) -> RefWire {
    RefWire { id: ObjectId::new(task(n), index), owner: address(ME) }
}

fn next(n: u64) -> ObjectId {
    ObjectId::new(task(n), ObjectId::NEXT_INDEX)
}

fn news(n: u64) -> Order {
    Order::Ready(next(n))
}

fn over(n: u64) -> Order {
    Order::Ready(handle(n).id)
}

fn yields(n: u64, attempt: u16, index: u32, value: Value) -> Event {
    Event::Item { task: task(n), attempt, index, value, worker: address(10).worker }
}

fn large(n: u64, len: u64) -> Value {
    Value::Stored { loc: ArenaLoc { len, ..loc(n) }, refs: vec![] }
}

fn end_of_stream(n: u64) -> PeerMsg {
    let error = ErrorValue::new(ErrorKind::EndOfStream, "the generator has no more items");
    PeerMsg::Fetched { id: next(n), value: Value::Error(Arc::new(error)) }
}

fn given(n: u64, index: u32) -> PeerMsg {
    let value = Value::Inline { bytes: [flat::NONE][..].into(), refs: vec![item(n, index)] };
    PeerMsg::Fetched { id: next(n), value }
}

impl World {
    /// Task 1 is a generator in flight on lease 10.
    fn with_stream(window: u32) -> Self {
        Self::with_task(streaming(1, window))
    }

    fn with_task(spec: TaskSpec) -> Self {
        let mut w = Self::default();
        w.warm(10);
        w.on(submit(&spec), &[push(10, 1, 0)]);
        w
    }

    /// Reads the next item, which has to be this one.
    #[track_caller]
    fn reads(&mut self, index: u32, expect: &[Order]) {
        assert_eq!(self.owner.next_item(&handle(1)), Next::Item(item(1, index)));
        self.on(Event::StreamRead(handle(1)), expect);
    }

    #[track_caller]
    fn next_is(&self, expect: Next) {
        assert_eq!(self.owner.next_item(&handle(1)), expect);
    }
}

#[test]
fn items_are_there_as_they_come_and_each_is_read_once_in_order() {
    let mut w = World::with_stream(0);
    w.next_is(Next::NotYet);
    w.on(yields(1, 0, 0, inline(&[])), &[news(1)]);
    w.on(yields(1, 0, 1, inline(&[])), &[news(1)]);
    assert!(w.owner.is_ready(&next(1)));
    w.reads(0, &[]);
    w.reads(1, &[]);
    w.next_is(Next::NotYet);
    assert!(!w.owner.is_ready(&next(1)));
    w.on(reply(1, 0, 10, vec![]), &[news(1), over(1)]);
    w.next_is(Next::End);
    assert_eq!(w.owner.value(&handle(1).id), Some(&Value::Inline { bytes: [flat::NONE][..].into(), refs: vec![] }));
    for r in [item(1, 0), item(1, 1), handle(1)] {
        w.drop_ref(&r, &[]);
    }
    assert_eq!((w.owner.stream_state(&task(1)), w.owner.knows(&handle(1).id)), (None, false));
}

#[test]
fn a_failure_is_the_last_item() {
    let mut w = World::with_stream(0);
    w.on(yields(1, 0, 0, inline(&[])), &[news(1)]);
    w.on(reply(1, 0, 10, vec![failed(ErrorKind::Task)]), &[news(1), over(1)]);
    w.reads(0, &[]);
    w.reads(1, &[]);
    w.next_is(Next::End);
    assert_eq!(w.owner.value(&item(1, 1).id), Some(&failed(ErrorKind::Task)));
    assert_eq!(w.owner.value(&handle(1).id), Some(&Value::Inline { bytes: [flat::NONE][..].into(), refs: vec![] }));
}

#[test]
fn a_retry_yields_again_and_what_was_reported_is_let_go() {
    let mut again = streaming(1, UNLIMITED);
    again.max_retries = 1;
    let mut w = World::with_task(again);
    w.on(yields(1, 0, 0, stored(5, &[])), &[news(1)]);
    w.on(yields(1, 0, 1, inline(&[])), &[news(1)]);
    w.reads(0, &[]);
    w.on(lost(10, &[1]), &[demand(1, 1, 0)]);
    let grant = w.grant(11);
    w.on(grant, &[push(11, 1, 1)]);
    // The last words of the first attempt are too late, those of the second a repeat: only the third is new.
    w.quiet(yields(1, 0, 2, inline(&[])));
    w.on(yields(1, 1, 0, stored(6, &[])), &[Order::Free { id: item(1, 0).id, loc: loc(6) }]);
    w.quiet(yields(1, 1, 1, inline(&[])));
    w.on(yields(1, 1, 2, inline(&[])), &[news(1)]);
    w.on(reply(1, 1, 11, vec![]), &[news(1), over(1)]);
    assert_eq!(w.owner.value(&item(1, 0).id), Some(&stored(5, &[])));
    w.reads(1, &[]);
    w.reads(2, &[]);
    w.next_is(Next::End);
}

#[test]
fn a_retry_that_yields_fewer_is_an_error() {
    let mut again = streaming(1, UNLIMITED);
    (again.max_retries, again.retry_exceptions) = (1, true);
    let mut w = World::with_task(again);
    w.on(yields(1, 0, 0, inline(&[])), &[news(1)]);
    w.on(yields(1, 0, 1, inline(&[])), &[news(1)]);
    w.on(retryable(1, 0, 10), &[push(10, 1, 1)]);
    w.quiet(yields(1, 1, 0, inline(&[])));
    w.on(reply(1, 1, 10, vec![]), &[news(1), over(1)]);
    (0..3).for_each(|i| w.reads(i, &[]));
    w.next_is(Next::End);
    match w.owner.value(&item(1, 2).id) {
        Some(Value::Error(error)) => {
            assert_eq!(error.kind, ErrorKind::ReplayInconsistent);
            assert_eq!(error.message, "a retry of the generator yielded 1 items, an earlier attempt 2");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_small_window_is_told_of_each_item_a_large_one_of_an_eighth() {
    let read = |attempt, read| PeerMsg::StreamRead { task: task(1), attempt, read };
    let mut w = World::with_stream(2);
    w.on(yields(1, 0, 0, inline(&[])), &[news(1)]);
    w.on(yields(1, 0, 1, inline(&[])), &[news(1)]);
    w.reads(0, &[send(10, 1, read(0, 1))]);
    w.reads(1, &[send(10, 2, read(0, 2))]);

    let mut w = World::with_stream(80);
    for i in 0..20 {
        w.on(yields(1, 0, i, inline(&[])), &[news(1)]);
    }
    (0..9).for_each(|i| w.reads(i, &[]));
    w.reads(9, &[send(10, 1, read(0, 10))]);
    (10..19).for_each(|i| w.reads(i, &[]));
    w.reads(19, &[send(10, 2, read(0, 20))]);
}

#[test]
fn bytes_count_without_a_window_of_items_and_nothing_when_there_is_no_limit() {
    let half = WINDOW_BYTES / 2;
    let mut w = World::with_stream(0);
    for i in 0..3 {
        w.on(yields(1, 0, i, large(u64::from(i), half / 2)), &[news(1)]);
    }
    w.reads(0, &[]);
    w.reads(1, &[send(10, 1, PeerMsg::StreamRead { task: task(1), attempt: 0, read: 2 })]);
    w.reads(2, &[]);

    let mut w = World::with_stream(UNLIMITED);
    for i in 0..3 {
        w.on(yields(1, 0, i, large(u64::from(i), half)), &[news(1)]);
        w.reads(i, &[]);
    }
}

#[test]
fn a_replay_of_what_was_read_counts_as_read() {
    let mut again = streaming(1, 1);
    again.max_retries = 1;
    let mut w = World::with_task(again);
    let told = |to, seq, attempt| send(to, seq, PeerMsg::StreamRead { task: task(1), attempt, read: 1 });
    w.on(yields(1, 0, 0, inline(&[])), &[news(1)]);
    w.reads(0, &[told(10, 1, 0)]);
    w.on(lost(10, &[1]), &[demand(1, 1, 0)]);
    let grant = w.grant(11);
    w.on(grant, &[push(11, 1, 1)]);
    w.on(yields(1, 1, 0, inline(&[])), &[told(11, 1, 1)]);
}

#[test]
fn who_drops_a_generator_frees_its_items_and_stops_it_before_it_is_tried_again() {
    let mut again = streaming(1, 0);
    again.max_retries = 5;
    let mut w = World::with_task(again);
    w.on(yields(1, 0, 0, stored(5, &[])), &[news(1)]);
    w.on(yields(1, 0, 1, stored(6, &[])), &[news(1)]);
    w.reads(0, &[]);
    let stop = send(10, 1, PeerMsg::StreamStop { task: task(1), attempt: 0 });
    w.on(Event::RefsDropped(vec![handle(1).id]), &[stop, Order::Free { id: item(1, 1).id, loc: loc(6) }]);
    assert!(w.owner.is_ready(&item(1, 0).id), "what was read is its reader's");
    w.on(yields(1, 0, 2, stored(7, &[])), &[Order::Free { id: item(1, 2).id, loc: loc(7) }]);
    w.on(retryable(1, 0, 10), &[send(10, 2, PeerMsg::StreamOver(task(1)))]);
    assert_eq!((w.owner.stream_state(&task(1)), w.owner.task(&task(1))), (None, None));
    w.drop_ref(&item(1, 0), &[Order::Free { id: item(1, 0).id, loc: loc(5) }]);
}

#[test]
fn a_generator_that_is_dropped_while_it_waits_never_runs() {
    let mut w = World::default();
    w.on(submit(&streaming(1, 0)), &[demand(1, 0, 0)]);
    w.drop_ref(&handle(1), &[demand(0, 0, 0)]);
    assert_eq!((w.owner.stream_state(&task(1)), w.owner.task(&task(1))), (None, None));
}

#[test]
fn a_cancelled_generator_keeps_its_items_and_ends_with_the_error() {
    let mut w = World::with_stream(0);
    w.on(yields(1, 0, 0, inline(&[])), &[news(1)]);
    let cancel = Event::Cancelled { id: handle(1).id, force: false, recursive: false };
    w.on(cancel, &[withdraw(10, 1)]);
    let told = PeerMsg::CancelTask { task: task(1), recursive: false };
    w.on(withdrawn(1, false), &[news(1), over(1), send(10, 1, told)]);
    w.quiet(yields(1, 0, 1, inline(&[])));
    w.reads(0, &[]);
    w.reads(1, &[]);
    w.next_is(Next::End);
    match w.owner.value(&item(1, 1).id) {
        Some(Value::Error(error)) => assert_eq!(error.kind, ErrorKind::Cancelled),
        other => panic!("{other:?}"),
    }
    w.quiet(reply(1, 0, 10, vec![failed(ErrorKind::Cancelled)]));
}

#[test]
fn other_processes_take_items_in_the_order_of_asking() {
    let mut w = World::with_stream(0);
    for from in [2, 3] {
        let ask = w.peer(from, PeerMsg::Fetch(next(1)));
        w.quiet(ask);
    }
    w.on(yields(1, 0, 0, inline(&[])), &[send(2, 1, given(1, 0))]);
    w.on(yields(1, 0, 1, inline(&[])), &[send(3, 1, given(1, 1))]);
    w.on(yields(1, 0, 2, inline(&[])), &[news(1)]);
    w.reads(2, &[]);
    let counted = w.state(&item(1, 0)).unwrap();
    assert_eq!((counted.local, counted.holders), (0, vec![(address(2).worker, 1)]));
    let ask = w.peer(2, PeerMsg::Fetch(next(1)));
    w.quiet(ask);
    w.on(reply(1, 0, 10, vec![]), &[send(2, 2, end_of_stream(1)), news(1), over(1)]);
    let ask = w.peer(3, PeerMsg::Fetch(next(1)));
    w.on(ask, &[send(3, 2, end_of_stream(1))]);
}

#[test]
fn a_reader_that_is_dead_gets_nothing() {
    let mut w = World::with_stream(0);
    let ask = w.peer(2, PeerMsg::Fetch(next(1)));
    w.quiet(ask);
    w.quiet(lost(2, &[]));
    w.on(yields(1, 0, 0, inline(&[])), &[news(1)]);
    w.reads(0, &[]);
}

#[test]
fn a_borrower_asks_for_one_item_at_a_time() {
    let mut w = World::default();
    let theirs = RefWire { id: ObjectId::new(foreign(2, 7).id.task, ObjectId::STREAM_INDEX), owner: address(2) };
    let next = ObjectId::new(theirs.id.task, ObjectId::NEXT_INDEX);
    let first = foreign(2, 7);
    w.quiet(Event::RefTaken(theirs));
    w.quiet(Event::RefTaken(RefWire { id: next, owner: address(2) }));
    w.on(Event::Wanted(vec![next]), &[send(2, 1, PeerMsg::Fetch(next))]);
    assert_eq!(w.owner.next_item(&theirs), Next::NotYet);
    let value = Value::Inline { bytes: [flat::NONE][..].into(), refs: vec![first] };
    let answer = w.peer(2, PeerMsg::Fetched { id: next, value });
    w.on(answer, &[Order::Ready(next)]);
    assert_eq!(w.owner.next_item(&theirs), Next::Item(first));
    w.quiet(Event::StreamRead(theirs));
    assert_eq!(w.owner.next_item(&theirs), Next::NotYet);
    w.on(Event::Wanted(vec![next]), &[send(2, 2, PeerMsg::Fetch(next))]);
    let end = Value::Error(Arc::new(ErrorValue::new(ErrorKind::EndOfStream, "")));
    let answer = w.peer(2, PeerMsg::Fetched { id: next, value: end });
    w.on(answer, &[Order::Ready(next)]);
    assert_eq!(w.owner.next_item(&theirs), Next::End);
    w.drop_ref(&first, &[send(2, 3, PeerMsg::Release(vec![(first.id, 1)]))]);
    w.quiet(Event::RefsDropped(vec![next, theirs.id]));
    assert!(w.owner.is_empty());
}

#[test]
fn a_borrower_of_a_dead_owners_generator_is_told() {
    let mut w = World::default();
    let theirs = RefWire { id: ObjectId::new(foreign(2, 7).id.task, ObjectId::STREAM_INDEX), owner: address(2) };
    let next = ObjectId::new(theirs.id.task, ObjectId::NEXT_INDEX);
    w.quiet(Event::RefTaken(theirs));
    w.quiet(Event::RefTaken(RefWire { id: next, owner: address(2) }));
    w.on(Event::Wanted(vec![next]), &[send(2, 1, PeerMsg::Fetch(next))]);
    w.feed(lost(2, &[]));
    match w.owner.next_item(&theirs) {
        Next::Error(error) => assert_eq!(error.kind, ErrorKind::OwnerDied),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_dynamic_generator_is_one_value_of_all_its_items() {
    let mut w = World::with_task(TaskSpec { num_returns: DYNAMIC, window: UNLIMITED, ..spec(1, &[], &[]) });
    w.feed(yields(1, 0, 0, inline(&[])));
    w.feed(yields(1, 0, 1, stored(5, &[])));
    w.on(reply(1, 0, 10, vec![failed(ErrorKind::Task)]), &[over(1)]);
    let refs = vec![item(1, 0), item(1, 1), item(1, 2)];
    let value = Value::Inline { bytes: flat::refs(&refs).into(), refs };
    assert_eq!(w.owner.value(&handle(1).id), Some(&value));
    assert_eq!(w.owner.value(&item(1, 2).id), Some(&failed(ErrorKind::Task)));
    w.drop_ref(&handle(1), &[Order::Free { id: item(1, 1).id, loc: loc(5) }]);
    assert_eq!(w.owner.stream_state(&task(1)), None);
    assert!(!w.owner.knows(&item(1, 0).id));
}

#[test]
fn a_dynamic_generator_whose_worker_dies_has_no_items() {
    let mut w = World::with_task(TaskSpec { num_returns: DYNAMIC, window: UNLIMITED, ..spec(1, &[], &[]) });
    w.feed(yields(1, 0, 0, inline(&[])));
    w.feed(lost(10, &[1]));
    assert_eq!(w.owner.value(&handle(1).id), Some(&failed(ErrorKind::WorkerCrashed)));
    assert!(!w.owner.knows(&item(1, 0).id));
}

#[test]
fn refs_in_items_are_counted_as_in_returns() {
    let mut w = World::default();
    w.warm(10);
    let (lent, theirs) = (w.put(5, inline(&[])), foreign(10, 8));
    w.on(submit(&TaskSpec { num_returns: STREAMING, ..spec(1, &[], &[lent]) }), &[push(10, 1, 0)]);
    w.on(yields(1, 0, 0, inline(&[lent, theirs])), &[news(1)]);
    assert_eq!(w.state(&theirs).map(|s| (s.contained, s.credits)), Some((1, 1)));
    assert_eq!(w.state(&lent).map(|s| (s.contained, s.returning)), Some((1, vec![])));
    w.reads(0, &[]);
    w.drop_ref(&item(1, 0), &[send(10, 1, PeerMsg::Release(vec![(theirs.id, 1)]))]);
}

#[test]
fn the_producer_credits_the_caller_before_the_item_leaves() {
    let mut w = World::default();
    let (lent, own) = (foreign(2, 1), w.put(5, inline(&[])));
    w.quiet(Event::CallTaken { task: task(9), refs: vec![lent] });
    let back = foreign(2, 3);
    w.quiet(Event::RefTaken(back));
    let yielded = Event::Yielded { task: task(9), caller: address(2), refs: vec![lent, own, back] };
    let credit = shoal_proto::peer::Credit { id: back.id, holder: address(2).worker, n: 1 };
    w.on(yielded, &[send(2, 1, PeerMsg::Credit(vec![credit]))]);
    assert_eq!(w.state(&own).unwrap().holders, vec![(address(2).worker, 1)]);
}

#[test]
fn a_generator_of_an_actor_that_dies_ends_with_the_reason() {
    let mut w = World::default();
    let mut one = call(1, 7, None, &[]);
    (one.num_returns, one.window) = (STREAMING, 0);
    w.feed(submit_call(&one));
    let (actor, lane, worker) = (actor(7), lane(10), address(10));
    w.feed(Event::ActorUp { actor, incarnation: 0, lane, worker, kept: vec![] });
    w.on(yields(1, 0, 0, inline(&[])), &[news(1)]);
    let error = error(ErrorKind::ActorDied);
    w.on(Event::ActorDead { actor, error, dying: None, lingers: false }, &[news(1), over(1)]);
    w.reads(0, &[]);
    w.reads(1, &[]);
    w.next_is(Next::End);
    assert_eq!(w.owner.value(&item(1, 1).id), Some(&failed(ErrorKind::ActorDied)));
}
