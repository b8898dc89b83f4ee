//! A ring's memory as loom sees it: tracked cells for payload, loom's atomics for the words.
//!
//! Each 16-byte block has its words *and* its cell; a payload write to a block also scrambles the words, as it
//! does in real memory, so that a use of a stale claim word shows.

use std::sync::Arc;

use loom::cell::UnsafeCell;

use super::frame::FRAME_HEADER;
use crate::sync::{AtomicU32, AtomicU64, Ordering::Relaxed};

struct Block {
    len: AtomicU32,
    claim: AtomicU32,
    bytes: UnsafeCell<[u8; 16]>,
}

struct Words {
    head: AtomicU64,
    tail: AtomicU64,
    blocks: Vec<Block>,
}

/// Memory of a small ring in a loom model. Clones share it.
#[derive(Clone)]
pub struct Mem(Arc<Words>);

impl std::fmt::Debug for Mem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mem")
    }
}

// SAFETY: loom checks every access to the cells.
unsafe impl Send for Words {}
// SAFETY: as above.
unsafe impl Sync for Words {}

impl Mem {
    /// An empty ring that begins at position `start`.
    pub fn new(capacity: u64, start: u64) -> Self {
        let block = || Block { len: AtomicU32::new(0), claim: AtomicU32::new(0), bytes: UnsafeCell::new([0; 16]) };
        let blocks = (0..capacity / FRAME_HEADER).map(|_| block()).collect();
        Mem(Arc::new(Words { head: AtomicU64::new(start), tail: AtomicU64::new(start), blocks }))
    }

    pub(super) fn capacity(&self) -> u64 {
        self.0.blocks.len() as u64 * FRAME_HEADER
    }

    pub(super) fn head(&self) -> &AtomicU64 {
        &self.0.head
    }

    pub(super) fn tail(&self) -> &AtomicU64 {
        &self.0.tail
    }

    pub(super) fn len_word(&self, position: u64) -> &AtomicU32 {
        &self.block(position).len
    }

    pub(super) fn claim_word(&self, position: u64) -> &AtomicU32 {
        &self.block(position).claim
    }

    pub(super) fn write(&self, position: u64, bytes: &[u8]) {
        for (at, byte) in (position..).zip(bytes) {
            let block = self.block(at);
            block.claim.store(u32::MAX, Relaxed);
            // SAFETY: loom reports a concurrent access.
            block.bytes.with_mut(|cell| unsafe { (*cell)[(at % FRAME_HEADER) as usize] = *byte });
        }
    }

    pub(super) fn read(&self, position: u64, len: usize, out: &mut Vec<u8>) {
        for at in position..position + len as u64 {
            // SAFETY: loom reports a concurrent access.
            out.push(self.block(at).bytes.with(|cell| unsafe { (*cell)[(at % FRAME_HEADER) as usize] }));
        }
    }

    fn block(&self, position: u64) -> &Block {
        &self.0.blocks[(position / FRAME_HEADER) as usize % self.0.blocks.len()]
    }
}
