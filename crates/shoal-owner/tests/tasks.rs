//! Tasks and leases: a test for each rule of `docs/design/task.md`.
mod world;
use shoal_owner::{Event, Order};
use shoal_proto::peer::PeerMsg;
use shoal_types::{ErrorKind, FunctionId, ObjectId, Value};
use world::*;

#[test]
fn a_task_asks_for_a_lease_is_pushed_and_its_reply_is_the_value() {
    let mut w = World::default();
    w.on(submit(&spec(1, &[], &[])), &[demand(1, 0, 0)]);
    let grant = w.grant(10);
    w.on(grant, &[push(10, 1, 0)]);
    w.on(reply(1, 0, 10, vec![inline(&[])]), &[ready(1)]);
    assert_eq!(w.owner.value(&object(1)), Some(&inline(&[])));
    w.drop_ref(&mine(1), &[]);
    assert!(!w.owner.knows(&object(1)));
}

#[test]
fn a_loop_of_single_tasks_on_a_kept_lease_says_nothing_to_the_daemon() {
    let mut w = World::default();
    w.warm(10);
    for n in 1..100 {
        w.now += 100;
        w.on(submit(&spec(n, &[], &[])), &[push(10, n, 0)]);
        w.on(reply(n, 0, 10, vec![inline(&[])]), &[ready(n)]);
        w.drop_ref(&mine(n), &[]);
    }
}

#[test]
fn demand_is_told_when_it_begins_more_than_doubles_and_ends() {
    let mut w = World::default();
    let mut told = Vec::new();
    for n in 1..=100 {
        for order in w.feed(submit(&spec(n, &[], &[]))) {
            match order {
                Order::Demand { want, seen: 0, .. } => told.push(want),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(told, [1, 3, 7, 15, 31, 63]);
    let grant = w.grant(10);
    w.on(grant, &[push(10, 1, 0), demand(99, 1, 0)]);
    let unschedulable = Event::KeyUnschedulable { key: 0, error: error(ErrorKind::Unschedulable) };
    let out = w.feed(unschedulable);
    assert_eq!(out.len(), 100, "99 errors and an end of demand");
    assert_eq!(out.last(), Some(&demand(0, 1, 0)));
    assert_eq!(w.owner.value(&object(7)), Some(&failed(ErrorKind::Unschedulable)));
}

#[test]
fn demand_names_the_deepest_that_waits() {
    let mut w = World::default();
    let mut deep = spec(1, &[], &[]);
    deep.depth = 3;
    w.on(submit(&deep), &[demand(1, 0, 3)]);
}

#[test]
fn a_grant_with_nothing_queued_goes_back_at_once() {
    let mut w = World::default();
    let grant = w.grant(10);
    w.on(grant, &[Order::ReturnLease(lease(10))]);
}

#[test]
fn an_idle_lease_goes_back_after_200_ms() {
    let mut w = World::default();
    w.warm(10);
    assert_eq!(w.owner.next_deadline(), Some(201_000));
    w.tick(200_999, &[]);
    w.tick(201_000, &[Order::ReturnLease(lease(10))]);
    assert_eq!(w.owner.next_deadline(), None);
}

#[test]
fn a_function_never_seen_has_a_window_of_one_then_follows_its_length() {
    let mut w = World::default();
    w.on(submit(&spec(1, &[], &[])), &[demand(1, 0, 0)]);
    (2..400).for_each(|n| drop(w.feed(submit(&spec(n, &[], &[])))));
    let grant = w.grant(10);
    assert_eq!(w.feed(grant)[0], push(10, 1, 0));
    let mut one = reply(1, 0, 10, vec![inline(&[])]);
    if let Event::Replied { micros, .. } = &mut one {
        *micros = 100;
    }
    let out = w.feed(one);
    let pushed = out.iter().filter(|o| matches!(o, Order::Push { .. })).count();
    assert_eq!(pushed, 20, "2,000 µs of 100 µs each");
}

#[test]
fn no_window_is_larger_than_256() {
    let mut w = World::default();
    (1..400).for_each(|n| drop(w.feed(submit(&spec(n, &[], &[])))));
    let grant = w.grant(10);
    w.feed(grant);
    let mut one = reply(1, 0, 10, vec![inline(&[])]);
    if let Event::Replied { micros, .. } = &mut one {
        *micros = 0;
    }
    let out = w.feed(one);
    assert_eq!(out.iter().filter(|o| matches!(o, Order::Push { .. })).count(), 256);
}

#[test]
fn tasks_spread_evenly_over_leases() {
    let mut w = World::default();
    w.warm(10);
    for n in 1..=4 {
        w.feed(submit(&spec(n, &[], &[])));
    }
    let grant = w.grant(11);
    assert_eq!(w.feed(grant)[0], push(11, 2, 0));
    assert_eq!(w.feed(reply(1, 0, 10, vec![inline(&[])]))[..2], [ready(1), push(10, 3, 0)]);
    w.on(reply(3, 0, 10, vec![inline(&[])]), &[ready(3)]);
}

#[test]
fn short_tasks_go_to_a_lease_at_work_until_there_is_enough_to_wake_another_worker_for() {
    let mut w = World::default();
    w.warm(10);
    w.feed(submit(&spec(1, &[], &[])));
    w.feed(submit(&spec(2, &[], &[])));
    let grant = w.grant(11);
    assert_eq!(w.feed(grant)[0], push(11, 2, 0));
    w.on(reply(1, 0, 10, vec![inline(&[])]), &[ready(1)]);
    w.on(reply(2, 0, 11, vec![inline(&[])]), &[ready(2)]);
    // 10 µs each: five are 50.
    for (n, lease) in (3..).zip([10, 10, 10, 10, 10, 11, 11, 11, 11, 11, 10, 11]) {
        w.on(submit(&spec(n, &[], &[])), &[push(lease, n, 0)]);
    }
    w.on(reply(3, 0, 10, vec![inline(&[])]), &[ready(3)]);
    w.on(reply(4, 0, 10, vec![inline(&[])]), &[ready(4)]);
    w.on(submit(&spec(15, &[], &[])), &[push(10, 15, 0)]);
    // One that is long goes to whoever has least to do.
    let mut long = spec(16, &[], &[]);
    long.function = FunctionId([2; 16]);
    w.on(submit(&long), &[demand(1, 2, 0)]);
}

#[test]
fn what_waits_behind_a_stalled_task_is_withdrawn_after_2_ms() {
    let mut w = World::default();
    w.warm(10);
    w.on(submit(&spec(1, &[], &[])), &[push(10, 1, 0)]);
    w.on(reply(1, 0, 10, vec![inline(&[])]), &[ready(1)]);
    for n in 2..=4 {
        w.on(submit(&spec(n, &[], &[])), &[push(10, n, 0)]);
    }
    assert_eq!(w.owner.next_deadline(), Some(3_000));
    w.tick(3_000, &[withdraw(10, 4), withdraw(10, 3)]);
    w.on(withdrawn(4, true), &[demand(1, 1, 0)]);
    w.quiet(withdrawn(3, false));
    let grant = w.grant(11);
    w.on(grant, &[push(11, 4, 1)]);
    // The stalled lane takes nothing new before it answers.
    w.on(submit(&spec(5, &[], &[])), &[demand(1, 2, 0)]);
    w.on(reply(2, 0, 10, vec![inline(&[])]), &[ready(2), push(10, 5, 0), demand(0, 2, 0)]);
    w.on(reply(3, 0, 10, vec![inline(&[])]), &[ready(3)]);
}

#[test]
fn withdrawn_tasks_return_to_their_places() {
    let mut w = World::default();
    w.warm(10);
    w.feed(submit(&spec(1, &[], &[])));
    w.feed(reply(1, 0, 10, vec![inline(&[])]));
    (2..=6).for_each(|n| drop(w.feed(submit(&spec(n, &[], &[])))));
    w.on(Event::Recalled(lease(10)), &[6, 5, 4, 3, 2].map(|n| withdraw(10, n)));
    w.quiet(withdrawn(2, false));
    for n in [4, 6, 3, 5] {
        w.feed(withdrawn(n, true));
    }
    // The lease is given back with its last reply, not before.
    w.on(reply(2, 0, 10, vec![inline(&[])]), &[ready(2), Order::ReturnLease(lease(10))]);
    let grant = w.grant(11);
    let out = w.feed(grant);
    assert_eq!(out[..4], [3, 4, 5, 6].map(|n| push(11, n, 1)));
}

#[test]
fn an_idle_lease_that_is_called_back_goes_at_once() {
    let mut w = World::default();
    w.warm(10);
    w.on(Event::Recalled(lease(10)), &[Order::ReturnLease(lease(10))]);
    w.quiet(Event::Recalled(lease(10)));
}

/// Calls on a kept lease, one after another, the last of them answered now.
fn call_in_turn(w: &mut World, from: u64, calls: u64, pause: u64) {
    for n in from..from + calls {
        w.now += pause;
        w.on(submit(&spec(n, &[], &[])), &[push(10, n, 0)]);
        w.on(reply(n, 0, 10, vec![inline(&[])]), &[ready(n)]);
    }
}

#[test]
fn a_lease_that_others_wait_for_is_kept_while_one_call_follows_another() {
    let mut w = World::default();
    w.warm(10);
    w.quiet(Event::WantedBack(lease(10)));
    call_in_turn(&mut w, 1, 1_000, 400);
    let answered = w.now;
    w.tick(answered + 499, &[]);
    w.tick(answered + 500, &[Order::ReturnLease(lease(10))]);
    w.quiet(Event::WantedBack(lease(10)));
}

#[test]
fn an_unused_lease_that_others_wait_for_goes_at_once() {
    let mut w = World::default();
    w.warm(10);
    w.now += 1_000;
    w.on(Event::WantedBack(lease(10)), &[Order::ReturnLease(lease(10))]);
}

#[test]
fn a_lease_that_others_ask_for_twice_goes_as_soon_as_it_is_idle() {
    let mut w = World::default();
    w.warm(10);
    w.feed(submit(&spec(1, &[], &[])));
    w.feed(submit(&spec(2, &[], &[])));
    w.quiet(Event::WantedBack(lease(10)));
    w.quiet(Event::WantedBack(lease(10)));
    let out = w.feed(reply(1, 0, 10, vec![inline(&[])]));
    assert!(!out.contains(&Order::ReturnLease(lease(10))));
    let out = w.feed(reply(2, 0, 10, vec![inline(&[])]));
    assert!(out.contains(&Order::ReturnLease(lease(10))));
}

#[test]
fn a_lease_goes_at_once_for_another_key_of_its_own_process() {
    let mut w = World::default();
    w.warm(10);
    let mut other = spec(1, &[], &[]);
    other.key = 1;
    w.on(submit(&other), &[Order::Demand { key: 1, want: 1, seen: 0, depth: 0 }]);
    w.on(Event::WantedBack(lease(10)), &[Order::ReturnLease(lease(10))]);
}

#[test]
fn who_pauses_for_long_keeps_no_lease_from_others_until_a_call_follows_another_again() {
    let mut w = World::default();
    w.warm(10);
    let (mut task, mut kept) = (0, Vec::new());
    // (pause before a call, whether the lease is kept after it although somebody waits)
    for pause in [5_000, 5_000, 5_000, 100, 5_000, 5_000] {
        w.now += pause;
        task += 1;
        let out = w.feed(submit(&spec(task, &[], &[])));
        if out.contains(&push(10, task, 0)) {
            w.quiet(Event::WantedBack(lease(10)));
        } else {
            let grant = w.grant(10);
            assert!(w.feed(grant).contains(&push(10, task, 0)));
            w.quiet(Event::WantedBack(lease(10)));
        }
        let out = w.feed(reply(task, 0, 10, vec![inline(&[])]));
        let keeps = !out.contains(&Order::ReturnLease(lease(10)));
        kept.push(keeps);
        if keeps {
            w.tick(w.now + 500, &[Order::ReturnLease(lease(10))]);
        }
    }
    assert_eq!(kept, [true, false, false, true, false, false]);
}

#[test]
fn a_task_waits_for_its_dependencies_and_fails_with_the_error_of_one() {
    let mut w = World::default();
    w.warm(10);
    w.on(submit(&spec(1, &[], &[])), &[push(10, 1, 0)]);
    w.quiet(submit(&spec(2, &[mine(1), mine(1)], &[])));
    w.quiet(submit(&spec(3, &[mine(2)], &[])));
    let out = [ready(1), ready(2), ready(3)];
    w.on(reply(1, 0, 10, vec![failed(ErrorKind::Task)]), &out);
    let (Some(Value::Error(a)), Some(Value::Error(b))) = (w.owner.value(&object(1)), w.owner.value(&object(3))) else {
        panic!("both are errors");
    };
    assert!(std::sync::Arc::ptr_eq(a, b), "the same error, not a copy");
}

#[test]
fn a_pipeline_runs_in_order_and_its_links_go_as_they_are_used() {
    let mut w = World::default();
    w.warm(10);
    w.on(submit(&spec(1, &[], &[])), &[push(10, 1, 0)]);
    for n in 2..=3 {
        w.quiet(submit(&spec(n, &[mine(n - 1)], &[])));
        w.drop_ref(&mine(n - 1), &[]);
    }
    w.on(reply(1, 0, 10, vec![stored(1, &[])]), &[ready(1), push(10, 2, 0)]);
    let free = Order::Free { id: object(1), loc: loc(1) };
    w.on(reply(2, 0, 10, vec![inline(&[])]), &[ready(2), push(10, 3, 0), free]);
    w.on(reply(3, 0, 10, vec![inline(&[])]), &[ready(3)]);
    assert!(!w.owner.knows(&object(2)));
}

#[test]
fn a_failing_chain_of_any_length_needs_no_stack() {
    let mut w = World::default();
    w.warm(10);
    w.owner.handle(0, submit(&spec(1, &[], &[])), &mut vec![]);
    for n in 2..=200_000 {
        w.owner.handle(0, submit(&spec(n, &[mine(n - 1)], &[])), &mut vec![]);
    }
    let out = w.feed(reply(1, 0, 10, vec![failed(ErrorKind::Task)]));
    assert_eq!(out.len(), 200_000);
}

#[test]
fn no_returns_and_dropped_returns() {
    let mut w = World::default();
    w.warm(10);
    let mut none = spec(1, &[], &[]);
    none.num_returns = 0;
    w.on(submit(&none), &[push(10, 1, 0)]);
    w.quiet(reply(1, 0, 10, vec![failed(ErrorKind::Task)]));
    // Dropped before the reply: it stays until then, and goes at once.
    w.on(submit(&spec(2, &[], &[])), &[push(10, 2, 0)]);
    w.drop_ref(&mine(2), &[]);
    assert!(w.owner.knows(&object(2)));
    w.on(reply(2, 0, 10, vec![stored(2, &[])]), &[Order::Free { id: object(2), loc: loc(2) }]);
    assert!(!w.owner.knows(&object(2)));
}

#[test]
fn one_error_stands_for_all_returns_and_a_missing_value_is_an_error() {
    let mut w = World::default();
    w.warm(10);
    let mut three = spec(1, &[], &[]);
    three.num_returns = 3;
    w.feed(submit(&three));
    let all: Vec<Order> = (0..3).map(|i| Order::Ready(ObjectId::new(task(1), i))).collect();
    w.on(reply(1, 0, 10, vec![failed(ErrorKind::Task)]), &all);
    three.id = task(2);
    w.feed(submit(&three));
    w.feed(reply(2, 0, 10, vec![inline(&[]), inline(&[])]));
    assert!(matches!(w.owner.value(&ObjectId::new(task(2), 2)), Some(Value::Error(e)) if e.kind == ErrorKind::System));
}

#[test]
fn a_task_that_its_worker_had_taken_spends_a_retry_and_others_dont() {
    let mut w = World::default();
    w.warm(10);
    w.feed(submit(&spec(1, &[], &[])));
    w.feed(reply(1, 0, 10, vec![inline(&[])]));
    for n in 2..=4 {
        let mut s = spec(n, &[], &[]);
        s.max_retries = i32::from(n == 2);
        w.feed(submit(&s));
    }
    w.on(lost(10, &[2]), &[demand(3, 1, 0)]);
    let grant = w.grant(11);
    w.on(grant, &[push(11, 2, 1), push(11, 3, 1), push(11, 4, 1), demand(0, 2, 0)]);
    // Its one retry is spent; the others never began, so they are free to go again.
    w.on(lost(11, &[2]), &[ready(2), demand(2, 2, 0)]);
    assert_eq!(w.owner.value(&object(2)), Some(&failed(ErrorKind::WorkerCrashed)));
    // max_retries=0 and taken: at most once.
    let grant = w.grant(12);
    w.on(grant, &[push(12, 3, 2), push(12, 4, 2), demand(0, 3, 0)]);
    w.on(lost(12, &[3]), &[ready(3), demand(1, 3, 0)]);
}

#[test]
fn the_first_retry_comes_at_once_and_later_ones_after_ever_longer_rests() {
    let mut w = World::default();
    w.warm(10);
    let mut s = spec(1, &[], &[]);
    (s.max_retries, s.retry_exceptions) = (-1, true);
    w.feed(submit(&s));
    w.on(retryable(1, 0, 10), &[push(10, 1, 1)]);
    let (mut other, mut granted) = (1_000, 1);
    for n in 2..12 {
        let before = w.now;
        w.quiet(retryable(1, n - 1, 10));
        // Its place in the lane is free meanwhile.
        other += 1;
        let mut o = spec(other, &[], &[]);
        o.function = FunctionId([99; 16]);
        w.on(submit(&o), &[push(10, other, 0)]);
        w.on(reply(other, 0, 10, vec![inline(&[])]), &[ready(other)]);
        let most = 5_000_000.min(50_000 << (n - 2));
        let due = before + most / 2 - 1;
        let returned = [Order::ReturnLease(lease(10))];
        w.tick(due, if due - before >= 200_000 { &returned } else { &[] });
        w.now = before + most;
        let got = w.feed(Event::Ticked);
        if most >= 200_000 {
            granted += 1;
            assert!(got.contains(&demand(1, granted - 1, 0)), "{n}: {got:?}");
            let grant = w.grant(10);
            assert!(w.feed(grant).contains(&push(10, 1, n)));
        } else {
            assert_eq!(got, [push(10, 1, n)]);
        }
    }
}

#[test]
fn a_resting_task_is_cancelled_at_once() {
    let mut w = World::default();
    w.warm(10);
    let mut s = spec(1, &[], &[]);
    (s.max_retries, s.retry_exceptions) = (-1, true);
    w.feed(submit(&s));
    w.feed(retryable(1, 0, 10));
    w.quiet(retryable(1, 1, 10));
    w.on(Event::Cancelled { id: object(1), force: false, recursive: true }, &[ready(1)]);
    w.tick(w.now + 50_000, &[]);
}

#[test]
fn a_worker_that_ends_on_purpose_is_not_tried_again() {
    let mut w = World::default();
    w.warm(10);
    let mut s = spec(1, &[], &[]);
    s.max_retries = -1;
    w.feed(submit(&s));
    let Event::WorkerLost { worker, error, taken, .. } = lost(10, &[1]) else { unreachable!() };
    w.on(Event::WorkerLost { worker, error, taken, intended: true }, &[ready(1)]);
}

#[test]
fn an_exception_is_tried_again_only_when_both_sides_say_so() {
    let mut w = World::default();
    w.warm(10);
    let mut s = spec(1, &[], &[]);
    (s.max_retries, s.retry_exceptions) = (1, true);
    w.feed(submit(&s));
    w.on(retryable(1, 0, 10), &[push(10, 1, 1)]);
    w.quiet(reply(1, 0, 10, vec![inline(&[])]));
    w.on(retryable(1, 1, 10), &[ready(1)]);
    s.id = task(2);
    s.retry_exceptions = false;
    w.feed(submit(&s));
    w.on(retryable(2, 0, 10), &[ready(2)]);
}

#[test]
fn a_queued_or_waiting_task_is_cancelled_at_once() {
    let mut w = World::default();
    w.feed(submit(&spec(1, &[], &[])));
    w.feed(submit(&spec(2, &[mine(1)], &[])));
    let cancel = |n| Event::Cancelled { id: object(n), force: false, recursive: true };
    w.on(cancel(2), &[ready(2)]);
    w.on(cancel(1), &[ready(1), demand(0, 0, 0)]);
    w.quiet(cancel(1));
    let grant = w.grant(10);
    w.on(grant, &[Order::ReturnLease(lease(10))]);
    assert!(matches!(w.owner.value(&object(1)), Some(Value::Error(e)) if e.kind == ErrorKind::Cancelled));
}

#[test]
fn a_running_task_is_answered_at_once_and_its_late_reply_frees_the_lease() {
    let mut w = World::default();
    w.warm(10);
    let arg = w.put(5, stored(5, &[]));
    w.feed(submit(&spec(1, &[arg], &[])));
    w.drop_ref(&arg, &[]);
    w.on(Event::Cancelled { id: object(1), force: false, recursive: true }, &[withdraw(10, 1)]);
    let interrupt = send(10, 1, PeerMsg::CancelTask { task: task(1), recursive: true });
    w.on(withdrawn(1, false), &[ready(1), interrupt]);
    // It still borrows its argument, and nothing is queued behind it.
    assert!(w.owner.knows(&object(5)));
    w.on(submit(&spec(2, &[], &[])), &[demand(1, 1, 0)]);
    let freed = [1, 5].map(|n| Order::Free { id: object(n), loc: loc(n) });
    let out = [freed[0].clone(), push(10, 2, 0), freed[1].clone(), demand(0, 1, 0)];
    w.on(reply(1, 0, 10, vec![stored(1, &[])]), &out);
}

#[test]
fn a_pushed_task_that_was_not_taken_is_cancelled_without_a_word_to_its_worker() {
    let mut w = World::default();
    w.warm(10);
    w.feed(submit(&spec(1, &[], &[])));
    w.on(Event::Cancelled { id: object(1), force: true, recursive: false }, &[withdraw(10, 1)]);
    w.on(withdrawn(1, true), &[ready(1)]);
    w.on(submit(&spec(2, &[], &[])), &[push(10, 2, 0)]);
    w.on(Event::Cancelled { id: object(2), force: true, recursive: false }, &[withdraw(10, 2)]);
    w.on(withdrawn(2, false), &[ready(2), Order::KillWorker(address(10).worker)]);
    w.quiet(lost(10, &[2]));
    assert!(w.owner.is_ready(&object(2)));
}

#[test]
fn functions_of_one_key_have_windows_of_their_own() {
    let mut w = World::default();
    w.warm(10);
    w.feed(submit(&spec(1, &[], &[])));
    w.feed(reply(1, 0, 10, vec![inline(&[])]));
    let mut unknown = spec(2, &[], &[]);
    unknown.function = FunctionId([2; 16]);
    w.on(submit(&unknown), &[push(10, 2, 0)]);
    // A short one doesn't queue behind one of unknown length.
    w.on(submit(&spec(3, &[], &[])), &[demand(1, 1, 0)]);
}

#[test]
fn a_dependency_lost_while_its_task_was_queued_fails_it_at_the_push() {
    let mut w = World::default();
    let far = foreign(2, 7);
    w.quiet(Event::RefTaken(far));
    w.on(Event::Wanted(vec![far.id]), &[send(2, 1, PeerMsg::Fetch(far.id))]);
    let fetched = w.peer(2, PeerMsg::Fetched { id: far.id, value: stored(7, &[]) });
    w.on(fetched, &[Order::Ready(far.id)]);
    w.on(submit(&spec(1, &[far], &[])), &[demand(1, 0, 0)]);
    w.quiet(lost(2, &[]));
    let grant = w.grant(10);
    w.on(grant, &[ready(1)]);
    assert!(matches!(w.owner.value(&object(1)), Some(Value::Error(e)) if e.kind == ErrorKind::OwnerDied));
}
