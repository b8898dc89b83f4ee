//! Actor calls: a test for each rule of the actors' part of `docs/design/task.md`.
mod world;
use shoal_owner::{Event, Order};
use shoal_proto::peer::PeerMsg;
use shoal_types::{CallSpec, ErrorKind, RefWire, Value};
use world::*;

const A: u8 = 7;

fn up(incarnation: u32, at: u8) -> Event {
    let (lane, worker) = (lane(at), address(at));
    Event::ActorUp { actor: actor(A), incarnation, lane, worker, kept: vec![] }
}

fn restarting(incarnation: u32, taken: &[u64]) -> Event {
    let taken = taken.iter().map(|t| task(*t)).collect();
    Event::ActorRestarting { actor: actor(A), incarnation, error: error(ErrorKind::WorkerCrashed), rest: 0, taken }
}

fn resting(incarnation: u32, rest: u64) -> Event {
    let error = error(ErrorKind::WorkerCrashed);
    Event::ActorRestarting { actor: actor(A), incarnation, error, rest, taken: vec![] }
}

fn dead() -> Event {
    Event::ActorDead { actor: actor(A), error: error(ErrorKind::ActorDied), dying: None, lingers: false }
}

/// It was killed, and worker 20 is not gone yet.
fn killed() -> Event {
    Event::ActorDead { actor: actor(A), error: error(ErrorKind::ActorDied), dying: Some(address(20)), lingers: false }
}

fn free(n: u64) -> Order {
    Order::Free { id: object(n), loc: loc(n) }
}

/// Calls 1 to `n` of the actor at worker 20, in flight, which alone hold values 11 to 10 + `n`.
fn with_lent(n: u64) -> World {
    let mut w = with_actor();
    for n in 1..=n {
        let arg = w.put(10 + n, stored(10 + n, &[]));
        w.on(submit_call(&call(n, A, None, &[arg])), &[push(20, n, 0)]);
        w.drop_ref(&arg, &[]);
    }
    w
}

fn kind(w: &World, n: u64) -> Option<ErrorKind> {
    match w.owner.value(&object(n)) {
        Some(Value::Error(e)) => Some(e.kind),
        _ => None,
    }
}

fn text(w: &World, n: u64) -> String {
    match w.owner.value(&object(n)) {
        Some(Value::Error(e)) => e.message.clone(),
        _ => String::new(),
    }
}

/// A world with the actor up at worker 20.
fn with_actor() -> World {
    let mut w = World::default();
    w.on(Event::ActorKnown { actor: actor(A), unordered: false }, &[Order::WatchActor(actor(A))]);
    w.quiet(up(0, 20));
    w
}

fn submit_one(n: u64) -> Event {
    submit_call(&call(n, A, None, &[]))
}

fn retried(n: u64, max_retries: i32) -> CallSpec {
    CallSpec { max_retries, ..call(n, A, None, &[]) }
}

#[test]
fn calls_wait_for_the_actor_and_go_in_order() {
    let mut w = World::default();
    w.on(submit_one(1), &[Order::WatchActor(actor(A))]);
    w.quiet(submit_one(2));
    w.quiet(Event::ActorKnown { actor: actor(A), unordered: false });
    assert_eq!(w.owner.pending_calls(&actor(A)), 2);
    w.on(up(0, 20), &[push(20, 1, 0), push(20, 2, 0)]);
    w.on(submit_one(3), &[push(20, 3, 0)]);
    w.on(reply(1, 0, 20, vec![inline(&[])]), &[ready(1)]);
    assert_eq!(w.owner.pending_calls(&actor(A)), 2);
    assert_eq!(w.owner.call(&task(2)).unwrap().actor, actor(A));
}

#[test]
fn a_call_that_waits_holds_up_later_ones_of_an_ordered_actor() {
    let mut w = with_actor();
    w.warm(10);
    w.feed(submit(&spec(1, &[], &[])));
    w.quiet(submit_call(&call(2, A, None, &[mine(1)])));
    w.quiet(submit_one(3));
    w.on(reply(1, 0, 10, vec![inline(&[])]), &[ready(1), push(20, 2, 0), push(20, 3, 0)]);
}

#[test]
fn a_call_that_fails_or_is_cancelled_has_had_its_turn() {
    let mut w = with_actor();
    w.warm(10);
    w.feed(submit(&spec(1, &[], &[])));
    w.quiet(submit_call(&call(2, A, None, &[mine(1)])));
    w.quiet(submit_call(&call(3, A, None, &[mine(1)])));
    w.quiet(submit_one(4));
    w.on(Event::Cancelled { id: object(2), force: false, recursive: true }, &[ready(2)]);
    w.on(reply(1, 0, 10, vec![failed(ErrorKind::Task)]), &[ready(1), ready(3), push(20, 4, 0)]);
    assert_eq!((kind(&w, 2), kind(&w, 3)), (Some(ErrorKind::Cancelled), Some(ErrorKind::Task)));
}

#[test]
fn calls_of_an_unordered_actor_go_when_they_are_ready() {
    let mut w = World::default();
    w.feed(Event::ActorKnown { actor: actor(A), unordered: true });
    w.quiet(up(0, 20));
    w.warm(10);
    w.feed(submit(&spec(1, &[], &[])));
    w.quiet(submit_call(&call(2, A, None, &[mine(1)])));
    w.on(submit_one(3), &[push(20, 3, 0)]);
    w.on(reply(1, 0, 10, vec![inline(&[])]), &[ready(1), push(20, 2, 0)]);
}

#[test]
fn a_pending_call_holds_its_actors_handle() {
    let mut w = World::default();
    let handle = RefWire { id: handle_of(50), owner: address(ME) };
    let created =
        Event::ActorCreated { actor: actor(A), handle: handle.id, deps: vec![], refs: vec![], unordered: false };
    w.on(created, &[Order::WatchActor(actor(A)), Order::StartActor { actor: actor(A), error: None }]);
    w.quiet(submit_call(&call(1, A, Some(handle), &[])));
    w.drop_ref(&handle, &[]);
    w.on(up(0, 20), &[push(20, 1, 0)]);
    w.on(reply(1, 0, 20, vec![inline(&[])]), &[ready(1), Order::ActorOutOfScope(actor(A))]);
}

/// Another thread of its creator found it by its name, and it was killed before its creator heard that it is registered.
#[test]
fn an_actor_that_is_dead_before_its_creator_knows_it_is_not_started_and_lent_nothing() {
    let mut w = World::default();
    let (part, handle) = (w.put(2, stored(2, &[])), handle_of(50));
    w.on(Event::ActorKnown { actor: actor(A), unordered: false }, &[Order::WatchActor(actor(A))]);
    w.quiet(dead());
    w.quiet(Event::ActorCreated { actor: actor(A), handle, deps: vec![], refs: vec![part], unordered: false });
    w.drop_ref(&part, &[free(2)]);
    w.on(submit_call(&call(1, A, None, &[])), &[ready(1)]);
}

#[test]
fn a_constructor_waits_for_its_arguments_and_they_live_as_long_as_the_actor() {
    let mut w = World::default();
    w.warm(10);
    let (kept, nested) = (w.put(2, stored(2, &[])), w.put(3, stored(3, &[])));
    w.feed(submit(&spec(1, &[], &[])));
    let (handle, deps, refs) = (handle_of(50), vec![mine(1)], vec![kept, nested]);
    w.on(Event::ActorCreated { actor: actor(A), handle, deps, refs, unordered: false }, &[Order::WatchActor(actor(A))]);
    w.quiet(Event::RefsDropped(vec![object(1), object(2), object(3)]));
    let start = Order::StartActor { actor: actor(A), error: None };
    w.on(reply(1, 0, 10, vec![stored(1, &[])]), &[ready(1), start]);
    let (lane, worker) = (lane(20), address(20));
    let mut with_kept = up(0, 20);
    if let Event::ActorUp { kept: k, .. } = &mut with_kept {
        k.push(kept);
    }
    let _ = (lane, worker);
    w.quiet(with_kept);
    assert_eq!(w.state(&kept).unwrap().holders, [(address(20).worker, 1)]);
    w.on(dead(), &[free(1), free(3)]);
    w.on(lost(20, &[]), &[free(2)]);
}

#[test]
fn a_constructor_with_a_failed_argument_is_told_so() {
    let mut w = World::default();
    w.warm(10);
    w.feed(submit(&spec(1, &[], &[])));
    let deps = vec![mine(1), mine(1)];
    let created = Event::ActorCreated { actor: actor(A), handle: handle_of(50), deps, refs: vec![], unordered: false };
    w.on(created, &[Order::WatchActor(actor(A))]);
    let start = Order::StartActor { actor: actor(A), error: Some(error(ErrorKind::Task)) };
    w.on(reply(1, 0, 10, vec![failed(ErrorKind::Task)]), &[ready(1), start]);
    w.quiet(dead());
}

#[test]
fn a_restart_replays_what_may_be_tried_again_and_fails_the_rest_first() {
    let mut w = with_actor();
    for n in 1..=4 {
        w.on(submit_call(&retried(n, i32::from(n % 2 == 0))), &[push(20, n, 0)]);
    }
    w.on(reply(1, 0, 20, vec![inline(&[])]), &[ready(1)]);
    w.on(restarting(0, &[2, 3]), &[ready(3)]);
    assert_eq!(kind(&w, 3), Some(ErrorKind::ActorUnavailable));
    w.quiet(lost(20, &[2, 3]));
    w.quiet(submit_call(&retried(5, -1)));
    // Old order, also for the one that had begun; only its retry is spent.
    w.on(up(1, 21), &[push(21, 2, 1), push(21, 4, 1), push(21, 5, 0)]);
    w.on(restarting(1, &[2]), &[ready(2)]);
}

#[test]
fn calls_without_retries_are_for_the_life_that_they_were_made_for() {
    for unordered in [false, true] {
        let mut w = World::default();
        w.feed(Event::ActorKnown { actor: actor(A), unordered });
        w.quiet(up(0, 20));
        w.warm(10);
        w.feed(submit(&spec(1, &[], &[])));
        // Three in flight, of which one had begun; one waits for a value; two come when the process is gone.
        for n in 2..=4 {
            w.feed(submit_call(&retried(n, i32::from(n == 4))));
        }
        w.quiet(submit_call(&call(5, A, None, &[mine(1)])));
        w.quiet(lost(20, &[2]));
        w.quiet(submit_one(6));
        w.quiet(submit_call(&retried(7, 1)));
        w.on(resting(0, 2_340_000), &[ready(2), ready(3), ready(6)]);
        assert!(text(&w, 2).contains("The call had begun, and may have done a part of its work."), "{}", text(&w, 2));
        for n in [3, 6] {
            assert_eq!(kind(&w, n), Some(ErrorKind::ActorUnavailable));
            let next = "The call has not run. The actor is started again in 2.3 s; calls with max_task_retries=-1 wait";
            assert!(text(&w, n).contains(next), "{}", text(&w, n));
        }
        // Made between two lives.
        w.now += 1_000_000;
        w.on(submit_one(8), &[ready(8)]);
        assert!(text(&w, 8).contains("started again in 1.3 s"), "{}", text(&w, 8));
        w.now += 2_000_000;
        w.on(submit_one(9), &[ready(9)]);
        assert!(text(&w, 9).contains("is being started again"), "{}", text(&w, 9));
        w.quiet(submit_call(&retried(10, -1)));
        let rest: &[Order] =
            if unordered { &[push(21, 4, 1), push(21, 7, 0), push(21, 10, 0)] } else { &[push(21, 4, 1)] };
        w.on(up(1, 21), rest);
    }
}

#[test]
fn a_call_that_waits_for_a_value_is_judged_when_it_is_there() {
    for up_again in [false, true] {
        let mut w = with_actor();
        w.warm(10);
        w.feed(submit(&spec(1, &[], &[])));
        w.quiet(submit_call(&call(2, A, None, &[mine(1)])));
        w.quiet(restarting(0, &[]));
        if up_again {
            w.quiet(up(1, 21));
        }
        let then = if up_again { push(21, 2, 0) } else { ready(2) };
        w.on(reply(1, 0, 10, vec![inline(&[])]), &[ready(1), then]);
        assert_eq!(kind(&w, 2), (!up_again).then_some(ErrorKind::ActorUnavailable));
    }
}

#[test]
fn who_hears_of_an_actor_between_two_lives_is_told_so() {
    let mut w = World::default();
    w.on(submit_one(1), &[Order::WatchActor(actor(A))]);
    w.quiet(submit_call(&retried(2, 1)));
    w.on(restarting(3, &[]), &[ready(1)]);
    assert_eq!(kind(&w, 1), Some(ErrorKind::ActorUnavailable));
    // Its constructor's process dies, too.
    w.quiet(restarting(4, &[]));
    w.quiet(restarting(3, &[]));
    w.on(submit_one(3), &[ready(3)]);
    w.quiet(up(4, 24));
    w.on(up(5, 25), &[push(25, 2, 0)]);
}

#[test]
fn the_two_news_of_one_end_count_once_in_either_order() {
    for first_lost in [true, false] {
        let mut w = with_actor();
        let mut c = call(1, A, None, &[]);
        c.max_retries = 1;
        w.feed(submit_call(&c));
        if first_lost {
            w.quiet(lost(20, &[1]));
            w.quiet(restarting(0, &[]));
        } else {
            w.quiet(restarting(0, &[1]));
            w.quiet(lost(20, &[1]));
        }
        w.on(up(1, 21), &[push(21, 1, 1)]);
        w.on(reply(1, 1, 21, vec![inline(&[])]), &[ready(1)]);
    }
}

#[test]
fn nothing_fails_before_it_is_known_whether_the_actor_is_dead() {
    let mut w = with_actor();
    w.feed(submit_one(1));
    w.quiet(lost(20, &[1]));
    w.on(dead(), &[ready(1)]);
    assert_eq!(kind(&w, 1), Some(ErrorKind::ActorDied));
}

#[test]
fn a_dead_actor_fails_everything_now_and_later() {
    let mut w = with_actor();
    w.warm(10);
    w.feed(submit_one(1));
    w.feed(submit(&spec(2, &[], &[])));
    w.feed(submit_call(&call(3, A, None, &[mine(2)])));
    w.on(dead(), &[ready(1), ready(3)]);
    assert_eq!(w.owner.actor_error(&actor(A)), Some(&error(ErrorKind::ActorDied)));
    w.on(submit_one(4), &[ready(4)]);
    w.quiet(dead());
    w.quiet(up(3, 22));
    assert_eq!(w.owner.pending_calls(&actor(A)), 0);
}

#[test]
fn news_of_an_old_life_is_ignored() {
    let mut w = with_actor();
    w.quiet(restarting(0, &[]));
    w.quiet(up(1, 21));
    w.on(submit_one(1), &[push(21, 1, 0)]);
    w.quiet(up(0, 20));
    w.quiet(restarting(0, &[1]));
    w.quiet(lost(20, &[1]));
    w.on(submit_one(2), &[push(21, 2, 0)]);
    w.on(reply(1, 0, 21, vec![inline(&[])]), &[ready(1)]);
}

#[test]
fn an_exception_of_a_call_is_tried_again_when_asked() {
    let mut w = with_actor();
    let mut c = call(1, A, None, &[]);
    (c.max_retries, c.retry_exceptions) = (1, true);
    w.feed(submit_call(&c));
    w.on(retryable(1, 0, 20), &[push(20, 1, 1)]);
    w.on(retryable(1, 1, 20), &[ready(1)]);
}

#[test]
fn a_call_that_rests_holds_up_an_ordered_actor_and_no_other() {
    for unordered in [false, true] {
        let mut w = with_actor();
        if unordered {
            w = World::default();
            w.feed(Event::ActorCreated {
                actor: actor(A),
                handle: handle_of(100),
                deps: vec![],
                refs: vec![],
                unordered,
            });
            w.feed(up(0, 20));
        }
        let mut c = call(1, A, None, &[]);
        (c.max_retries, c.retry_exceptions) = (-1, true);
        w.feed(submit_call(&c));
        w.on(retryable(1, 0, 20), &[push(20, 1, 1)]);
        w.quiet(retryable(1, 1, 20));
        let second: &[Order] = if unordered { &[push(20, 2, 0)] } else { &[] };
        w.on(submit_one(2), second);
        let both: &[Order] = if unordered { &[push(20, 1, 2)] } else { &[push(20, 1, 2), push(20, 2, 0)] };
        w.tick(w.now + 50_000, both);
    }
}

#[test]
fn a_running_call_is_cancelled_at_once_and_interrupted() {
    let mut w = with_actor();
    let arg = w.put(9, stored(9, &[]));
    w.feed(submit_call(&call(1, A, None, &[arg])));
    w.drop_ref(&arg, &[]);
    w.on(Event::Cancelled { id: object(1), force: false, recursive: false }, &[withdraw(20, 1)]);
    let interrupt = send(20, 1, PeerMsg::CancelTask { task: task(1), recursive: false });
    w.on(withdrawn(1, false), &[ready(1), interrupt]);
    assert_eq!(w.owner.pending_calls(&actor(A)), 0);
    w.on(reply(1, 0, 20, vec![failed(ErrorKind::Task)]), &[Order::Free { id: object(9), loc: loc(9) }]);
    w.feed(submit_one(2));
    w.feed(Event::Cancelled { id: object(2), force: false, recursive: false });
    w.on(withdrawn(2, true), &[ready(2)]);
    assert!(kind(&w, 2) == Some(ErrorKind::Cancelled) && kind(&w, 1) == Some(ErrorKind::Cancelled));
}

#[test]
fn what_a_killed_actor_had_taken_stays_lent_until_its_process_is_gone() {
    let mut w = with_lent(3);
    let asked_back = |n| [ready(n), withdraw(20, n)];
    let all: Vec<Order> = (1..=3).flat_map(asked_back).collect();
    let got = w.feed(killed());
    assert!(got.len() == all.len() && all.iter().all(|order| got.contains(order)), "{got:?}");
    assert!((1..=3).all(|n| kind(&w, n) == Some(ErrorKind::ActorDied)), "who waits hears it at once");
    assert_eq!(w.owner.pending_calls(&actor(A)), 0);
    w.on(submit_one(4), &[ready(4)]);
    // One had not begun, one is still answered, one is not.
    w.on(withdrawn(1, true), &[free(11)]);
    w.quiet(withdrawn(2, false));
    w.quiet(withdrawn(3, false));
    w.on(reply(2, 0, 20, vec![stored(2, &[])]), &[Order::Free { id: object(2), loc: loc(2) }, free(12)]);
    w.quiet(killed());
    w.on(lost(20, &[3]), &[free(13)]);
    w.quiet(Event::RefsDropped((1..=4).map(object).collect()));
    assert!(w.owner.is_empty());
}

#[test]
fn what_a_killed_actor_was_made_with_stays_lent_until_its_process_is_gone() {
    for constructing in [true, false] {
        let mut w = World::default();
        let (kept, other) = (w.put(11, stored(11, &[])), w.put(12, stored(12, &[])));
        let (handle, refs) = (handle_of(50), vec![kept, other]);
        w.feed(Event::ActorCreated { actor: actor(A), handle, deps: vec![], refs, unordered: false });
        w.quiet(Event::RefsDropped(vec![object(11), object(12)]));
        let mut with_kept = up(0, 20);
        if let Event::ActorUp { kept: k, .. } = &mut with_kept {
            k.push(kept);
        }
        if constructing {
            w.quiet(killed());
        }
        w.quiet(with_kept);
        assert_eq!(w.state(&kept).unwrap().holders, [(address(20).worker, 1)]);
        if !constructing {
            w.quiet(killed());
        }
        w.on(Event::RefsDropped(vec![handle]), &[Order::ActorOutOfScope(actor(A))]);
        let mut freed = w.feed(lost(20, &[]));
        freed.sort_by_key(|o| matches!(o, Order::Free { id, .. } if *id == object(12)));
        assert_eq!(freed, [free(11), free(12)]);
        assert!(w.owner.is_empty() && w.owner.actor_error(&actor(A)).is_none(), "ACTOR-4: its record is left");
    }
}

#[test]
fn a_killed_actor_whose_process_is_known_to_be_gone_is_lent_nothing() {
    let mut w = with_lent(1);
    w.quiet(lost(20, &[1]));
    w.on(killed(), &[ready(1), free(11)]);
    let mut w = World::default();
    let made_with = w.put(11, stored(11, &[]));
    let (handle, refs) = (handle_of(50), vec![made_with]);
    w.feed(Event::ActorCreated { actor: actor(A), handle, deps: vec![], refs, unordered: false });
    w.drop_ref(&made_with, &[]);
    w.quiet(lost(20, &[]));
    w.on(killed(), &[free(11)]);
}

#[test]
fn a_cancelled_call_of_a_killed_actor_stays_lent_as_long_as_the_others() {
    let mut w = with_lent(1);
    w.on(Event::Cancelled { id: object(1), force: false, recursive: false }, &[withdraw(20, 1)]);
    let interrupt = send(20, 1, PeerMsg::CancelTask { task: task(1), recursive: false });
    w.on(withdrawn(1, false), &[ready(1), interrupt]);
    w.quiet(killed());
    assert_eq!(kind(&w, 1), Some(ErrorKind::Cancelled));
    w.on(lost(20, &[1]), &[free(11)]);
}
