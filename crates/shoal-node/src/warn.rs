//! What is said of who waits for long for what running work will not release (SCHED-7).
use crate::node::Node;
use shoal_gcs::ActorInfo;
use shoal_proto::control::ToClient;
use shoal_sched::{Refusal, Wait, Waiter};
use shoal_types::WorkerId;

impl Node {
    /// Carries out `Order::Warn`: the process that asked says it, for it knows the names of its tasks.
    pub(crate) fn warn(&mut self, who: Waiter) {
        let Some(wait) = self.sched.wait_of(who) else { return };
        let text = self.warning_text(&wait);
        match who {
            Waiter::Key(client, key) => {
                self.send(client, &ToClient::Waits { key, text }, Vec::new());
            }
            Waiter::Actor(actor) => {
                let Some(actor) = self.gcs.actors().find(|a| a.id == actor) else { return };
                let name = if actor.name.is_empty() { String::new() } else { format!(" ({})", actor.name) };
                let text = format!("actor {}{name} has waited {text}", actor.class_name);
                match self.who_hears_of(&actor) {
                    Some(client) => self.send(client, &ToClient::Warning(text), Vec::new()),
                    None => shoal_net::say!("{text}"),
                }
            }
        }
    }

    fn warning_text(&self, wait: &Wait) -> String {
        let seconds = self.clock.micros().saturating_sub(wait.since) / 1_000_000;
        let (why, advice) = (self.wait_text(wait), self.advice(wait));
        format!(
            "for a worker for {seconds} s, and running work will not end that: {why}; {advice}; 'shoal why' says more"
        )
    }

    fn advice(&self, wait: &Wait) -> String {
        match &wait.refusal {
            Refusal::InUse(_, holders) if holders.iter().any(|h| h.actor.is_some()) => {
                "an actor holds what it has until it ends (shoal.kill), and with num_cpus=0 no CPU".into()
            }
            Refusal::InUse(..) | Refusal::Scattered => {
                "a task that waits lends its CPUs, and nothing else that it holds".into()
            }
            Refusal::Never(_) => {
                let less = "ask for less, or start the instance with more (num_cpus=, num_gpus=, resources=)";
                match self.config.settings.infeasible_grace {
                    grace if grace >= 0.0 => format!("it is an error after {grace} s; {less}"),
                    _ => less.into(),
                }
            }
            Refusal::Starting | Refusal::Failing(_) | Refusal::NoProcess(_) => {
                "what it needs is free, but for a process".into()
            }
        }
    }

    /// Who made the actor, else the driver of its job.
    fn who_hears_of(&self, actor: &ActorInfo) -> Option<WorkerId> {
        let driver = self.jobs.get(&actor.job).map(|j| j.driver);
        [Some(actor.creator), driver].into_iter().flatten().find(|who| self.clients.contains_key(who))
    }
}
