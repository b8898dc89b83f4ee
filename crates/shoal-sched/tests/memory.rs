//! The memory monitor: whom it kills, and a small world that runs out of memory at random.
use proptest::prelude::*;
use shoal_sched::memory::{Holding, Kind, MemoryEvent, MemoryOrder, Monitor, Reading, Rules, STUBBORN};
use shoal_types::WorkerId;

const MIB: u64 = 1 << 20;
const INTERVAL: u64 = 250_000;

fn id(n: u8) -> WorkerId {
    WorkerId([n; 16])
}

/// "kind owner MiB since", a line each; the worker is the line's number from 1. `t`, `a`: out of retries.
fn table(text: &str) -> Vec<Holding> {
    let line = |(at, line): (usize, &str)| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let kind = match words[0] {
            "T" | "t" => Kind::Task,
            "A" | "a" => Kind::Actor,
            "I" => Kind::Idle,
            _ => Kind::Other,
        };
        let number = |n: usize| words[n].parse::<u64>().unwrap();
        Holding {
            worker: id(at as u8 + 1),
            pid: at as u32 + 1,
            title: format!("p{}", at + 1),
            kind,
            bytes: number(2) * MIB,
            owner: id(100 + number(1) as u8),
            since: number(3),
            retriable: matches!(words[0], "T" | "A"),
        }
    };
    text.lines().map(str::trim).filter(|l| !l.is_empty()).enumerate().map(line).collect()
}

fn reading(used: u64) -> Reading {
    Reading { used: used * MIB, limit: 1000 * MIB, place: "the machine".into(), unnoticed: Some(0) }
}

fn monitor() -> Monitor {
    let mut m = Monitor::new(Rules { threshold: 0.9, interval: INTERVAL, fill_rate: 100 * MIB });
    m.handle(0, MemoryEvent::Running(true), &mut Vec::new());
    m
}

fn orders(m: &mut Monitor, now: u64, event: MemoryEvent) -> Vec<MemoryOrder> {
    let mut out = Vec::new();
    m.handle(now, event, &mut out);
    out
}

/// The workers, by number, that go when `used` MiB of 1,000 are used and 900 may be.
fn victims(used: u64, text: &str) -> Vec<u8> {
    let mut m = monitor();
    assert_eq!(orders(&mut m, 0, MemoryEvent::Ticked), [MemoryOrder::Look]);
    assert_eq!(orders(&mut m, 0, MemoryEvent::Looked(reading(used))), [MemoryOrder::Survey]);
    let out = orders(&mut m, 0, MemoryEvent::Surveyed(reading(used), table(text)));
    out.iter().filter_map(|o| if let MemoryOrder::Kill { worker, .. } = o { Some(worker.0[0]) } else { None }).collect()
}

#[test]
fn of_the_owner_that_holds_most_the_newest_with_retries_left_goes() {
    assert_eq!(victims(910, "T 1 100 5\nT 1 100 7\nT 2 150 9"), [2]);
    assert_eq!(victims(910, "T 1 100 5\nT 2 150 9\nT 2 150 8"), [2]);
}

#[test]
fn what_may_be_run_again_goes_before_what_may_not_and_tasks_before_actors() {
    assert_eq!(victims(910, "t 1 400 9\nT 1 100 1\nA 1 100 2\na 1 100 3"), [2]);
    assert_eq!(victims(910, "t 1 100 9\nA 1 100 2\na 1 100 3"), [2]);
    assert_eq!(victims(910, "a 1 100 9\nt 1 100 1"), [2]);
    assert_eq!(victims(910, "a 1 100 9\nO 0 700 0"), [1]);
}

#[test]
fn who_holds_too_little_to_matter_does_not_die_for_who_holds_it_all() {
    assert_eq!(victims(950, "T 1 5 9\nT 1 5 8\nt 1 700 1"), [3]);
    // Where none is enough alone, any is a beginning.
    assert_eq!(victims(999, "T 1 50 1\nT 1 50 2\nT 1 50 3"), [3]);
}

#[test]
fn idle_workers_go_first_if_that_helps_at_all() {
    assert_eq!(victims(910, "I 0 20 0\nT 1 300 1\nI 0 20 0"), [1, 3]);
    // Where they are not enough, nobody waits for their end.
    assert_eq!(victims(910, "I 0 10 0\nT 1 300 1\nI 0 10 0"), [1, 3, 2]);
    assert_eq!(victims(990, "I 0 3 0\nT 1 300 1\nI 0 3 0"), [2]);
}

#[test]
fn nobody_is_killed_for_memory_that_others_hold() {
    assert_eq!(victims(990, "T 1 5 1\na 1 5 2\nO 0 900 0"), [0u8; 0]);
    assert_eq!(victims(990, ""), [0u8; 0]);
}

#[test]
fn the_text_says_who_used_how_much_of_how_much() {
    let mut m = monitor();
    orders(&mut m, 0, MemoryEvent::Ticked);
    orders(&mut m, 0, MemoryEvent::Looked(reading(910)));
    let out = orders(&mut m, 0, MemoryEvent::Surveyed(reading(910), table("T 1 300 1\nO 0 2048 0")));
    let [MemoryOrder::Kill { why, .. }] = &out[..] else { panic!("{out:?}") };
    assert_eq!(
        why,
        "memory ran out: 910 MiB of 1000 MiB were used in the machine, more than the 90 % of memory_usage_threshold; \
         this process held 300 MiB. Most was held by: p2 (pid 2) 2.0 GiB, p1 (pid 1) 300 MiB"
    );
}

#[test]
fn the_next_is_killed_when_the_one_before_is_gone_and_only_after_a_fresh_look() {
    let mut m = monitor();
    let all = table("T 1 300 1\nT 1 300 2");
    orders(&mut m, 0, MemoryEvent::Ticked);
    orders(&mut m, 0, MemoryEvent::Looked(reading(990)));
    assert!(matches!(&orders(&mut m, 0, MemoryEvent::Surveyed(reading(990), all.clone()))[..],
        [MemoryOrder::Kill { worker, .. }] if *worker == id(2)));
    assert_eq!(orders(&mut m, 1, MemoryEvent::Noticed), []);
    assert_eq!(orders(&mut m, 1, MemoryEvent::Gone(id(7))), []);
    assert_eq!(m.deadline(), Some(STUBBORN));
    assert_eq!(orders(&mut m, 2, MemoryEvent::Gone(id(2))), [MemoryOrder::Survey]);
    assert_eq!(orders(&mut m, 2, MemoryEvent::Surveyed(reading(690), all)), [MemoryOrder::Unlock]);
    assert_eq!(m.deadline(), Some(2 + INTERVAL / 10));
}

#[test]
fn a_victim_that_does_not_go_does_not_hold_up_the_others_for_ever() {
    let mut m = monitor();
    orders(&mut m, 0, MemoryEvent::Ticked);
    orders(&mut m, 0, MemoryEvent::Looked(reading(990)));
    orders(&mut m, 0, MemoryEvent::Surveyed(reading(990), table("T 1 300 1")));
    assert_eq!(orders(&mut m, STUBBORN, MemoryEvent::Ticked), [MemoryOrder::Survey]);
}

#[test]
fn who_is_refused_the_lock_looks_again_later() {
    let mut m = monitor();
    orders(&mut m, 0, MemoryEvent::Ticked);
    orders(&mut m, 0, MemoryEvent::Looked(reading(990)));
    assert_eq!(orders(&mut m, 5, MemoryEvent::Refused), []);
    assert_eq!(m.deadline(), Some(5 + INTERVAL));
}

#[test]
fn nothing_is_due_while_nothing_runs_or_the_kernel_tells() {
    let mut m = monitor();
    assert_eq!(m.deadline(), Some(0));
    orders(&mut m, 0, MemoryEvent::Ticked);
    orders(&mut m, 0, MemoryEvent::Looked(Reading { unnoticed: None, ..reading(10) }));
    assert_eq!(m.deadline(), None);
    assert_eq!(orders(&mut m, 9, MemoryEvent::Noticed), [MemoryOrder::Look]);
    // 500 MiB at 100 MiB a second.
    orders(&mut m, 9, MemoryEvent::Looked(Reading { unnoticed: Some(500 * MIB), ..reading(10) }));
    assert_eq!(m.deadline(), Some(9 + 5_000_000));
    orders(&mut m, 10, MemoryEvent::Running(false));
    assert_eq!(m.deadline(), None);
    assert_eq!(orders(&mut m, 11, MemoryEvent::Noticed), []);
}

#[test]
fn an_interval_of_zero_turns_it_off() {
    let mut m = Monitor::new(Rules { threshold: 0.9, interval: 0, fill_rate: 1 });
    assert_eq!(orders(&mut m, 0, MemoryEvent::Running(true)), []);
    assert_eq!(orders(&mut m, 0, MemoryEvent::Noticed), []);
    assert_eq!(m.deadline(), None);
}

#[derive(Clone, Debug)]
enum Op {
    Grow(usize, u64),
    Shrink(usize),
    Begin(u8, u8),
    End(usize),
    LockTaken(bool),
    Notice,
    Pass(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (any::<usize>(), 1..300u64).prop_map(|(i, n)| Op::Grow(i, n)),
        1 => any::<usize>().prop_map(Op::Shrink),
        4 => (0..6u8, 0..3u8).prop_map(|(kind, owner)| Op::Begin(kind, owner)),
        1 => any::<usize>().prop_map(Op::End),
        1 => any::<bool>().prop_map(Op::LockTaken),
        1 => Just(Op::Notice),
        6 => (1..2_000_000u64).prop_map(Op::Pass),
    ]
}

struct World {
    m: Monitor,
    now: u64,
    all: Vec<Holding>,
    base: u64,
    ours: bool,
    taken: bool,
    dying: Vec<WorkerId>,
    last: u8,
}

impl World {
    fn reading(&self) -> Reading {
        let used = self.base * MIB + self.all.iter().map(|h| h.bytes).sum::<u64>();
        let unnoticed = Some((900 * MIB).saturating_sub(used));
        Reading { used, limit: 1000 * MIB, place: "x".into(), unnoticed }
    }

    fn runs(&self) -> bool {
        self.all.iter().any(|h| matches!(h.kind, Kind::Task | Kind::Actor))
    }

    fn feed(&mut self, event: MemoryEvent) {
        let mut queue = orders(&mut self.m, self.now, event);
        while !queue.is_empty() {
            let kills = queue.iter().filter(|o| matches!(o, MemoryOrder::Kill { .. })).count();
            if kills > 0 {
                assert!(self.dying.is_empty(), "MEM-2");
            }
            let mut next = Vec::new();
            for order in queue {
                match order {
                    MemoryOrder::Look => next.push(MemoryEvent::Looked(self.reading())),
                    MemoryOrder::Survey if !self.ours && self.taken => next.push(MemoryEvent::Refused),
                    MemoryOrder::Survey => {
                        self.ours = true;
                        next.push(MemoryEvent::Surveyed(self.reading(), self.all.clone()));
                    }
                    MemoryOrder::Kill { worker, .. } => self.on_kill(worker, kills),
                    MemoryOrder::Unlock => assert!(std::mem::take(&mut self.ours), "MEM-1"),
                }
            }
            queue = next.into_iter().flat_map(|e| orders(&mut self.m, self.now, e)).collect();
        }
    }

    fn on_kill(&mut self, worker: WorkerId, kills: usize) {
        assert!(self.ours, "MEM-1: a kill without the lock");
        assert!(self.reading().used > 900 * MIB, "MEM-1: a kill without need");
        let victim = self.all.iter().find(|h| h.worker == worker).expect("it is there");
        assert!(victim.kind != Kind::Other, "MEM-3");
        let busy =
            self.dying.iter().filter(|w| self.all.iter().any(|h| h.worker == **w && h.kind != Kind::Idle)).count();
        assert!(kills == 1 || victim.kind == Kind::Idle || busy == 0, "MEM-3: several tasks at once");
        self.dying.push(worker);
    }

    fn end_the_dying(&mut self) {
        while !self.dying.is_empty() {
            for worker in std::mem::take(&mut self.dying) {
                self.all.retain(|h| h.worker != worker);
                self.feed(MemoryEvent::Gone(worker));
            }
        }
    }

    fn apply(&mut self, op: Op) {
        let at = |i: usize, all: &[Holding]| (!all.is_empty()).then(|| i % all.len());
        match op {
            Op::Grow(i, n) => {
                if let Some(at) = at(i, &self.all) {
                    self.all[at].bytes += n * MIB;
                }
            }
            Op::Shrink(i) => {
                if let Some(at) = at(i, &self.all) {
                    self.all[at].bytes /= 2;
                }
            }
            Op::Begin(kind, owner) if self.last < u8::MAX => {
                self.last += 1;
                let mut new =
                    table(&format!("{} {owner} 1 {}", ["T", "t", "A", "a", "I", "O"][kind as usize], self.last));
                new[0].worker = id(self.last);
                self.all.append(&mut new);
            }
            Op::Begin(..) => {}
            Op::End(i) => {
                if let Some(at) = at(i, &self.all) {
                    let gone = self.all.remove(at).worker;
                    self.dying.retain(|w| *w != gone);
                    self.feed(MemoryEvent::Gone(gone));
                }
            }
            Op::LockTaken(taken) => self.taken = taken,
            Op::Notice => self.feed(MemoryEvent::Noticed),
            Op::Pass(micros) => self.pass(micros),
        }
        self.tell_running();
    }

    fn tell_running(&mut self) {
        let running = self.runs();
        self.feed(MemoryEvent::Running(running));
    }

    fn pass(&mut self, micros: u64) {
        self.end_the_dying();
        let end = self.now + micros;
        while let Some(due) = self.m.deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.feed(MemoryEvent::Ticked);
            self.end_the_dying();
        }
        self.now = end;
    }
}

proptest! {
    #[test]
    fn a_world_that_runs_out_of_memory_comes_back(ops in prop::collection::vec(op(), 1..120), base in 0..850u64) {
        let mut w = World { m: Monitor::new(Rules { threshold: 0.9, interval: INTERVAL, fill_rate: 100 * MIB }), now: 0,
            all: Vec::new(), base, ours: false, taken: false, dying: Vec::new(), last: 0 };
        for op in ops {
            w.apply(op);
            prop_assert!(w.runs() || w.ours || w.m.deadline().is_none(), "MEM-5: {:?}", w.m);
        }
        w.taken = false;
        w.pass(60_000_000);
        w.tell_running();
        w.pass(60_000_000);
        prop_assert!(!w.ours, "MEM-1: the lock is let go of");
        let used = w.reading().used;
        let killable: u64 = w.all.iter().filter(|h| h.kind != Kind::Other).map(|h| h.bytes).sum();
        let lacking = used.saturating_sub(900 * MIB) + 20 * MIB;
        prop_assert!(used <= 900 * MIB || !w.runs() || killable < lacking / 4, "{used} {killable}");
    }
}
