//! Random worlds, seeded and shrunk.
use proptest::prelude::*;
use shoal_sim::{Choices, Options, Trace, World, replay};

fn run(seed: u64, steps: usize, options: Options) -> World {
    let mut world = World::new(Choices::seeded(seed), options);
    (0..steps).for_each(|_| world.step());
    world.finish();
    world
}

fn runs(var: &str, default: u64) -> std::ops::Range<u64> {
    let n = std::env::var(var).ok().and_then(|n| n.parse().ok()).unwrap_or(default);
    1..n + 1
}

#[test]
fn nothing_is_lost_or_left_while_all_live() {
    for seed in runs("SHOAL_SIM_RUNS", 150) {
        run(seed, 600, Options { kills: false, ..Options::default() });
    }
}

#[test]
fn tasks_alone_come_to_rest() {
    for seed in runs("SHOAL_SIM_RUNS", 100) {
        run(seed, 600, Options { kills: false, actors: false, ..Options::default() });
    }
}

#[test]
fn deaths_are_survived() {
    let mut deaths = 0;
    for seed in runs("SHOAL_SIM_RUNS", 150) {
        deaths += run(seed, 800, Options::default()).counts().2;
    }
    assert!(deaths > 100, "only {deaths} deaths: the test says nothing");
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
    assert!(events > 2_000);
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

#[test]
#[ignore = "one run, by hand: SHOAL_SIM_SEED"]
fn one() {
    let seed: u64 = std::env::var("SHOAL_SIM_SEED").unwrap().parse().unwrap();
    run(seed, 800, Options { kills: std::env::var_os("NOKILLS").is_none(), ..Options::default() });
}
