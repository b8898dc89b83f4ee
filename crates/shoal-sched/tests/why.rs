//! Why somebody waits: a test a reason.
mod support;
use shoal_sched::{Config, Event, Refusal, Wait, Waiter, amount};
use support::*;

fn only(w: &World) -> Wait {
    let mut waits = w.sched.waits();
    assert_eq!(waits.len(), 1, "{waits:?}");
    waits.pop().unwrap()
}

fn world(pairs: &[(&str, f64)]) -> World {
    let mut w = World::new(amounts(pairs));
    w.join(id(1), 1, true);
    w.start_all();
    w
}

#[test]
fn what_no_node_has_is_never() {
    let mut w = world(&[("CPU", 2.0)]);
    w.demand(id(1), 7, amounts(&[("CPU", 1.0), ("x", 2.0)]), 3, 0);
    let wait = only(&w);
    assert_eq!((wait.who, wait.count, wait.lasting), (Waiter::Key(id(1), 7), 3, true));
    let Refusal::Never(missing) = wait.refusal else { panic!("{wait:?}") };
    assert_eq!((missing.len(), missing[0].name.as_str(), missing[0].needed, missing[0].total), (1, "x", 20_000, 0));
}

#[test]
fn what_running_tasks_hold_is_in_use_and_does_not_last() {
    let mut w = world(&[("CPU", 2.0)]);
    w.demand(id(1), 1, cpus(1.0), 2, 0);
    w.demand(id(1), 2, cpus(2.0), 1, 0);
    let wait = only(&w);
    assert!(!wait.lasting);
    let Refusal::InUse(missing, holders) = wait.refusal else { panic!("{wait:?}") };
    assert_eq!((missing[0].needed, missing[0].free, missing[0].total), (20_000, 0, 20_000));
    assert!(holders.len() == 2 && holders.iter().all(|h| h.actor.is_none() && h.amount == 10_000 && !h.blocked));
}

#[test]
fn what_actors_and_blocked_tasks_hold_lasts() {
    let mut w = world(&[("CPU", 2.0), ("x", 1.0)]);
    w.wants_actor(9, 1, cpus(2.0), cpus(2.0));
    w.start_all();
    w.demand(id(1), 1, cpus(1.0), 1, 0);
    let wait = only(&w);
    let Refusal::InUse(_, holders) = &wait.refusal else { panic!("{wait:?}") };
    assert!(wait.lasting && holders.len() == 1 && holders[0].actor == Some(actor(9)), "{wait:?}");

    let mut w = world(&[("CPU", 2.0), ("x", 1.0)]);
    w.demand(id(1), 1, amounts(&[("CPU", 1.0), ("x", 1.0)]), 2, 0);
    w.start_all();
    assert!(!only(&w).lasting);
    let busy = w.leases.values().next().unwrap().worker;
    w.block(busy, true);
    let wait = only(&w);
    let Refusal::InUse(_, holders) = &wait.refusal else { panic!("{wait:?}") };
    assert!(wait.lasting && holders[0].blocked && holders[0].amount == 10_000, "{wait:?}");
}

#[test]
fn a_process_that_starts_or_fails_to_or_has_no_room() {
    let mut w = World::with(Config { max_workers: 1, ..Config::new(cpus(2.0)) });
    w.join(id(1), 1, false);
    w.demand(id(1), 1, cpus(1.0), 1, 0);
    assert_eq!(only(&w).refusal, Refusal::NoProcess(1), "the one that starts fills the room");
    let start = *w.starts.keys().next().unwrap();
    w.starts.clear();
    w.go(Event::StartFailed { start, reason: "no".into() });
    assert_eq!(only(&w).refusal, Refusal::Failing(1));

    let mut w = World::new(cpus(2.0));
    w.join(id(1), 1, false);
    w.wants_actor(9, 1, cpus(1.0), cpus(1.0));
    assert_eq!((only(&w).who, only(&w).refusal), (Waiter::Actor(actor(9)), Refusal::Starting));
}

#[test]
fn parts_of_several_gpus_are_not_one() {
    let mut w = world(&[("CPU", 2.0), ("GPU", 2.0)]);
    w.demand(id(1), 1, amounts(&[("GPU", 0.6)]), 2, 0);
    w.start_all();
    w.demand(id(1), 2, amounts(&[("GPU", 0.5)]), 1, 0);
    assert_eq!(only(&w).refusal, Refusal::Scattered);
}

#[test]
fn workers_are_told_with_what_they_do_and_hold() {
    let mut w = world(&[("CPU", 2.0)]);
    w.demand(id(1), 1, cpus(1.0), 1, 0);
    let mut roles: Vec<_> = w.sched.workers().map(|i| (i.role, i.holder, i.holds.get("CPU"))).collect();
    roles.sort_unstable();
    assert_eq!(roles, [("idle", None, 0), ("leased", Some((id(1), 1)), 10_000)]);
}

#[test]
fn amounts_are_told_as_people_say_them() {
    assert_eq!([amount("CPU", 10_000), amount("CPU", 2_500), amount("memory", 50_000)], ["1", "0.25", "5 bytes of"]);
}

#[test]
fn who_waits_for_what_actors_hold_is_told_once() {
    let mut w = world(&[("CPU", 2.0)]);
    w.wants_actor(9, 1, cpus(2.0), cpus(2.0));
    w.start_all();
    w.demand(id(1), 1, cpus(1.0), 4, 0);
    w.sleep(9 * SECOND);
    assert_eq!(w.warned, []);
    w.sleep(2 * SECOND);
    assert_eq!(w.warned, [Waiter::Key(id(1), 1)]);
    w.demand(id(1), 1, cpus(1.0), 0, 0);
    w.demand(id(1), 1, cpus(1.0), 7, 0);
    w.wants_actor(8, 1, cpus(1.0), cpus(1.0));
    w.sleep(60 * SECOND);
    assert_eq!(w.warned, [Waiter::Key(id(1), 1), Waiter::Actor(actor(8))], "a key is told once, an actor, too");
}

#[test]
fn who_waits_for_running_tasks_is_not_warned_until_they_block() {
    let mut w = world(&[("CPU", 2.0), ("x", 1.0)]);
    w.demand(id(1), 1, amounts(&[("CPU", 1.0), ("x", 1.0)]), 2, 0);
    w.start_all();
    w.sleep(60 * SECOND);
    assert_eq!(w.warned, []);
    let busy = w.leases.values().next().unwrap().worker;
    w.block(busy, true);
    w.sleep(10 * SECOND);
    assert_eq!(w.warned, [Waiter::Key(id(1), 1)]);
}

#[test]
fn what_never_fits_is_told_before_it_fails_and_never_when_so_wished() {
    let never = |warn_after| {
        let mut w = World::with(Config { warn_after, ..Config::new(cpus(2.0)) });
        w.join(id(1), 1, false);
        w.demand(id(1), 1, cpus(3.0), 1, 0);
        w.sleep(29 * SECOND);
        let warned = w.warned.clone();
        w.sleep(2 * SECOND);
        assert_eq!(w.refused.len(), 1);
        warned
    };
    assert_eq!(never(Some(10 * SECOND)), [Waiter::Key(id(1), 1)]);
    assert_eq!(never(None), []);
}
