//! Random histories: the support module checks GCS-3 at each order and GCS-1, 2 and 5 after each event; here, that
//! every watcher of a dead actor has heard of its end, and that a job's end leaves detached actors only.
mod support;
use proptest::prelude::*;
use shoal_gcs::Event;
use shoal_types::{ActorSpec, JobId};
use support::*;

#[derive(Clone, Debug)]
enum Op {
    Register { n: u8, creator: u8, name: bool, restarts: i32, detached: bool },
    Args(u8, bool),
    Assign(u8),
    Started(u8, bool),
    Stale(u8),
    Watch(u8, u8),
    Exit(u8),
    OutOfScope(u8),
    Kill(u8, bool),
    LoseActor(u8, bool),
    LoseClient(u8, bool),
    Unplaceable(u8),
    Rested(u8),
}

fn op() -> impl Strategy<Value = Op> {
    let n = 0..5u8;
    prop_oneof![
        4 => (n.clone(), 1..4u8, any::<bool>(), -1..3i32, any::<bool>()).prop_map(|(n, creator, name, restarts, detached)|
            Op::Register { n, creator, name, restarts, detached }),
        4 => (n.clone(), prop::bool::weighted(0.1)).prop_map(|(n, e)| Op::Args(n, e)),
        6 => n.clone().prop_map(Op::Assign),
        6 => (n.clone(), prop::bool::weighted(0.2)).prop_map(|(n, e)| Op::Started(n, e)),
        1 => n.clone().prop_map(Op::Stale),
        3 => (n.clone(), 1..6u8).prop_map(|(n, c)| Op::Watch(n, c)),
        1 => n.clone().prop_map(Op::Exit),
        1 => n.clone().prop_map(Op::OutOfScope),
        1 => (n.clone(), any::<bool>()).prop_map(|(n, b)| Op::Kill(n, b)),
        3 => (n.clone(), any::<bool>()).prop_map(|(n, b)| Op::LoseActor(n, b)),
        1 => (1..4u8, any::<bool>()).prop_map(|(n, b)| Op::LoseClient(n, b)),
        1 => n.clone().prop_map(Op::Unplaceable),
        3 => n.prop_map(Op::Rested),
    ]
}

struct Run {
    w: World,
    next: u8,
    gone: Vec<u8>,
}

impl Run {
    fn apply(&mut self, op: Op) {
        let exit = |clean| if clean { goodbye() } else { crash() };
        match op {
            Op::Register { n, creator, name, restarts, detached } => {
                if !self.gone.contains(&creator) {
                    let name = if name { format!("name{}", n % 2) } else { String::new() };
                    self.w.register(creator, ActorSpec { max_restarts: restarts, detached, ..spec(n, &name) });
                }
            }
            Op::Args(n, fails) => {
                let error = fails.then(|| raised("E"));
                self.w.go(Event::ArgsReady { actor: actor(n), args: vec![5], error });
            }
            Op::Assign(n) => {
                if self.w.wanted.contains(&actor(n)) && self.next < 250 {
                    self.next += 1;
                    self.w.assign(n, self.next);
                }
            }
            Op::Started(n, fails) => {
                if let Some((worker, incarnation)) = self.w.become_actor.get(&actor(n)).copied() {
                    self.w.started(n, worker.0[0], incarnation, fails.then(|| raised("E")));
                }
            }
            Op::Stale(n) => drop(self.w.started(n, 255, 0, None)),
            Op::Watch(n, c) => {
                // A handle comes to others only after its actor is registered.
                if !self.gone.contains(&c) && self.w.gcs.spec(actor(n)).is_some() {
                    self.w.go(Event::Watch { actor: actor(n), client: client(c) });
                }
            }
            Op::Exit(n) => {
                if let Some((worker, _)) = self.w.become_actor.get(&actor(n)).copied() {
                    self.w.go(Event::ExitWished { worker, actor: actor(n), reason: "wish".into() });
                }
            }
            Op::OutOfScope(n) => drop(self.w.go(Event::OutOfScope(actor(n)))),
            Op::Kill(n, no_restart) => {
                let ask = self.w.ask(1);
                self.w.go(Event::Kill { ask, actor: actor(n), no_restart });
            }
            Op::LoseActor(n, clean) => {
                if let Some((worker, _)) = self.w.become_actor.remove(&actor(n)) {
                    self.w.lose(worker.0[0], exit(clean));
                }
            }
            Op::LoseClient(n, clean) => {
                self.gone.push(n);
                self.w.lose(n, exit(clean));
            }
            Op::Rested(n) => drop(self.w.rested(n)),
            Op::Unplaceable(n) => {
                if self.w.wanted.remove(&actor(n)) {
                    // The scheduler has forgotten it already: a request to drop it is not an error there.
                    self.w.wanted.insert(actor(n));
                    self.w.go(Event::Unplaceable { actor: actor(n), error: raised("no room") });
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn every_watcher_hears_the_end(ops in prop::collection::vec(op(), 1..120)) {
        let mut run = Run { w: World::new(), next: 10, gone: Vec::new() };
        ops.into_iter().for_each(|op| run.apply(op));
        for ((who, id), heard) in &run.w.heard {
            let dead = run.w.gcs.actors().any(|a| a.id == *id && a.state == "DEAD");
            let left = run.gone.contains(&who.0[0]);
            prop_assert!(!dead || left || heard.dead.is_some(), "{who:?} waits for news of {id:?}");
        }
        run.w.go(Event::JobEnded { job: JobId(1), exit: goodbye() });
        for info in run.w.gcs.actors() {
            let detached = run.w.gcs.spec(info.id).is_some_and(|s| s.detached);
            prop_assert!(info.state == "DEAD" || detached);
        }
    }
}
