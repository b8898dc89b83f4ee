//! Where this client may write: windows in one reservation of addresses as long as the arena, in which every byte has its
//! place.
//!
//! - WINDOW-1 what can be written is what the windows show that are in use or among the latest [`KEPT`]; the rest of the
//!   reservation can't be touched.
//! - WINDOW-2 a page that was met stays met while its window is there, in whichever windows it is seen: a new window costs
//!   only what no other shows.
//!
//! Windows are kept after their chunk went back, because the server gives ranges back to their last lessee (ARENA-5), a
//! little before or after the last place as freed pieces come together, and because each page costs a fault. It relaxes
//! "writable until sealed full" on purpose: a process can write, by a stray pointer of its own, to ranges that it once
//! leased, at most [`KEPT`] of them; never to the rest.
use super::Shared;
use crate::error::StoreError;
use crate::mapping::{Mapping, Use};
use crate::ranges::Ranges;
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
    /// The reservation, made for the first window.
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
        let area = match &windows.area {
            Some(area) => area.clone(),
            None => windows.area.insert(self.reserve_addresses()?).clone(),
        };
        let new = windows.open.gaps_in(offset, len);
        for (from, len) in new.iter() {
            area.open(from, len)?;
            windows.open.insert(from, len);
        }
        let window = Arc::new(Window { area, offset, len });
        windows.windows.push_front(window.clone());
        windows.close_old();
        Ok((window, new))
    }

    fn reserve_addresses(&self) -> Result<Arc<Mapping>, StoreError> {
        Ok(Arc::new(Mapping::new(&self.fd, 0, self.len, Use::Reserved, Some(self.fork.clone()))?))
    }
}

impl Windows {
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

    /// Closes what no other window shows.
    fn close(&mut self, old: &Window) {
        let mut gone = Ranges::of(old.offset, old.len);
        for other in &self.windows {
            gone.remove(other.offset, other.len);
        }
        for (offset, len) in gone.iter() {
            self.open.remove(offset, len);
            old.area.close(offset, len);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::world::{MIB, World};
    use proptest::prelude::*;
    use rustix::fs::fstat;

    const ARENA: u64 = 64 * MIB;
    const PAGE: u64 = crate::layout::PAGE;

    /// Bytes of the arena that this process can write, but for the server's own mapping of all of it.
    fn writable(shared: &Shared) -> u64 {
        let inode = format!(" {} ", fstat(&shared.fd).unwrap().st_ino);
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let of_arena = maps.lines().filter(|line| line.contains(" rw-s ") && line.contains(&inode));
        let sizes = of_arena.map(|line| {
            let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
            u64::from_str_radix(to, 16).unwrap() - u64::from_str_radix(from, 16).unwrap()
        });
        sizes.sum::<u64>() - ARENA
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
}
