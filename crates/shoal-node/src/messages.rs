//! What clients say, turned into events of the cores.
use crate::node::Node;
use shoal_gcs::Event as GcsEvent;
use shoal_proto::control::ToNode;
use shoal_sched::Event as SchedEvent;
use shoal_store::spill::{Event as ObjectEvent, Ticket};
use shoal_types::WorkerId;

impl Node {
    pub(crate) fn on_message(&mut self, from: WorkerId, msg: ToNode) {
        match msg {
            // A second greeting changes nothing.
            ToNode::Hello(_) => {}
            ToNode::Demand { key, spec, want, seen, depth } => {
                shoal_net::broken::break_point("node");
                self.sched_event(SchedEvent::Demand { client: from, key, spec, want, seen, depth });
            }
            ToNode::ReturnLease(lease) => self.sched_event(SchedEvent::LeaseReturned(lease)),
            ToNode::Blocked => self.sched_event(SchedEvent::Blocked(from)),
            ToNode::Unblocked => self.sched_event(SchedEvent::Unblocked(from)),
            ToNode::ReturnChunks(chunks) => self.return_chunks(from, chunks),
            ToNode::Free(objects) => self.object_event(ObjectEvent::Freed(objects)),
            ToNode::Unpinned => self.object_event(ObjectEvent::PinGone),
            ToNode::GiveUpFile(_) | ToNode::Unmapped(_) | ToNode::GiveUp(_) => self.on_file_message(from, msg),
            ToNode::StartActor { .. }
            | ToNode::WatchActor(_)
            | ToNode::ActorStarted { .. }
            | ToNode::ActorExit { .. }
            | ToNode::ActorOutOfScope(_) => self.on_actor_message(from, msg),
            ToNode::Relay { to, body } => self.relay(from, to, body),
            ToNode::WatchProcess(worker) => self.watch(from, worker),
            ToNode::KillWorker(worker) => self.kill_worker(worker, "its task was cancelled with force=True"),
            ToNode::Request { req, body } => self.on_request(from, req, body),
            ToNode::Retiring(goes) => self.on_retiring(from, goes),
            ToNode::Leaving { reason } => self.with_proc(from, |proc| proc.leaving = Some(reason)),
            ToNode::Lingering => self.on_lingering(from),
            ToNode::SavesAtEnd => self.saves_at_end(from),
            ToNode::Bye => self.on_bye(from),
            ToNode::Looked { look, report } => self.on_looked(from, look, report),
        }
    }

    fn on_file_message(&mut self, from: WorkerId, msg: ToNode) {
        let Some(slot) = self.clients.get(&from).map(|c| c.slot) else { return };
        match msg {
            ToNode::GiveUpFile(loc) => self.object_event(ObjectEvent::GivenUp { slot, loc }),
            ToNode::Unmapped(objects) => self.object_event(ObjectEvent::Unmapped { slot, objects }),
            ToNode::GiveUp(req) => self.object_event(ObjectEvent::NotWanted(Ticket { client: from, slot, req })),
            _ => {}
        }
    }

    fn on_actor_message(&mut self, from: WorkerId, msg: ToNode) {
        match msg {
            ToNode::StartActor { actor, args, error } => {
                self.gcs_event(GcsEvent::ArgsReady { actor, args, error });
            }
            ToNode::WatchActor(actor) => self.gcs_event(GcsEvent::Watch { actor, client: from }),
            ToNode::ActorStarted { actor, incarnation, error, kept } => {
                self.gcs_event(GcsEvent::Started { worker: from, actor, incarnation, error, kept });
            }
            ToNode::ActorExit { actor, reason } => {
                self.with_proc(from, |proc| proc.leaving = Some(Some(reason.clone())));
                self.gcs_event(GcsEvent::ExitWished { worker: from, actor, reason });
            }
            ToNode::ActorOutOfScope(actor) => self.gcs_event(GcsEvent::OutOfScope(actor)),
            _ => {}
        }
    }

    fn on_retiring(&mut self, from: WorkerId, goes: bool) {
        if goes {
            self.with_proc(from, |proc| proc.dismissed = true);
        } else {
            self.sched_event(SchedEvent::RetireRefused(from));
        }
    }

    /// The record of a client's process, when it is a worker.
    pub(crate) fn with_proc(&mut self, worker: WorkerId, f: impl FnOnce(&mut crate::procs::Proc)) {
        let start = self.clients.get(&worker).and_then(|c| c.start);
        if let Some(proc) = start.and_then(|start| self.procs.get_mut(&start)) {
            f(proc);
        }
    }
}
