//! The world: processes, queues, clock, and the choice of what moves next.
use crate::{
    audit::Audit,
    choices::Choices,
    daemon::Daemon,
    process::{Lane, News, Pid, Process, Role, address, lane_id},
    schedule::{Schedule, Scheduler, Source},
};
use shoal_owner::Event;
use shoal_proto::peer::PeerMsg;
use shoal_types::{ArenaLoc, ErrorKind, ErrorValue, ObjectId, TaskId, Value};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What a run may do.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Processes at the start.
    pub processes: usize,
    /// Processes are killed now and then.
    pub kills: bool,
    /// Actors are made and called.
    pub actors: bool,
    /// What the users' programs do most.
    pub habit: Habit,
    /// Some calls are generators.
    pub streams: bool,
    /// Values in the arena are lost now and then.
    pub losses: bool,
    /// Who moves next.
    pub schedule: Schedule,
    /// With `kills`: processes also die when a part of what their core ordered is done.
    pub cuts: bool,
    /// Each process is a job of its own: of a death hears who spoke with the dead, has a lane with it, or asked.
    pub strangers: bool,
    /// One daemon relays everything, as on one machine: what a process had said before it died arrives everywhere before
    /// anybody hears of its death.
    pub one_daemon: bool,
    /// Events and orders are kept, for [`World::traces`].
    pub record: bool,
}

/// What the users' programs do most. Each habit makes chains likely that the others hardly ever make.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Habit {
    /// A little of everything.
    #[default]
    Mixed,
    /// Running calls pass one ref of their arguments on to calls of their own, and refs are dropped soon: an object hangs
    /// on a chain of lenders of which each keeps it or not.
    Lending,
    /// Actors are called by all who know them; with kills, their processes die often.
    Actors,
    /// Values hold others' refs, in the arena too, and tasks take such values and return what is in them; with kills,
    /// processes die often: whose the value was, whose the refs are, who was sent it.
    Nesting,
    /// Generators are read, their items kept, lost and read again.
    Items,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            processes: 4,
            kills: true,
            actors: true,
            streams: true,
            losses: true,
            habit: Habit::Mixed,
            schedule: Schedule::Uniform,
            cuts: false,
            strangers: false,
            one_daemon: false,
            record: false,
        }
    }
}

/// More are not started.
const MAX_PROCESSES: usize = 12;
/// Nor more than this when each call waits for one of its own.
const MAX_LENDERS: usize = 40;
/// Messages that may be repeated.
const REMEMBERED: usize = 32;
/// In so many steps, or a few times that, one that was sent SIGKILL is gone.
const DYING: usize = 30;

pub(crate) enum Relayed {
    Message(u64, PeerMsg),
    /// The sender is dead; nothing comes after this.
    Lost {
        intended: bool,
        /// What it had put into the arena for the receiver.
        sealed: Vec<(ObjectId, ArenaLoc)>,
    },
}

/// See the crate's page.
pub struct World {
    pub(crate) choices: Choices,
    pub(crate) options: Options,
    pub(crate) now: u64,
    pub(crate) processes: Vec<Process>,
    pub(crate) relay: BTreeMap<(Pid, Pid), VecDeque<Relayed>>,
    pub(crate) delivered: VecDeque<(Pid, Pid, u64, PeerMsg)>,
    pub(crate) lanes: BTreeMap<(Pid, Pid), Lane>,
    pub(crate) daemon: Daemon,
    pub(crate) audit: Audit,
    pub(crate) locs: u64,
    /// In which order tasks, values and actors were made.
    pub(crate) ages: BTreeMap<TaskId, usize>,
    /// Generators that are not read wait; else they end.
    pub(crate) patient: bool,
    /// The run is in a step: not at its end, when all comes to rest.
    pub(crate) stepping: bool,
    /// Who died in this step amid its orders: it does nothing more.
    pub(crate) cut: Option<Pid>,
    /// What a process that reads a reply has to credit.
    pub(crate) in_hand: Vec<ObjectId>,
    pub(crate) scheduler: Scheduler,
    /// Who hears of whose death, if they are strangers.
    pub(crate) acquainted: BTreeSet<(Pid, Pid)>,
    salt: usize,
    /// `SHOAL_SIM_LOG` is set: every event and its orders go to standard error.
    pub(crate) log: bool,
    steps: u64,
    said: String,
}

impl World {
    /// A world at rest.
    pub fn new(mut choices: Choices, options: Options) -> Self {
        let said = match &choices {
            Choices::Seeded { seed, .. } => format!("seed {seed}, {options:?}"),
            Choices::Listed { list, .. } => format!("choices {list:?}, {options:?}"),
        };
        let salt = choices.below(3);
        Self {
            choices,
            options,
            now: 0,
            processes: (0..options.processes).map(Process::new).collect(),
            relay: BTreeMap::new(),
            delivered: VecDeque::new(),
            lanes: BTreeMap::new(),
            daemon: Daemon::default(),
            audit: Audit::default(),
            locs: 0,
            ages: BTreeMap::new(),
            patient: true,
            stepping: false,
            cut: None,
            in_hand: Vec::new(),
            scheduler: Scheduler::default(),
            acquainted: BTreeSet::new(),
            salt,
            log: std::env::var_os("SHOAL_SIM_LOG").is_some(),
            steps: 0,
            said,
        }
    }

    /// Whether the choices are used up.
    pub fn is_over(&self) -> bool {
        self.choices.is_over()
    }

    /// How many tasks and calls began, replies came and processes died so far.
    pub fn counts(&self) -> (usize, usize, usize) {
        self.audit.counts()
    }

    /// How many items of generators were held at the end that were lost before and have a value again.
    pub fn made_again(&self) -> usize {
        self.audit.made_again
    }

    /// What each process recorded, with its address.
    pub fn traces(&self) -> impl Iterator<Item = (shoal_types::Address, &crate::Trace)> {
        self.processes.iter().map(|p| (p.address, &p.trace))
    }

    /// One choice: something moves, or the user's code does something.
    pub fn step(&mut self) {
        self.steps += 1;
        (self.stepping, self.cut) = (true, None);
        self.now += self.choices.below(40) as u64;
        let alive = self.alive();
        self.scheduler.turn(self.options.schedule, &mut self.choices, &alive);
        if self.options.schedule != Schedule::Priorities && !self.doomed().is_empty() && self.choices.one_in(DYING) {
            self.doomed_dies();
        }
        match self.choices.below(100) {
            0..30 => self.user_acts(),
            30..94 if self.options.schedule == Schedule::Priorities => self.move_first(),
            30..50 => drop(self.relay_one(true)),
            50..60 => drop(self.news_one()),
            60..70 => drop(self.daemon_acts()),
            70..85 => drop(self.execute_one(true)),
            85..94 => drop(self.reply_one(true)),
            94..96 => self.pass_time(),
            96 => self.repeat_message(),
            97 => self.recall_one(),
            98 if self.options.habit != Habit::Nesting => {
                if self.options.losses {
                    self.lose_one();
                }
            }
            _ => {
                let often = matches!(self.options.habit, Habit::Actors | Habit::Nesting);
                if self.options.kills && (often || self.choices.one_in(3)) {
                    self.kill_one();
                }
            }
        }
        (self.stepping, self.cut) = (false, None);
        if self.steps.is_multiple_of(4) {
            self.check_early_frees();
        }
    }

    /// The highest of all that can move does.
    fn move_first(&mut self) {
        let mut sources = self.sources();
        self.scheduler.sort(&mut sources, &mut self.choices);
        for source in sources {
            if self.moves(source) {
                return self.scheduler.moved(source);
            }
        }
    }

    fn sources(&self) -> Vec<Source> {
        let mut sources = vec![Source::Daemon];
        sources.extend(self.relays().into_iter().map(|(from, to)| Source::Relay(from, to)));
        sources.extend(self.waiting().into_iter().map(Source::News));
        sources.extend(self.takers().into_iter().map(|(caller, worker)| Source::Requests(caller, worker)));
        sources.extend(self.full().into_iter().map(|(caller, worker)| Source::Replies(caller, worker)));
        let mut running: Vec<Pid> = self.movable().into_iter().map(|(pid, _)| pid).collect();
        running.dedup();
        sources.extend(running.into_iter().map(Source::Runs));
        sources.extend(self.doomed().into_iter().map(Source::Dies));
        sources
    }

    /// Whether it moved.
    fn moves(&mut self, source: Source) -> bool {
        match source {
            Source::Relay(from, to) => self.relay_next(from, to),
            Source::News(pid) => self.news_to(pid),
            Source::Requests(caller, worker) => {
                self.take(caller, worker);
                true
            }
            Source::Replies(caller, worker) => self.read_reply(caller, worker),
            Source::Runs(pid) => {
                let at: Vec<usize> = self.movable().into_iter().filter(|(p, _)| *p == pid).map(|(_, at)| at).collect();
                let Some(at) = self.choices.pick(&at) else { return false };
                self.run_on(pid, at, true);
                true
            }
            Source::Daemon => self.daemon_acts(),
            Source::Dies(pid) => {
                self.kill(pid, false);
                true
            }
        }
    }

    /// Lets everything that is under way come to rest; the user's code does nothing more.
    pub fn settle(&mut self) {
        self.scheduler.release();
        let mut idle = 0;
        while idle < 3 {
            let mut moved = false;
            while self.relay_one(false)
                | self.news_one()
                | self.reply_one(false)
                | self.execute_one(false)
                | self.daemon_acts()
            {
                moved = true;
                self.now += 5;
            }
            moved |= self.doomed_dies();
            self.now += if moved { 2_500 } else { self.until_next().max(250_000) };
            idle = if self.tick_due() || moved { 0 } else { idle + 1 };
        }
        self.check_early_frees();
    }

    /// Comes to rest, asks for every value, drops every ref, and checks that nothing is left.
    pub fn finish(&mut self) {
        self.drain_streams();
        self.patient = false;
        self.settle();
        self.read_all();
        self.check_results();
        self.check_streams();
        for pid in self.alive() {
            let vars = std::mem::take(&mut self.processes[pid].vars);
            let ids = self.all_of(pid, &vars);
            self.feed(pid, Event::RefsDropped(ids));
        }
        self.settle();
        self.check_empty();
    }

    pub(crate) fn alive(&self) -> Vec<Pid> {
        (0..self.processes.len()).filter(|p| self.processes[*p].alive).collect()
    }

    pub(crate) fn spawn(&mut self) -> Option<Pid> {
        let most = if self.options.habit == Habit::Lending { MAX_LENDERS } else { MAX_PROCESSES };
        // Who only lingers takes nobody's place.
        if self.alive().into_iter().filter(|p| self.processes[*p].role != Role::Lingers).count() >= most {
            return None;
        }
        let pid = self.processes.len();
        self.processes.push(Process::new(pid));
        Some(pid)
    }

    pub(crate) fn next_task(&mut self, pid: Pid) -> TaskId {
        let id = self.processes[pid].next_task();
        self.ages.insert(id, self.ages.len());
        id
    }

    /// Everybody reads what they hold until it is all there.
    fn read_all(&mut self) {
        // Each round makes again what the one before has found lost.
        for _ in 0..20 {
            self.want_all();
            self.settle();
            let mut all_there = true;
            for pid in self.alive() {
                let vars = self.processes[pid].vars.iter().filter(|r| r.id.index != ObjectId::ACTOR_INDEX);
                for id in vars.map(|r| r.id).collect::<Vec<_>>() {
                    all_there &= self.reads(pid, id) && self.processes[pid].owner.is_ready(&id);
                }
            }
            if all_there {
                break;
            }
        }
    }

    fn want_all(&mut self) {
        for pid in self.alive() {
            let ids = self.processes[pid].vars.iter().map(|r| r.id).collect();
            self.feed(pid, Event::Wanted(ids));
        }
    }

    fn pass_time(&mut self) {
        self.now += self.choices.pick(&[500, 2_100, 2_100, 210_000]).expect("four choices");
        self.tick_due();
    }

    /// How long until something is due.
    fn until_next(&self) -> u64 {
        let due = self.alive().into_iter().filter_map(|p| self.processes[p].owner.next_deadline());
        due.min().map_or(0, |at| at.saturating_sub(self.now))
    }

    fn tick_due(&mut self) -> bool {
        let due = |p: &Process| p.owner.next_deadline().is_some_and(|at| at <= self.now);
        let due: Vec<Pid> = self.alive().into_iter().filter(|p| due(&self.processes[*p])).collect();
        for pid in &due {
            // One that dies amid its orders may take another with it.
            if self.processes[*pid].alive {
                self.feed(*pid, Event::Ticked);
            }
        }
        !due.is_empty()
    }

    /// Whether what goes from one process to another has to wait: in each run a third of the pairs is slow, so that
    /// much overtakes it.
    pub(crate) fn is_held_up(&mut self, from: Pid, to: Pid) -> bool {
        (from * 5 + to * 11 + self.salt).is_multiple_of(3) && !self.choices.one_in(30)
    }

    /// Delivers the next message of one pair. False when there is none.
    fn relay_one(&mut self, may_hold_up: bool) -> bool {
        let pairs = self.relays();
        let Some((from, to)) = self.choices.pick(&pairs) else { return false };
        if may_hold_up && self.is_held_up(from, to) {
            return true;
        }
        self.relay_next(from, to)
    }

    /// Pairs with messages.
    fn relays(&self) -> Vec<(Pid, Pid)> {
        let is_news = |q: &VecDeque<Relayed>| matches!(q.front(), Some(Relayed::Lost { .. }));
        let early = |from: &Pid, q: &VecDeque<Relayed>| is_news(q) && self.has_more_to_say(*from);
        let full = self.relay.iter().filter(|((from, _), q)| !q.is_empty() && !early(from, q)).map(|(pair, _)| *pair);
        full.filter(|(from, to)| !self.scheduler.holds(Source::Relay(*from, *to))).collect()
    }

    /// Whether nobody may hear of its death yet.
    fn has_more_to_say(&self, dead: Pid) -> bool {
        let is_message = |q: &VecDeque<Relayed>| matches!(q.front(), Some(Relayed::Message(..)));
        let gone = self.options.one_daemon && !self.processes[dead].alive;
        gone && self.relay.iter().any(|((from, _), q)| *from == dead && is_message(q))
    }

    fn relay_next(&mut self, from: Pid, to: Pid) -> bool {
        match self.relay.get_mut(&(from, to)).and_then(VecDeque::pop_front) {
            Some(Relayed::Message(seq, msg)) => {
                self.delivered.push_back((from, to, seq, msg.clone()));
                if self.delivered.len() > REMEMBERED {
                    self.delivered.pop_front();
                }
                if let PeerMsg::CancelTask { task, recursive } = msg {
                    self.cancel_heard(to, task, recursive);
                }
                self.on_stream_message(to, &msg);
                self.feed(to, Event::Peer { from: address(from), seq, msg });
            }
            Some(Relayed::Lost { intended, sealed }) => self.lost(from, to, intended, sealed),
            None => return false,
        }
        true
    }

    /// A value in the arena is gone. Its owner is told, or hears of it from who wants to read it.
    pub(crate) fn lose_one(&mut self) {
        let lying: Vec<(ObjectId, ArenaLoc)> = self.audit.lying().collect();
        let Some((id, loc)) = self.choices.pick(&lying) else { return };
        self.audit.lose(&id, &loc);
        let owner = crate::process::owner_of(&id);
        if self.processes[owner].alive && self.choices.one_in(2) {
            self.feed(owner, Event::StoredLost { id, loc, why: "lost".into() });
        }
    }

    /// Somebody reads a value: it is there, or its loss is told.
    pub(crate) fn reads(&mut self, pid: Pid, id: ObjectId) -> bool {
        let lost = match self.processes[pid].owner.value(&id) {
            Some(Value::Stored { loc, .. }) => self.audit.is_lost(loc).then_some(*loc),
            _ => None,
        };
        if let Some(loc) = lost {
            self.feed(pid, Event::StoredLost { id, loc, why: "not there".into() });
        }
        lost.is_none()
    }

    fn repeat_message(&mut self) {
        let known: Vec<usize> =
            (0..self.delivered.len()).filter(|i| self.processes[self.delivered[*i].1].alive).collect();
        if let Some(at) = self.choices.pick(&known) {
            let (from, to, seq, msg) = self.delivered[at].clone();
            self.feed(to, Event::Peer { from: address(from), seq, msg });
        }
    }

    /// SIM-2: `to` hears that `from` is dead.
    fn lost(&mut self, from: Pid, to: Pid, intended: bool, sealed: Vec<(ObjectId, ArenaLoc)>) {
        let taken = self.last_words(to, from);
        self.lanes.remove(&(to, from));
        let error = ErrorValue::new(ErrorKind::WorkerCrashed, format!("process {from} was killed"));
        // The last words may have made it kill the creator of the actor that it is.
        if self.processes[to].alive {
            self.feed(to, Event::WorkerLost { worker: address(from), error, intended, taken });
            // The daemon ignores it when something is freed twice.
            let sealed = self.audit.not_freed(sealed);
            self.feed(to, Event::Sealed(sealed));
        }
    }

    /// Reads the last replies of a dead worker, then says which calls it had begun.
    pub(crate) fn last_words(&mut self, caller: Pid, worker: Pid) -> Vec<TaskId> {
        while self.read_reply(caller, worker) {}
        let lane = self.lanes.get(&(caller, worker));
        lane.into_iter().flat_map(|l| &l.requests).filter(|r| r.taken).map(|r| r.task).collect()
    }

    /// Delivers what the daemon said first to one process. False when there is nothing.
    fn news_one(&mut self) -> bool {
        let waiting = self.waiting();
        self.choices.pick(&waiting).is_some_and(|pid| self.news_to(pid))
    }

    /// Processes that the daemon has told something.
    fn waiting(&self) -> Vec<Pid> {
        let early = |news: &News| news.death().is_some_and(|dead| self.has_more_to_say(dead));
        let may_hear = |p: &Pid| self.processes[*p].inbox.front().is_some_and(|news| !early(news));
        let waits = |p: &Pid| may_hear(p) && !self.scheduler.holds(Source::News(*p));
        self.alive().into_iter().filter(waits).collect()
    }

    pub(crate) fn news_to(&mut self, pid: Pid) -> bool {
        let Some(news) = self.processes[pid].inbox.pop_front() else { return false };
        let event = match news {
            News::Granted { key, lease, worker } => {
                let lane = lane_id(pid, worker);
                Event::Granted { key, lease, lane, worker: address(worker) }
            }
            News::Recalled(lease) => Event::Recalled(lease),
            News::WantedBack(lease) => Event::WantedBack(lease),
            News::ActorUp { actor, incarnation, worker, kept } => {
                let lane = lane_id(pid, worker);
                self.in_hand = kept.iter().map(|r| r.id).collect();
                Event::ActorUp { actor, incarnation, lane, worker: address(worker), kept }
            }
            News::ActorRestarting { actor, incarnation, worker } => {
                let taken = self.last_words(pid, worker);
                let error = ErrorValue::new(ErrorKind::WorkerCrashed, "killed");
                Event::ActorRestarting { actor, incarnation, error, rest: 0, taken }
            }
            News::ActorDead { actor, worker, dying, lingers, error } => {
                worker.map(|w| self.last_words(pid, w));
                Event::ActorDead { actor, error, dying: worker.filter(|_| dying).map(address), lingers }
            }
        };
        if self.processes[pid].alive {
            self.feed(pid, event);
        }
        self.in_hand.clear();
        true
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the run that failed: {} after {} steps", self.said, self.steps);
        }
    }
}
