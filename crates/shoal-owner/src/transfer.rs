//! Refs that cross processes (OWN-1…3): credits, releases, fetches, and the messages that say so.
//! `docs/design/ownership.md` has the argument why nothing is freed early.
//!
//! - XFER-1 each ref that crosses costs one credit for its receiver, said to the owner by the sender before the sender
//!   lets go of its own. Messages of a pair of processes keep their order, so the owner hears it in time.
//! - XFER-2 the counts of an owner are signed: credit and release of one holder come from different processes, in any
//!   order. A process releases only when it holds nothing, all its credits at once.
//! - XFER-3 a ref that goes back to its owner in a reply is announced to it by a credit in the owner's own name, and
//!   counted for the *sender*, apart from what the sender holds, until the reply is there: replies go another way than
//!   messages. A fetched value goes the same way and needs no announcement.
//! - XFER-4 in one event credits leave before replies and fetched values, and those before releases.
//! - XFER-5 who is only lent a ref and has it credited to somebody keeps it in the reply: else its lender's release
//!   could overtake the credit.
//! - XFER-6 a returned ref that was lent with the same call costs nothing: the caller holds it until the reply.
use crate::{
    Order,
    objects::{Count, Entry, Flow, Objects, lost},
};
use rustc_hash::{FxHashMap, FxHashSet};
use shoal_proto::peer::{Credit, PeerMsg};
use shoal_types::{Address, ArenaLoc, ObjectId, RefWire, Value, WorkerId};
use std::sync::Arc;

/// How a value travels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Way {
    /// In a lane, besides the messages.
    Reply,
    /// As a message.
    Fetch,
}

/// The refs that went with a call.
#[derive(Default)]
pub(crate) struct Lent(pub FxHashSet<ObjectId>);

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

    /// Whether something was sent to it.
    pub fn knows(&self, worker: &WorkerId) -> bool {
        self.sent.contains_key(worker)
    }

    pub fn forget(&mut self, worker: &WorkerId) {
        self.sent.remove(worker);
    }
}

impl Objects {
    /// Sends, unless the receiver is dead.
    pub fn send(&mut self, to: Address, msg: PeerMsg, out: &mut Vec<Order>) {
        if self.dead.contains(&to.worker) {
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

    /// `r` is inside a value that goes to `to`, by a reply or as an answer to a fetch.
    pub fn pass_on(&mut self, r: &RefWire, to: Address, by: Way) {
        if self.dead.contains(&to.worker) {
            return;
        }
        match (r.owner.worker == to.worker, by) {
            (true, Way::Reply) | (false, _) if !self.is_mine(r) => self.outbox.credit(r.owner, r.id, to.worker),
            (true, _) => {}
            (false, _) => return self.count(&r.id, to.worker, Flow::Holds, 1),
        }
        self.mark_passed(r);
    }

    fn mark_passed(&mut self, r: &RefWire) {
        if let Some(entry) = self.map.get_mut(&r.id) {
            entry.passed = true;
        }
    }

    /// The executor of a call of ours keeps `r`, which we had lent it. Also when it is dead by now, as the news of an
    /// actor's start may come late: the owner may not have heard yet what the dead had said of the ref, and must keep it
    /// until then, whatever we let go of (XFER-5).
    pub fn credit_kept(&mut self, r: &RefWire, executor: WorkerId) {
        if r.owner.worker == executor {
            return;
        }
        if self.is_mine(r) {
            self.count(&r.id, executor, Flow::Holds, 1);
        } else {
            self.outbox.credit(r.owner, r.id, executor);
            self.mark_passed(r);
        }
    }

    /// `r` came inside a value from `from`, which has seen to its credit.
    pub fn received(&mut self, r: &RefWire, from: WorkerId, by: Way) {
        self.add(r, Count::Contained);
        if !self.is_mine(r) {
            self.entry(r).credits += 1;
        } else if by == Way::Reply && from != self.me.worker {
            self.count(&r.id, from, Flow::Returns, -1);
        }
    }

    /// The refs of a returned value; those in `lent` cost nothing (XFER-6).
    pub fn returned(&mut self, value: &Value, from: WorkerId, lent: &Lent) {
        for r in value.refs() {
            if lent.0.contains(&r.id) {
                self.add(r, Count::Contained);
            } else {
                self.received(r, from, Way::Reply);
            }
        }
    }

    /// What a message says about objects of ours.
    pub fn on_credits(&mut self, list: &[Credit], from: WorkerId) {
        for Credit { id, holder, n } in list {
            if *holder == self.me.worker {
                self.count(id, from, Flow::Returns, i64::from(*n));
            } else {
                self.count(id, *holder, Flow::Holds, i64::from(*n));
            }
        }
    }

    pub fn on_releases(&mut self, list: &[(ObjectId, u32)], from: WorkerId) {
        list.iter().for_each(|(id, n)| self.count(id, from, Flow::Holds, -i64::from(*n)));
    }

    /// A returned value that nobody waits for: taken and let go of, with its place in the arena.
    pub fn discard(&mut self, value: &Value, from: WorkerId, id: ObjectId, lent: &Lent, out: &mut Vec<Order>) {
        self.returned(value, from, lent);
        value.refs().iter().for_each(|r| self.sub(&r.id, Count::Contained));
        if let Value::Stored { loc, .. } = value {
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
        if self.dead.contains(&to.worker) {
            return;
        }
        let mine = self.map.get(&id).filter(|e| e.owner.worker == self.me.worker);
        let value = mine.and_then(|e| e.value.clone()).unwrap_or_else(|| Value::Error(Arc::new(lost(&id))));
        for r in value.refs() {
            self.pass_on(r, to, Way::Fetch);
        }
        self.flush_credits(out);
        self.send(to, PeerMsg::Fetched { id, value }, out);
    }

    /// The owner's answer.
    pub fn on_fetched(&mut self, id: ObjectId, value: Value, from: WorkerId, out: &mut Vec<Order>) {
        match self.map.get(&id) {
            Some(entry) if entry.value.is_none() && entry.owner.worker == from => {
                value.refs().iter().for_each(|r| self.received(r, from, Way::Fetch));
                self.set_value(id, value, out);
            }
            _ => {
                value.refs().iter().for_each(|r| self.received(r, from, Way::Fetch));
                value.refs().iter().for_each(|r| self.sub(&r.id, Count::Contained));
            }
        }
    }

    /// The owner's word, unasked: as good as its answer.
    pub fn on_placed(&mut self, id: ObjectId, loc: ArenaLoc, out: &mut Vec<Order>) {
        let me = self.me.worker;
        let waits = |entry: &Entry| entry.value.is_none() && entry.owner.worker != me;
        if self.map.get(&id).is_some_and(waits) {
            self.set_value(id, Value::Stored { loc, refs: Vec::new() }, out);
        }
    }

    /// A call that was lent these is never answered: each is kept, and its lender credits it when it hears of that.
    pub fn keep_all(&mut self, lent: &[RefWire]) {
        let mut seen = FxHashSet::default();
        for r in lent {
            let foreign = !self.is_mine(r);
            if let Some(entry) = self.map.get_mut(&r.id).filter(|_| foreign && seen.insert(r.id)) {
                entry.credits += 1;
            }
            self.sub(&r.id, Count::Executing);
        }
    }

    /// The refs among those lent that stay here after the call, once each; with the reply the lender credits us.
    pub fn keep(&mut self, lent: &[RefWire], lender: Address) -> Vec<RefWire> {
        let mut kept: Vec<RefWire> = Vec::new();
        let mut seen = FxHashSet::default();
        for r in lent {
            let foreign = !self.is_mine(r);
            if let Some(entry) = self.map.get_mut(&r.id)
                && foreign
                && (entry.kept() || entry.passed)
                && seen.insert(r.id)
                && !self.dead.contains(&lender.worker)
            {
                entry.credits += 1;
                kept.push(*r);
            }
            self.sub(&r.id, Count::Executing);
        }
        kept
    }
}
