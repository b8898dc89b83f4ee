//! Values in and out: small ones in this process's memory, large ones in the arena.
use crate::asking::Unanswered;
use crate::runtime::Runtime;
use shoal_crash::crash_point;
use shoal_owner::Event;
use shoal_proto::control::{Request, Response, ToNode};
use shoal_store::{Begin, ChunkGrant, ChunkReturn, FileSpace, FileView, Pinned, StoreError, Writer};
use shoal_types::{ArenaLoc, ErrorKind, ErrorValue, ObjectId, RefWire, TaskId, Value, WorkerId};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Instant;

/// Values up to so many bytes stay in their owner's memory (DESIGN §4.2).
pub const INLINE_LIMIT: usize = 100 << 10;

/// Before a `put` of so many bytes all that was dropped is freed; before a smaller one only when it is so many, for each
/// time costs a message to the daemon, which wakes it.
const FREED_FIRST: u64 = 4 << 20;
const FREED_TOGETHER: usize = 8;

/// The arena has no room: `ObjectStoreFullError`.
#[derive(Debug)]
pub struct Full(pub ErrorValue);

/// A value's flat bytes.
pub enum ValueBytes {
    /// In this process's memory.
    Inline(Arc<[u8]>),
    /// In the arena, pinned.
    Pinned(Pinned),
    /// In a file, mapped.
    Mapped(FileView),
}

impl ValueBytes {
    /// The bytes.
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Inline(bytes) => bytes,
            // SAFETY: a sealed object is written by nobody while it is pinned (ARENA-1, ARENA-2).
            Self::Pinned(pinned) => unsafe { pinned.as_slice() },
            Self::Mapped(view) => view.as_slice(),
        }
    }
}

impl Runtime {
    /// Makes a value of `len` flat bytes for `owner`, filled by `fill`. Without the GIL or fast: a large one may ask
    /// the daemon for space.
    pub fn make_value(
        &self,
        id: ObjectId,
        owner: WorkerId,
        len: usize,
        refs: Vec<RefWire>,
        fill: impl FnOnce(&mut [u8]),
    ) -> Result<Value, Full> {
        if len <= INLINE_LIMIT {
            let mut bytes = vec![0; len];
            fill(&mut bytes);
            return Ok(Value::Inline { bytes: bytes.into(), refs });
        }
        let loc = match self.space(id, owner, len as u64)? {
            Space::Arena(mut writer) => {
                fill(writer.bytes_mut());
                self.seal(writer)
            }
            Space::File(mut file) => {
                fill(file.space.bytes_mut());
                file.seal(id, owner)?
            }
        };
        Ok(Value::Stored { loc, refs })
    }

    /// Space of exactly `len` bytes in the arena, or, when there can be none, in a file.
    fn space(&self, id: ObjectId, owner: WorkerId, len: u64) -> Result<Space<'_>, Full> {
        if len >= FREED_FIRST || self.drops.lock().len() >= FREED_TOGETHER {
            self.drain_drops(&mut self.lock());
        }
        loop {
            let at_least = match self.store.begin(len, id, owner) {
                Ok(Begin::Write(writer)) => return Ok(Space::Arena(writer)),
                Ok(Begin::NeedChunk { at_least }) => at_least,
                Err(error) => return Err(Full(no_room(&error))),
            };
            // What was dropped is freed first: its pages are warm, and may be the very ones that are leased next.
            self.drain_drops(&mut self.lock());
            self.return_chunks();
            match self.ask_for_files(Request::Space(at_least)).map_err(Full)? {
                (Response::Chunk { offset, len, entries, generation, cold }, _) => {
                    self.add_chunk(ChunkGrant { offset, len, entries, generation, cold }).map_err(Full)?;
                }
                (Response::File { loc, offset }, files) => return self.file_space(loc, offset, &files),
                (Response::Full(full), _) => return Err(Full(self.full_error(&full))),
                _ => return Err(Full(ErrorValue::new(ErrorKind::System, "the daemon answered out of turn"))),
            }
        }
    }

    fn file_space(&self, loc: ArenaLoc, offset: u64, files: &[OwnedFd]) -> Result<Space<'_>, Full> {
        let give_up = |error: &StoreError| {
            self.tell_node(&ToNode::GiveUpFile(loc));
            Full(no_room(error))
        };
        let file = files.first().ok_or(StoreError::OutOfBounds("an answer without its file"));
        let space = file.and_then(|file| self.store.file_space(file, offset, loc.len));
        let space = space.map_err(|error| give_up(&error))?;
        Ok(Space::File(FileObject { runtime: self, space, loc, sealed: false }))
    }

    pub(crate) fn add_chunk(&self, grant: ChunkGrant) -> Result<(), ErrorValue> {
        let added = self.store.add_chunk(grant);
        added.map_err(|e| no_room(&e))
    }

    fn return_chunks(&self) {
        self.tell_returned(&self.store.chunks_to_return());
    }

    fn seal(&self, writer: Writer) -> ArenaLoc {
        let loc = writer.seal();
        if self.called_in.load(SeqCst) && self.called_in.swap(false, SeqCst) {
            self.return_chunks();
        }
        loc
    }

    /// `ToClient::ReturnChunks`. One that is written to just now goes when its writers have sealed.
    pub(crate) fn return_open_chunks(&self) {
        self.called_in.store(true, SeqCst);
        self.tell_returned(&self.store.release_idle());
    }

    fn tell_returned(&self, chunks: &[ChunkReturn]) {
        if !chunks.is_empty() {
            self.tell_node(&ToNode::ReturnChunks(chunks.iter().map(|c| (c.offset, c.generation)).collect()));
        }
    }

    /// Puts a frame that no ring holds into the arena, for `reader`, and gives the frame that names it; or how much
    /// space is missing.
    pub(crate) fn far_frame(&self, frame: &[u8], reader: WorkerId) -> Result<Vec<u8>, u64> {
        let id = ObjectId::new(self.next_task(), ObjectId::FRAME_INDEX);
        match self.store.begin(frame.len() as u64, id, reader) {
            Ok(Begin::Write(mut writer)) => {
                writer.bytes_mut().copy_from_slice(frame);
                let mut far = Vec::new();
                shoal_proto::lane::put_far(&mut far, id, &self.seal(writer));
                Ok(far)
            }
            Ok(Begin::NeedChunk { at_least }) => Err(at_least),
            Err(_) => Err(frame.len() as u64),
        }
    }

    /// Asks for space without waiting, once until it is answered; [`Runtime::on_chunk`] goes on.
    pub(crate) fn ask_for_chunk(&self, at_least: u64) {
        if self.asked_for_chunk.swap(true, SeqCst) {
            return;
        }
        let req = self.control.next_request() | ASYNC_CHUNK;
        self.control.send(&ToNode::Request { req, body: Request::LeaseChunk(at_least) });
        if self.control.full.load(SeqCst) {
            self.kick.kick();
        }
    }

    /// An answer to [`Runtime::ask_for_chunk`]: frames that waited for space go on. On a full arena the I/O thread asks
    /// again after a while: who frees something there does not know who waits.
    pub(crate) fn on_chunk(&self, body: Response) {
        self.asked_for_chunk.store(false, SeqCst);
        let Response::Chunk { offset, len, entries, generation, cold } = body else {
            return self.arena_full.store(true, SeqCst);
        };
        match self.add_chunk(ChunkGrant { offset, len, entries, generation, cold }) {
            Ok(()) => self.send_starved(),
            Err(_) => self.arena_full.store(true, SeqCst),
        }
    }

    /// Frames that wait for space in the arena are tried again.
    pub(crate) fn send_starved(&self) {
        self.arena_full.store(false, SeqCst);
        let mut state = self.lock();
        for lane in std::mem::take(&mut state.starved) {
            self.flush_lane(&mut state, lane);
        }
        drop(state);
        if self.executor.unsent(self).is_some() {
            self.executor.wake(self);
        }
    }

    /// The bytes of a value; `Err` with its place when they are not at hand: [`Runtime::fetch`] waits for them.
    pub fn open(&self, id: ObjectId, value: &Value) -> Result<Result<ValueBytes, ArenaLoc>, ErrorValue> {
        match value {
            Value::Inline { bytes, .. } => Ok(Ok(ValueBytes::Inline(Arc::clone(bytes)))),
            Value::Stored { loc, .. } => self.open_stored(id, *loc),
            Value::Error(error) => Err((**error).clone()),
        }
    }

    /// As [`Runtime::open`], for a value in the object store.
    pub fn open_stored(&self, id: ObjectId, loc: ArenaLoc) -> Result<Result<ValueBytes, ArenaLoc>, ErrorValue> {
        match self.store.pin(loc, id) {
            Ok(pinned) => Ok(Ok(ValueBytes::Pinned(pinned))),
            Err(StoreError::Gone(_)) => Ok(self.store.viewed(id, loc).map(ValueBytes::Mapped).ok_or(loc)),
            Err(error) => Err(lost(id, &error)),
        }
    }

    /// The bytes of a value that is not where it was sealed: the daemon brings it back, or has it mapped from a file.
    /// Waits for it, until then at most; without the GIL.
    pub fn fetch(&self, id: ObjectId, loc: ArenaLoc, until: Option<Instant>) -> Result<ValueBytes, Unanswered> {
        // What is let go of is told while the I/O thread is awake.
        self.activity();
        let mut late = 0;
        loop {
            crash_point!(37, "object.asked");
            match self.ask_until(Request::Locate { id, loc, map: late >= OUTRUN }, until)? {
                (Response::At(place), _) => match self.store.pin(place, id) {
                    Ok(pinned) => return Ok(ValueBytes::Pinned(pinned)),
                    Err(StoreError::Gone(_)) => late += 1,
                    Err(error) => return Err(lost(id, &error).into()),
                },
                (Response::Mapped { offset, len }, files) => {
                    let file = files.first().ok_or(StoreError::OutOfBounds("an answer without its file"));
                    let view = file.and_then(|file| self.store.view(file, offset, len, (id, loc)));
                    return view.map(ValueBytes::Mapped).map_err(|error| no_room(&error).into());
                }
                (Response::Lost(why), _) => return Err(ErrorValue::new(ErrorKind::ObjectLost, why).into()),
                _ => return Err(ErrorValue::new(ErrorKind::System, "the daemon answered out of turn").into()),
            }
        }
    }

    /// A value is not in the arena where it was a moment ago: its owner's death frees it before the news of that is here,
    /// or it is lost and is made again, if that can be. Waits for the daemon's word; without the GIL. Afterwards it has
    /// another value, or will have; a thread that was interrupted meanwhile is to look at that first. If there is no answer
    /// until then, nothing is said.
    pub fn value_lost(&self, id: ObjectId, loc: ArenaLoc, error: ErrorValue, until: Option<Instant>) {
        // What the daemon said before its answer is known when that is here.
        if let Err(Unanswered::Late) = self.ask_until(Request::Sync, until) {
            return;
        }
        let mut state = self.lock();
        self.feed(&mut state, Event::StoredLost { id, loc, why: error.message });
        drop(state);
        self.activity();
    }

    /// The same for an argument of a call that is to run here: what its owner died of, if that is why, or what ended the
    /// question.
    pub fn argument_lost(&self, object: RefWire) -> Option<ErrorValue> {
        match self.ask(Request::Sync) {
            Err(interrupted) if self.dead().is_none() => Some(interrupted),
            _ => self.lock().owner.owner_death(&object.owner.worker),
        }
    }

    /// For tests: loses a value that lies in the arena.
    pub fn lose(&self, id: ObjectId, tell: bool) -> Result<(), ErrorValue> {
        let Some(Value::Stored { loc, .. }) = self.value(&id) else {
            return Err(ErrorValue::new(ErrorKind::System, format!("object {id} does not lie in the arena")));
        };
        self.ask(Request::Lose { id, loc, tell }).map(drop)
    }

    /// Whether the daemon is to hear of objects in shared memory that this process doesn't look at any more.
    pub fn has_let_go(&self) -> bool {
        self.store.has_let_go()
    }

    /// Takes a value into ownership: `put`. It has one local ref.
    pub fn put(&self, id: ObjectId, value: Value) -> Result<(), ErrorValue> {
        let mut state = self.lock();
        if let Some(dead) = &state.dead {
            return Err(dead.clone());
        }
        self.drain_drops(&mut state);
        self.feed(&mut state, Event::ValuePut { id, value });
        drop(state);
        Ok(())
    }

    /// The value of an object, when there is one.
    pub fn value(&self, id: &ObjectId) -> Option<Value> {
        self.lock().owner.value(id).cloned()
    }

    /// The values of several objects; `None` where there is none yet.
    pub fn values(&self, ids: &[ObjectId]) -> Vec<Option<Value>> {
        let state = self.lock();
        ids.iter().map(|id| state.owner.value(id).cloned()).collect()
    }

    /// Which of these have values.
    pub fn are_ready(&self, ids: &[ObjectId]) -> Vec<bool> {
        let state = self.lock();
        ids.iter().map(|id| state.owner.is_ready(id)).collect()
    }

    /// A Python ref object came to be for `wire`.
    pub fn take_ref(&self, wire: RefWire) {
        let mut state = self.lock();
        self.feed(&mut state, Event::RefTaken(wire));
    }

    /// A fresh object of this process's.
    pub fn new_object(&self) -> RefWire {
        RefWire { id: ObjectId::new(self.next_task(), 0), owner: self.address() }
    }

    /// The return of a task of this process's.
    pub fn return_of(&self, task: TaskId, index: u32) -> RefWire {
        RefWire { id: ObjectId::new(task, index), owner: self.address() }
    }
}

/// How often a reader comes too late at places that it was told before it asks for what nobody takes away.
const OUTRUN: u32 = 2;

/// Where an object is written.
enum Space<'a> {
    Arena(Writer),
    File(FileObject<'a>),
}

/// A range of a file that is given up unless it is sealed.
struct FileObject<'a> {
    runtime: &'a Runtime,
    space: FileSpace,
    loc: ArenaLoc,
    sealed: bool,
}

impl FileObject<'_> {
    /// The object can be had from now on.
    fn seal(mut self, id: ObjectId, owner: WorkerId) -> Result<ArenaLoc, Full> {
        let (loc, sum) = (self.loc, self.space.sum());
        crash_point!(36, "file.written");
        self.runtime.ask(Request::SealFile { loc, id, owner, sum }).map_err(Full)?;
        self.sealed = true;
        Ok(loc)
    }
}

impl Drop for FileObject<'_> {
    fn drop(&mut self) {
        if !self.sealed {
            self.runtime.tell_node(&ToNode::GiveUpFile(self.loc));
        }
    }
}

fn lost(id: ObjectId, error: &StoreError) -> ErrorValue {
    ErrorValue::new(ErrorKind::ObjectLost, format!("object {id}: {error}"))
}

/// Marks requests whose answer the I/O thread uses itself.
pub(crate) const ASYNC_CHUNK: u64 = 1 << 63;

fn no_room(error: &StoreError) -> ErrorValue {
    let limits = if matches!(error, StoreError::System { .. }) { crate::unmapped::limits() } else { String::new() };
    ErrorValue::new(ErrorKind::StoreFull, format!("{error}{limits}"))
}
