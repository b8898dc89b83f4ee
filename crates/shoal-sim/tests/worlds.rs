//! Random worlds, seeded and shrunk.
use proptest::prelude::*;
use shoal_sim::{Choices, Habit, Options, Schedule, Trace, World, replay};

fn run(seed: u64, steps: usize, options: Options) -> World {
    let mut world = World::new(Choices::seeded(seed), options);
    (0..steps).for_each(|_| world.step());
    world.finish();
    world
}

/// `SHOAL_SIM_SEED` alone, or as many as `SHOAL_SIM_RUNS` says, from `SHOAL_SIM_FROM` on.
fn seeds(default: u64) -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let from = number("SHOAL_SIM_FROM").unwrap_or(1);
    match number("SHOAL_SIM_SEED") {
        Some(seed) => seed..seed + 1,
        None => from..from + number("SHOAL_SIM_RUNS").unwrap_or(default),
    }
}

/// Each habit, with and without deaths amid orders.
fn under(schedule: Schedule, runs: u64) {
    for habit in [Habit::Mixed, Habit::Lending, Habit::Actors, Habit::Nesting] {
        for cuts in [false, true] {
            for seed in seeds(runs) {
                run(seed, 800, Options { habit, cuts, schedule, ..Options::default() });
            }
        }
    }
}

#[test]
fn nothing_is_lost_or_left_while_all_live() {
    for seed in seeds(150) {
        run(seed, 600, Options { kills: false, ..Options::default() });
    }
}

#[test]
fn tasks_alone_come_to_rest() {
    for seed in seeds(100) {
        run(seed, 600, Options { kills: false, actors: false, streams: false, ..Options::default() });
    }
}

#[test]
fn generators_of_tasks_alone_come_to_rest() {
    for seed in seeds(100) {
        run(seed, 600, Options { kills: false, actors: false, ..Options::default() });
    }
}

#[test]
fn deaths_are_survived() {
    let mut deaths = 0;
    for seed in seeds(150) {
        deaths += run(seed, 800, Options::default()).counts().2;
    }
    assert!(deaths > 100 || seeds(150).count() < 150, "only {deaths} deaths: the test says nothing");
}

#[test]
fn chains_of_lenders_lose_nothing() {
    for seed in seeds(500) {
        run(seed, 800, Options { kills: false, actors: false, habit: Habit::Lending, ..Options::default() });
    }
}

#[test]
fn chains_of_lenders_survive_deaths() {
    for seed in seeds(300) {
        run(seed, 800, Options { actors: false, habit: Habit::Lending, ..Options::default() });
    }
}

#[test]
fn actors_that_die_often_keep_their_order() {
    for seed in seeds(300) {
        run(seed, 800, Options { habit: Habit::Actors, ..Options::default() });
    }
}

fn items(kills: bool, default: u64) -> usize {
    let schedule = |seed: u64| if seed.is_multiple_of(3) { Schedule::Priorities } else { Schedule::Uniform };
    let options = Options { kills, actors: false, habit: Habit::Items, ..Options::default() };
    seeds(default).map(|seed| run(seed, 800, Options { schedule: schedule(seed), ..options }).made_again()).sum()
}

#[test]
fn items_of_generators_are_made_again() {
    let made = items(false, 300);
    assert!(made > 100 || seeds(300).count() < 300, "only {made} items: the test says nothing");
}

#[test]
fn items_of_generators_are_made_again_while_processes_die() {
    let made = items(true, 200);
    assert!(made > 50 || seeds(200).count() < 200, "only {made} items: the test says nothing");
}

#[test]
fn processes_die_amid_their_orders() {
    under(Schedule::Uniform, 80);
}

#[test]
fn what_is_held_up_for_long_loses_nothing() {
    under(Schedule::Starving, 80);
}

#[test]
fn what_waits_for_all_others_loses_nothing() {
    under(Schedule::Priorities, 80);
}

#[test]
fn who_never_spoke_with_the_dead_hears_of_it() {
    for schedule in [Schedule::Uniform, Schedule::Priorities] {
        for habit in [Habit::Mixed, Habit::Lending, Habit::Nesting] {
            for seed in seeds(80) {
                run(seed, 800, Options { habit, schedule, strangers: true, ..Options::default() });
            }
        }
    }
}

#[test]
fn with_one_daemon_nothing_overtakes_what_the_dead_had_credited() {
    for schedule in [Schedule::Uniform, Schedule::Starving, Schedule::Priorities] {
        for habit in [Habit::Mixed, Habit::Lending, Habit::Actors, Habit::Nesting] {
            for seed in seeds(60) {
                run(seed, 800, Options { habit, schedule, one_daemon: true, ..Options::default() });
            }
        }
    }
}

#[test]
fn a_recorded_run_replays_with_equal_orders() {
    let world = run(5, 2_000, Options { record: true, ..Options::default() });
    let mut events = 0;
    for (me, Trace { events: trace, orders }) in world.traces() {
        events += trace.len();
        replay(me, trace, orders).unwrap();
        if let Some(last) = orders.iter().rposition(|o| !o.is_empty()) {
            let mut wrong = orders.clone();
            wrong[last].clear();
            replay(me, trace, &wrong).unwrap_err();
        }
    }
    assert!(events > 1_000, "only {events} events: the test says nothing");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_list_of_choices_comes_to_rest(list in prop::collection::vec(any::<u16>(), 0..4_000), kills in any::<bool>()) {
        let mut world = World::new(Choices::listed(list), Options { kills, ..Options::default() });
        while !world.is_over() {
            world.step();
        }
        world.finish();
    }
}
