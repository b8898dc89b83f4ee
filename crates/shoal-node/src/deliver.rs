//! To clients: messages, lanes, relays.
use crate::node::Node;
use crate::sys;
use shoal_crash::crash_point;
use shoal_proto::control::ToClient;
use shoal_types::{Address, ErrorKind, ErrorValue, LaneId, WorkerId};
use std::os::fd::OwnedFd;

impl Node {
    /// Queues a message for a client; one that is gone needs none. A client that let more than the bound pile up is
    /// given up (NODE-1).
    pub(crate) fn send(&mut self, to: WorkerId, msg: &ToClient, fds: Vec<OwnedFd>) {
        let Some(id) = self.clients.get(&to).map(|c| c.conn) else { return };
        let queued = self.conns.get_mut(&id).is_none_or(|conn| conn.queue(msg, fds));
        if !queued {
            self.kill_worker(to, "it does not read what the daemon tells it");
            if let Some(conn) = self.conns.get(&id) {
                let _ = rustix::net::shutdown(&conn.fd, rustix::net::Shutdown::Both);
            }
        }
    }

    /// Tells a client news that names its lane to an executor, which is opened if there is none (LANES-1, LANES-3). False:
    /// one of the two is gone.
    pub(crate) fn tell_with_lane(
        &mut self,
        caller: WorkerId,
        executor: WorkerId,
        news: impl FnOnce(LaneId, Address) -> ToClient,
    ) -> bool {
        if !self.clients.contains_key(&caller) || !self.clients.contains_key(&executor) {
            return false;
        }
        let worker = self.address_of(executor);
        match self.lane(caller, executor) {
            Ok(lane) => self.send(caller, &news(lane, worker), Vec::new()),
            Err(why) => {
                let (lane, text) =
                    (self.lanes.next(), format!("the node has no lane from {caller} to {executor}: {why}"));
                let error = ErrorValue::new(ErrorKind::System, text);
                self.send(caller, &ToClient::LaneRefused { lane, error }, Vec::new());
                self.send(caller, &news(lane, worker), Vec::new());
                self.send(caller, &ToClient::LaneClosed(lane), Vec::new());
            }
        }
        true
    }

    /// The lane between two that are there; the executor is told of it first.
    fn lane(&mut self, caller: WorkerId, executor: WorkerId) -> Result<LaneId, String> {
        if let Some(lane) = self.lanes.find(caller, executor) {
            return Ok(lane);
        }
        let (calls, executes) = (&self.clients[&caller], &self.clients[&executor]);
        let (caller_bell, executor_bell) = (sys::spare(&calls.bell)?, sys::spare(&executes.bell)?);
        let (caller_wake, executor_wake) = (calls.wake, executes.wake);
        let (lane, record) = self.lanes.open(caller, executor).ok_or_else(no_slot)?;
        let memory = shoal_ring::Lane::create(lane.0, record.caller_slot, record.executor_slot);
        let memory = memory.map_err(|e| e.to_string()).and_then(|memory| Ok((sys::spare(&memory)?, memory)));
        let (ours, theirs) = memory.inspect_err(|_| self.lanes.forget(lane))?;
        let (peer, wake) = (self.address_of(caller), caller_wake);
        let (my_slot, peer_slot) = (record.executor_slot, record.caller_slot);
        let opened = ToClient::LaneOpened { lane, caller: false, peer, wake, my_slot, peer_slot };
        crash_point!(42, "lane.made");
        self.send(executor, &opened, vec![ours, caller_bell]);
        let (peer, wake) = (self.address_of(executor), executor_wake);
        let (my_slot, peer_slot) = (record.caller_slot, record.executor_slot);
        let opened = ToClient::LaneOpened { lane, caller: true, peer, wake, my_slot, peer_slot };
        crash_point!(43, "lane.half_told");
        self.send(caller, &opened, vec![theirs, executor_bell]);
        Ok(lane)
    }

    /// From one client to another; the sender hears when there is no such client any more.
    pub(crate) fn relay(&mut self, from: WorkerId, to: WorkerId, body: Vec<u8>) {
        let address = self.address_of(from);
        let Some(client) = self.clients.get_mut(&to) else { return self.tell_gone(from, to) };
        client.talked.insert(from);
        if let Some(sender) = self.clients.get_mut(&from) {
            sender.talked.insert(to);
        }
        self.send(to, &ToClient::Relayed { from: address, body }, Vec::new());
    }

    /// `from` hears of the end of `of`, also of one that was before.
    pub(crate) fn watch(&mut self, from: WorkerId, of: WorkerId) {
        match self.clients.get_mut(&of) {
            Some(client) => drop(client.talked.insert(from)),
            None => self.tell_gone(from, of),
        }
    }

    fn tell_gone(&mut self, to: WorkerId, gone: WorkerId) {
        let (error, intended) = self.dead.get(&gone).cloned().unwrap_or_else(|| {
            let text = "the process is gone, or belongs to another instance";
            (ErrorValue::new(ErrorKind::WorkerCrashed, text), false)
        });
        let worker = self.address_of(gone);
        self.send(to, &ToClient::WorkerDied { worker, error, intended }, Vec::new());
    }
}

fn no_slot() -> String {
    format!("one of them has lanes with {} processes, the most there can be", shoal_ring::SLOTS)
}
