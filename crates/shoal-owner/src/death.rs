//! A process is gone: as a borrower, as an owner, as a worker, as an actor.
//!
//! - DEATH-1 its counts are dropped, later credits for it are ignored, nothing is sent to it.
//! - DEATH-2 what it owned and has no value here, or a value in the arena, is `OwnerDied`; small values that were
//!   fetched before stay readable. The refs inside a value that went stay counted as long as its entry (LIN-9): a call
//!   that was sent it is lent them still, whoever owned it.
//! - DEATH-3 values change before tasks are tried again, so that a retry sees that its dependency is lost.
//! - DEATH-4 what it had sealed in the arena for us and had not told of is freed.
//! - DEATH-5 deaths are remembered for who has not heard of them yet, and may credit the dead or pass on what they owned:
//!   the last [`DEAD`] by id, the last [`TOLD`] with their reason. Who speaks to one that is forgotten is told again by
//!   the daemon; a credit for one, by a process that has read nothing for as long, costs an object that lives as long as
//!   its owner.
//! - DEATH-6 the daemon tells of a death to its job, to who has a lane with the dead, and to who spoke with it. A process of
//!   another job that holds an object of ours, for a third one has passed it on, may be none of these: the daemon is
//!   asked to tell of its death, once.
//! - DEATH-7 an actor is dead when its process is killed; that is gone a little later. Until then it may go on with what it
//!   was lent: calls that it had taken, and what it was made with, stay lent (OWN-1), and what it still says of them counts.
//! - DEATH-8 an actor that ends by itself answers nothing more from that moment, whatever its threads still make of calls
//!   that they run, though it may live on for what it owns. All that it was lent by calls that it had taken it keeps: it
//!   counts a credit for each ref, and so does the caller, which lets go then. To lend on until its process is gone could be
//!   for ever: that may wait for the refs to go.
use crate::{Order, Owner, history::End, objects::owner_died, tasks::TaskState};
use rustc_hash::FxHashSet;
use shoal_proto::peer::Credit;
use shoal_types::{Address, ArenaLoc, ErrorKind, ErrorValue, LeaseId, ObjectId, Recent, TaskId, Value, WorkerId};
use std::sync::Arc;

/// So many are remembered.
const DEAD: usize = 1 << 16;
/// So many with their reason.
const TOLD: usize = 1_000;

/// Processes that are gone (DEATH-5).
pub(crate) struct Dead {
    ids: Recent<WorkerId, ()>,
    reasons: Recent<WorkerId, Arc<ErrorValue>>,
}

impl Default for Dead {
    fn default() -> Self {
        Self { ids: Recent::new(DEAD), reasons: Recent::new(TOLD) }
    }
}

impl Dead {
    /// Whether it was not known.
    fn insert(&mut self, worker: WorkerId, why: Arc<ErrorValue>) -> bool {
        self.reasons.insert(worker, why);
        self.ids.insert(worker, ())
    }

    pub fn contains(&self, worker: &WorkerId) -> bool {
        self.ids.contains(worker)
    }

    /// How it ended, if it is gone.
    pub fn why(&self, worker: &WorkerId) -> Option<Arc<ErrorValue>> {
        let long_ago = || Arc::new(ErrorValue::new(ErrorKind::WorkerCrashed, "its process ended long ago"));
        self.contains(worker).then(|| self.reasons.get(worker).cloned().unwrap_or_else(long_ago))
    }
}

impl Owner {
    pub(crate) fn on_worker_lost(
        &mut self,
        worker: Address,
        error: ErrorValue,
        intended: bool,
        taken: Vec<TaskId>,
        out: &mut Vec<Order>,
    ) {
        let error = Arc::new(error);
        if !self.objects.dead.insert(worker.worker, error.clone()) {
            return;
        }
        self.seen.remove(&worker.worker);
        self.watched.remove(&worker.worker);
        self.objects.outbox.forget(&worker.worker);
        let mut held: Vec<_> = self.objects.by_holder.remove(&worker.worker).into_iter().flatten().collect();
        held.sort_unstable();
        for (id, flow) in held {
            self.objects.drop_count(&id, worker.worker, flow);
        }
        self.owner_lost(worker, &error, out);
        let taken: FxHashSet<TaskId> = taken.into_iter().collect();
        self.leases_lost(worker, &error, intended, &taken, out);
        if let Some(actor) = self.actor_of.remove(&worker.worker) {
            self.actor_down(actor, &taken, out);
        }
    }

    /// DEATH-6: these were credited to their holders by another.
    pub(crate) fn watch_holders(&mut self, credits: &[Credit], out: &mut Vec<Order>) {
        for holder in credits.iter().map(|c| c.holder) {
            let counts = self.objects.by_holder.contains_key(&holder);
            let spoke = self.seen.contains_key(&holder) || self.objects.outbox.knows(&holder);
            if counts && !spoke && self.watched.insert(holder) {
                out.push(Order::WatchProcess(holder));
            }
        }
    }

    /// DEATH-4.
    pub(crate) fn on_sealed(&mut self, objects: &[(ObjectId, ArenaLoc)], out: &mut Vec<Order>) {
        let told = |(id, loc): &&(ObjectId, ArenaLoc)| matches!(self.value(id), Some(Value::Stored { loc: known, .. }) if known == loc);
        let untold = objects.iter().filter(|object| !told(object));
        out.extend(untold.map(|&(id, loc)| Order::Free { id, loc }));
    }

    /// DEATH-2.
    fn owner_lost(&mut self, worker: Address, error: &ErrorValue, out: &mut Vec<Order>) {
        let mut borrowed: Vec<ObjectId> =
            self.objects.by_owner.get(&worker.worker).into_iter().flatten().copied().collect();
        borrowed.sort_unstable();
        let died = Arc::new(owner_died(error));
        for id in borrowed {
            let Some(entry) = self.objects.map.get_mut(&id) else { continue };
            entry.credits = 0;
            match &entry.value {
                None if id.index == ObjectId::ACTOR_INDEX => {}
                None => self.objects.set_value(id, Value::Error(died.clone()), out),
                Some(Value::Stored { .. }) => {
                    entry.lose_value();
                    entry.value = Some(Value::Error(died.clone()));
                }
                Some(Value::Inline { .. } | Value::Error(_)) => {}
            }
        }
    }

    fn leases_lost(
        &mut self,
        worker: Address,
        error: &Arc<ErrorValue>,
        intended: bool,
        taken: &FxHashSet<TaskId>,
        out: &mut Vec<Order>,
    ) {
        let of_key = |(key, k): (&u32, &crate::keys::Key)| {
            let lost = k.leases.iter().filter(|l| l.worker.worker == worker.worker);
            lost.map(|l| (*key, l.id)).collect::<Vec<(u32, LeaseId)>>()
        };
        let mut lost: Vec<(u32, LeaseId)> = self.keys.iter().flat_map(of_key).collect();
        lost.sort_unstable();
        for (key, lease) in lost {
            let Some(lease) = self.drop_lease(key, lease) else { continue };
            for (task, _) in lease.in_flight {
                self.task_lost(task, error, intended, taken.contains(&task), out);
            }
            self.touch_key(key);
        }
    }

    /// TASK-4: one that had begun spends a retry, another goes back to the queue.
    fn task_lost(&mut self, id: TaskId, error: &Arc<ErrorValue>, intended: bool, taken: bool, out: &mut Vec<Order>) {
        let Some(task) = self.tasks.get_mut(&id) else { return };
        if matches!(task.state, TaskState::Abandoned(_)) {
            self.forget_task(&id, End::failed(&crate::cancel::cancelled()));
            return;
        }
        task.state = TaskState::Waiting(0);
        let may_retry = !intended && task.may_retry();
        if task.cancel.is_some() {
            return self.fail_task(id, crate::cancel::cancelled(), out);
        }
        if self.rests(id, out) {
            return;
        }
        if !taken {
            self.enqueue(id);
        } else if may_retry {
            self.retry_task(id);
        } else {
            self.fail_task(id, error.clone(), out);
        }
    }
}
