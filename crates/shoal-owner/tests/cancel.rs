//! Cancelling: children, and who is killed.
mod world;
use shoal_owner::{Event, Order};
use shoal_proto::peer::PeerMsg;
use shoal_types::{ErrorKind, TaskId, Value};
use world::*;

const A: u8 = 7;
/// A call of another process that runs here.
const PARENT: TaskId = TaskId([9; 16]);

fn cancelled(w: &World, n: u64) -> bool {
    matches!(w.owner.value(&object(n)), Some(Value::Error(e)) if e.kind == ErrorKind::Cancelled)
}

fn child(n: u64, parent: TaskId) -> Event {
    let mut spec = spec(n, &[], &[]);
    spec.parent = Some(parent);
    submit(&spec)
}

fn child_call(n: u64, parent: TaskId) -> Event {
    let mut call = call(n, A, None, &[]);
    call.parent = Some(parent);
    submit_call(&call)
}

fn cancel_parent(w: &mut World, recursive: bool) -> Event {
    w.peer(2, PeerMsg::CancelTask { task: PARENT, recursive })
}

#[test]
fn the_children_of_a_cancelled_call_are_cancelled_wherever_they_are() {
    let mut w = World::default();
    w.feed(Event::ActorKnown { actor: actor(A), unordered: false });
    w.quiet(Event::ActorUp { actor: actor(A), incarnation: 0, lane: lane(20), worker: address(20), kept: vec![] });
    w.warm(10);
    w.on(child(1, PARENT), &[push(10, 1, 0)]);
    w.on(child(2, PARENT), &[demand(1, 1, 0)]);
    w.on(child_call(3, PARENT), &[push(20, 3, 0)]);
    w.quiet(child(4, TaskId([8; 16])));
    w.feed(submit(&spec(5, &[], &[])));
    let cancel = cancel_parent(&mut w, true);
    w.on(cancel, &[withdraw(10, 1), ready(2), withdraw(20, 3)]);
    // Their own children are their workers' affair.
    let interrupt = |n| PeerMsg::CancelTask { task: task(n), recursive: true };
    w.on(withdrawn(1, false), &[ready(1), send(10, 1, interrupt(1))]);
    w.on(withdrawn(3, false), &[ready(3), send(20, 1, interrupt(3))]);
    assert!([1, 2, 3].iter().all(|n| cancelled(&w, *n)) && ![4, 5].iter().any(|n| cancelled(&w, *n)));
}

#[test]
fn without_recursive_children_go_on() {
    let mut w = World::default();
    w.warm(10);
    w.on(child(1, PARENT), &[push(10, 1, 0)]);
    let cancel = cancel_parent(&mut w, false);
    w.quiet(cancel);
    w.on(reply(1, 0, 10, vec![inline(&[])]), &[ready(1)]);
}

#[test]
fn what_a_cancelled_call_submits_until_it_is_interrupted_is_cancelled_too() {
    let mut w = World::default();
    w.warm(10);
    let cancel = cancel_parent(&mut w, true);
    w.quiet(cancel);
    w.on(child(1, PARENT), &[push(10, 1, 0)]);
    w.on(Event::Interrupted(PARENT), &[withdraw(10, 1)]);
    w.on(withdrawn(1, true), &[ready(1)]);
    // What it submits later cleans up.
    w.on(child(2, PARENT), &[push(10, 2, 0)]);
    w.on(reply(2, 0, 10, vec![inline(&[])]), &[ready(2)]);
    assert!(cancelled(&w, 1) && !cancelled(&w, 2));
}

/// Tasks 1 to 3 in one lane, the first is taken and cancelled by force: the others are asked back first.
fn forced() -> World {
    let mut w = World::default();
    w.warm(10);
    w.feed(submit(&spec(9, &[], &[])));
    w.feed(reply(9, 0, 10, vec![inline(&[])]));
    (1..=3).for_each(|n| w.on(submit(&spec(n, &[], &[])), &[push(10, n, 0)]));
    w.on(Event::Cancelled { id: object(1), force: true, recursive: false }, &[withdraw(10, 1)]);
    w.on(withdrawn(1, false), &[ready(1), withdraw(10, 3), withdraw(10, 2)]);
    w
}

#[test]
fn force_kills_the_worker_when_nothing_else_is_in_its_lane() {
    let mut w = forced();
    w.on(withdrawn(3, true), &[demand(1, 1, 0)]);
    let out = w.feed(withdrawn(2, true));
    assert_eq!(out.first(), Some(&Order::KillWorker(address(10).worker)));
    // They never began: nothing is spent.
    w.feed(lost(10, &[1]));
    let grant = w.grant(11);
    let out = w.feed(grant);
    assert_eq!(out[..2], [push(11, 2, 1), push(11, 3, 1)]);
}

#[test]
fn force_kills_nobody_when_the_worker_has_gone_on_to_the_next_task() {
    let mut w = forced();
    w.on(withdrawn(3, true), &[demand(1, 1, 0)]);
    w.quiet(withdrawn(2, false));
    w.feed(reply(1, 0, 10, vec![inline(&[])]));
    let out = w.feed(reply(2, 0, 10, vec![inline(&[])]));
    assert!(out.contains(&ready(2)) && cancelled(&w, 1));
}

#[test]
fn force_kills_nobody_when_the_task_has_ended() {
    let mut w = forced();
    w.feed(reply(1, 0, 10, vec![inline(&[])]));
    w.feed(withdrawn(3, true));
    let out = w.feed(withdrawn(2, true));
    assert!(!out.iter().any(|o| matches!(o, Order::KillWorker(_))));
}
