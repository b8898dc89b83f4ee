//! Frames in the rings of a lane. Little-endian; lengths are u32; a frame ends where its ring frame ends.
//!
//! ```text
//! request  kind u8 | flags u8 | attempt u16 | task 16 | num_returns u32 | depth u32 | name text
//!          | window u32, of a generator only
//!          | TASK: function 16
//!          | CALL: method text, group text
//!          | args
//! args     nslots u32, slots… , nrefs u32, refs 52 each
//! slot     0 value:  bytes (flat)              1 stored: ref 52, ArenaLoc 32
//!          (a keyword slot is preceded by its name: 2 | text | slot)
//! reply    kind u8 (REPLY) | status u8 | attempt u16 | task 16 | micros u32 | nkept u32, refs 52 each | nvalues u32, values…
//! value    0 inline: bytes (flat), nrefs u32, refs   1 stored: ArenaLoc 32, nrefs, refs   2 error: bytes (postcard)
//! item     kind u8 (ITEM) | attempt u16 | task 16 | index u32 | value: before the reply of the generator's task
//! function kind u8 (FUNCTION) | function 16 | pickled bytes to the end: before the first request that names it
//! far      kind u8 (FAR) | ObjectId 20 | ArenaLoc 32: the frame itself lies in the arena
//! ```
use crate::{DecodeError, Reader, Writer};
use shoal_types::{ArenaLoc, ErrorValue, FunctionId, ObjectId, RefWire, TaskId, Value, is_stream};
use std::sync::Arc;

/// Call of a remote function.
pub const TASK: u8 = 1;
/// Call of an actor's method.
pub const CALL: u8 = 2;
/// Result of either.
pub const REPLY: u8 = 3;
/// A frame that lies in the arena.
pub const FAR: u8 = 4;
/// A function's pickled bytes; never withdrawn.
pub const FUNCTION: u8 = 5;
/// What a generator has yielded.
pub const ITEM: u8 = 6;
/// Flag of a request: the user's exceptions may be retried, so the worker is to tell whether this one counts.
pub const RETRY_EXCEPTIONS: u8 = 1;
/// Flag of a request: it will not be run again if its process dies.
pub const LAST_TRY: u8 = 2;

/// How a call ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// Values follow.
    Done,
    /// The values are errors; a retry is allowed to change that.
    Retryable,
    /// The call has not begun: the values are places in the arena where arguments should lie and don't, each with its
    /// argument as its one ref.
    Lost,
}

/// One argument as its executor gets it.
#[derive(Clone, PartialEq, Debug)]
pub enum Slot<'a> {
    /// Flat bytes in the frame.
    Value(&'a [u8]),
    /// A value in the arena, held by the caller until the reply.
    Stored(RefWire, ArenaLoc),
}

/// An argument as its caller encoded it, before top-level refs are resolved (`Args::bytes`).
///
/// ```text
/// raw slot   0 value: bytes (flat)   1 dep: index u32 into Args::deps   2 keyword: text, then a raw slot
/// ```
pub enum RawSlot<'a> {
    /// Flat bytes.
    Value(&'a [u8]),
    /// A place in `Args::deps`.
    Dep(u32),
}

/// Writes a place in the arena.
pub fn put_loc(w: &mut Writer<'_>, loc: &ArenaLoc) {
    w.u64(loc.chunk);
    w.u32(loc.entry);
    w.u32(loc.generation);
    w.u64(loc.offset);
    w.u64(loc.len);
}

/// Reads a place in the arena.
pub fn get_loc(r: &mut Reader<'_>) -> Result<ArenaLoc, DecodeError> {
    Ok(ArenaLoc { chunk: r.u64()?, entry: r.u32()?, generation: r.u32()?, offset: r.u64()?, len: r.u64()? })
}

/// Writes a count and as many refs.
pub fn put_refs(w: &mut Writer<'_>, refs: &[RefWire]) {
    w.u32(refs.len() as u32);
    refs.iter().for_each(|r| w.raw(&r.to_bytes()));
}

/// Reads a count and as many refs.
pub fn get_refs(r: &mut Reader<'_>) -> Result<Vec<RefWire>, DecodeError> {
    let n = r.u32()? as usize;
    let bytes = r.take(n.checked_mul(RefWire::LEN).ok_or(DecodeError::Short { missing: usize::MAX })?)?;
    Ok(bytes.chunks_exact(RefWire::LEN).map(|c| RefWire::from_bytes(c).expect("chunks of the right length")).collect())
}

fn get_ref(r: &mut Reader<'_>) -> Result<RefWire, DecodeError> {
    Ok(RefWire::from_bytes(r.take(RefWire::LEN)?).expect("as long as it is"))
}

/// Appends one raw slot to `Args::bytes`; `name` for a keyword argument.
pub fn put_raw_slot(out: &mut Vec<u8>, name: Option<&str>, slot: &RawSlot<'_>) {
    let mut w = Writer(out);
    if let Some(name) = name {
        w.u8(2);
        w.bytes(name.as_bytes());
    }
    match slot {
        RawSlot::Value(flat) => {
            w.u8(0);
            w.bytes(flat);
        }
        RawSlot::Dep(i) => {
            w.u8(1);
            w.u32(*i);
        }
    }
}

/// So many places of objects go with a request; who asks for more has to wait for more anyway.
const MOST_PLACES: usize = 256;

/// Resolves raw slots into the args part of a frame. `dep(i)` gives the value of dependency `i` with its object id; an
/// error value must have been dealt with before. `place` says where the object of a ref inside lies, if that is known.
pub fn put_args<'v>(
    w: &mut Writer<'_>,
    raw: &[u8],
    refs: &[RefWire],
    mut dep: impl FnMut(u32) -> (RefWire, &'v Value),
    place: impl Fn(&RefWire) -> Option<ArenaLoc>,
) -> Result<(), DecodeError> {
    let start = w.0.len();
    w.u32(0);
    let (mut r, mut n, mut inner) = (Reader::new(raw), 0u32, Vec::new());
    while !r.rest().is_empty() {
        let mut tag = r.u8()?;
        if tag == 2 {
            w.u8(2);
            w.bytes(r.bytes()?);
            tag = r.u8()?;
        }
        match tag {
            0 => {
                w.u8(0);
                w.bytes(r.bytes()?);
            }
            1 => {
                let (object, value) = dep(r.u32()?);
                inner.extend_from_slice(value.refs());
                match value {
                    Value::Inline { bytes, .. } => {
                        w.u8(0);
                        w.bytes(bytes);
                    }
                    Value::Stored { loc, .. } => {
                        w.u8(1);
                        w.raw(&object.to_bytes());
                        put_loc(w, loc);
                    }
                    Value::Error(_) => return Err(DecodeError::Tag { what: "dependency", tag: 2 }),
                }
            }
            tag => return Err(DecodeError::Tag { what: "raw slot", tag }),
        }
        n += 1;
    }
    w.0[start..start + 4].copy_from_slice(&n.to_le_bytes());
    w.u32((refs.len() + inner.len()) as u32);
    let all = || refs.iter().chain(&inner);
    all().for_each(|r| w.raw(&r.to_bytes()));
    if refs.len() + inner.len() > 0 {
        let places = all().enumerate().filter_map(|(i, r)| Some((i as u32, place(r)?))).take(MOST_PLACES);
        put_places(w, &places.collect::<Vec<_>>());
    }
    Ok(())
}

/// Only behind refs: a request without any has no byte more.
fn put_places(w: &mut Writer<'_>, places: &[(u32, ArenaLoc)]) {
    w.u32(places.len() as u32);
    for (at, loc) in places {
        w.u32(*at);
        put_loc(w, loc);
    }
}

fn get_places(r: &mut Reader<'_>, refs: &[RefWire]) -> Result<Vec<(ObjectId, ArenaLoc)>, DecodeError> {
    let n = if refs.is_empty() { 0 } else { r.u32()? as usize };
    let mut places = Vec::with_capacity(n.min(MOST_PLACES));
    for _ in 0..n {
        let at = r.u32()?;
        let object = refs.get(at as usize).ok_or(DecodeError::Short { missing: at as usize })?;
        places.push((object.id, get_loc(r)?));
    }
    Ok(places)
}

/// The arguments of a frame, in order; the name for keyword ones.
pub struct ArgsFrame<'a> {
    /// (keyword, slot).
    pub slots: Vec<(Option<&'a str>, Slot<'a>)>,
    /// Every ref inside, lent by the caller until the reply.
    pub refs: Vec<RefWire>,
    /// Where the objects of some of them lie.
    pub places: Vec<(ObjectId, ArenaLoc)>,
}

impl<'a> ArgsFrame<'a> {
    /// Reads what [`put_args`] wrote.
    pub fn decode(r: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let n = r.u32()? as usize;
        let mut slots = Vec::with_capacity(n.min(1024));
        for _ in 0..n {
            let mut tag = r.u8()?;
            let name = if tag == 2 {
                let name = r.text()?;
                tag = r.u8()?;
                Some(name)
            } else {
                None
            };
            slots.push((
                name,
                match tag {
                    0 => Slot::Value(r.bytes()?),
                    1 => Slot::Stored(get_ref(r)?, get_loc(r)?),
                    tag => return Err(DecodeError::Tag { what: "slot", tag }),
                },
            ));
        }
        let refs = get_refs(r)?;
        let places = get_places(r, &refs)?;
        Ok(Self { slots, refs, places })
    }
}

/// A request, read.
pub struct Request<'a> {
    /// Which attempt of the task, from 0; the reply says it again.
    pub attempt: u16,
    /// The task.
    pub task: TaskId,
    /// How many values it returns; `STREAMING` and `DYNAMIC` for generators.
    pub num_returns: u32,
    /// Of a generator: after how many unread items it waits (`TaskSpec::window`).
    pub window: u32,
    /// Its nesting depth.
    pub depth: u32,
    /// Its name, for people.
    pub name: &'a str,
    /// Whether the caller would retry the user's exceptions.
    pub retry_exceptions: bool,
    /// Whether it is not run again if its process dies.
    pub last_try: bool,
    /// What to run.
    pub target: Target<'a>,
    /// With what.
    pub args: ArgsFrame<'a>,
}

/// What to run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target<'a> {
    /// A function.
    Function(FunctionId),
    /// A method, in a concurrency group ("" for its own).
    Method(&'a str, &'a str),
}

/// Everything of a request before its arguments.
pub struct RequestHead<'a> {
    /// Which attempt, from 0.
    pub attempt: u16,
    /// The task.
    pub task: TaskId,
    /// How many values it returns; `STREAMING` and `DYNAMIC` for generators.
    pub num_returns: u32,
    /// Of a generator: after how many unread items it waits (`TaskSpec::window`).
    pub window: u32,
    /// Its nesting depth.
    pub depth: u32,
    /// Its name, for people.
    pub name: &'a str,
    /// Whether the caller would retry the user's exceptions.
    pub retry_exceptions: bool,
    /// Whether it is not run again if its process dies.
    pub last_try: bool,
    /// What to run.
    pub target: Target<'a>,
}

impl RequestHead<'_> {
    /// Appends the head; [`put_args`] goes after it.
    pub fn encode(&self, w: &mut Writer<'_>) {
        w.u8(if matches!(self.target, Target::Function(..)) { TASK } else { CALL });
        w.u8((u8::from(self.retry_exceptions) * RETRY_EXCEPTIONS) | (u8::from(self.last_try) * LAST_TRY));
        w.u16(self.attempt);
        w.raw(&self.task.0);
        w.u32(self.num_returns);
        w.u32(self.depth);
        w.bytes(self.name.as_bytes());
        if is_stream(self.num_returns) {
            w.u32(self.window);
        }
        match self.target {
            Target::Function(id) => w.raw(&id.0),
            Target::Method(method, group) => {
                w.bytes(method.as_bytes());
                w.bytes(group.as_bytes());
            }
        }
    }
}

impl<'a> Request<'a> {
    /// Reads a request frame.
    pub fn decode(frame: &'a [u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(frame);
        let (kind, flags) = (r.u8()?, r.u8()?);
        let attempt = r.u16()?;
        let task = TaskId(r.array()?);
        let (num_returns, depth) = (r.u32()?, r.u32()?);
        let name = r.text()?;
        let window = if is_stream(num_returns) { r.u32()? } else { 0 };
        let target = match kind {
            TASK => Target::Function(FunctionId(r.array()?)),
            CALL => Target::Method(r.text()?, r.text()?),
            tag => return Err(DecodeError::Tag { what: "request", tag }),
        };
        let args = ArgsFrame::decode(&mut r)?;
        let (retry_exceptions, last_try) = (flags & RETRY_EXCEPTIONS != 0, flags & LAST_TRY != 0);
        Ok(Self { attempt, task, num_returns, window, depth, name, retry_exceptions, last_try, target, args })
    }
}

/// A reply.
#[derive(Clone, PartialEq, Debug)]
pub struct Reply {
    /// The attempt that it answers.
    pub attempt: u16,
    /// The task.
    pub task: TaskId,
    /// How it ended.
    pub status: Status,
    /// How long the user's code ran, in microseconds.
    pub micros: u32,
    /// Refs of the arguments that the executor keeps (OWN-1).
    pub kept: Vec<RefWire>,
    /// A value for each return; a single error stands for all.
    pub values: Vec<Value>,
}

impl Reply {
    /// Appends the frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut w = Writer(out);
        w.u8(REPLY);
        w.u8(self.status as u8);
        w.u16(self.attempt);
        w.raw(&self.task.0);
        w.u32(self.micros);
        put_refs(&mut w, &self.kept);
        w.u32(self.values.len() as u32);
        for value in &self.values {
            put_value(&mut w, value);
        }
    }

    /// Reads a reply frame.
    pub fn decode(frame: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(frame);
        match r.u8()? {
            REPLY => {}
            tag => return Err(DecodeError::Tag { what: "reply", tag }),
        }
        let status = match r.u8()? {
            0 => Status::Done,
            1 => Status::Retryable,
            2 => Status::Lost,
            tag => return Err(DecodeError::Tag { what: "status", tag }),
        };
        let attempt = r.u16()?;
        let task = TaskId(r.array()?);
        let micros = r.u32()?;
        let kept = get_refs(&mut r)?;
        let n = r.u32()? as usize;
        let mut values = Vec::with_capacity(n.min(4096));
        for _ in 0..n {
            values.push(get_value(&mut r)?);
        }
        Ok(Self { attempt, task, status, micros, kept, values })
    }
}

/// An item of a generator.
#[derive(Clone, PartialEq, Debug)]
pub struct Item {
    /// The attempt that yielded it.
    pub attempt: u16,
    /// The generator's task.
    pub task: TaskId,
    /// Which item, from 0 in each attempt.
    pub index: u32,
    /// Its value.
    pub value: Value,
}

impl Item {
    /// Appends the frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut w = Writer(out);
        w.u8(ITEM);
        w.u16(self.attempt);
        w.raw(&self.task.0);
        w.u32(self.index);
        put_value(&mut w, &self.value);
    }

    /// Whether a frame is an item.
    pub fn is(frame: &[u8]) -> bool {
        frame.first() == Some(&ITEM)
    }

    /// Reads an item frame.
    pub fn decode(frame: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(frame);
        match r.u8()? {
            ITEM => {}
            tag => return Err(DecodeError::Tag { what: "item", tag }),
        }
        let attempt = r.u16()?;
        let task = TaskId(r.array()?);
        Ok(Self { attempt, task, index: r.u32()?, value: get_value(&mut r)? })
    }
}

fn put_value(w: &mut Writer<'_>, value: &Value) {
    match value {
        Value::Inline { bytes, refs } => {
            w.u8(0);
            w.bytes(bytes);
            put_refs(w, refs);
        }
        Value::Stored { loc, refs } => {
            w.u8(1);
            put_loc(w, loc);
            put_refs(w, refs);
        }
        Value::Error(error) => {
            w.u8(2);
            w.bytes(&postcard::to_stdvec(&**error).expect("an error is plain data"));
        }
    }
}

fn get_value(r: &mut Reader<'_>) -> Result<Value, DecodeError> {
    match r.u8()? {
        0 => Ok(Value::Inline { bytes: Arc::from(r.bytes()?), refs: get_refs(r)? }),
        1 => Ok(Value::Stored { loc: get_loc(r)?, refs: get_refs(r)? }),
        2 => {
            let error: ErrorValue = postcard::from_bytes(r.bytes()?).map_err(|_| DecodeError::Nested)?;
            Ok(Value::Error(Arc::new(error)))
        }
        tag => Err(DecodeError::Tag { what: "value", tag }),
    }
}

/// Appends a far frame.
pub fn put_far(out: &mut Vec<u8>, id: ObjectId, loc: &ArenaLoc) {
    let mut w = Writer(out);
    w.u8(FAR);
    w.raw(&id.to_bytes());
    put_loc(&mut w, loc);
}

/// Where the real frame lies, when this one is far.
pub fn far(frame: &[u8]) -> Result<Option<(ObjectId, ArenaLoc)>, DecodeError> {
    if frame.first() != Some(&FAR) {
        return Ok(None);
    }
    let mut r = Reader::new(&frame[1..]);
    Ok(Some((ObjectId::from_bytes(&r.array()?), get_loc(&mut r)?)))
}

/// Appends a function frame.
pub fn put_function(out: &mut Vec<u8>, id: FunctionId, pickled: &[u8]) {
    let mut w = Writer(out);
    w.u8(FUNCTION);
    w.raw(&id.0);
    w.raw(pickled);
}

/// The function that this frame brings, if it is a function frame.
pub fn function(frame: &[u8]) -> Result<Option<(FunctionId, &[u8])>, DecodeError> {
    if frame.first() != Some(&FUNCTION) {
        return Ok(None);
    }
    let mut r = Reader::new(&frame[1..]);
    Ok(Some((FunctionId(r.array()?), r.rest())))
}
