//! One test a rule of the scheduler.
mod support;
use shoal_sched::{Config, Event, Order};
use shoal_types::{ErrorKind, JobId};
use support::*;

/// Two CPUs, one driver, its workers started ahead.
fn two_cpus() -> World {
    let mut w = World::new(amounts(&[("CPU", 2.0), ("x", 1.0)]));
    assert_eq!(starts(&w.join(id(1), 1, true)), 2);
    assert_eq!(grants(&w.start_all()), 0);
    w
}

fn wanted(orders: &[Order]) -> Vec<Order> {
    orders.iter().filter(|o| matches!(o, Order::RecallIdle { .. })).cloned().collect()
}

#[test]
fn what_runs_is_bounded_by_what_is_free() {
    let mut w = two_cpus();
    assert_eq!(grants(&w.demand(id(1), 1, cpus(1.0), 10, 0)), 2);
    assert_eq!(w.starts.len(), 0);
    let lease = w.leases_of(id(1), 1)[0];
    assert_eq!(grants(&w.give_back(lease)), 1);
}

#[test]
fn a_demand_replaces_the_one_before_and_counts_what_was_sent() {
    let mut w = two_cpus();
    w.demand(id(1), 1, cpus(1.0), 1, 0);
    // Said before the grant was seen: it is counted.
    let late = Event::Demand { client: id(1), key: 1, spec: None, want: 1, seen: 0, depth: 0 };
    assert_eq!(w.go(late.clone()), []);
    let more = Event::Demand { client: id(1), key: 1, spec: None, want: 1, seen: 1, depth: 0 };
    assert_eq!(grants(&w.go(more)), 1);
}

#[test]
fn a_blocked_worker_lends_its_cpus_and_takes_them_back_at_once() {
    let mut w = two_cpus();
    w.demand(id(1), 1, cpus(2.0), 1, 0);
    w.start_all();
    let busy = w.leases.values().next().unwrap().worker;
    assert_eq!(grants(&w.demand(id(1), 2, amounts(&[("CPU", 1.0), ("x", 1.0)]), 1, 1)), 0);
    w.block(busy, true);
    assert_eq!(grants(&w.start_all()), 1);
    w.block(busy, false);
    assert_eq!(w.free("CPU"), -10_000);
    assert_eq!(grants(&w.demand(id(1), 3, cpus(1.0), 1, 2)), 0);
}

#[test]
fn a_blocked_worker_keeps_gpus_memory_and_custom_resources() {
    let mut w = World::new(amounts(&[("CPU", 1.0), ("GPU", 1.0), ("x", 1.0)]));
    w.join(id(1), 1, true);
    w.demand(id(1), 1, amounts(&[("CPU", 1.0), ("GPU", 1.0), ("x", 1.0)]), 1, 0);
    w.start_all();
    let busy = w.leases.values().next().unwrap().worker;
    w.block(busy, true);
    assert_eq!((w.sched.available().get("CPU"), w.sched.available().get("GPU")), (10_000, 0));
    assert_eq!(w.sched.available().get("x"), 0);
}

#[test]
fn nested_calls_on_one_cpu_need_a_process_a_level_and_no_more() {
    let mut w = World::new(cpus(1.0));
    w.join(id(1), 1, true);
    w.start_all();
    let mut caller = id(1);
    for depth in 0..200 {
        if depth > 0 {
            w.join(caller, 1, false);
        }
        w.demand(caller, 1, cpus(1.0), 1, depth);
        w.start_all();
        let worker = w.leases.values().find(|h| h.client == caller).expect("each level is served").worker;
        w.block(worker, true);
        caller = worker;
    }
    assert_eq!(w.workers.len(), 200);
}

#[test]
fn an_actor_without_an_explicit_number_needs_a_cpu_to_be_placed_and_none_while_it_lives() {
    let mut w = two_cpus();
    for n in 0..4 {
        w.wants_actor(n, 1, cpus(0.0), cpus(1.0));
        w.start_all();
    }
    assert_eq!((w.actors.len(), w.sched.available().get("CPU")), (4, 20_000));
    assert_eq!(grants(&w.demand(id(1), 1, cpus(2.0), 1, 0)) + grants(&w.start_all()), 1);
    w.wants_actor(9, 1, cpus(0.0), cpus(1.0));
    w.start_all();
    assert_eq!(w.actors.len(), 4);
}

#[test]
fn actors_that_wait_for_processes_get_them_in_turn_and_hold_up_nobody_else() {
    let mut w = two_cpus();
    let mut orders = Vec::new();
    for n in 0..60 {
        orders.extend(w.wants_actor(n, 1, cpus(0.0), cpus(0.0)));
    }
    orders.extend(w.demand(id(1), 1, cpus(1.0), 1, 0));
    orders.extend(w.start_all());
    let served: Vec<_> = orders
        .iter()
        .filter_map(|order| match order {
            Order::AssignActor { actor, .. } => Some(*actor),
            _ => None,
        })
        .collect();
    assert_eq!(served, (0..60).map(actor).collect::<Vec<_>>(), "who came first is served first");
    assert_eq!(grants(&orders), 1);
}

#[test]
fn an_actor_gets_a_process_that_has_never_run_a_task() {
    let mut w = two_cpus();
    w.demand(id(1), 1, cpus(1.0), 1, 0);
    let lease = w.leases_of(id(1), 1)[0];
    let used = w.leases[&lease].worker;
    w.give_back(lease);
    w.wants_actor(1, 1, cpus(0.0), cpus(1.0));
    w.wants_actor(2, 1, cpus(0.0), cpus(1.0));
    w.start_all();
    assert!(w.actors.len() == 2 && w.actors.values().all(|worker| *worker != used));
}

#[test]
fn leases_are_asked_for_at_once_when_another_key_waits_and_recalled_after_a_tenth_of_a_second() {
    let mut w = two_cpus();
    w.demand(id(1), 1, cpus(1.0), 2, 0);
    // Whether they are used the holder knows: it wants no more, and may be between two calls.
    w.demand(id(1), 1, cpus(1.0), 0, 0);
    w.sleep(SECOND / 20);
    let orders = w.demand(id(1), 2, cpus(1.0), 1, 0);
    assert_eq!((wanted(&orders).len(), recalls(&orders)), (2, 0));
    assert_eq!((w.sched.next_deadline(), wanted(&w.demand(id(1), 3, cpus(1.0), 1, 0))), (Some(SECOND / 10), vec![]));
    assert_eq!(recalls(&w.sleep(SECOND / 20)), 2);
}

#[test]
fn what_was_held_for_long_is_recalled_at_once() {
    let mut w = two_cpus();
    w.demand(id(1), 1, cpus(1.0), 2, 0);
    w.sleep(SECOND);
    let orders = w.demand(id(1), 2, cpus(1.0), 1, 0);
    assert_eq!((wanted(&orders).len(), recalls(&orders)), (0, 1));
}

#[test]
fn a_recalled_lease_with_a_long_task_is_not_waited_for_while_another_could_come() {
    let mut w = two_cpus();
    w.demand(id(1), 1, cpus(1.0), 10, 0);
    w.sleep(SECOND);
    assert_eq!(recalls(&w.demand(id(1), 2, cpus(1.0), 1, 0)), 1);
    assert_eq!(recalls(&w.sleep(SECOND / 10 - 1)), 0);
    assert_eq!(recalls(&w.sleep(1)), 1);
    let second = w.leases_of(id(1), 1)[1];
    w.give_back(second);
    w.start_all();
    assert_eq!(w.leases_of(id(1), 2).len(), 1);
}

#[test]
fn drivers_that_never_stop_calling_take_turns_of_a_tenth_of_a_second() {
    let mut w = World::new(cpus(2.0));
    let drivers = [1, 2, 3, 4].map(id);
    for (n, driver) in drivers.into_iter().enumerate() {
        w.join(driver, n as u32 + 1, true);
    }
    drivers.into_iter().for_each(|driver| drop(w.demand(driver, 1, cpus(1.0), 1, 0)));
    let (mut switches, mut waits) = (0, drivers.map(|driver| (driver, w.now)).to_vec());
    while w.now < 10 * SECOND {
        w.start_all();
        w.sleep(SECOND / 100);
        for (lease, held) in w.leases.clone() {
            waits.retain(|(driver, _)| *driver != held.client);
            if held.recalled {
                w.give_back(lease);
                w.demand(held.client, 1, cpus(1.0), 1, 0);
                switches += 1;
                waits.push((held.client, w.now));
            }
        }
        assert!(waits.iter().all(|(_, since)| w.now - since <= 2 * SECOND / 10), "{waits:?} at {}", w.now);
    }
    assert!((100..=200).contains(&switches), "{switches}");
    for driver in drivers {
        assert!(w.granted[&(driver, 1)] >= 25, "{:?}", w.granted);
    }
}

#[test]
fn a_wanted_lease_is_recalled_after_a_tenth_of_a_second_for_who_has_none() {
    let mut w = two_cpus();
    w.demand(id(1), 1, cpus(1.0), 10, 0);
    assert_eq!(recalls(&w.demand(id(1), 2, cpus(1.0), 10, 0)), 0);
    assert_eq!(recalls(&w.sleep(SECOND / 10)), 1);
    let lease = *w.leases.iter().find(|(_, h)| h.recalled).unwrap().0;
    w.give_back(lease);
    w.start_all();
    assert_eq!(w.leases_of(id(1), 2).len(), 1);
    assert_eq!(recalls(&w.sleep(SECOND)), 0, "equal shares are left alone");
}

#[test]
fn a_deeper_lease_is_asked_for_twice_and_never_interrupted() {
    let mut w = World::new(cpus(1.0));
    w.join(id(1), 1, true);
    w.start_all();
    w.demand(id(1), 1, cpus(1.0), 1, 0);
    let caller = w.leases.values().next().expect("one CPU").worker;
    w.join(caller, 1, false);
    w.block(caller, true);
    w.demand(caller, 1, cpus(1.0), 1, 1);
    w.start_all();
    let deeper = w.leases_of(caller, 1)[0];
    let asked = [Order::RecallIdle { client: caller, lease: deeper }];
    let orders = w.demand(id(1), 2, cpus(1.0), 1, 0);
    assert_eq!((wanted(&orders), recalls(&orders)), (asked.to_vec(), 0));
    assert_eq!(wanted(&w.demand(id(1), 2, cpus(1.0), 9, 0)), []);
    // Used or not: after a tenth of a second it is to go when it is idle, and is still not interrupted.
    let orders = w.sleep(SECOND / 10);
    assert_eq!((wanted(&orders), recalls(&orders)), (asked.to_vec(), 0));
    assert_eq!((wanted(&w.sleep(SECOND)), w.sched.next_deadline().is_some_and(|at| at < 2 * SECOND)), (vec![], false));
    w.give_back(deeper);
    assert_eq!(w.leases_of(id(1), 2).len(), 1);
}

#[test]
fn the_deepest_of_a_job_is_served_first_and_jobs_take_turns() {
    let mut w = World::new(cpus(1.0));
    w.join(id(1), 1, true);
    w.join(id(2), 2, true);
    w.start_all();
    w.demand(id(1), 1, cpus(1.0), 1, 0);
    w.demand(id(1), 2, cpus(1.0), 1, 0);
    w.demand(id(1), 3, cpus(1.0), 1, 5);
    w.demand(id(2), 1, cpus(1.0), 1, 0);
    let mut order = Vec::new();
    while let Some((lease, held)) = w.leases.iter().next().map(|(l, h)| (*l, h.clone())) {
        order.push((held.client, held.key));
        w.demand(held.client, held.key, cpus(1.0), 0, 0);
        w.give_back(lease);
        w.start_all();
    }
    assert_eq!(order, [(id(1), 1), (id(2), 1), (id(1), 3), (id(1), 2)]);
}

#[test]
fn a_large_request_is_not_passed_for_ever_by_small_ones() {
    let mut w = two_cpus();
    w.join(id(2), 1, false);
    w.demand(id(1), 1, cpus(1.0), 10, 0);
    w.demand(id(2), 1, cpus(2.0), 1, 0);
    for _ in 0..40 {
        w.sleep(SECOND / 10);
        for lease in w.leases_of(id(1), 1).into_iter().take(1) {
            w.give_back(lease);
        }
        w.demand(id(1), 1, cpus(1.0), 10, 0);
        w.start_all();
        if !w.leases_of(id(2), 1).is_empty() {
            return;
        }
    }
    panic!("two CPUs were never free together");
}

#[test]
fn gpus_are_given_out_whole_or_in_parts_and_named() {
    let mut w = World::new(amounts(&[("CPU", 8.0), ("GPU", 2.0)]));
    w.join(id(1), 1, true);
    w.demand(id(1), 1, amounts(&[("GPU", 0.5)]), 3, 0);
    w.start_all();
    w.demand(id(1), 2, amounts(&[("GPU", 1.0)]), 1, 0);
    w.start_all();
    let gpus: Vec<_> = w.leases.values().map(|h| w.workers[&h.worker].gpus.clone()).collect();
    assert_eq!(gpus, [vec![0], vec![0], vec![1]]);
    assert!(w.leases_of(id(1), 2).is_empty());
}

#[test]
fn what_never_fits_is_told_after_the_grace_with_what_was_asked_and_had() {
    let mut w = two_cpus();
    w.demand(id(1), 1, amounts(&[("CPU", 4.0), ("tpu", 0.5)]), 1, 0);
    assert!(w.sleep(29 * SECOND).iter().all(|o| matches!(o, Order::Retire(_) | Order::Warn(_))));
    let orders = w.sleep(2 * SECOND);
    let Some(Order::Unschedulable { error, .. }) = orders.first() else { panic!("{orders:?}") };
    assert_eq!(error.kind, ErrorKind::Unschedulable);
    let text = "no node can ever run it: needs 4 CPU, the node has 2; needs 0.5 tpu, the node has 0";
    assert_eq!(error.message, text);
}

#[test]
fn at_the_cap_with_everybody_blocked_the_chain_is_an_error() {
    let mut w = World::with(Config { max_workers: 2, ..Config::new(cpus(1.0)) });
    w.join(id(1), 1, true);
    let mut caller = id(1);
    for depth in 0..3 {
        w.demand(caller, 1, cpus(1.0), 1, depth);
        w.start_all();
        let Some(worker) = w.leases.values().find(|h| h.client == caller).map(|h| h.worker) else { break };
        w.join(worker, 1, false);
        w.block(worker, true);
        caller = worker;
    }
    assert!(w.refused.is_empty());
    w.sleep(6 * SECOND);
    let Some(Order::Unschedulable { client, error, .. }) = w.refused.first() else { panic!("nobody was told") };
    assert_eq!(*client, caller);
    assert!(error.message.contains("all 2 worker processes") && error.message.contains("chain of 3"), "{error:?}");
}

#[test]
fn idle_workers_end_the_surplus_soon_the_others_later_and_then_nothing_ticks() {
    let mut w = two_cpus();
    w.demand(id(1), 1, amounts(&[("x", 0.1)]), 6, 0);
    while !w.starts.is_empty() {
        w.start_all();
    }
    w.demand(id(1), 1, amounts(&[("x", 0.1)]), 0, 0);
    for lease in w.leases_of(id(1), 1) {
        w.give_back(lease);
    }
    w.sleep(5 * SECOND);
    assert_eq!(w.doomed.len(), 4);
    w.sleep(60 * SECOND);
    assert_eq!(w.doomed.len(), 8);
    assert_eq!(w.sched.next_deadline(), None);
    let refuses = w.doomed.remove(0);
    w.go(Event::RetireRefused(refuses));
    assert!(w.sched.next_deadline().is_some());
}

#[test]
fn three_failed_starts_in_a_row_are_an_error_with_the_reason() {
    let mut w = World::new(cpus(1.0));
    w.join(id(1), 1, false);
    w.demand(id(1), 1, cpus(1.0), 1, 0);
    for _ in 0..3 {
        let (start, _) = w.starts.pop_first().expect("it is tried again");
        w.go(Event::StartFailed { start, reason: "no such file".into() });
        w.sleep(10 * SECOND);
    }
    let [Order::Unschedulable { error, .. }] = &w.refused[..] else { panic!("{:?}", w.refused) };
    assert!(error.kind == ErrorKind::RuntimeEnv && error.message.contains("no such file"));
}

#[test]
fn a_start_that_was_lost_is_made_again_at_once_and_is_no_failure() {
    let mut w = World::new(cpus(1.0));
    w.join(id(1), 1, true);
    w.demand(id(1), 1, cpus(1.0), 1, 0);
    for _ in 0..10 {
        let start = *w.starts.keys().next().expect("somebody waits for a worker");
        w.starts.remove(&start);
        assert_eq!(starts(&w.go(Event::StartLost(start))), 1);
    }
    w.start_all();
    assert!(w.refused.is_empty() && w.leases_of(id(1), 1).len() == 1);
}

#[test]
fn a_lost_client_takes_its_workers_with_it() {
    let mut w = two_cpus();
    w.demand(id(1), 1, cpus(1.0), 2, 0);
    w.lose_client(id(1));
    assert_eq!(w.doomed.len(), 2);
    assert_eq!(w.sched.available().get("CPU"), 0, "held until they are gone");
    for worker in w.doomed.clone() {
        w.lose(worker);
    }
    assert_eq!(w.sched.available().get("CPU"), 20_000);
}

#[test]
fn a_job_s_end_spares_detached_actors_and_whom_they_lease() {
    let mut w = two_cpus();
    w.actor_needs.insert(actor(1), (cpus(0.0), cpus(1.0)));
    let (hold, placement, runtime_env) = (cpus(0.0), cpus(1.0), String::new());
    let (depth, detached) = (0, true);
    w.go(Event::ActorWanted { actor: actor(1), job: JobId(1), hold, placement, runtime_env, depth, detached });
    let lasting = w.actors[&actor(1)];
    w.join(lasting, 1, false);
    w.demand(lasting, 1, cpus(1.0), 1, 1);
    w.start_all();
    let helper = w.leases.values().next().unwrap().worker;
    w.demand(id(1), 1, cpus(1.0), 1, 0);
    w.start_all();
    w.lose_client(id(1));
    w.go(Event::JobEnded(JobId(1)));
    assert!(!w.doomed.contains(&lasting) && !w.doomed.contains(&helper));
    assert_eq!(w.doomed.len(), w.workers.len() - 2);
}

#[test]
fn a_lingering_workers_lease_is_recalled_and_what_it_held_is_free() {
    let mut w = two_cpus();
    w.demand(id(1), 1, cpus(1.0), 1, 0);
    let (lease, worker) = w.leases.iter().next().map(|(lease, held)| (*lease, held.worker)).unwrap();
    assert_eq!(w.go(Event::WorkerLingers(worker)), [Order::Recall { client: id(1), lease }]);
    assert_eq!(w.sched.available().get("CPU"), 20_000);
    assert_eq!(w.go(Event::LeaseReturned(lease)), []);
    assert_eq!(w.go(Event::WorkerLost(worker)), []);
}
