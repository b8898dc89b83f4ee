//! Which ranges of which files are in use. A file is written once, from its beginning to its end.
use super::api::{Extent, FileId, Order};
use crate::layout::PAGE;
use rustc_hash::FxHashMap;
use std::time::Duration;

/// A file that has so many bytes takes no more: a descriptor for each 64 MiB that is spilled, and no file that waits for
/// ever for its last object.
const FILE_BYTES: u64 = 64 << 20;
/// A storage that had no room is asked again after this, or when something there is released.
const RETRY: Duration = Duration::from_millis(200);

#[derive(Default, Debug)]
struct Storage {
    /// The file that takes more.
    current: Option<FileId>,
    /// Why it took nothing, and until when it is not asked.
    failed: Option<(String, Duration)>,
}

#[derive(Debug)]
struct File {
    end: u64,
    live: u64,
}

#[derive(Debug)]
pub(super) struct Files {
    storages: Vec<Storage>,
    files: FxHashMap<FileId, File>,
    turn: usize,
    last: u64,
}

fn pages(len: u64) -> u64 {
    len.max(1).next_multiple_of(PAGE)
}

impl Files {
    pub fn new(places: usize) -> Self {
        let storages = (0..places).map(|_| Storage::default()).collect();
        Self { storages, files: FxHashMap::default(), turn: 0, last: 0 }
    }

    /// A range in the storage whose turn it is, or the next that may have room.
    pub fn take(&mut self, now: Duration, len: u64) -> Option<Extent> {
        let n = self.storages.len();
        let open = |i: &usize| self.storages[*i].failed.as_ref().is_none_or(|(_, until)| *until <= now);
        let place = (0..n).map(|i| (self.turn + i) % n).find(open)?;
        self.turn = (place + 1) % n;
        let file = self.storages[place].current.unwrap_or_else(|| {
            self.last += 1;
            FileId { place, number: self.last }
        });
        let state = self.files.entry(file).or_insert(File { end: 0, live: 0 });
        let offset = state.end;
        state.end += pages(len);
        state.live += pages(len);
        self.storages[place].current = (state.end < FILE_BYTES).then_some(file);
        Some(Extent { file, offset, len })
    }

    /// A range is needed no more.
    pub fn give_back(&mut self, extent: Extent, out: &mut Vec<Order>) {
        let place = &mut self.storages[extent.file.place];
        place.failed = None;
        let Some(file) = self.files.get_mut(&extent.file) else { return };
        file.live -= pages(extent.len);
        if file.live > 0 {
            return out.push(Order::Release(extent));
        }
        self.files.remove(&extent.file);
        if place.current == Some(extent.file) {
            place.current = None;
        }
        out.push(Order::Close(extent.file));
    }

    /// A storage had no room, or did not work.
    pub fn fail(&mut self, now: Duration, place: usize, why: String) {
        self.storages[place].failed = Some((why, now + RETRY));
        self.storages[place].current = None;
    }

    /// Why nothing more can be written, for people.
    pub fn why(&self) -> String {
        let failed = self.storages.iter().filter_map(|s| s.failed.as_ref()).map(|(why, _)| why.as_str());
        failed.collect::<Vec<_>>().join("; ")
    }

    /// For tests: the bytes in use of each file.
    #[cfg(test)]
    pub fn live(&self) -> std::collections::BTreeMap<FileId, u64> {
        self.files.iter().map(|(file, state)| (*file, state.live)).collect()
    }

    /// Files, and the bytes that they take.
    pub fn stats(&self) -> (u64, u64) {
        (self.files.len() as u64, self.files.values().map(|file| file.live).sum())
    }
}
