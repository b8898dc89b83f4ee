//! The daemon's state and its loop.
use crate::clients::Client;
use crate::config::{NodeConfig, NodeError};
use crate::conn::Conn;
use crate::descriptors;
use crate::disks::Disks;
use crate::jobs::Job;
use crate::lanes::Lanes;
use crate::look::Looks;
use crate::memory::Memory;
use crate::procs::Proc;
use crate::saving::{Saving, Then};
use crate::stored::Writes;
use crate::sys::{self, Clock};
use crate::tables::Past;
use crate::token::Token;
use crate::zygote::Zygote;
use shoal_gcs::{Event as GcsEvent, Gcs, Order as GcsOrder};
use shoal_net::{Event, Interest, Poller};
use shoal_sched::{Event as SchedEvent, Order as SchedOrder, Sched};
use shoal_store::spill::Store;
use shoal_store::{ArenaServer, ClientSlot, Left};
use shoal_types::{ActorId, Address, ErrorValue, JobId, NodeId, Recent, WorkerId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// An order of a core that is still to be carried out.
pub(crate) enum Todo {
    Sched(SchedOrder),
    Gcs(GcsOrder),
    /// A client is gone, and everybody has been told.
    CloseLanes(WorkerId),
    /// Its lanes are closed: what it had sealed in the arena.
    TellSealed(Vec<Left>),
}

pub(crate) struct Node {
    pub config: NodeConfig,
    pub id: NodeId,
    pub clock: Clock,
    pub poller: Poller,
    pub listener: Option<OwnedFd>,
    /// When to accept again, after that has failed.
    pub accepts_again: Option<u64>,
    pub signals: OwnedFd,
    pub sched: Sched,
    pub gcs: Gcs,
    pub objects: Store,
    pub disks: Disks,
    pub arena_due: Option<Duration>,
    pub writes: Writes,
    pub conns: BTreeMap<u64, Conn>,
    pub last_conn: u64,
    pub clients: BTreeMap<WorkerId, Client>,
    pub procs: BTreeMap<u64, Proc>,
    pub zygotes: BTreeMap<u64, Zygote>,
    pub last_zygote: u64,
    /// Starts in a row that somebody else killed; a greeting ends the row.
    pub killed_starts: u32,
    pub jobs: BTreeMap<JobId, Job>,
    pub last_job: u32,
    pub lanes: Lanes,
    /// Clients that are gone: for who still speaks to them.
    pub dead: Recent<WorkerId, (ErrorValue, bool)>,
    /// Arena slots of clients that are gone whose forked children live, by connection.
    pub orphan_slots: BTreeMap<u64, ClientSlot>,
    pub todo: VecDeque<Todo>,
    /// When which actor's next life may begin.
    pub rests: BTreeSet<(u64, ActorId, u32)>,
    /// Ends that wait for last saves.
    pub saving: Vec<Saving>,
    pub looks: Looks,
    pub memory: Memory,
    pub past: Past,
    /// When something of workers' output is due that nothing else brings about.
    pub logs_due: Option<u64>,
    /// For reading pipes.
    pub buffer: Vec<u8>,
    /// The instance ends with this exit code.
    pub ending: Option<i32>,
}

impl Node {
    /// Makes everything that a client may ask for at once, then says so with one byte to the first client.
    pub fn start(
        config: NodeConfig,
        first: Option<OwnedFd>,
        zygote: Option<(OwnedFd, u32)>,
    ) -> Result<Self, NodeError> {
        shoal_crash::set_process(shoal_crash::Process::Daemon);
        sys::prepare_process();
        descriptors::check()?;
        let signals = sys::signal_fd()?;
        let poller = Poller::new()?;
        let listener = shoal_net::listen(&config.socket)?;
        poller.add(&listener, Token::Listener.into(), Interest::Read)?;
        poller.add(&signals, Token::Signals.into(), Interest::Read)?;
        let arena = ArenaServer::create(config.object_store_memory)?;
        let storages = config.storages();
        let objects = Store::new(arena, config.spill());
        let disks = Disks::new(storages, objects.arena.memory())?;
        poller.add(disks.bell(), Token::Disks.into(), Interest::Read)?;
        let key = config.start.key(&serde_json::Value::Null);
        let mut node = Self::with(config, poller, listener, signals, (objects, disks));
        if node.config.settings.enforce_memory {
            node.enforce_memory().map_err(NodeError::os("enforce_memory"))?;
        }
        if let Some((fd, pid)) = zygote {
            node.add_zygote(key, fd, pid);
        }
        node.join_cluster();
        if let Some(first) = first {
            rustix::io::write(&first, b"+").map_err(|e| NodeError::os("write to the first client")(e.into()))?;
            node.add_conn(first);
        }
        Ok(node)
    }

    fn with(
        config: NodeConfig,
        poller: Poller,
        listener: OwnedFd,
        signals: OwnedFd,
        (objects, disks): (Store, Disks),
    ) -> Self {
        Self {
            id: NodeId(sys::random_id()),
            clock: Clock::start(),
            sched: Sched::new(config.sched()),
            gcs: Gcs::new(),
            memory: Memory::new(&config.settings),
            config,
            poller,
            listener: Some(listener),
            accepts_again: None,
            signals,
            objects,
            disks,
            arena_due: None,
            writes: Writes::from_environment(),
            conns: BTreeMap::new(),
            last_conn: 0,
            clients: BTreeMap::new(),
            procs: BTreeMap::new(),
            zygotes: BTreeMap::new(),
            last_zygote: 0,
            killed_starts: 0,
            jobs: BTreeMap::new(),
            last_job: 0,
            lanes: Lanes::default(),
            dead: Recent::new(crate::death::REMEMBERED),
            orphan_slots: BTreeMap::new(),
            todo: VecDeque::new(),
            rests: BTreeSet::new(),
            saving: Vec::new(),
            looks: Looks::default(),
            past: Past::default(),
            logs_due: None,
            buffer: vec![0; 64 << 10],
            ending: None,
        }
    }

    /// Who cleans up after a daemon that was killed finds the folder by the session's file.
    fn enforce_memory(&mut self) -> std::io::Result<()> {
        let folder = self.memory.enforce()?;
        std::fs::write(self.config.session.join("cgroup"), folder.as_os_str().as_encoded_bytes())
    }

    fn join_cluster(&mut self) {
        let (hostname, address, total) = (self.config.hostname.clone(), self.config.address(), self.config.total());
        self.gcs_event(GcsEvent::NodeJoined { node: self.id, hostname, address, total });
    }

    /// Runs until the instance ends; the exit code.
    pub fn serve(&mut self) -> i32 {
        let mut events = Vec::new();
        loop {
            self.settle();
            self.sweep_objects();
            self.flush();
            self.tell_memory_who_runs();
            if let Some(code) = self.ending {
                self.end_instance();
                return code;
            }
            if let Err(error) = self.poller.wait(&mut events, self.patience()) {
                shoal_net::say!("the node daemon cannot go on: {error}");
                self.ending = Some(1);
                continue;
            }
            for event in &events {
                self.on_ready(event);
                self.settle();
            }
            self.tick();
        }
    }

    /// How long nothing but a descriptor can change anything (NODE-5).
    fn patience(&self) -> Option<Duration> {
        let now = self.clock.micros();
        let procs = self.procs.values().filter_map(|p| p.deadline).min();
        let arena = self.arena_due.map(|due| due.as_micros() as u64);
        let rests = self.rests.first().map(|rest| rest.0);
        let (sched, memory, writes) = (self.sched.next_deadline(), self.memory.deadline(), self.writes.due());
        let (accepts, saving) = (self.accepts_again, self.saving_due());
        let due = [sched, procs, arena, self.looks.deadline(), self.logs_due, writes, rests, memory, accepts, saving];
        let due = due.into_iter().flatten().min()?;
        Some(Duration::from_micros(due.saturating_sub(now)))
    }

    fn tick(&mut self) {
        let now = self.clock.micros();
        self.check_deadlines(now);
        self.check_looks(now);
        self.check_logs(now);
        self.tick_store(now);
        self.end_rests(now);
        self.tick_memory(now);
        self.check_listener(now);
        self.check_saving(now);
        if self.sched.next_deadline().is_some_and(|due| due <= now) {
            self.sched_event(SchedEvent::Ticked);
        }
    }

    fn end_rests(&mut self, now: u64) {
        while let Some((_, actor, incarnation)) = self.rests.first().copied().filter(|rest| rest.0 <= now) {
            self.rests.pop_first();
            self.gcs_event(GcsEvent::Rested { actor, incarnation });
        }
    }

    fn on_ready(&mut self, event: &Event) {
        match Token::decode(event.token) {
            Some(Token::Listener) => self.accept_all(),
            Some(Token::Signals) => self.on_signals(),
            Some(Token::Disks) => self.on_disks(),
            Some(Token::Conn(id)) => self.on_conn(id, event.writable),
            Some(Token::Driver(conn)) => self.on_driver_gone(conn),
            Some(Token::Proc(start)) => self.on_proc_gone(start),
            Some(Token::Out(start)) => self.on_output(start, false),
            Some(Token::Err(start)) => self.on_output(start, true),
            Some(Token::Zygote(id)) => self.on_zygote(id, event.writable),
            Some(Token::Memory(number)) => self.on_memory_notice(number, event.closed),
            None => {}
        }
    }

    fn on_signals(&mut self) {
        while let Some(signal) = sys::next_signal(self.signals.as_fd()) {
            if signal != libc::SIGCHLD {
                self.save_first(Then::Instance(0));
            }
        }
        while let Some((pid, status)) = sys::reap() {
            self.on_reaped(pid, status);
        }
    }

    /// Feeds the scheduler; its orders are carried out by [`Node::settle`].
    pub fn sched_event(&mut self, event: SchedEvent) {
        let mut orders = Vec::new();
        self.sched.handle(self.clock.micros(), event, &mut orders);
        self.todo.extend(orders.into_iter().map(Todo::Sched));
    }

    /// Feeds the directory; its orders are carried out by [`Node::settle`].
    pub fn gcs_event(&mut self, event: GcsEvent) {
        let mut orders = Vec::new();
        self.gcs.handle(event, &mut orders);
        self.todo.extend(orders.into_iter().map(Todo::Gcs));
    }

    /// Carries out orders until none is left.
    pub fn settle(&mut self) {
        while let Some(todo) = self.todo.pop_front() {
            match todo {
                Todo::Sched(order) => self.carry_out_sched(order),
                Todo::Gcs(order) => self.carry_out_gcs(order),
                Todo::CloseLanes(worker) => self.close_lanes(worker),
                Todo::TellSealed(left) => self.tell_sealed(left),
            }
        }
    }

    pub fn address_of(&self, worker: WorkerId) -> Address {
        Address { node: self.id, worker }
    }
}
