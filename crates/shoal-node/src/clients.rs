//! Connections and who is behind them.
use crate::conn::Conn;
use crate::node::Node;
use crate::token::Token;
use rustc_hash::FxHashSet;
use shoal_net::{Filled, Interest, PidFd};
use shoal_proto::control::ToNode;
use shoal_ring::PeerBell;
use shoal_store::ClientSlot;
use shoal_types::{JobId, WorkerId};
use std::os::fd::OwnedFd;

/// Reads from one connection before others have their turn.
const TURN: usize = 32;
/// How long nobody is accepted after that has failed.
const REST: u64 = 100_000;

/// What a client is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Driver,
    Worker,
    Tool,
}

/// A process that has greeted.
pub(crate) struct Client {
    pub conn: u64,
    pub kind: Kind,
    pub job: JobId,
    pub pid: u32,
    pub wake: [u8; 16],
    pub bell: OwnedFd,
    pub title: PeerBell,
    pub slot: ClientSlot,
    /// For a worker: its start.
    pub start: Option<u64>,
    /// For others: tells their end.
    pub pidfd: Option<PidFd>,
    /// Who hears of its end, wherever: whom it has spoken with through us, and who asked.
    pub talked: FxHashSet<WorkerId>,
    /// It said goodbye.
    pub bye: bool,
}

impl Node {
    pub(crate) fn accept_all(&mut self) {
        while let Some(listener) = &self.listener {
            match shoal_net::accept(listener) {
                Ok(Some(fd)) => self.add_conn(fd),
                Ok(None) => return,
                Err(error) => return self.rest_from_accepting(&error),
            }
        }
    }

    /// Out of descriptors, say. Who waits stays ready all the time: nobody looks for a while.
    fn rest_from_accepting(&mut self, error: &shoal_net::NetError) {
        let Some(listener) = &self.listener else { return };
        if self.accepts_again.is_none() {
            shoal_net::say!("a connection cannot be accepted, it waits: {error}");
        }
        let _ = self.poller.modify(listener, Token::Listener.into(), Interest::Closed);
        self.accepts_again = Some(self.clock.micros() + REST);
    }

    /// The rest is over: tries again.
    pub(crate) fn check_listener(&mut self, now: u64) {
        if self.accepts_again.is_none_or(|due| due > now) {
            return;
        }
        self.accept_all();
        if self.accepts_again.is_some_and(|due| due <= now)
            && let Some(listener) = &self.listener
        {
            self.accepts_again = None;
            let _ = self.poller.modify(listener, Token::Listener.into(), Interest::Read);
        }
    }

    /// A new connection; one of another user is closed unread (NODE-2).
    pub(crate) fn add_conn(&mut self, fd: OwnedFd) {
        if shoal_net::same_user(&fd).is_err() || rustix::io::ioctl_fionbio(&fd, true).is_err() {
            return;
        }
        let pid = shoal_net::peer_cred(&fd).map_or(0, |(pid, _)| pid);
        self.last_conn += 1;
        let token = Token::Conn(self.last_conn).into();
        if self.poller.add(&fd, token, Interest::Read).is_ok() {
            self.conns.insert(self.last_conn, Conn::new(fd, token, pid));
        }
    }

    pub(crate) fn on_conn(&mut self, id: u64, writable: bool) {
        if writable && let Some(conn) = self.conns.get_mut(&id) {
            let full = !conn.has_room_for_logs();
            conn.flush(&self.poller);
            if full && conn.has_room_for_logs() {
                self.on_logs_read();
            }
        }
        self.read_some(id, TURN);
    }

    /// Reads everything that is there.
    pub(crate) fn read_conn(&mut self, id: u64) {
        self.read_some(id, usize::MAX);
    }

    fn read_some(&mut self, id: u64, turns: usize) {
        for _ in 0..turns {
            let Some(conn) = self.conns.get_mut(&id) else { return };
            match conn.reader.fill(&conn.fd) {
                Ok(Filled::Data) => self.dispatch(id),
                Ok(Filled::WouldBlock) => return,
                Ok(Filled::Eof) | Err(_) => {
                    self.dispatch(id);
                    return self.on_conn_end(id);
                }
            }
        }
    }

    /// Carries out every whole message at hand.
    fn dispatch(&mut self, id: u64) {
        loop {
            let Some(conn) = self.conns.get_mut(&id) else { return };
            let who = conn.client;
            let (msg, fds) = match conn.reader.next::<ToNode>() {
                Ok(Some(frame)) => frame,
                Ok(None) => return,
                Err(error) => return self.on_nonsense(id, &error.to_string()),
            };
            if conn.lingering {
                continue;
            }
            match (who, msg) {
                (None, ToNode::Hello(hello)) => self.on_hello(id, hello, fds),
                (Some(worker), msg) => self.on_message(worker, msg),
                (None, _) => return self.on_nonsense(id, "a message came before the greeting"),
            }
            self.settle();
        }
    }

    /// A peer that breaks the protocol is cut off; a worker is killed.
    fn on_nonsense(&mut self, id: u64, error: &str) {
        let Some(conn) = self.conns.get(&id) else { return };
        shoal_net::say!("process {} sent something that cannot be read: {error}", conn.pid);
        if let Some(worker) = conn.client {
            self.kill_worker(worker, "it sent something that cannot be read");
        }
        self.on_conn_end(id);
    }

    /// The connection is closed by the other end, or of no more use.
    fn on_conn_end(&mut self, id: u64) {
        let Some(conn) = self.conns.get(&id) else { return };
        let _ = self.poller.delete(&conn.fd);
        let Some(worker) = conn.client else {
            self.conns.remove(&id);
            // Who started this instance changed their mind before the greeting.
            if self.config.owned_by_first_client && id == 1 {
                self.ending = Some(0);
            }
            return;
        };
        let Some(client) = self.clients.get(&worker) else {
            // Its owner was gone before; now its forked children are, too (ARENA-3).
            return self.on_last_copy_gone(id);
        };
        match client.start {
            // Its end is told when its process has ended (NODE-4).
            Some(start) => {
                let until = self.clock.micros() + crate::procs::GRACE;
                if let Some(proc) = self.procs.get_mut(&start) {
                    proc.deadline = Some(proc.deadline.map_or(until, |d| d.min(until)));
                }
            }
            None => self.on_outsider_lost(worker, true),
        }
    }

    /// A driver's or tool's process has ended; children that it forked may hold its connection.
    pub(crate) fn on_driver_gone(&mut self, conn: u64) {
        self.read_conn(conn);
        let Some(worker) = self.conns.get(&conn).and_then(|c| c.client) else { return };
        if self.clients.contains_key(&worker) {
            self.on_outsider_lost(worker, false);
        }
    }

    /// Sends what is queued everywhere.
    pub(crate) fn flush(&mut self) {
        let poller = &self.poller;
        for conn in self.conns.values_mut().filter(|c| c.dirty) {
            // A broken connection is found when it is read.
            conn.flush(poller);
        }
    }
}
