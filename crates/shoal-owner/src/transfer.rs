//! Refs that cross processes (OWN-1…3): credits, releases, fetches, and the messages that say so.
//!
//! - XFER-1 each ref that crosses costs one credit for its receiver, said to the owner by the sender before the sender
//!   lets go of its own. Messages of a pair of processes keep their order, so the owner hears it in time.
//! - XFER-2 the counts of an owner are signed: credit and release of one holder come from different processes, in any
//!   order.
//! - XFER-3 a ref that goes back to its owner is credited to the *sender*; the owner takes it off the sender's count
//!   when the value arrives. So the sender's death between the two leaves nothing behind.
//! - XFER-4 in one event credits leave before replies and fetched values, and those before releases.
use crate::{Order, objects::{Count, Objects, lost}};
use rustc_hash::FxHashMap;
use shoal_proto::peer::{Credit, PeerMsg};
use shoal_types::{Address, ObjectId, RefWire, TaskId, Value, WorkerId};
use std::sync::Arc;

/// Messages for other processes that wait for the end of the event, one for each receiver.
#[derive(Default)]
pub(crate) struct Outbox {
    /// Last number used for each receiver.
    sent: FxHashMap<WorkerId, u64>,
    credits: Vec<(Address, Vec<Credit>)>,
    releases: Vec<(Address, Vec<(ObjectId, u32)>)>,
}

/// The list for `to`: most often the last one used.
fn slot<T>(lists: &mut Vec<(Address, Vec<T>)>, to: Address) -> &mut Vec<T> {
    let at = lists.iter().rposition(|(a, _)| a.worker == to.worker).unwrap_or_else(|| {
        lists.push((to, Vec::new()));
        lists.len() - 1
    });
    &mut lists[at].1
}

impl Outbox {
    pub fn credit(&mut self, owner: Address, id: ObjectId, holder: WorkerId) {
        let list = slot(&mut self.credits, owner);
        match list.last_mut() {
            Some(last) if last.id == id && last.holder == holder => last.n += 1,
            _ => list.push(Credit { id, holder, n: 1 }),
        }
    }

    pub fn release(&mut self, owner: Address, id: ObjectId, n: u32) {
        if n > 0 {
            slot(&mut self.releases, owner).push((id, n));
        }
    }

    pub fn is_empty(&self) -> bool {
        self.credits.is_empty() && self.releases.is_empty()
    }

    pub fn forget(&mut self, worker: &WorkerId) {
        self.sent.remove(worker);
    }
}

impl Objects {
    /// Sends, unless the receiver is dead.
    pub fn send(&mut self, to: Address, msg: PeerMsg, out: &mut Vec<Order>) {
        if self.dead.contains_key(&to.worker) {
            return;
        }
        let seq = self.outbox.sent.entry(to.worker).or_insert(0);
        *seq += 1;
        out.push(Order::Send { to, seq: *seq, msg });
    }

    pub fn flush_credits(&mut self, out: &mut Vec<Order>) {
        for (to, list) in std::mem::take(&mut self.outbox.credits) {
            self.send(to, PeerMsg::Credit(list), out);
        }
    }

    /// XFER-4: credits first.
    pub fn flush(&mut self, out: &mut Vec<Order>) {
        if self.outbox.is_empty() {
            return;
        }
        self.flush_credits(out);
        for (to, list) in std::mem::take(&mut self.outbox.releases) {
            self.send(to, PeerMsg::Release(list), out);
        }
    }

    /// `r` is inside a value that goes to `to`.
    pub fn pass_on(&mut self, r: &RefWire, to: Address) {
        if self.dead.contains_key(&to.worker) {
            return;
        }
        if r.owner.worker == to.worker {
            self.outbox.credit(r.owner, r.id, self.me.worker);
        } else if self.is_mine(r) {
            self.add_holder(&r.id, to.worker, 1);
        } else {
            self.outbox.credit(r.owner, r.id, to.worker);
        }
    }

    /// The executor of a call of ours keeps `r`, which we had lent it.
    pub fn credit_kept(&mut self, r: &RefWire, executor: WorkerId) {
        if r.owner.worker == executor {
            return;
        }
        if self.is_mine(r) {
            self.add_holder(&r.id, executor, 1);
        } else if !self.dead.contains_key(&executor) {
            self.outbox.credit(r.owner, r.id, executor);
        }
    }

    /// `r` came inside a value from `from`, which has seen to its credit.
    pub fn received(&mut self, r: &RefWire, from: WorkerId) {
        self.add(r, Count::Contained);
        if self.is_mine(r) {
            self.add_holder(&r.id, from, -1);
        } else if let Some(entry) = self.map.get_mut(&r.id) {
            entry.credits += 1;
        }
    }

    /// A value of a reply or an answer that nobody waits for: taken and let go of. `made_by` when it would have been
    /// a return of that task: then its place in the arena is ours to free.
    pub fn discard(&mut self, value: &Value, from: WorkerId, made_by: Option<(TaskId, u32)>, out: &mut Vec<Order>) {
        for r in value.refs() {
            self.received(r, from);
            self.sub(&r.id, Count::Contained);
        }
        if let (Value::Stored { loc, .. }, Some((task, index))) = (value, made_by) {
            let id = ObjectId::new(task, index);
            let same = |v: &Value| matches!(v, Value::Stored { loc: l, .. } if l == loc);
            if !self.map.get(&id).and_then(|e| e.value.as_ref()).is_some_and(same) {
                out.push(Order::Free { id, loc: *loc });
            }
        }
    }

    /// Asks the owner of a borrowed object for its value, once.
    pub fn fetch(&mut self, id: &ObjectId, out: &mut Vec<Order>) {
        let me = self.me.worker;
        let Some(entry) = self.map.get_mut(id) else { return };
        if entry.value.is_some() || entry.fetching || entry.owner.worker == me || id.index == ObjectId::ACTOR_INDEX {
            return;
        }
        entry.fetching = true;
        let owner = entry.owner;
        self.send(owner, PeerMsg::Fetch(*id), out);
    }

    /// Someone asks for a value of ours.
    pub fn on_fetch(&mut self, id: ObjectId, from: Address, out: &mut Vec<Order>) {
        let me = self.me.worker;
        match self.map.get_mut(&id).filter(|e| e.owner.worker == me) {
            Some(entry) if entry.pending => entry.shared.get_or_insert_default().fetchers.push(from),
            _ => self.answer(id, from, out),
        }
    }

    /// Sends the value of `id`, or that it is lost.
    pub fn answer(&mut self, id: ObjectId, to: Address, out: &mut Vec<Order>) {
        if self.dead.contains_key(&to.worker) {
            return;
        }
        let mine = self.map.get(&id).filter(|e| e.owner.worker == self.me.worker);
        let value = mine.and_then(|e| e.value.clone()).unwrap_or_else(|| Value::Error(Arc::new(lost(&id))));
        for r in value.refs() {
            self.pass_on(r, to);
        }
        self.flush_credits(out);
        self.send(to, PeerMsg::Fetched { id, value }, out);
    }

    /// The owner's answer.
    pub fn on_fetched(&mut self, id: ObjectId, value: Value, from: WorkerId, out: &mut Vec<Order>) {
        match self.map.get(&id) {
            Some(entry) if entry.value.is_none() && entry.owner.worker == from => {
                for r in value.refs() {
                    self.received(r, from);
                }
                self.set_value(id, value, out);
            }
            _ => self.discard(&value, from, None, out),
        }
    }

    /// The refs among those lent that stay here after the call, once each; with the reply the lender credits us.
    pub fn keep(&mut self, lent: &[RefWire], lender: Address) -> Vec<RefWire> {
        let mut kept: Vec<RefWire> = Vec::new();
        let mut seen = rustc_hash::FxHashSet::default();
        for r in lent {
            let foreign = !self.is_mine(r);
            if let Some(entry) = self.map.get_mut(&r.id)
                && foreign
                && entry.kept()
                && seen.insert(r.id)
                && !self.dead.contains_key(&lender.worker)
            {
                entry.credits += 1;
                kept.push(*r);
            }
            self.sub(&r.id, Count::Executing);
        }
        kept
    }
}
