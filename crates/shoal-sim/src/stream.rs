//! Generators in the simulated processes: they yield, wait, are read, stop.
use crate::{
    process::{Pid, Reply, Running, address, pid_of},
    schedule::Source,
    world::World,
};
use shoal_owner::{Event, Next};
use shoal_proto::peer::PeerMsg;
use shoal_types::{ObjectId, RefWire, STREAMING, TaskId, is_stream};

/// A generator yields no more.
const MOST_ITEMS: u32 = 8;

impl World {
    /// The ref that a process holds beside the handle of another's generator.
    pub(crate) fn next_of(&self, pid: Pid, r: &RefWire) -> Option<RefWire> {
        let borrowed = r.id.index == ObjectId::STREAM_INDEX && pid_of(&r.owner.worker) != pid;
        borrowed.then_some(RefWire { id: ObjectId::new(r.id.task, ObjectId::NEXT_INDEX), owner: r.owner })
    }

    /// These refs, and those beside them.
    pub(crate) fn all_of(&self, pid: Pid, refs: &[RefWire]) -> Vec<ObjectId> {
        let beside = refs.iter().filter_map(|r| self.next_of(pid, r)).map(|r| r.id);
        refs.iter().map(|r| r.id).chain(beside).collect()
    }

    /// Calls that can do something: every one but generators that wait for a reader.
    pub(crate) fn movable(&self) -> Vec<(Pid, usize)> {
        let of = |pid: Pid| (0..self.processes[pid].running.len()).map(move |at| (pid, at));
        let all = self.alive().into_iter().flat_map(of);
        let all = all.filter(|(pid, _)| !self.scheduler.holds(Source::Runs(*pid)));
        all.filter(|(pid, at)| !self.patient || !self.waits(*pid, &self.processes[*pid].running[*at])).collect()
    }

    fn is_stopped(&self, pid: Pid, running: &Running) -> bool {
        let process = &self.processes[pid];
        let stopped = process.stops.contains(&(running.task, running.attempt));
        let told = stopped || process.cancels.contains(&running.task);
        told || !self.processes[running.caller].alive
    }

    fn waits(&self, pid: Pid, running: &Running) -> bool {
        // One whose items go to nobody is not asked to wait.
        let free = running.num_returns != STREAMING || running.window == 0 || self.is_unheard(pid);
        if free || self.is_stopped(pid, running) {
            return false;
        }
        let read = self.processes[pid].reads.get(&(running.task, running.attempt)).copied().unwrap_or(0);
        running.yielded - read >= running.window
    }

    /// How many items a generator has; every second one has as many as it pleases, another number each time.
    pub(crate) fn length(&self, task: &TaskId) -> Option<u32> {
        let age = self.ages[task] as u32;
        age.is_multiple_of(2).then_some(age / 2 % MOST_ITEMS)
    }

    /// It yields, or ends.
    pub(crate) fn stream_moves(&mut self, pid: Pid, at: usize) {
        let running = &self.processes[pid].running[at];
        let (stopped, waits) = (self.is_stopped(pid, running), self.waits(pid, running));
        let (task, attempt, yielded) = (running.task, running.attempt, running.yielded);
        let is_last = match self.length(&task) {
            Some(length) => yielded >= length,
            None => yielded >= MOST_ITEMS || self.choices.one_in(6),
        };
        if stopped || waits || is_last {
            if waits {
                self.audit.cut.insert(task);
            }
            self.end(pid, at);
            self.processes[pid].stops.remove(&(task, attempt));
            return;
        }
        let held = self.may_return(pid, &self.processes[pid].running[at]);
        let value = self.value(&held);
        let running = &mut self.processes[pid].running[at];
        let (task, caller, attempt, index) = (running.task, running.caller, running.attempt, running.yielded);
        running.yielded += 1;
        let unheard = self.is_unheard(pid);
        if !unheard {
            self.audit.made(pid, task, index, std::slice::from_ref(&value));
        }
        let refs = value.refs().to_vec();
        if !refs.is_empty() {
            self.feed(pid, Event::Yielded { task, caller: address(caller), refs });
        }
        if unheard {
            return;
        }
        let (item, kept, values) = (Some(index), Vec::new(), vec![value]);
        self.send_reply((caller, pid), Reply { item, task, attempt, retryable: false, kept, values, lost: Vec::new() });
    }

    /// What a worker does with what its callers say of generators.
    pub(crate) fn on_stream_message(&mut self, pid: Pid, msg: &PeerMsg) {
        let process = &mut self.processes[pid];
        match *msg {
            PeerMsg::StreamRead { task, attempt, read } => {
                let told = process.reads.insert((task, attempt), read);
                assert!(told.is_none_or(|told| told < read), "STREAM-5: {task} was told {read} after {told:?}");
            }
            PeerMsg::StreamStop { task, attempt } => drop(process.stops.insert((task, attempt))),
            PeerMsg::StreamOver(task) => process.stops.retain(|(t, _)| *t != task),
            PeerMsg::CancelTask { task, .. } => drop(process.cancels.insert(task)),
            _ => {}
        }
    }

    pub(crate) fn read_one(&mut self, pid: Pid) {
        let handles: Vec<RefWire> = self.streams_of(pid);
        if let Some(handle) = self.choices.pick(&handles) {
            self.read(pid, handle);
        }
    }

    fn streams_of(&self, pid: Pid) -> Vec<RefWire> {
        let is_handle = |r: &&RefWire| r.id.index == ObjectId::STREAM_INDEX && !self.audit.dynamic.contains(&r.id.task);
        self.processes[pid].vars.iter().filter(is_handle).copied().collect()
    }

    /// Takes the next item of a generator, or asks for it. True when there was one.
    fn read(&mut self, pid: Pid, handle: RefWire) -> bool {
        match self.processes[pid].owner.next_item(&handle) {
            Next::Item(item) => {
                self.feed(pid, Event::StreamRead(handle));
                self.audit.item_read(item.id, pid, pid == pid_of(&handle.owner.worker));
                self.processes[pid].vars.push(item);
                true
            }
            Next::NotYet => {
                let next = ObjectId::new(handle.id.task, ObjectId::NEXT_INDEX);
                self.feed(pid, Event::Wanted(vec![next]));
                false
            }
            Next::End | Next::Error(_) => false,
        }
    }

    /// Everybody reads to the end; a generator that waits then waits for a reader that there is not.
    pub(crate) fn drain_streams(&mut self) {
        loop {
            self.settle();
            let all: Vec<(Pid, RefWire)> =
                self.alive().into_iter().flat_map(|p| self.streams_of(p).into_iter().map(move |h| (p, h))).collect();
            let mut moved = false;
            for (pid, handle) in all {
                while self.read(pid, handle) {
                    moved = true;
                }
            }
            if !moved {
                break;
            }
        }
        self.settle();
        for pid in self.alive() {
            for running in self.processes[pid].running.iter().filter(|r| is_stream(r.num_returns)) {
                let owner = &self.processes[running.caller].owner;
                let unread = owner.stream_state(&running.task).is_some_and(|(made, read, over)| over || read < made);
                assert!(unread, "STREAM-5: {} waits, and all it gave was read", running.task);
            }
        }
    }
}
