//! What goes in and what comes out.
use crate::error::{Holder, StoreError};
use crate::grant::{ChunkGrant, ChunkReturn, ClientSlot};
use crate::server::Left;
use crate::storage::Trouble;
use serde::{Deserialize, Serialize};
use shoal_types::{ArenaLoc, ObjectId, WorkerId};
use std::time::Duration;

/// What a user may choose.
#[derive(Clone, Debug)]
pub struct SpillConfig {
    /// How many storages there are; none: nothing is spilled.
    pub places: usize,
    /// From this share of the arena in use on, objects are written ahead of need.
    pub threshold: f64,
    /// How long who wants space waits when there is none on disk either.
    pub full_wait: Duration,
}

/// A client's question, which is to be answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ticket {
    /// Whose.
    pub client: WorkerId,
    /// Its slot in the arena.
    pub slot: ClientSlot,
    /// Its number.
    pub req: u64,
}

/// A file, which its first use makes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct FileId {
    /// In which storage.
    pub place: usize,
    /// Never used twice.
    pub number: u64,
}

/// A range of a file; begins at a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Extent {
    /// The file.
    pub file: FileId,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
}

/// Something that a thread does.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Job(pub u64);

/// One object of a write.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Part {
    /// Its first byte in the arena.
    pub from: u64,
    /// Bytes.
    pub len: u64,
    /// Its first byte in the file.
    pub to: u64,
}

/// Why an object did not come back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReadError {
    /// It can't be read, or isn't what was written.
    Lost(Trouble),
    /// The machine has no pages for it.
    NoMemory,
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// A client needs space for `len` bytes.
    SpaceWanted {
        /// Its question → [`Order::Chunk`], [`Order::File`] or [`Order::Full`].
        ticket: Ticket,
        /// Bytes.
        len: u64,
        /// Whether a range of a file will do.
        file: bool,
    },
    /// A client does not wait for the answer to its [`Event::SpaceWanted`] or [`Event::Located`] any more →
    /// [`Order::Done`], if it has none.
    NotWanted(Ticket),
    /// A client has written all of a range of a file.
    Sealed {
        /// Its question → [`Order::Done`].
        ticket: Ticket,
        /// The name that came with the range.
        loc: ArenaLoc,
        /// The object.
        id: ObjectId,
        /// Its owner.
        owner: WorkerId,
        /// Its sum.
        sum: u64,
    },
    /// A client doesn't write its range after all.
    GivenUp {
        /// The client.
        slot: ClientSlot,
        /// The name that came with the range.
        loc: ArenaLoc,
    },
    /// A client didn't find an object where it was sealed.
    Located {
        /// Its question → [`Order::At`], [`Order::Map`] or [`Order::Lost`].
        ticket: Ticket,
        /// The object.
        id: ObjectId,
        /// Its name.
        loc: ArenaLoc,
        /// It was too late at places that it was told: a mapping, please.
        map: bool,
    },
    /// Owners need these no more.
    Freed(Vec<(ObjectId, ArenaLoc)>),
    /// A client has let go of mappings.
    Unmapped {
        /// The client.
        slot: ClientSlot,
        /// One for each [`Order::Map`].
        objects: Vec<(ObjectId, ArenaLoc)>,
    },
    /// A client is done with chunks.
    Returned {
        /// The client.
        slot: ClientSlot,
        /// Its chunks.
        chunks: Vec<ChunkReturn>,
    },
    /// A pin went that a free waits for.
    PinGone,
    /// As [`ArenaServer::client_died`](crate::ArenaServer::client_died).
    ClientDied(ClientSlot),
    /// As [`ArenaServer::owner_died`](crate::ArenaServer::owner_died).
    OwnerDied(WorkerId),
    /// [`Order::Write`] is done: the parts' sums.
    Written {
        /// Which.
        job: Job,
        /// Sums, in order.
        result: Result<Vec<u64>, Trouble>,
    },
    /// [`Order::Restore`] is done.
    Restored {
        /// Which.
        job: Job,
        /// Whether it is there.
        result: Result<(), ReadError>,
    },
    /// [`Order::Check`] is done.
    Checked {
        /// Which.
        job: Job,
        /// Whether it is right.
        result: Result<(), Trouble>,
    },
    /// [`Order::Reserve`] is done.
    Reserved {
        /// Which.
        job: Job,
        /// Whether there was room.
        result: Result<(), Trouble>,
    },
}

/// What is to be done: answers first, then work for threads.
#[derive(Clone, PartialEq, Debug)]
pub enum Order {
    /// Space in the arena.
    Chunk {
        /// The answer to.
        ticket: Ticket,
        /// The chunk.
        grant: ChunkGrant,
    },
    /// A range of a file, to be written through a mapping; an object of that name comes to be with [`Event::Sealed`].
    File {
        /// The answer to.
        ticket: Ticket,
        /// The name.
        loc: ArenaLoc,
        /// The range.
        extent: Extent,
    },
    /// There is no space.
    Full {
        /// The answer to.
        ticket: Ticket,
        /// What of the arena there is to say.
        error: StoreError,
        /// Why disks are of no help.
        disk: String,
        /// The largest objects.
        largest: Vec<Held>,
    },
    /// It is done.
    Done(Ticket),
    /// It can't be: why.
    Refused(Ticket, &'static str),
    /// The object lies there.
    At {
        /// The answer to.
        ticket: Ticket,
        /// Its place now.
        loc: ArenaLoc,
    },
    /// The object is to be mapped from its file; [`Event::Unmapped`] is the end of that.
    Map {
        /// The answer to.
        ticket: Ticket,
        /// The object.
        id: ObjectId,
        /// Its name.
        loc: ArenaLoc,
        /// Where.
        extent: Extent,
    },
    /// The object is nowhere.
    Lost {
        /// The answer to.
        ticket: Ticket,
        /// Why.
        why: String,
    },
    /// An object can't be read back: its owner is to know.
    TellOwner {
        /// The owner.
        owner: WorkerId,
        /// The object.
        id: ObjectId,
        /// Its name.
        loc: ArenaLoc,
        /// Why.
        why: String,
    },
    /// Ask a client for the chunks that it has open and doesn't write to just now → [`Event::Returned`].
    CallIn(WorkerId),
    /// What a dead client had sealed for others: it may have died before it told them.
    Left(Vec<Left>),
    /// Write to a file → [`Event::Written`].
    Write {
        /// Its number.
        job: Job,
        /// The file.
        file: FileId,
        /// What, one behind the other.
        parts: Vec<Part>,
    },
    /// Read into the arena → [`Event::Restored`].
    Restore {
        /// Its number.
        job: Job,
        /// From.
        extent: Extent,
        /// What its sum must be.
        sum: u64,
        /// First byte in the arena.
        to: u64,
        /// Whether pages must be reserved first.
        cold: bool,
    },
    /// Read, and compare the sum → [`Event::Checked`].
    Check {
        /// Its number.
        job: Job,
        /// From.
        extent: Extent,
        /// What its sum must be.
        sum: u64,
    },
    /// Reserve a range of a file → [`Event::Reserved`].
    Reserve {
        /// Its number.
        job: Job,
        /// The range.
        extent: Extent,
    },
    /// Give a range of a file back to the disk.
    Release(Extent),
    /// Give a whole file back.
    Close(FileId),
}

/// A large object, for `ObjectStoreFullError`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Held {
    /// Which, whose, how large.
    pub holder: Holder,
    /// Whether it lies on disk only.
    pub on_disk: bool,
    /// Who has it pinned or mapped.
    pub readers: Vec<WorkerId>,
}

/// A look at what is on disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct SpillStats {
    /// Objects on disk, with or without a place in the arena.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects of which somebody has a mapping.
    pub mapped: u64,
    /// Files.
    pub files: u64,
    /// Bytes that they take of disks.
    pub file_bytes: u64,
    /// Clients that wait for space.
    pub waiting: u64,
}
