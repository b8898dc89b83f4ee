//! Where this client may write: windows in one reservation of addresses as long as the arena, in which every byte has its
//! place.
//!
//! - WINDOW-1 what can be written is what the windows show that are in use or among the latest [`KEPT`]; the rest of the
//!   reservation can't be touched. A window that can't be opened to its end leaves nothing open.
//! - WINDOW-2 a page that was met stays met while its window is there, in whichever windows it is seen: a new window costs
//!   only what no other shows.
//! - WINDOW-3 where addresses are too few for a reservation (`ulimit -v`), a window has a mapping of its own, and meets all
//!   its pages.
//!
//! Windows are kept after their chunk went back, because the server gives ranges back to their last lessee (ARENA-5), a
//! little before or after the last place as freed pieces come together, and because each page costs a fault. It relaxes
//! "writable until sealed full" on purpose: a process can write, by a stray pointer of its own, to ranges that it once
//! leased, at most [`KEPT`] of them; never to the rest.
use super::Shared;
use crate::error::StoreError;
use crate::mapping::{Mapping, Use};
use crate::ranges::Ranges;
use rustix::io::Errno;
use std::collections::VecDeque;
use std::sync::Arc;

const KEPT: usize = 8;

/// A range that can be written as long as somebody has this.
pub(super) struct Window {
    area: Arc<Mapping>,
    offset: u64,
    len: u64,
}

impl Window {
    /// Address of the arena's byte `offset`, one of the window's or one past it.
    pub fn at(&self, offset: u64) -> *mut u8 {
        assert!(offset >= self.offset && offset - self.offset <= self.len, "ARENA-6: {offset} is outside of a window");
        self.area.at(offset)
    }

    /// Meets pages that were reserved.
    pub fn meet(&self, parts: &[(u64, u64)], fresh: bool) {
        for &(offset, len) in parts {
            self.area.populate(offset, len, fresh);
        }
    }
}

#[derive(Default)]
pub(super) struct Windows {
    /// The reservation, made for the first window that finds room for it.
    area: Option<Arc<Mapping>>,
    /// What of it can be written.
    open: Ranges,
    /// The latest first.
    windows: VecDeque<Arc<Window>>,
}

impl Shared {
    /// A window on that range, and which parts of it no window showed.
    pub fn window(&self, offset: u64, len: u64) -> Result<(Arc<Window>, Ranges), StoreError> {
        let mut windows = self.windows.lock();
        if windows.area.is_none() {
            windows.area = match self.map(0, self.len, Use::Reserved) {
                Err(StoreError::System { errno: Errno::NOMEM, .. }) => None,
                made => Some(made?),
            };
        }
        let (area, new) = match windows.area.clone() {
            Some(area) => {
                let new = windows.open(&area, offset, len)?;
                (area, new)
            }
            None => (self.map(offset, len, Use::Write)?, Ranges::of(offset, len)),
        };
        let window = Arc::new(Window { area, offset, len });
        windows.windows.push_front(window.clone());
        windows.close_old();
        Ok((window, new))
    }

    fn map(&self, offset: u64, len: u64, to: Use) -> Result<Arc<Mapping>, StoreError> {
        Mapping::new(&self.fd, offset, len, to, Some(self.fork.clone())).map(Arc::new)
    }
}

impl Windows {
    /// Opens what of that range no window shows: all of it, or nothing.
    fn open(&mut self, area: &Mapping, offset: u64, len: u64) -> Result<Ranges, StoreError> {
        let new = self.open.gaps_in(offset, len);
        if let Err(error) = new.iter().try_for_each(|(from, len)| area.open(from, len)) {
            new.iter().for_each(|(from, len)| area.close(from, len));
            return Err(error);
        }
        new.iter().for_each(|(from, len)| self.open.insert(from, len));
        Ok(new)
    }

    /// WINDOW-1.
    fn close_old(&mut self) {
        for at in (KEPT..self.windows.len()).rev() {
            if Arc::get_mut(&mut self.windows[at]).is_some()
                && let Some(old) = self.windows.remove(at)
            {
                self.close(&old);
            }
        }
    }

    /// Closes what no other window shows. A mapping of the window's own goes with it.
    fn close(&mut self, old: &Window) {
        let mut gone = Ranges::of(old.offset, old.len);
        for other in &self.windows {
            gone.remove(other.offset, other.len);
        }
        for (offset, len) in gone.iter().flat_map(|(offset, len)| self.open.remove(offset, len)) {
            self.area.iter().for_each(|area| area.close(offset, len));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ArenaClient;
    use crate::tests::processes::forked;
    use crate::tests::world::{MIB, World};
    use proptest::prelude::*;
    use rustix::fs::fstat;
    use rustix::mm::{MapFlags, ProtFlags, mmap};
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    use shoal_types::WorkerId;
    use std::fs::File;

    const ARENA: u64 = 64 * MIB;
    const PAGE: u64 = crate::layout::PAGE;

    /// Bytes of the arena that this process can write, but for the server's own mapping of all of it.
    fn writable(shared: &Shared) -> u64 {
        mapped(shared, " rw-s ") - ARENA
    }

    /// Bytes of the arena that this process has mapped so.
    fn mapped(shared: &Shared, how: &str) -> u64 {
        let inode = format!(" {} ", fstat(&shared.fd).unwrap().st_ino);
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let of_arena = maps.lines().filter(|line| line.contains(how) && line.contains(&inode));
        let sizes = of_arena.map(|line| {
            let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
            u64::from_str_radix(to, 16).unwrap() - u64::from_str_radix(from, 16).unwrap()
        });
        sizes.sum()
    }

    fn write_all(window: &Window) {
        for at in (window.offset..window.offset + window.len).step_by(PAGE as usize) {
            // SAFETY: inside a window.
            unsafe { window.at(at).write_volatile(1) };
        }
    }

    fn faults() -> i64 {
        // SAFETY: plain memory, filled by the call.
        unsafe {
            let mut usage = std::mem::zeroed::<libc::rusage>();
            libc::getrusage(libc::RUSAGE_THREAD, &mut usage);
            usage.ru_minflt
        }
    }

    /// One page in place of the reservation's that can't be made writable.
    fn spoil(shared: &Shared, offset: u64) {
        let at = shared.windows.lock().area.as_ref().unwrap().at(offset);
        let file = File::open("/proc/self/exe").unwrap();
        // SAFETY: nobody uses this page.
        unsafe { mmap(at.cast(), PAGE as usize, ProtFlags::READ, MapFlags::SHARED | MapFlags::FIXED, &file, 0) }
            .unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 50, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn what_can_be_written_is_what_the_windows_show(
            steps in prop::collection::vec((0u64..100, 1u64..40, 0usize..30), 1..40),
        ) {
            let mut world = World::new(ARENA);
            let member = world.join(1);
            let shared = &member.client.shared;
            let (mut held, mut latest) = (Vec::new(), VecDeque::new());
            for (first, pages, drops) in steps {
                let (offset, len) = (first * PAGE, pages * PAGE);
                let (window, new) = shared.window(offset, len).unwrap();
                prop_assert!(new.total() <= len);
                held.push(window);
                latest.push_front((offset, len));
                latest.truncate(KEPT);
                // What was dropped just now is closed by the next window at the latest.
                let mut may = Ranges::default();
                held.iter().for_each(|window: &Arc<Window>| may.insert(window.offset, window.len));
                latest.iter().for_each(|&(offset, len)| may.insert(offset, len));
                prop_assert_eq!(writable(shared), may.total(), "WINDOW-1");
                held.iter().for_each(|window| write_all(window));
                if drops < held.len() {
                    held.swap_remove(drops);
                }
            }
        }
    }

    #[test]
    fn a_window_a_little_beside_another_meets_no_page_again() {
        let mut world = World::new(ARENA);
        let member = world.join(1);
        let shared = &member.client.shared;
        for at in 0..KEPT as u64 + 4 {
            let (window, new) = shared.window(at * 3 * PAGE, 8 * MIB).unwrap();
            let before = faults();
            write_all(&window);
            let met = faults() - before;
            assert_eq!(new.total(), if at == 0 { 8 * MIB } else { 3 * PAGE });
            assert!(at == 0 || met <= 6, "WINDOW-2: {met} faults");
        }
    }

    #[test]
    fn a_window_that_opens_half_way_leaves_nothing_open() {
        let mut world = World::new(ARENA);
        let member = world.join(1);
        let shared = &member.client.shared;
        let (_there, _) = shared.window(4 * PAGE, 4 * PAGE).unwrap();
        spoil(shared, 12 * PAGE);
        let refused = shared.window(0, 16 * PAGE).map(|_| ());
        assert!(matches!(refused, Err(StoreError::System { errno: Errno::ACCESS, .. })), "{refused:?}");
        assert_eq!(writable(shared), 4 * PAGE, "WINDOW-1");
        let (window, new) = shared.window(0, 12 * PAGE).unwrap();
        write_all(&window);
        assert_eq!((new.total(), writable(shared)), (8 * PAGE, 12 * PAGE));
    }

    #[test]
    fn where_addresses_are_few_each_window_has_a_mapping_of_its_own() {
        let mut world = World::new(ARENA);
        let (slot, pins) = world.server.add_client(WorkerId([1; 16])).unwrap();
        let arena = world.server.arena_fd().try_clone_to_owned().unwrap();
        let status = forked(|| {
            let shared = ArenaClient::attach(arena, pins, slot).unwrap().shared;
            let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
            let now = statm.split(' ').next().unwrap().parse::<u64>().unwrap() * PAGE;
            setrlimit(Resource::As, Rlimit { current: Some(now + ARENA / 2), ..getrlimit(Resource::As) }).unwrap();
            for at in 0..KEPT as u64 + 4 {
                let (window, new) = shared.window(at * MIB, 2 * MIB).unwrap();
                write_all(&window);
                assert_eq!(new.total(), 2 * MIB);
                assert_eq!(mapped(&shared, " rw-s "), (at + 1).min(KEPT as u64) * 2 * MIB, "WINDOW-1");
            }
            assert_eq!(mapped(&shared, " ---s "), 0, "WINDOW-3");
        });
        assert_eq!(status, 0);
    }
}
