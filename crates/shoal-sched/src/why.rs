//! Why somebody waits, from the scheduler's own refusals; and sentences for its errors.
use crate::Sched;
use crate::entry::{Asker, Entry, Role};
use serde::{Deserialize, Serialize};
use shoal_types::{ActorId, ErrorKind, ErrorValue, JobId, Resources, UNIT, WorkerId};

/// Who waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Waiter {
    /// A client, with tasks of one of its keys.
    Key(WorkerId, u32),
    /// An actor, for its process.
    Actor(ActorId),
}

/// Of what there is not enough; amounts in 1/10,000.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Missing {
    /// The resource.
    pub name: String,
    /// How much is needed.
    pub needed: u64,
    /// How much is free.
    pub free: u64,
    /// How much there is.
    pub total: u64,
}

/// A process that holds some of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holder {
    /// The process.
    pub worker: WorkerId,
    /// The actor that it is.
    pub actor: Option<ActorId>,
    /// How much of the first missing resource.
    pub amount: u64,
    /// All that runs in it waits for something itself.
    pub blocked: bool,
}

/// Why a request is not served.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// No node has so much.
    Never(Vec<Missing>),
    /// Something is in use: what, and by whom, the largest first.
    InUse(Vec<Missing>, Vec<Holder>),
    /// Everything is free, in parts of several GPUs.
    Scattered,
    /// Everything is free but a process: one starts.
    Starting,
    /// Everything is free, and starts of its process have failed so often in a row.
    Failing(u32),
    /// Everything is free, and there are as many processes as may be.
    NoProcess(usize),
}

/// Somebody who waits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wait {
    /// Who.
    pub who: Waiter,
    /// Its job.
    pub job: JobId,
    /// How many leases.
    pub count: u32,
    /// What one needs.
    pub needs: Resources,
    /// Since when.
    pub since: u64,
    /// Why.
    pub refusal: Refusal,
    /// Whether running tasks won't end it by ending.
    pub lasting: bool,
}

impl Sched {
    /// Everybody who waits, and why.
    pub fn waits(&self) -> Vec<Wait> {
        self.waiting.iter().filter_map(|asker| self.wait_of(asker.waiter())).collect()
    }

    /// Why this one waits; `None` when it does not.
    pub fn wait_of(&self, who: Waiter) -> Option<Wait> {
        let asker = match who {
            Waiter::Actor(actor) => Asker::Actor(actor),
            Waiter::Key(client, key) => Asker::Lease(client, key),
        };
        let entry = self.entries.get(&asker).filter(|e| e.outstanding() > 0)?;
        let (job, count, needs, since) = (entry.shape.job, entry.outstanding(), entry.need.clone(), entry.since);
        let (refusal, lasting) = (self.refusal(entry), self.is_lasting(entry));
        Some(Wait { who, job, count, needs, since, refusal, lasting })
    }

    fn refusal(&self, entry: &Entry) -> Refusal {
        let need = &entry.need;
        let never = self.missing(need, |name, n| self.config.total.get(name) < n);
        if !never.is_empty() {
            return Refusal::Never(never);
        }
        let lacking: Vec<_> = self.pool.lacking(need).collect();
        if let Some(first) = lacking.first() {
            let holders = self.holders(first);
            return Refusal::InUse(self.missing(need, |name, _| lacking.contains(&name)), holders);
        }
        if !self.pool.fits(need) {
            return Refusal::Scattered;
        }
        match self.failing.get(&entry.shape) {
            Some(failing) => Refusal::Failing(failing.count),
            None if self.task_workers() >= self.config.max_workers => Refusal::NoProcess(self.config.max_workers),
            None => Refusal::Starting,
        }
    }

    fn missing(&self, need: &Resources, which: impl Fn(&str, u64) -> bool) -> Vec<Missing> {
        let named = need.iter().filter(|(name, n)| which(name, *n));
        let one = |(name, needed): (&str, u64)| {
            let free = u64::try_from(self.pool.get(name)).unwrap_or(0);
            Missing { name: name.to_owned(), needed, free, total: self.config.total.get(name) }
        };
        named.map(one).collect()
    }

    fn holders(&self, name: &str) -> Vec<Holder> {
        let held = |w: &crate::entry::Worker| {
            let lent = if name == "CPU" { w.lent() } else { 0 };
            w.hold.get(name) - lent
        };
        let holds = self.workers.iter().filter(|(_, w)| held(w) > 0);
        let one = |(id, w): (&WorkerId, &crate::entry::Worker)| {
            let actor = match w.role {
                Role::Actor { actor, .. } => Some(actor),
                Role::Idle { .. } | Role::Leased(_) | Role::Retiring | Role::Doomed => None,
            };
            Holder { worker: *id, actor, amount: held(w), blocked: w.blocked }
        };
        let mut all: Vec<_> = holds.map(one).collect();
        all.sort_by_key(|h| (std::cmp::Reverse(h.amount), h.worker));
        all
    }

    /// Whether it would still wait if every task that runs and doesn't wait itself were over.
    pub(crate) fn is_lasting(&self, entry: &Entry) -> bool {
        let mut left = self.config.total.clone();
        for w in self.workers.values() {
            let stays = match w.role {
                Role::Actor { .. } => true,
                Role::Leased(_) => w.blocked,
                Role::Idle { .. } | Role::Retiring | Role::Doomed => false,
            };
            if stays {
                left.subtract(&w.hold);
                left.set("CPU", left.get("CPU") + w.lent().min(w.hold.get("CPU")));
            }
        }
        !left.covers(&entry.need)
    }

    /// Why anybody waits, as it prints in a debugger.
    pub fn why_all(&self) -> Vec<String> {
        self.waits().iter().map(|wait| format!("{wait:?}")).collect()
    }

    /// Every worker: what it does and holds.
    pub fn workers(&self) -> impl Iterator<Item = WorkerInfo> {
        self.workers.iter().map(|(id, w)| {
            let (role, actor) = match w.role {
                Role::Idle { .. } => ("idle", None),
                Role::Leased(_) => ("leased", None),
                Role::Actor { actor, .. } => ("actor", Some(actor)),
                Role::Retiring => ("retiring", None),
                Role::Doomed => ("doomed", None),
            };
            let lease = if let Role::Leased(lease) = w.role { self.leases.get(&lease) } else { None };
            let holder = lease.map(|l| (l.client, l.key));
            WorkerInfo { worker: *id, role, actor, holder, holds: w.hold.clone(), blocked: w.blocked }
        })
    }

    pub(crate) fn infeasible_error(&self, asker: Asker) -> ErrorValue {
        let text = self.never_text(&self.entries[&asker].need);
        match asker {
            Asker::Actor(actor) => {
                ErrorValue { actor: Some(actor), ..ErrorValue::new(ErrorKind::ActorUnschedulable, text) }
            }
            Asker::Lease(..) => ErrorValue::new(ErrorKind::Unschedulable, text),
        }
    }

    fn never_text(&self, need: &Resources) -> String {
        let total = &self.config.total;
        let missing = need.iter().filter(|(name, n)| total.get(name) < *n);
        let parts: Vec<_> = missing
            .map(|(name, n)| {
                format!("needs {} {name}, the node has {}", amount(name, n), amount(name, total.get(name)))
            })
            .collect();
        format!("no node can ever run it: {}", parts.join("; "))
    }

    /// Who waits for whom, from the asker up, when every process at the cap is blocked.
    pub(crate) fn chain_text(&self, asker: Asker) -> String {
        let (mut chain, mut at) = (Vec::new(), asker);
        while let Asker::Lease(client, _) = at {
            chain.push(client.to_string()[..8].to_owned());
            let Some(Role::Leased(lease)) = self.workers.get(&client).map(|w| w.role) else { break };
            let Some(lease) = self.leases.get(&lease) else { break };
            at = Asker::Lease(lease.client, lease.key);
        }
        let shown = if chain.len() > 6 { &chain[..6] } else { &chain };
        let depth = self.entries.get(&asker).map_or(0, |e| e.depth);
        format!(
            "all {} worker processes that may run here wait in nested calls and nothing else can run; a task at depth \
             {depth} waits for a process, and processes {} of a chain of {} wait for it",
            self.task_workers(),
            shown.join(" <- "),
            chain.len()
        )
    }
}

/// A worker as it is shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WorkerInfo {
    /// It.
    pub worker: WorkerId,
    /// idle, leased, actor, retiring or doomed.
    pub role: &'static str,
    /// The actor that it is.
    pub actor: Option<ActorId>,
    /// Who leases it, for which of its keys.
    pub holder: Option<(WorkerId, u32)>,
    /// What it holds.
    pub holds: Resources,
    /// All that runs in it waits.
    pub blocked: bool,
}

/// An amount for people: "1", "0.5", "100 bytes of".
pub fn amount(name: &str, n: u64) -> String {
    if name.ends_with("memory") {
        return format!("{} bytes of", n / UNIT);
    }
    let (whole, part) = (n / UNIT, n % UNIT);
    if part == 0 {
        return whole.to_string();
    }
    format!("{whole}.{part:04}").trim_end_matches('0').to_owned()
}
