//! Ownership and borrowing: a test for each rule of `docs/design/ownership.md`.
mod world;
use shoal_owner::{Event, Order};
use shoal_proto::peer::{Credit, PeerMsg};
use shoal_types::{Address, ErrorKind, ObjectId, RefWire, TaskId, Value, WorkerId};
use world::*;

fn credit(id: ObjectId, holder: u8, n: u32) -> Credit {
    Credit { id, holder: address(holder).worker, n }
}

fn credits(list: &[Credit]) -> PeerMsg {
    PeerMsg::Credit(list.to_vec())
}

fn release(r: &RefWire, n: u32) -> PeerMsg {
    PeerMsg::Release(vec![(r.id, n)])
}

fn taken(n: u64, refs: &[RefWire]) -> Event {
    Event::CallTaken { task: TaskId::new([2; 8], n), refs: refs.to_vec() }
}

fn done(n: u64, caller: Address, refs: &[RefWire]) -> Event {
    Event::CallDone { task: TaskId::new([2; 8], n), caller, refs: refs.to_vec() }
}

fn answered(n: u64, kept: &[RefWire]) -> Order {
    Order::Reply { task: TaskId::new([2; 8], n), kept: kept.to_vec() }
}

#[test]
fn a_put_value_lives_as_long_as_its_refs_and_frees_what_it_contains() {
    let mut w = World::default();
    let inner = w.put(1, stored(1, &[]));
    let outer = w.put(2, stored(2, &[inner]));
    w.drop_ref(&inner, &[]);
    w.quiet(Event::RefTaken(outer));
    w.drop_ref(&outer, &[]);
    let free = |n| Order::Free { id: object(n), loc: loc(n) };
    w.drop_ref(&outer, &[free(2), free(1)]);
    assert!(w.owner.is_empty());
}

#[test]
fn what_the_owner_says_with_a_call_is_not_asked_for() {
    let mut w = World::default();
    let (borrowed, other) = (foreign(2, 1), foreign(2, 2));
    w.quiet(taken(1, &[borrowed, other]));
    w.on(Event::Placed(vec![(borrowed.id, loc(7))]), &[Order::Ready(borrowed.id)]);
    w.quiet(Event::Placed(vec![(borrowed.id, loc(7))]));
    w.on(Event::Wanted(vec![borrowed.id]), &[Order::Ready(borrowed.id)]);
    assert_eq!(w.owner.place(&borrowed.id), None, "only the owner says where it lies");
    w.on(done(1, address(2), &[]), &[answered(1, &[])]);
    assert!(w.owner.is_empty());
}

#[test]
fn only_what_is_stored_without_refs_inside_has_a_place() {
    let mut w = World::default();
    let plain = w.put(1, stored(1, &[]));
    let outer = w.put(2, stored(2, &[plain]));
    let small = w.put(3, inline(&[]));
    let places = [plain, outer, small].map(|r| w.owner.place(&r.id));
    assert_eq!(places, [Some(loc(1)), None, None]);
}

#[test]
fn a_million_nested_values_go_without_stack() {
    let mut w = World::default();
    let mut out = vec![];
    w.owner.handle(0, Event::ValuePut { id: object(0), value: inline(&[]) }, &mut out);
    for n in 1..1_000_000 {
        w.owner.handle(0, Event::ValuePut { id: object(n), value: inline(&[mine(n - 1)]) }, &mut out);
        w.owner.handle(0, Event::RefsDropped(vec![object(n - 1)]), &mut out);
    }
    w.drop_ref(&mine(999_999), &[]);
    assert!(w.owner.is_empty());
}

#[test]
fn lent_refs_are_held_until_the_reply_and_one_that_is_kept_is_credited() {
    let mut w = World::default();
    w.warm(10);
    let (a, b) = (w.put(1, stored(1, &[])), w.put(2, stored(2, &[])));
    w.on(submit(&spec(3, &[], &[a, b])), &[push(10, 3, 0)]);
    w.quiet(Event::RefsDropped(vec![a.id, b.id]));
    let free = |n| Order::Free { id: object(n), loc: loc(n) };
    w.on(reply_kept(3, 0, 10, vec![inline(&[])], &[b]), &[ready(3), free(1)]);
    assert!(w.owner.holds_for_others());
    let message = w.peer(10, release(&b, 1));
    w.on(message, &[free(2)]);
    assert!(!w.owner.holds_for_others());
}

#[test]
fn credit_and_release_of_a_holder_may_come_in_any_order() {
    let mut w = World::default();
    let a = w.put(1, stored(1, &[]));
    let message = w.peer(3, credits(&[credit(a.id, 4, 1)]));
    w.on(message, &[Order::WatchProcess(address(4).worker)]);
    let message = w.peer(5, release(&a, 2));
    w.quiet(message);
    w.drop_ref(&a, &[]);
    let message = w.peer(4, release(&a, 1));
    w.quiet(message);
    // 5 released before it was credited: the entry stays until both are there.
    assert_eq!(w.state(&a).unwrap().holders, [(address(5).worker, -2)]);
    let message = w.peer(3, credits(&[credit(a.id, 5, 2)]));
    w.on(message, &[Order::Free { id: a.id, loc: loc(1) }]);
}

#[test]
fn a_repeated_message_does_nothing() {
    let mut w = World::default();
    let a = w.put(1, inline(&[]));
    let message = w.peer(3, credits(&[credit(a.id, 4, 1)]));
    w.on(message.clone(), &[Order::WatchProcess(address(4).worker)]);
    w.quiet(message);
    assert_eq!(w.state(&a).unwrap().holders, [(address(4).worker, 1)]);
}

#[test]
fn a_borrowed_ref_that_goes_releases_all_credits_in_one_message_for_each_owner() {
    let mut w = World::default();
    w.warm(10);
    let (a, b, c) = (foreign(2, 1), foreign(2, 2), foreign(3, 1));
    w.feed(submit(&spec(1, &[], &[])));
    w.on(reply(1, 0, 10, vec![inline(&[a, b, c, a])]), &[ready(1)]);
    assert_eq!(w.state(&a).unwrap().credits, 2);
    let releases =
        [send(2, 1, PeerMsg::Release(vec![(b.id, 1), (a.id, 2)])), send(3, 1, PeerMsg::Release(vec![(c.id, 1)]))];
    w.drop_ref(&mine(1), &releases);
    assert!(w.owner.borrower_state().is_empty());
}

#[test]
fn a_ref_unpickled_out_of_band_begins_without_credits() {
    let mut w = World::default();
    let a = foreign(2, 1);
    w.quiet(Event::RefTaken(a));
    w.drop_ref(&a, &[]);
    // One of ours that was freed is lost.
    w.quiet(Event::RefTaken(mine(9)));
    assert!(matches!(w.owner.value(&object(9)), Some(Value::Error(e)) if e.kind == ErrorKind::ObjectLost));
}

#[test]
fn an_executor_says_what_it_keeps_and_counts_a_credit_for_it() {
    let mut w = World::default();
    let (a, b, c) = (foreign(2, 1), foreign(3, 2), mine(3));
    w.put(3, inline(&[]));
    w.quiet(taken(1, &[a, b, a, c]));
    w.quiet(Event::RefTaken(a));
    w.quiet(Event::RefTaken(b));
    w.drop_ref(&b, &[]);
    w.on(done(1, address(2), &[]), &[answered(1, &[a])]);
    assert!(!w.owner.knows(&b.id), "b was only lent");
    w.drop_ref(&a, &[send(2, 1, release(&a, 1))]);
}

#[test]
fn refs_in_returned_values_are_credited_before_the_reply() {
    let mut w = World::default();
    let (own, theirs, third) = (w.put(1, inline(&[])), foreign(2, 1), foreign(3, 1));
    w.quiet(taken(1, &[]));
    w.quiet(Event::RefTaken(theirs));
    w.quiet(Event::RefTaken(third));
    // In the caller's own name for what is its own.
    let to_caller = send(2, 1, credits(&[credit(theirs.id, 2, 1)]));
    let to_third = send(3, 1, credits(&[credit(third.id, 2, 1)]));
    w.on(done(1, address(2), &[own, theirs, third]), &[to_caller, to_third, answered(1, &[])]);
    assert_eq!(w.state(&own).unwrap().holders, [(address(2).worker, 1)]);
}

#[test]
fn a_returned_ref_that_was_lent_with_the_call_costs_nothing() {
    let mut w = World::default();
    let a = foreign(3, 1);
    w.quiet(taken(1, &[a]));
    w.quiet(Event::RefTaken(a));
    w.on(done(1, address(2), &[a]), &[answered(1, &[a])]);
    // The caller's side: one lent itself, one inside a dependency.
    let mut w = World::default();
    w.warm(10);
    let (own, inner) = (w.put(1, inline(&[])), foreign(3, 2));
    w.feed(submit(&spec(2, &[], &[])));
    w.feed(reply(2, 0, 10, vec![inline(&[inner])]));
    w.feed(submit(&spec(3, &[mine(2)], &[own])));
    w.on(reply(3, 0, 10, vec![inline(&[own, inner])]), &[ready(3)]);
    assert_eq!(w.state(&own).unwrap().returning, []);
    assert_eq!(w.state(&inner).unwrap().credits, 1);
    w.drop_ref(&own, &[]);
    assert!(w.owner.knows(&own.id), "the returned value holds it");
}

#[test]
fn who_passes_on_what_it_is_only_lent_keeps_it() {
    let mut w = World::default();
    w.warm(10);
    let a = foreign(3, 1);
    w.quiet(taken(1, &[a]));
    w.feed(submit(&spec(2, &[], &[a])));
    let to_owner = send(3, 1, credits(&[credit(a.id, 10, 1)]));
    w.on(reply_kept(2, 0, 10, vec![inline(&[])], &[a]), &[ready(2), to_owner]);
    // Nothing here needs it any more; without being kept, the lender's release could overtake that credit.
    w.on(done(1, address(2), &[]), &[answered(1, &[a]), send(3, 2, release(&a, 1))]);
}

#[test]
fn a_ref_that_comes_back_to_its_owner_waits_for_its_announcement() {
    let mut w = World::default();
    w.warm(10);
    let a = w.put(1, inline(&[]));
    w.feed(submit(&spec(2, &[], &[a])));
    w.on(reply_kept(2, 0, 10, vec![inline(&[])], &[a]), &[ready(2)]);
    w.feed(submit(&spec(3, &[], &[])));
    // The reply may overtake it; what the worker holds is counted apart.
    w.on(reply(3, 0, 10, vec![inline(&[a])]), &[ready(3)]);
    let returning = |w: &World| w.state(&a).unwrap().returning;
    assert_eq!(returning(&w), [(address(10).worker, -1)]);
    w.quiet(Event::RefsDropped(vec![a.id, object(2), object(3)]));
    assert_eq!(w.state(&a).unwrap().holders, [(address(10).worker, 1)]);
    let message = w.peer(10, credits(&[credit(a.id, ME, 1)]));
    w.quiet(message);
    assert_eq!(returning(&w), []);
    let message = w.peer(10, release(&a, 1));
    w.quiet(message);
    assert!(w.owner.borrower_state().is_empty());
}

#[test]
fn a_kept_ref_of_a_third_owner_is_credited_there_before_ours_is_released() {
    let mut w = World::default();
    w.warm(10);
    let a = foreign(2, 1);
    w.feed(submit(&spec(1, &[], &[])));
    w.feed(reply(1, 0, 10, vec![inline(&[a])]));
    w.on(submit(&spec(2, &[], &[a])), &[push(10, 2, 0)]);
    w.drop_ref(&mine(1), &[]);
    let out = [ready(2), send(2, 1, credits(&[credit(a.id, 10, 1)])), send(2, 2, release(&a, 1))];
    w.on(reply_kept(2, 0, 10, vec![inline(&[])], &[a]), &out);
}

#[test]
fn a_borrowed_value_is_fetched_once_and_its_refs_are_received() {
    let mut w = World::default();
    let (a, inner) = (foreign(2, 1), foreign(3, 1));
    w.quiet(Event::RefTaken(a));
    w.on(Event::Wanted(vec![a.id]), &[send(2, 1, PeerMsg::Fetch(a.id))]);
    w.quiet(Event::Wanted(vec![a.id]));
    let message = w.peer(2, PeerMsg::Fetched { id: a.id, value: stored(1, &[inner]) });
    w.on(message.clone(), &[Order::Ready(a.id)]);
    assert_eq!(w.state(&inner).unwrap().credits, 1);
    w.on(Event::Wanted(vec![a.id]), &[Order::Ready(a.id)]);
    // A second answer is balanced: its credit goes back. What is borrowed is never freed in the arena.
    let again = w.peer(2, PeerMsg::Fetched { id: a.id, value: stored(1, &[inner]) });
    w.quiet(again);
    w.drop_ref(&a, &[send(3, 1, release(&inner, 2))]);
}

#[test]
fn an_answer_for_a_ref_that_is_gone_is_balanced() {
    let mut w = World::default();
    let (a, inner) = (foreign(2, 1), foreign(3, 1));
    w.quiet(Event::RefTaken(a));
    w.feed(Event::Wanted(vec![a.id]));
    w.drop_ref(&a, &[]);
    let message = w.peer(2, PeerMsg::Fetched { id: a.id, value: inline(&[inner]) });
    w.on(message, &[send(3, 1, release(&inner, 1))]);
    assert!(w.owner.is_empty());
}

#[test]
fn an_owner_answers_when_the_value_is_there() {
    let mut w = World::default();
    w.warm(10);
    w.feed(submit(&spec(1, &[], &[])));
    let message = w.peer(3, PeerMsg::Fetch(object(1)));
    w.quiet(message);
    let (inner, back) = (w.put(2, inline(&[])), foreign(3, 5));
    w.quiet(Event::RefTaken(back));
    let value = inline(&[inner, back]);
    let fetched = |seq, value: &Value| send(3, seq, PeerMsg::Fetched { id: object(1), value: value.clone() });
    // Its own ref needs no announcement: the answer is a message itself.
    let out = w.feed(reply(1, 0, 10, vec![value.clone()]));
    assert_eq!(out, [ready(1), fetched(1, &value)]);
    let state = w.state(&inner).unwrap();
    assert_eq!((state.holders, state.returning), (vec![(address(3).worker, 1)], vec![(address(10).worker, -1)]));
    let message = w.peer(3, PeerMsg::Fetch(object(1)));
    w.on(message, &[fetched(2, &value)]);
}

#[test]
fn fetching_what_is_freed_or_never_was_is_object_lost() {
    let mut w = World::default();
    let message = w.peer(3, PeerMsg::Fetch(object(1)));
    let out = w.feed(message);
    let [Order::Send { msg: PeerMsg::Fetched { value: Value::Error(e), .. }, .. }] = &out[..] else {
        panic!("{out:?}")
    };
    assert_eq!(e.kind, ErrorKind::ObjectLost);
}

#[test]
fn a_task_on_a_borrowed_object_fetches_it_and_goes_when_it_is_there() {
    let mut w = World::default();
    w.warm(10);
    let a = foreign(2, 1);
    w.quiet(Event::RefTaken(a));
    w.on(submit(&spec(1, &[a], &[])), &[send(2, 1, PeerMsg::Fetch(a.id))]);
    w.quiet(submit(&spec(2, &[a], &[])));
    let message = w.peer(2, PeerMsg::Fetched { id: a.id, value: inline(&[]) });
    w.on(message, &[Order::Ready(a.id), push(10, 1, 0), demand(1, 1, 0)]);
    let spec = w.owner.task(&task(1)).unwrap().args.clone();
    assert_eq!(w.owner.dep_value(&spec, 0), (a, &inline(&[])));
}

#[test]
fn a_dead_holder_counts_no_more() {
    let mut w = World::default();
    let a = w.put(1, stored(1, &[]));
    let message = w.peer(3, credits(&[credit(a.id, 4, 1)]));
    w.on(message, &[Order::WatchProcess(address(4).worker)]);
    w.drop_ref(&a, &[]);
    w.on(lost(4, &[]), &[Order::Free { id: a.id, loc: loc(1) }]);
    let b = w.put(2, inline(&[]));
    let message = w.peer(3, credits(&[credit(b.id, 4, 1)]));
    w.quiet(message);
    assert_eq!(w.state(&b).unwrap().holders, []);
    w.quiet(lost(4, &[]));
}

#[test]
fn the_death_of_a_holder_that_never_spoke_is_asked_for_once() {
    let mut w = World::default();
    let (a, b) = (w.put(1, inline(&[])), w.put(2, inline(&[])));
    let message = w.peer(3, credits(&[credit(a.id, 4, 1), credit(b.id, 4, 1)]));
    w.on(message, &[Order::WatchProcess(address(4).worker)]);
    let message = w.peer(3, credits(&[credit(a.id, 4, 1)]));
    w.quiet(message);
    // The daemon tells of those that have spoken; what is freed counts for nobody.
    let message = w.peer(4, credits(&[credit(a.id, 3, 1)]));
    w.quiet(message);
    w.drop_ref(&b, &[]);
    let message = w.peer(4, release(&b, 1));
    w.quiet(message);
    let message = w.peer(4, credits(&[credit(b.id, 5, 1)]));
    w.quiet(message);
    w.quiet(lost(4, &[]));
    w.quiet(lost(3, &[]));
    assert_eq!(w.state(&a).unwrap().holders, []);
}

#[test]
fn what_a_dead_process_owned_is_an_error_unless_it_was_fetched_small() {
    let mut w = World::default();
    let (none, small, large, inner) = (foreign(2, 1), foreign(2, 2), foreign(2, 3), foreign(3, 1));
    for r in [none, small, large] {
        w.quiet(Event::RefTaken(r));
    }
    w.feed(Event::Wanted(vec![small.id, large.id]));
    for (r, value) in [(small, inline(&[])), (large, stored(3, &[inner]))] {
        let message = w.peer(2, PeerMsg::Fetched { id: r.id, value });
        w.feed(message);
    }
    w.feed(Event::Wanted(vec![none.id]));
    w.on(lost(2, &[]), &[Order::Ready(none.id)]);
    let kind = |w: &World, r: &RefWire| match w.owner.value(&r.id) {
        Some(Value::Error(e)) => Some(e.kind),
        _ => None,
    };
    assert_eq!(kind(&w, &none), Some(ErrorKind::OwnerDied));
    assert_eq!(kind(&w, &large), Some(ErrorKind::OwnerDied));
    assert_eq!(w.owner.value(&small.id), Some(&inline(&[])));
    // Nothing is sent to the dead; a ref of it that is met later is an error at once.
    let dropped = Event::RefsDropped(vec![none.id, small.id, large.id]);
    // What the large one held was counted as long as it: a call may have been sent it.
    w.on(dropped, &[send(3, 1, release(&inner, 1))]);
    w.quiet(Event::RefTaken(none));
    w.on(Event::Wanted(vec![none.id]), &[Order::Ready(none.id)]);
}

#[test]
fn what_a_dead_worker_had_sealed_and_not_told_of_is_freed() {
    let mut w = World::default();
    w.warm(10);
    w.put(5, stored(5, &[]));
    let mut one = spec(1, &[], &[]);
    one.max_retries = 1;
    w.on(submit(&one), &[push(10, 1, 0)]);
    w.on(lost(10, &[1]), &[demand(1, 1, 0)]);
    // Its own words, an untold return, a value that is known, one that lies elsewhere, one of a task that is unknown.
    let sealed = vec![(object(1), loc(1)), (object(5), loc(5)), (object(5), loc(6)), (object(7), loc(7))];
    let free = |n, at| Order::Free { id: object(n), loc: loc(at) };
    w.on(Event::Sealed(sealed), &[free(1, 1), free(5, 6), free(7, 7)]);
}

#[test]
fn a_death_long_ago_is_known_without_its_reason() {
    let mut w = World::default();
    let worker = |n: u32| {
        let mut id = [7; 16];
        id[..4].copy_from_slice(&n.to_be_bytes());
        Address { worker: WorkerId(id), ..address(ME) }
    };
    for n in 0..1_001 {
        let error = error(ErrorKind::WorkerCrashed);
        w.quiet(Event::WorkerLost { worker: worker(n), error, intended: false, taken: vec![] });
    }
    let why = |n| w.owner.owner_death(&worker(n).worker).map(|e| e.message).unwrap_or_default();
    assert!(why(0).ends_with("its process ended long ago"), "{}", why(0));
    assert!(why(1).ends_with("as told") && why(1_000).ends_with("as told"), "{}", why(1));
    assert!(w.owner.owner_death(&worker(1_001).worker).is_none());
}

#[test]
fn a_late_reply_of_an_old_attempt_is_balanced() {
    let mut w = World::default();
    w.warm(10);
    let (a, inner) = (w.put(1, inline(&[])), foreign(3, 1));
    let mut s = spec(2, &[], &[a]);
    s.max_retries = 1;
    w.feed(submit(&s));
    w.on(lost(10, &[2]), &[demand(1, 1, 0)]);
    let grant = w.grant(11);
    w.on(grant, &[push(11, 2, 1)]);
    let out = [Order::Free { id: object(2), loc: loc(2) }, send(3, 1, release(&inner, 1))];
    w.on(reply_kept(2, 0, 12, vec![stored(2, &[inner])], &[a]), &out);
    assert_eq!(w.state(&a).unwrap().holders, [(address(12).worker, 1)]);
    w.on(reply(2, 1, 11, vec![inline(&[])]), &[ready(2)]);
}

#[test]
fn cancelling_a_borrowed_object_asks_its_owner() {
    let mut w = World::default();
    let a = foreign(2, 1);
    w.quiet(Event::RefTaken(a));
    let ask = PeerMsg::CancelObject { id: a.id, force: true, recursive: false };
    w.on(Event::Cancelled { id: a.id, force: true, recursive: false }, &[send(2, 1, ask)]);
    w.feed(submit(&spec(1, &[], &[])));
    let message = w.peer(2, PeerMsg::CancelObject { id: object(1), force: false, recursive: true });
    w.on(message, &[ready(1), demand(0, 0, 0)]);
}

#[test]
fn a_fan_out_of_a_hundred_thousand_is_linear() {
    const N: u64 = 100_000;
    let mut w = World::default();
    w.warm(10);
    let a = w.put(1, inline(&[]));
    let mut s = spec(2, &[], &[]);
    w.feed(submit(&s));
    let start = std::time::Instant::now();
    let mut out = vec![];
    for n in 3..N + 3 {
        s = spec(n, &[mine(2)], &[a]);
        w.owner.handle(w.now, submit(&s), &mut out);
    }
    w.owner.handle(w.now, reply(2, 0, 10, vec![inline(&[])]), &mut out);
    for n in 3..N + 3 {
        w.owner.handle(w.now, reply(n, 0, 10, vec![inline(&[])]), &mut out);
    }
    // A fraction of a second; were each reply to look at every task, minutes.
    assert!(start.elapsed().as_secs() < 30, "{:?}", start.elapsed());
    let pushes = out.iter().filter(|o| matches!(o, Order::Push { .. })).count() as u64;
    let news = out.iter().filter(|o| matches!(o, Order::Ready(_))).count() as u64;
    assert_eq!((pushes, news), (N, N + 1));
    assert!(out.len() as u64 <= 2 * N + 100, "{} orders", out.len());
    w.owner.sanity_check();
    assert!((3..N + 3).all(|n| w.owner.is_ready(&object(n))));
}
