//! The error of a full object store: the daemon says why, and which objects are the largest; processes are asked once, for
//! half a second at most, where these were made and who holds them. Nothing is kept for it.
use crate::runtime::Runtime;
use rustc_hash::FxHashMap;
use shoal_proto::control::{FullStore, LargeObject, Request, Response};
use shoal_proto::look::{ObjectRow, Report, Wish};
use shoal_types::{ErrorKind, ErrorValue, ObjectId};
use std::collections::BTreeMap;

/// How long processes may take to tell what they hold, in microseconds.
const PATIENCE: u64 = 500_000;
/// The largest objects that each of them tells.
const LARGEST: u32 = 64;

impl Runtime {
    pub(crate) fn full_error(&self, full: &FullStore) -> ErrorValue {
        let mut told = full.largest.iter().map(|object| (object.id, Told::by_daemon(object))).collect();
        if !full.largest.is_empty() {
            self.ask_holders(&mut told);
        }
        ErrorValue::new(ErrorKind::StoreFull, text(full, &told))
    }

    /// Who does not answer in time is left out.
    fn ask_holders(&self, told: &mut FxHashMap<ObjectId, Told>) {
        let wish = Wish { objects: true, limit: LARGEST, ..Wish::default() };
        let Ok(Response::Looks(nodes)) = self.ask(Request::Look { wish: Some(wish), patience: PATIENCE }) else {
            return;
        };
        for client in nodes.iter().flat_map(|node| &node.clients) {
            let Some(Ok(report)) = client.report.as_deref().map(postcard::from_bytes::<Report>) else { continue };
            for row in &report.objects.rows {
                if let Some(told) = told.get_mut(&row.object.id) {
                    told.by_process(client.pid, row);
                }
            }
        }
    }
}

/// What is known of one object.
#[derive(Default)]
struct Told {
    site: String,
    /// How each process holds it.
    holders: BTreeMap<u32, Holds>,
}

#[derive(Default)]
struct Holds {
    refers: bool,
    passes: bool,
    keeps: bool,
    reads: bool,
}

impl Told {
    fn by_daemon(object: &LargeObject) -> Self {
        let reads = |pid: &u32| (*pid, Holds { reads: true, ..Holds::default() });
        Self { site: String::new(), holders: object.readers.iter().map(reads).collect() }
    }

    fn by_process(&mut self, pid: u32, row: &ObjectRow) {
        if !row.site.is_empty() {
            row.site.clone_into(&mut self.site);
        }
        let holds = self.holders.entry(pid).or_default();
        holds.refers |= row.local > 0;
        holds.passes |= row.lent + row.executing > 0;
        holds.keeps |= row.contained > 0;
        holds.reads |= row.pinned || row.mapped;
    }

    fn text(&self) -> String {
        let made = if self.site.is_empty() { String::new() } else { format!(", made at {}", self.site) };
        let holders = self.holders.iter().filter_map(|(pid, holds)| Some(format!("process {pid} {}", holds.text()?)));
        let holders = holders.collect::<Vec<_>>().join(", ");
        if holders.is_empty() { made } else { format!("{made}; {holders}") }
    }
}

impl Holds {
    fn text(&self) -> Option<String> {
        let how = [
            (self.refers, "refers to it"),
            (self.passes, "passes it to a call"),
            (self.keeps, "keeps it inside another value"),
            (self.reads, "reads it"),
        ];
        let how = how.iter().filter(|(is, _)| *is).map(|(_, text)| *text).collect::<Vec<_>>();
        (!how.is_empty()).then(|| how.join(" and "))
    }
}

fn text(full: &FullStore, told: &FxHashMap<ObjectId, Told>) -> String {
    let line = |LargeObject { id, owner, len, on_disk, .. }: &LargeObject| {
        let place = if *on_disk { ", on disk" } else { "" };
        let of = if *owner == 0 { "of a process that is gone".to_owned() } else { format!("of process {owner}") };
        let told = told.get(id).map(Told::text).unwrap_or_default();
        format!("\n  {len} bytes{place}: object {id} {of}{told}")
    };
    let lines = full.largest.iter().map(line).collect::<String>();
    if lines.is_empty() { full.why.clone() } else { format!("{}; the largest objects:{lines}", full.why) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shoal_proto::look::Place;
    use shoal_types::{RefWire, TaskId};

    fn object(n: u64, readers: &[u32]) -> LargeObject {
        let id = ObjectId::new(TaskId::new([1; 8], n), 0);
        LargeObject { id, owner: 7, len: 100, on_disk: n == 2, readers: readers.to_vec() }
    }

    fn row(id: ObjectId, local: u32, pinned: bool) -> ObjectRow {
        ObjectRow {
            object: RefWire { id, owner: Default::default() },
            place: Place::Arena,
            size: 100,
            local,
            lent: 0,
            contained: 0,
            executing: 0,
            pinned,
            mapped: false,
            pending: false,
            holders: Vec::new(),
            site: "a.py:1 in f".into(),
        }
    }

    #[test]
    fn each_process_is_named_once_with_all_that_it_does() {
        let full = FullStore { why: "full".into(), largest: vec![object(1, &[8, 7]), object(2, &[])] };
        let mut told: FxHashMap<_, _> =
            full.largest.iter().map(|object| (object.id, Told::by_daemon(object))).collect();
        let first = told.get_mut(&full.largest[0].id).unwrap();
        first.by_process(7, &row(full.largest[0].id, 1, true));
        first.by_process(9, &row(full.largest[0].id, 0, false));
        let ids = [full.largest[0].id, full.largest[1].id];
        let wanted = format!(
            "full; the largest objects:\n  100 bytes: object {} of process 7, made at a.py:1 in f; process 7 refers to it \
             and reads it, process 8 reads it\n  100 bytes, on disk: object {} of process 7",
            ids[0], ids[1]
        );
        assert_eq!(text(&full, &told), wanted);
    }

    #[test]
    fn without_objects_there_is_only_the_reason() {
        let full = FullStore { why: "full".into(), largest: Vec::new() };
        assert_eq!(text(&full, &FxHashMap::default()), "full");
    }
}
