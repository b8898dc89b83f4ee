//! Every index recomputed.
use crate::spill::{Disk, Doing, Extent, Place, Store, spot};
use std::collections::BTreeMap;

impl Store {
    /// # Panics
    /// With what doesn't agree.
    pub fn check(&self) {
        self.arena.check();
        let mut copied = 0;
        for (age, name) in &self.copies {
            let object = &self.objects[name];
            assert!(object.age == *age && !object.freed, "copies: {object:?}");
            let Place::Arena(place) = object.place else { panic!("SPILL-1: a copy is not in the arena: {object:?}") };
            assert!(self.arena.has(&place, object.id), "SPILL-1: a copy's place is another's: {object:?}");
            copied += object.len;
        }
        assert_eq!(copied, self.copied_bytes, "copied_bytes");
        for (place, name) in &self.places {
            let agrees = matches!(self.objects[name].place, Place::Arena(loc) if spot(&loc) == *place);
            assert!(agrees, "places: {:?}", self.objects[name]);
        }
        let writes = self.jobs.values().filter(|doing| matches!(doing, Doing::Write { .. })).count();
        assert_eq!(writes, self.writes, "writes");
        self.check_objects();
        self.check_files();
    }

    fn check_objects(&self) {
        let busy = |name| self.jobs.values().any(|d| matches!(d, Doing::Check(n) | Doing::Restore(n, _) if n == name));
        for (name, object) in &self.objects {
            let works = matches!(object.disk, Disk::Stored { busy: true, .. }) || matches!(object.place, Place::Restoring);
            assert_eq!(works, busy(name), "SPILL-3: {object:?}");
            assert!(works || object.waiting.is_empty(), "SPILL-6: nobody reads for who waits: {object:?}");
            let writing = matches!(object.disk, Disk::Writing(_));
            let held = works || writing || !object.readers.is_empty();
            assert!(!object.freed || held, "SPILL-3: it should be forgotten: {object:?}");
            if let Place::Arena(place) = object.place
                && spot(&place) != *name
            {
                assert_eq!(self.places.get(&spot(&place)), Some(name), "places");
            }
        }
    }

    /// Ranges don't overlap, and each file has as many bytes in use as its ranges.
    fn check_files(&self) {
        let mut ranges = self.objects.values().map(|object| match object.disk {
            Disk::Writing(extent) | Disk::Stored { extent, .. } | Disk::Lost(_, extent) => extent,
        });
        let reserved = self.jobs.values().filter_map(|doing| match doing {
            Doing::Reserve { extent, .. } => Some(*extent),
            _ => None,
        });
        let mut all: Vec<Extent> = ranges.by_ref().chain(self.open.values().map(|(e, _)| *e)).chain(reserved).collect();
        all.sort_by_key(|extent| (extent.file, extent.offset));
        for pair in all.windows(2) {
            let apart = pair[0].file != pair[1].file || pair[0].offset + pair[0].len <= pair[1].offset;
            assert!(apart, "two objects in one range: {pair:?}");
        }
        let mut live = BTreeMap::<_, u64>::new();
        for extent in all {
            *live.entry(extent.file).or_default() += extent.len.max(1).next_multiple_of(4096);
        }
        assert_eq!(self.files.live(), live, "bytes in use of each file");
    }
}
