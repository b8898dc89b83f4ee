//! A ring's memory in a shared mapping.

use std::sync::Arc;

use super::frame::FRAME_HEADER;
use crate::error::RingError;
use crate::map::Mapping;
use crate::sync::{AtomicU32, AtomicU64};

/// Bytes of a ring's header: head and tail, 128 bytes apart because processors fetch cache lines in pairs.
pub const RING_HEADER: usize = 256;
const TAIL: usize = 128;
const CLAIM: usize = 4;

/// Header and data of one ring, and a share of the mapping that they lie in.
#[derive(Debug)]
pub struct Mem {
    map: Arc<Mapping>,
    header: usize,
    data: *mut u8,
    capacity: u64,
}

// SAFETY: the pointer is into `map`, which the value keeps alive and which any thread may use.
unsafe impl Send for Mem {}

impl Mem {
    /// The ring whose header lies at byte `header` of `map` and whose `capacity` bytes of data at `data`. Fresh
    /// memory (zeros) is an empty ring.
    pub fn new(map: Arc<Mapping>, header: usize, data: usize, capacity: usize) -> Result<Self, RingError> {
        let bad = |what, found: usize, expected: usize| {
            Err(RingError::Layout { what, found: found as u64, expected: expected as u64 })
        };
        if !capacity.is_power_of_two() || !(64..=1 << 30).contains(&capacity) {
            return bad("ring capacity", capacity, 64);
        }
        if !header.is_multiple_of(64) || header.saturating_add(RING_HEADER) > map.len() {
            return bad("ring header", header, map.len());
        }
        if !data.is_multiple_of(64) || data.saturating_add(capacity) > map.len() {
            return bad("ring data", data, map.len());
        }
        let data = map.ptr(data, capacity);
        Ok(Mem { map, header, data, capacity: capacity as u64 })
    }

    pub(super) fn capacity(&self) -> u64 {
        self.capacity
    }

    pub(super) fn head(&self) -> &AtomicU64 {
        self.map.u64(self.header)
    }

    pub(super) fn tail(&self) -> &AtomicU64 {
        self.map.u64(self.header + TAIL)
    }

    /// The length word of the frame at `position`.
    pub(super) fn len_word(&self, position: u64) -> &AtomicU32 {
        self.frame_word(position, 0)
    }

    /// The claim word of the frame at `position`.
    pub(super) fn claim_word(&self, position: u64) -> &AtomicU32 {
        self.frame_word(position, CLAIM)
    }

    fn frame_word(&self, position: u64, field: usize) -> &AtomicU32 {
        let place = self.place(position & !(FRAME_HEADER - 1));
        // SAFETY: `place` is a multiple of 16 below `capacity`, itself a multiple of 64, so the word lies in the
        // data and is aligned; RING-4 and CLAIM-3 say that nobody writes plain bytes there meanwhile.
        unsafe { AtomicU32::from_ptr(self.data.add(place + field).cast()) }
    }

    /// Copies `bytes` to `position`, wrapping; they must be fewer than the capacity.
    pub(super) fn write(&self, position: u64, bytes: &[u8]) {
        let (place, first) = self.split(position, bytes.len());
        let (a, b) = bytes.split_at(first);
        // SAFETY: `split` keeps both parts inside the data; RING-4: the consumer doesn't read there now.
        unsafe {
            std::ptr::copy_nonoverlapping(a.as_ptr(), self.data.add(place), a.len());
            std::ptr::copy_nonoverlapping(b.as_ptr(), self.data, b.len());
        }
    }

    /// Appends `len` bytes at `position`, wrapping, to `out`; they must be fewer than the capacity.
    pub(super) fn read(&self, position: u64, len: usize, out: &mut Vec<u8>) {
        let (place, first) = self.split(position, len);
        out.reserve(len);
        let old = out.len();
        // SAFETY: `split` keeps both parts inside the data; `reserve` made room; every byte up to the new length
        // is written. A peer that breaks RING-4 changes what the bytes are, not where they are.
        unsafe {
            let to = out.as_mut_ptr().add(old);
            std::ptr::copy_nonoverlapping(self.data.add(place), to, first);
            std::ptr::copy_nonoverlapping(self.data, to.add(first), len - first);
            out.set_len(old + len);
        }
    }

    /// The place of `position`, and how many of `len` bytes come before the data's end.
    fn split(&self, position: u64, len: usize) -> (usize, usize) {
        assert!(len as u64 <= self.capacity, "SHM-2 {len} bytes in a ring of {}", self.capacity);
        let place = self.place(position);
        (place, len.min(self.capacity as usize - place))
    }

    fn place(&self, position: u64) -> usize {
        (position & (self.capacity - 1)) as usize
    }
}
