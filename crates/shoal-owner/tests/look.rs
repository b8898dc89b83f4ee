//! What the core tells to who looks inside.
mod world;
use shoal_owner::Event;
use shoal_proto::look::{ActorPhase, Place, Stage};
use shoal_types::{ErrorKind, WorkerId};
use world::*;

#[test]
fn tasks_are_told_by_stage_with_what_they_wait_for() {
    let mut w = World::default();
    w.warm(10);
    w.now = 500;
    w.feed(submit(&spec(1, &[], &[])));
    w.feed(submit(&spec(2, &[mine(1)], &[])));
    let rows = w.owner.task_rows(10).rows;
    let told: Vec<_> = rows.iter().map(|r| (r.id, r.stage, r.born, r.key)).collect();
    assert_eq!(told, [(task(1), Stage::Sent, 500, Some(0)), (task(2), Stage::Waiting, 500, Some(0))]);
    assert_eq!((rows[0].worker, rows[0].waits_for.len()), (Some(address(10).worker), 0));
    assert_eq!(rows[1].waits_for, [mine(1)]);
    assert_eq!((w.owner.task_rows(1).rows.len(), w.owner.task_rows(1).left_out), (1, 1));
}

#[test]
fn calls_are_told_with_how_their_actor_stands() {
    let mut w = World::default();
    w.feed(Event::ActorKnown { actor: actor(3), unordered: false });
    w.feed(submit_call(&call(1, 3, None, &[])));
    let row = w.owner.task_rows(10).rows.pop().unwrap();
    assert_eq!((row.actor, row.phase, row.stage), (Some(actor(3)), Some(ActorPhase::Pending), Stage::Queued));
    let up = Event::ActorUp { actor: actor(3), incarnation: 0, lane: lane(7), worker: address(7), kept: vec![] };
    w.feed(up);
    let row = w.owner.task_rows(10).rows.pop().unwrap();
    assert_eq!((row.phase, row.stage, row.worker), (Some(ActorPhase::Up), Stage::Sent, Some(address(7).worker)));
}

#[test]
fn what_is_over_is_remembered_the_last_first_with_its_error() {
    let mut w = World::default();
    w.warm(10);
    w.now = 100;
    w.feed(submit(&spec(1, &[], &[])));
    w.feed(submit(&spec(2, &[], &[])));
    w.now = 300;
    w.feed(reply(1, 0, 10, vec![inline(&[])]));
    w.now = 400;
    w.feed(reply(2, 0, 10, vec![failed(ErrorKind::Task)]));
    let rows = w.owner.ended_rows(10).rows;
    let told: Vec<_> = rows.iter().take(2).map(|r| (r.id, r.born, r.ended, r.worker)).collect();
    let worker = address(10).worker;
    assert_eq!(told, [(task(2), 100, 400, worker), (task(1), 100, 300, worker)]);
    assert_eq!(rows[0].error.as_ref().map(|(kind, _)| *kind), Some(ErrorKind::Task));
    assert_eq!(rows[1].error, None);
}

#[test]
fn a_task_that_nobody_answered_has_no_worker() {
    let mut w = World::default();
    w.feed(submit(&spec(1, &[], &[])));
    w.feed(Event::Cancelled { id: object(1), force: false, recursive: true });
    let row = w.owner.ended_rows(10).rows.pop().unwrap();
    assert_eq!((row.worker, row.error.unwrap().0), (WorkerId::NIL, ErrorKind::Cancelled));
}

#[test]
fn ten_thousand_are_remembered_and_the_rest_counted() {
    let mut w = World::default();
    w.warm(10);
    let before = w.owner.ended_rows(10).rows.len() as u64;
    for n in 1..=10_005 {
        w.feed(submit(&spec(n, &[], &[])));
        w.feed(reply(n, 0, 10, vec![inline(&[])]));
        // Each check looks at all values: who holds none is quicker.
        w.feed(Event::RefsDropped(vec![object(n)]));
    }
    let rows = w.owner.ended_rows(usize::MAX);
    assert_eq!((rows.rows.len(), rows.left_out), (10_000, 5 + before));
    assert_eq!((rows.rows[0].id, rows.rows[9_999].id), (task(10_005), task(6)));
}

#[test]
fn objects_are_told_by_size_with_what_counts_them() {
    let mut w = World::default();
    w.put(1, inline(&[]));
    w.put(2, stored(2, &[mine(1)]));
    w.feed(submit(&spec(3, &[mine(2)], &[])));
    let rows = w.owner.object_rows(10).rows;
    let told: Vec<_> = rows.iter().map(|r| (r.object.id, r.place, r.local, r.lent, r.contained)).collect();
    assert_eq!(told[0], (object(2), Place::Arena, 1, 1, 0));
    assert!(told.contains(&(object(1), Place::Inline, 1, 0, 1)));
    assert!(told.contains(&(object(3), Place::Nowhere, 1, 0, 0)));
}
