//! One leased chunk, as its lessee fills it.
use super::Shared;
use super::windows::Window;
use shoal_crash::crash_point;
use crate::error::StoreError;
use crate::grant::{ChunkGrant, ChunkReturn};
use crate::layout::{ALIGN, EMPTY, FREE, GENERATION_STEP, PAGE, Table, align_up, data_offset};
use crate::mapping::reserve;
use crate::ranges::Ranges;
use std::sync::Arc;

/// Where an object goes, and through which window it is written.
#[derive(Clone)]
pub(super) struct Place {
    pub chunk: u64,
    /// The chunk's lease: its range may be leased again before this writer is done with its lists.
    pub lease: u32,
    pub entry: u32,
    pub generation: u32,
    pub offset: u64,
    pub len: u64,
    pub window: Arc<Window>,
    /// Which of its pages this process hasn't met, and whether nobody has.
    pub unmet: Vec<(u64, u64)>,
    pub fresh: bool,
}

impl Place {
    pub fn table(&self) -> Table {
        // SAFETY: the window shows the chunk, writable, and lives as long as `self`.
        unsafe { Table::at(self.window.at(self.chunk)) }
    }
}

pub(super) struct OpenChunk {
    offset: u64,
    len: u64,
    entries: u32,
    /// As granted.
    lease: u32,
    generation: u32,
    window: Arc<Window>,
    /// Which of its pages this process hasn't met, and whether nobody has.
    unmet: Ranges,
    fresh: bool,
    /// First entry that was never used since the last reset.
    next_entry: u32,
    /// First byte that was never used since the last reset, from the chunk's first.
    cursor: u64,
    /// An entry that wasn't FREE when it was looked at last.
    busy: u32,
    /// Writers that are neither sealed nor dropped.
    pub writers: u32,
}

impl OpenChunk {
    /// Whether that place is in it.
    pub fn has(&self, place: &Place) -> bool {
        self.offset == place.chunk && self.lease == place.lease
    }

    /// How the server knows it.
    pub fn to_return(&self) -> ChunkReturn {
        ChunkReturn { offset: self.offset, generation: self.lease }
    }

    /// Whether it takes one object only.
    pub fn exact(&self) -> bool {
        self.entries == 1
    }

    /// Bytes left for objects.
    pub fn left(&self) -> u64 {
        if self.next_entry < self.entries { self.len - self.cursor } else { 0 }
    }

    /// Whether it is nearly full.
    pub fn spent(&self) -> bool {
        self.left() < self.len / 4
    }

    /// Space for an object, if there is some.
    pub fn place(&mut self, len: u64) -> Option<Place> {
        let takes = align_up(len.max(1), ALIGN)?;
        // A small object doesn't use up the extent that was asked for a large one.
        if takes > self.left() || (self.exact() && takes < self.left() / 2) {
            return None;
        }
        let offset = self.offset + self.cursor;
        let place = Place {
            chunk: self.offset,
            lease: self.lease,
            entry: self.next_entry,
            generation: self.generation,
            offset,
            len,
            window: self.window.clone(),
            unmet: self.take_unmet(offset, len),
            fresh: self.fresh,
        };
        self.next_entry += 1;
        self.cursor += takes;
        self.writers += 1;
        Some(place)
    }

    /// The pages of an object that nobody has met before it.
    fn take_unmet(&mut self, offset: u64, len: u64) -> Vec<(u64, u64)> {
        let first = offset / PAGE * PAGE;
        self.unmet.remove(first, (offset + len).next_multiple_of(PAGE) - first)
    }

    /// Starts again from the chunk's beginning, with warm pages, when every object in it was freed. `false` when it should
    /// but has done so too often: then it is to be returned.
    ///
    /// Safe because FREE is final until this: the server set it after it saw no pin, or a writer that never sealed did; a
    /// reader that publishes a pin now sees FREE, or another generation, and undoes it (ARENA-2).
    pub fn reset_if_free(&mut self) -> bool {
        if self.next_entry == 0 || self.exact() || self.find_busy() {
            return true;
        }
        if (self.generation + 1).is_multiple_of(GENERATION_STEP) {
            return false;
        }
        self.generation += 1;
        let table = self.table();
        for entry in 0..self.next_entry {
            table.set(entry, self.generation, EMPTY);
            crash_point!(21, "reset.empty");
        }
        self.next_entry = 0;
        self.cursor = data_offset(self.entries);
        true
    }

    /// Whether some entry isn't FREE; looks first at the one that wasn't last time.
    fn find_busy(&mut self) -> bool {
        let table = self.table();
        let is_busy = |entry: u32| table.get(entry).1 != FREE;
        if self.busy < self.next_entry && is_busy(self.busy) {
            return true;
        }
        let busy = (0..self.next_entry).find(|&entry| is_busy(entry));
        self.busy = busy.unwrap_or(0);
        busy.is_some()
    }

    fn table(&self) -> Table {
        // SAFETY: the window shows the chunk, writable, and lives as long as `self`.
        unsafe { Table::at(self.window.at(self.offset)) }
    }
}

impl Shared {
    /// Reserves and maps a chunk.
    pub fn open_chunk(&self, grant: &ChunkGrant) -> Result<OpenChunk, StoreError> {
        let ChunkGrant { offset, len, entries, generation, cold } = *grant;
        let data = data_offset(entries.min(1 << 16));
        let inside = offset.checked_add(len).is_some_and(|end| end <= self.len);
        if !inside || offset % PAGE != 0 || len % PAGE != 0 || entries == 0 || data >= len {
            return Err(StoreError::OutOfBounds("a chunk"));
        }
        if cold {
            let full = |_| StoreError::Full { wanted: len, used: 0, capacity: self.len, machine: 0 };
            reserve(&self.fd, offset + data, len - data).map_err(full)?;
            crash_point!(16, "chunk.reserved");
        }
        let (window, new) = self.window(offset, len)?;
        let open = OpenChunk {
            offset,
            len,
            entries,
            lease: generation,
            generation,
            window,
            unmet: if cold { Ranges::of(offset + data, len - data) } else { new },
            fresh: cold,
            next_entry: 0,
            cursor: data,
            busy: 0,
            writers: 0,
        };
        if cold {
            open.table().set_backed();
            crash_point!(17, "chunk.backed");
        }
        Ok(open)
    }
}
