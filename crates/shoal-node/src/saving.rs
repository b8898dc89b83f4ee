//! Actors that have something to save at the end of their job or instance are asked to end, and waited for.
use crate::node::Node;
use shoal_gcs::{Event as GcsEvent, Exit};
use shoal_proto::control::ToClient;
use shoal_types::JobId;

/// How long they may take: less than a driver waits for the end of its workers.
const PATIENCE: u64 = 3_000_000;

/// What follows when they have saved.
pub(crate) enum Then {
    /// The end of a job: how its driver ended, the connection on which that waits.
    Job(JobId, Exit, u64),
    /// The end of the instance, with this exit code.
    Instance(i32),
}

/// Who is waited for.
pub(crate) struct Saving {
    starts: Vec<u64>,
    until: u64,
    then: Then,
}

impl Node {
    /// `ToNode::SavesAtEnd`, of a worker.
    pub(crate) fn saves_at_end(&mut self, worker: shoal_types::WorkerId) {
        self.with_proc(worker, |proc| proc.saves = true);
    }

    /// Goes on with `then` when every actor that it ends has saved, or has had time to.
    pub(crate) fn save_first(&mut self, then: Then) {
        let all = self.ends_instance(&then);
        let job = if let Then::Job(job, ..) = &then { Some(*job) } else { None };
        let concerned = |node: &Self, proc: &crate::procs::Proc| {
            let detached = proc.worker.and_then(|w| node.gcs.actor_of(w)).and_then(|a| node.gcs.spec(a));
            all || (job == Some(proc.job) && !detached.is_some_and(|spec| spec.detached))
        };
        let savers = self.procs.iter().filter(|(_, p)| p.saves && p.killed.is_none() && concerned(self, p));
        let starts: Vec<u64> = savers.map(|(start, _)| *start).collect();
        for start in &starts {
            self.ask_to_save(*start);
        }
        let until = self.clock.micros() + PATIENCE;
        self.saving.push(Saving { starts, until, then });
    }

    fn ask_to_save(&mut self, start: u64) {
        let Some(proc) = self.procs.get_mut(&start) else { return };
        proc.dismissed = true;
        let Some(worker) = proc.worker else { return };
        if let Some(actor) = self.gcs.actor_of(worker) {
            // It is not made again.
            self.gcs_event(GcsEvent::ExitWished { worker, actor, reason: "its job is over".into() });
        }
        self.send(worker, &ToClient::EndActor, Vec::new());
    }

    fn ends_instance(&self, then: &Then) -> bool {
        match then {
            Then::Job(job, ..) => self.config.owned_by_first_client && *job == JobId(1),
            Then::Instance(_) => true,
        }
    }

    pub(crate) fn saving_due(&self) -> Option<u64> {
        self.saving.iter().map(|s| s.until).min()
    }

    /// Once a round of the loop: who has waited long enough, or for nobody any more, goes on.
    pub(crate) fn check_saving(&mut self, now: u64) {
        for saving in std::mem::take(&mut self.saving) {
            let left = saving.starts.iter().any(|start| self.procs.get(start).is_some_and(|p| p.saves));
            if left && saving.until > now {
                self.saving.push(saving);
                continue;
            }
            match saving.then {
                Then::Job(job, exit, conn) => self.end_job_now(job, exit, conn),
                Then::Instance(code) => self.ending = Some(code),
            }
        }
    }
}
