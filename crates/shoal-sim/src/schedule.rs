//! Who moves next among those that can: what makes orders likely that even choices hardly ever make.
use crate::{choices::Choices, process::Pid};
use std::collections::BTreeMap;

/// How a run chooses among what can move.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Schedule {
    /// Each has the same chance; what goes between some pairs of processes is slow.
    #[default]
    Uniform,
    /// Now and then a process, a pair or one way to or from a process is held up for long, while all others go on.
    Starving,
    /// Each has a priority, and only the highest moves; now and then it gets the lowest. A few such changes reach any
    /// order that depends on few events (Burckhardt et al., "A randomized scheduler with probabilistic guarantees of
    /// finding bugs", 2010).
    Priorities,
}

/// Something that can move, by who moves it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Source {
    /// Messages from one process to another.
    Relay(Pid, Pid),
    /// What the daemon says to a process.
    News(Pid),
    /// Requests of a caller that a worker takes.
    Requests(Pid, Pid),
    /// Replies to a caller by a worker.
    Replies(Pid, Pid),
    /// What runs in a process.
    Runs(Pid),
    /// Grants and lives of actors.
    Daemon,
    /// A process that was sent SIGKILL is gone.
    Dies(Pid),
}

/// What is held up.
#[derive(Clone, Copy, Debug)]
enum Held {
    Process(Pid),
    MessagesFrom(Pid),
    MessagesTo(Pid),
    News(Pid),
    RepliesTo(Pid),
    RepliesFrom(Pid),
    Runs(Pid),
}

impl Held {
    fn holds(self, source: Source) -> bool {
        match (self, source) {
            (Self::MessagesFrom(p) | Self::Process(p), Source::Relay(from, _)) if from == p => true,
            (Self::MessagesTo(p) | Self::Process(p), Source::Relay(_, to)) => to == p,
            (Self::News(p) | Self::Process(p), Source::News(to)) => to == p,
            (Self::RepliesTo(p) | Self::Process(p), Source::Replies(caller, _)) => caller == p,
            (Self::RepliesFrom(p), Source::Replies(_, worker)) => worker == p,
            (Self::Runs(p) | Self::Process(p), Source::Requests(_, worker)) => worker == p,
            (Self::Runs(p) | Self::Process(p), Source::Runs(at)) => at == p,
            _ => false,
        }
    }
}

/// Once in so many steps something else is held up, or a priority changes.
const CHANGES: usize = 60;
/// So many are held up at once.
const MOST_HELD: usize = 3;

/// What a schedule remembers.
#[derive(Default)]
pub(crate) struct Scheduler {
    held: Vec<Held>,
    priorities: BTreeMap<Source, i64>,
    lowest: i64,
    demote: bool,
}

impl Scheduler {
    /// Before each step: of these processes others are held up from now on, or the next to move is demoted.
    pub fn turn(&mut self, schedule: Schedule, choices: &mut Choices, alive: &[Pid]) {
        if schedule == Schedule::Uniform || !choices.one_in(CHANGES) {
            return;
        }
        self.demote = true;
        if self.held.len() >= MOST_HELD || (!self.held.is_empty() && choices.one_in(2)) {
            self.held.remove(choices.below(self.held.len()));
        } else if let (Schedule::Starving, Some(p)) = (schedule, choices.pick(alive)) {
            let kinds = [
                Held::Process(p),
                Held::MessagesFrom(p),
                Held::MessagesTo(p),
                Held::News(p),
                Held::RepliesTo(p),
                Held::RepliesFrom(p),
                Held::Runs(p),
            ];
            self.held.extend(choices.pick(&kinds));
        }
    }

    /// Nothing is held up any more: the run comes to rest.
    pub fn release(&mut self) {
        self.held.clear();
    }

    /// Whether this has to wait.
    pub fn holds(&self, source: Source) -> bool {
        self.held.iter().any(|held| held.holds(source))
    }

    /// By priority, the highest first; what was not seen before gets one by chance.
    pub fn sort(&mut self, sources: &mut [Source], choices: &mut Choices) {
        for source in &*sources {
            self.priorities.entry(*source).or_insert_with(|| choices.below(1 << 20) as i64);
        }
        sources.sort_by_key(|s| (-self.priorities[s], *s));
    }

    /// This one has moved.
    pub fn moved(&mut self, source: Source) {
        if std::mem::take(&mut self.demote) {
            self.lowest -= 1;
            self.priorities.insert(source, self.lowest);
        }
    }
}
