//! Where references were made, as far as that is recorded: of large values that are put, always; of everything, when the
//! user wishes so.
//!
//! - SITE-1 what was freed is swept out when the table has doubled since: it is never larger than twice what lives here,
//!   but for a floor.
use crate::runtime::Runtime;
use crate::state::State;
use rustc_hash::FxHashMap;
use shoal_proto::look::{ObjectRow, Place};
use shoal_types::{Address, ObjectId, RefWire};
use std::sync::Arc;

const FLOOR: usize = 1_024;

#[derive(Default)]
pub(crate) struct Sites {
    map: FxHashMap<ObjectId, Arc<str>>,
    sweep_at: usize,
}

impl Runtime {
    /// The reference was made there.
    pub fn note_site(&self, id: ObjectId, site: Arc<str>) {
        let state = &mut *self.lock();
        let Sites { map, sweep_at } = &mut state.sites;
        if map.len() >= (*sweep_at).max(FLOOR) {
            map.retain(|id, _| state.owner.knows(id));
            *sweep_at = 2 * map.len();
        }
        map.insert(id, site);
    }

    /// Adds where objects were made, and what this process reads in the arena, to the rows of the core.
    pub(crate) fn complete_objects(&self, state: &State, rows: &mut Vec<ObjectRow>, limit: usize) {
        let mut read = self.read_here();
        for row in rows.iter_mut() {
            if let Some(how) = read.remove(&row.object.id) {
                (row.pinned, row.mapped) = (how.pinned, how.mapped);
            }
            if let Some(site) = state.sites.map.get(&row.object.id) {
                row.site = site.to_string();
            }
        }
        // Its reference may be gone, or beyond the limit: what was got of it is still read.
        let room = limit.saturating_sub(rows.len());
        rows.extend(read.into_iter().filter(|(id, _)| !state.owner.knows(id)).take(room).map(read_only));
    }

    /// What this process reads in the arena, and through mappings of files.
    fn read_here(&self) -> FxHashMap<ObjectId, Read> {
        let mut read = FxHashMap::<_, Read>::default();
        for (id, size) in self.store.pinned() {
            read.insert(id, Read { size, pinned: true, mapped: false });
        }
        for (id, size) in self.store.mapped() {
            read.entry(id).or_insert(Read { size, ..Read::default() }).mapped = true;
        }
        read
    }
}

/// How this process reads a value.
#[derive(Default)]
struct Read {
    size: u64,
    pinned: bool,
    mapped: bool,
}

/// A value that is read here though its reference is gone. Its owner is not known here any more.
fn read_only((id, read): (ObjectId, Read)) -> ObjectRow {
    ObjectRow {
        object: RefWire { id, owner: Address::default() },
        place: Place::Arena,
        size: read.size,
        local: 0,
        lent: 0,
        contained: 0,
        executing: 0,
        pinned: read.pinned,
        mapped: read.mapped,
        pending: false,
        holders: Vec::new(),
        site: String::new(),
    }
}
