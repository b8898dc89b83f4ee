//! Looking inside: a question goes to every client, their answers are gathered for a time, and go back in one piece.
//!
//! - LOOK-3 the daemon keeps nothing of what clients tell, and never asks by itself.
//! - LOOK-4 who is stopped is not waited for; who is silent until the time is over is named, with its state.
//! - LOOK-5 an asker that is gone costs nothing more: what still comes for it is dropped.
use crate::clients::{Client, Kind};
use crate::node::Node;
use crate::sys;
use shoal_gcs::Ask;
use shoal_proto::control::{Response, ToClient};
use shoal_proto::look::{ClientLook, NodeLook, Wish};
use shoal_types::WorkerId;
use std::collections::{BTreeMap, BTreeSet};

/// A look under way.
struct Gather {
    ask: Ask,
    waits: BTreeSet<WorkerId>,
    got: Vec<ClientLook>,
    deadline: u64,
    /// Most objects on disk that are named.
    on_disk: usize,
}

/// All of them.
#[derive(Default)]
pub(crate) struct Looks {
    gathers: BTreeMap<u64, Gather>,
    last: u64,
}

impl Looks {
    /// When the next one is over, complete or not.
    pub fn deadline(&self) -> Option<u64> {
        self.gathers.values().map(|g| g.deadline).min()
    }
}

impl Node {
    /// `Request::Look`.
    pub(crate) fn begin_look(&mut self, ask: Ask, wish: Option<Wish>, patience: u64) {
        self.looks.last += 1;
        let (look, deadline) = (self.looks.last, self.clock.micros().saturating_add(patience));
        let on_disk = wish.filter(|wish| wish.objects).map_or(0, |wish| wish.limit as usize);
        let mut gather = Gather { ask, waits: BTreeSet::new(), got: Vec::new(), deadline, on_disk };
        if let Some(wish) = wish {
            let asked = |c: &Client| wish.only.is_none_or(|pid| pid == c.pid);
            let clients: Vec<_> = self.clients.iter().filter(|(_, c)| asked(c)).map(|(worker, _)| *worker).collect();
            for worker in clients {
                let client = &self.clients[&worker];
                if is_stopped(client.pid) {
                    gather.got.push(silent(worker, client));
                } else {
                    gather.waits.insert(worker);
                    self.send(worker, &ToClient::Look { look, wish }, Vec::new());
                }
            }
        }
        self.looks.gathers.insert(look, gather);
        self.check_look(look);
    }

    /// `ToNode::Looked`.
    pub(crate) fn on_looked(&mut self, from: WorkerId, look: u64, report: Vec<u8>) {
        let Some(gather) = self.looks.gathers.get_mut(&look).filter(|g| g.waits.contains(&from)) else { return };
        gather.waits.remove(&from);
        if let Some(client) = self.clients.get(&from) {
            gather.got.push(ClientLook { report: Some(report), ..told(from, client) });
        }
        self.check_look(look);
    }

    /// A client is gone: nobody waits for it, and it waits for nobody.
    pub(crate) fn forget_looks(&mut self, client: WorkerId) {
        self.looks.gathers.retain(|_, g| g.ask.client != client);
        let waiting = self.looks.gathers.iter_mut().filter_map(|(id, g)| g.waits.remove(&client).then_some(*id));
        for look in waiting.collect::<Vec<_>>() {
            self.check_look(look);
        }
    }

    /// Ends looks whose time is over.
    pub(crate) fn check_looks(&mut self, now: u64) {
        let due: Vec<u64> = self.looks.gathers.iter().filter(|(_, g)| g.deadline <= now).map(|(id, _)| *id).collect();
        for look in due {
            let Some(gather) = self.looks.gathers.get_mut(&look) else { continue };
            for worker in std::mem::take(&mut gather.waits) {
                gather.got.extend(self.clients.get(&worker).map(|client| silent(worker, client)));
            }
            self.check_look(look);
        }
    }

    /// Answers when nobody is waited for any more.
    fn check_look(&mut self, look: u64) {
        if self.looks.gathers.get(&look).is_none_or(|g| !g.waits.is_empty()) {
            return;
        }
        let Some(gather) = self.looks.gathers.remove(&look) else { return };
        let mut node = self.tables();
        node["on_disk"] = self.objects.on_disk().take(gather.on_disk).map(|id| id.to_string()).collect();
        let node = node.to_string().into_bytes();
        self.answer(gather.ask, Response::Looks(vec![NodeLook { node, clients: gather.got }]));
    }
}

fn told(worker: WorkerId, client: &Client) -> ClientLook {
    let kind = match client.kind {
        Kind::Driver => "driver",
        Kind::Worker => "worker",
        Kind::Tool => "tool",
    };
    let (pid, job, kind) = (client.pid, client.job, kind.to_owned());
    ClientLook { worker, pid, job, kind, report: None, silent: String::new() }
}

fn silent(worker: WorkerId, client: &Client) -> ClientLook {
    let silent = match sys::ProcStat::of(client.pid).map(|s| s.state) {
        Some('T' | 't') => "stopped".to_owned(),
        Some('D') => "in an uninterruptible wait of the kernel".to_owned(),
        Some('Z' | 'X') | None => "ended".to_owned(),
        Some(_) => "it did not answer in time".to_owned(),
    };
    ClientLook { silent, ..told(worker, client) }
}

fn is_stopped(pid: u32) -> bool {
    sys::ProcStat::of(pid).is_some_and(|s| matches!(s.state, 'T' | 't'))
}
