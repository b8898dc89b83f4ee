//! A value's bytes, the same inline and in the arena. Exact builtins have tags of their own, so that Rust reads and
//! writes them without Python; the rest is pickle 5 with its buffers beside it.
//!
//! ```text
//! NONE FALSE TRUE            tag u8
//! INT                        tag, i64
//! FLOAT                      tag, f64
//! STR BYTES                  tag, the data
//! REFS                       tag, 52 bytes each: the items of a generator called with num_returns="dynamic"
//! PICKLE                     tag, 3 zero bytes, nbufs u32, pickle length u64, nbufs × (offset u64, length u64), pickle;
//!                            each buffer at a multiple of 64 from the value's first byte
//! ```
use crate::{DecodeError, Reader, Writer};
use shoal_types::RefWire;

/// `None`.
pub const NONE: u8 = 0;
/// `False`.
pub const FALSE: u8 = 1;
/// `True`.
pub const TRUE: u8 = 2;
/// An `int` of 64 bits.
pub const INT: u8 = 3;
/// A `float`.
pub const FLOAT: u8 = 4;
/// A `str`.
pub const STR: u8 = 5;
/// A `bytes`.
pub const BYTES: u8 = 6;
/// Anything else.
pub const PICKLE: u8 = 7;
/// The items of a generator that is done: refs, one after the other.
pub const REFS: u8 = 8;
/// Where buffers are aligned to, from the value's first byte (which is aligned at least so itself in the arena).
pub const ALIGN: usize = 64;

/// Where the parts of a pickled value go.
pub struct Layout {
    /// Bytes of the whole value.
    pub total: usize,
    /// First byte of the pickle.
    pub pickle: usize,
    /// First byte of each buffer.
    pub buffers: Vec<usize>,
}

/// Lays out a pickle of `pickle` bytes with buffers of the given lengths.
pub fn layout(pickle: usize, buffers: &[usize]) -> Layout {
    let head = 16 + 16 * buffers.len();
    let mut end = head + pickle;
    let offsets = buffers
        .iter()
        .map(|len| {
            let start = end.next_multiple_of(ALIGN);
            end = start + len;
            start
        })
        .collect();
    Layout { total: end, pickle: head, buffers: offsets }
}

/// Appends the head of a pickled value; the pickle follows at once, the buffers at their offsets.
pub fn put_head(out: &mut Vec<u8>, layout: &Layout, pickle: usize, buffers: &[usize]) {
    let mut w = Writer(out);
    w.raw(&[PICKLE, 0, 0, 0]);
    w.u32(buffers.len() as u32);
    w.u64(pickle as u64);
    for (offset, len) in layout.buffers.iter().zip(buffers) {
        w.u64(*offset as u64);
        w.u64(*len as u64);
    }
}

/// A pickled value, taken apart: ranges from its first byte, checked against its length.
#[derive(PartialEq, Eq, Debug)]
pub struct Pickled {
    /// Where the pickle lies.
    pub pickle: std::ops::Range<usize>,
    /// Where the buffers lie.
    pub buffers: Vec<std::ops::Range<usize>>,
}

impl Pickled {
    /// Reads the head of `value`, whose first byte is [`PICKLE`].
    pub fn decode(value: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(value);
        r.take(4)?;
        let nbufs = r.u32()? as usize;
        let len = usize::try_from(r.u64()?).unwrap_or(usize::MAX);
        let mut buffers = Vec::with_capacity(nbufs.min(1024));
        for _ in 0..nbufs {
            buffers.push(range(r.u64()?, r.u64()?, value.len())?);
        }
        let start = value.len() - r.rest().len();
        Ok(Self { pickle: range(start as u64, len as u64, value.len())?, buffers })
    }
}

fn range(start: u64, len: u64, limit: usize) -> Result<std::ops::Range<usize>, DecodeError> {
    let end = start.checked_add(len).filter(|end| *end <= limit as u64);
    let end = end.ok_or(DecodeError::Short { missing: (start.saturating_add(len) as usize).saturating_sub(limit) })?;
    Ok(start as usize..end as usize)
}

/// The value of a generator that is done, with these items.
pub fn refs(items: &[RefWire]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 + items.len() * RefWire::LEN);
    out.push(REFS);
    items.iter().for_each(|r| out.extend_from_slice(&r.to_bytes()));
    out
}

/// The refs of a value whose tag was [`REFS`], without the tag; `None` when it has another length.
pub fn refs_in(rest: &[u8]) -> Option<Vec<RefWire>> {
    if !rest.len().is_multiple_of(RefWire::LEN) {
        return None;
    }
    rest.chunks_exact(RefWire::LEN).map(RefWire::from_bytes).collect()
}
