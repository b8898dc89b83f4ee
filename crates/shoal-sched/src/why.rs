//! Sentences for people, from the scheduler's own refusals.
use crate::Sched;
use crate::entry::{Asker, Role};
use shoal_types::{ActorId, ErrorKind, ErrorValue, Resources, UNIT, WorkerId};

impl Sched {
    /// Why a client's key waits; `None` when it doesn't.
    pub fn why_key(&self, client: WorkerId, key: u32) -> Option<String> {
        self.why(Asker::Lease(client, key))
    }

    /// Why an actor waits; `None` when it doesn't.
    pub fn why_actor(&self, actor: ActorId) -> Option<String> {
        self.why(Asker::Actor(actor))
    }

    /// Why anybody waits: one sentence each.
    pub fn why_all(&self) -> Vec<String> {
        self.waiting.iter().filter_map(|asker| self.why(*asker)).collect()
    }

    fn why(&self, asker: Asker) -> Option<String> {
        let entry = self.entries.get(&asker).filter(|e| e.outstanding() > 0)?;
        let need = &entry.need;
        if !self.config.total.covers(need) {
            return Some(self.never_text(need));
        }
        let lacking: Vec<_> = self.pool.lacking(need).collect();
        let Some(name) = lacking.first() else { return Some("waits for a worker process to start".into()) };
        let free = u64::try_from(self.pool.get(name)).unwrap_or(0);
        let (asked, total) = (amount(name, need.get(name)), amount(name, self.config.total.get(name)));
        let holder = if self.reachable(need) { "running tasks hold the rest" } else { "actors hold the rest" };
        Some(format!("needs {asked} {name}, {} of {total} are free; {holder}", amount(name, free)))
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

fn amount(name: &str, n: u64) -> String {
    if name.ends_with("memory") {
        return format!("{} bytes of", n / UNIT);
    }
    let (whole, part) = (n / UNIT, n % UNIT);
    if part == 0 {
        return whole.to_string();
    }
    format!("{whole}.{part:04}").trim_end_matches('0').to_owned()
}
