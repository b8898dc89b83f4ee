//! Where references were made, as far as that is recorded: of large values that are put, always; of everything, when the
//! user wishes so.
//!
//! - SITE-1 what was freed is swept out when the table has doubled since: it is never larger than twice what lives here,
//!   but for a floor.
use crate::runtime::Runtime;
use crate::state::State;
use rustc_hash::{FxHashMap, FxHashSet};
use shoal_proto::control::{Request, Response};
use shoal_proto::look::{ObjectRow, Place, Report, Wish};
use shoal_types::{Address, ErrorKind, ErrorValue, ObjectId, RefWire};
use std::sync::Arc;

const FLOOR: usize = 1_024;
/// How long processes may take to tell what they hold when the store is full, in microseconds.
const PATIENCE: u64 = 500_000;
/// The largest objects that each of them tells.
const LARGEST: u32 = 64;

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
        let mut pinned: FxHashMap<ObjectId, u64> = self.store.pinned().into_iter().collect();
        for row in rows.iter_mut() {
            row.pinned = pinned.remove(&row.object.id).is_some();
            if let Some(site) = state.sites.map.get(&row.object.id) {
                row.site = site.to_string();
            }
        }
        // Its reference may be gone, or beyond the limit: what was got of it is still read.
        let room = limit.saturating_sub(rows.len());
        rows.extend(pinned.into_iter().filter(|(id, _)| !state.owner.knows(id)).take(room).map(read_only));
    }

    /// Adds to the error of a full store where what it lists was made, and who holds it.
    pub(crate) fn with_holders(&self, mut error: ErrorValue) -> ErrorValue {
        if error.kind != ErrorKind::StoreFull {
            return error;
        }
        let wish = Wish { objects: true, limit: LARGEST, ..Wish::default() };
        let Ok(Response::Looks(nodes)) = self.ask(Request::Look { wish: Some(wish), patience: PATIENCE }) else {
            return error;
        };
        let mut told: FxHashMap<String, Told> = FxHashMap::default();
        for client in nodes.iter().flat_map(|node| &node.clients) {
            let Some(Ok(report)) = client.report.as_deref().map(postcard::from_bytes::<Report>) else { continue };
            for row in &report.objects.rows {
                told.entry(row.object.id.to_string()).or_default().add(client.pid, row);
            }
        }
        let line = |line: &str| {
            let id = line.split("object ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or_default();
            told.get(id).map_or_else(|| line.to_owned(), |told| format!("{line}{}", told.text()))
        };
        error.message = error.message.lines().map(line).collect::<Vec<_>>().join("\n");
        error
    }
}

/// A value that is read here though its reference is gone. Its owner is not known here any more.
fn read_only((id, size): (ObjectId, u64)) -> ObjectRow {
    ObjectRow {
        object: RefWire { id, owner: Address::default() },
        place: Place::Arena,
        size,
        local: 0,
        lent: 0,
        contained: 0,
        executing: 0,
        pinned: true,
        pending: false,
        holders: Vec::new(),
        site: String::new(),
    }
}

/// What processes told of one object.
#[derive(Default)]
struct Told {
    site: String,
    holders: FxHashSet<String>,
}

impl Told {
    fn add(&mut self, pid: u32, row: &ObjectRow) {
        if !row.site.is_empty() {
            row.site.clone_into(&mut self.site);
        }
        let how = [
            (row.local > 0, "refers to it"),
            (row.lent + row.executing > 0, "passes it to a call"),
            (row.contained > 0, "keeps it inside another value"),
            (row.pinned, "reads it"),
        ];
        let how: Vec<_> = how.iter().filter(|(is, _)| *is).map(|(_, text)| *text).collect();
        if !how.is_empty() {
            self.holders.insert(format!("process {pid} {}", how.join(" and ")));
        }
    }

    fn text(&self) -> String {
        let made = if self.site.is_empty() { String::new() } else { format!(", made at {}", self.site) };
        let mut holders: Vec<_> = self.holders.iter().cloned().collect();
        holders.sort_unstable();
        if holders.is_empty() { made } else { format!("{made}; {}", holders.join(", ")) }
    }
}
