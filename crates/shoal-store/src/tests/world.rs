//! A server and its clients in one process, each client with mappings of its own.
use crate::{ArenaClient, ArenaServer, Begin, ClientSlot, Pinned, StoreError, Writer};
use rustix::fs::fstat;
use shoal_types::{ArenaLoc, ObjectId, TaskId, WorkerId};

pub const MIB: u64 = 1 << 20;

pub struct World {
    pub server: ArenaServer,
    next_object: u64,
}

pub struct Member {
    pub slot: ClientSlot,
    pub worker: WorkerId,
    pub client: ArenaClient,
}

impl World {
    pub fn new(capacity: u64) -> Self {
        Self { server: ArenaServer::create(capacity).unwrap(), next_object: 0 }
    }

    pub fn join(&mut self, name: u8) -> Member {
        let worker = WorkerId([name; 16]);
        let (slot, pins) = self.server.add_client(worker).unwrap();
        let arena = self.server.arena_fd().try_clone_to_owned().unwrap();
        Member { slot, worker, client: ArenaClient::attach(arena, pins, slot).unwrap() }
    }

    pub fn id(&mut self) -> ObjectId {
        self.next_object += 1;
        ObjectId::new(TaskId::new(*b"test-ids", self.next_object), 0)
    }

    /// What a client and its daemon do together.
    pub fn begin(&mut self, member: &Member, len: u64, id: ObjectId, owner: WorkerId) -> Result<Writer, StoreError> {
        let writer = loop {
            match member.client.begin(len, id, owner)? {
                Begin::Write(writer) => break writer,
                Begin::NeedChunk { at_least } => {
                    self.returns(member);
                    let grant = self.server.lease_chunk(member.slot, at_least)?;
                    member.client.add_chunk(grant)?;
                }
            }
        };
        self.returns(member);
        Ok(writer)
    }

    pub fn returns(&mut self, member: &Member) {
        for done in member.client.chunks_to_return() {
            self.server.return_chunk(member.slot, done);
        }
    }

    /// An object of `len` bytes of value `fill`, owned by its writer.
    pub fn put(&mut self, member: &Member, len: u64, fill: u8) -> (ArenaLoc, ObjectId) {
        let id = self.id();
        let mut writer = self.begin(member, len, id, member.worker).unwrap();
        writer.bytes_mut().fill(fill);
        let loc = writer.seal();
        self.returns(member);
        (loc, id)
    }

    /// Everything that a client could still write to goes back.
    pub fn release(&mut self, member: &Member) {
        for done in member.client.release_idle() {
            self.server.return_chunk(member.slot, done);
        }
    }

    /// Bytes of the arena that have pages.
    pub fn pages(&self) -> u64 {
        fstat(self.server.arena_fd()).unwrap().st_blocks as u64 * 512
    }
}

/// Whether every byte is `fill`.
pub fn all(pinned: &Pinned, fill: u8) -> bool {
    pinned.to_vec().iter().all(|byte| *byte == fill)
}
