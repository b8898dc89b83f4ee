//! Where pins and frees meet (ARENA-2): each side stores, fences, and only then reads what the other stores.
use crate::layout::{EVICTING, FREE, SEALED, Table};
use crate::pin_table::{PinKey, PinTable};
use crate::slots::{Slots, Spot};
use crate::sync::{Ordering, fence};
use rustc_hash::FxHashSet;
use shoal_crash::crash_point;

/// Client: publishes a pin, then looks with `verified` whether the entry is still there; if not, undoes it. `None`: no
/// slot is left.
pub(crate) fn pin<H, T>(
    slots: &mut Slots<H>,
    pins: &PinTable,
    spot: Spot,
    verified: impl FnOnce() -> Option<T>,
) -> Option<Result<(u32, T), ()>> {
    let slot = slots.publish(pins, PinKey::new(spot.0, spot.1, spot.2))?;
    crash_point!(18, "pin.published");
    fence(Ordering::SeqCst);
    let Some(found) = verified() else {
        slots.clear(pins, slot, spot);
        return Some(Err(()));
    };
    crash_point!(19, "pin.verified");
    Some(Ok((slot, found)))
}

/// Client: after a slot was cleared, whether the server may have put off a free because of it. As in [`pin`], the other
/// way round: the server saw the slot empty, or this sees EVICTING.
pub(crate) fn was_put_off(table: &Table, entry: u32, generation: u32) -> bool {
    crash_point!(20, "pin.cleared");
    fence(Ordering::SeqCst);
    table.get(entry) == (generation, EVICTING)
}

/// Server: from now on nobody new pins this entry.
pub(crate) fn evict(table: &Table, entry: u32, generation: u32) {
    table.set(entry, generation, EVICTING);
    crash_point!(22, "free.evicting");
}

/// Server: somebody has it pinned, and it stays. Who saw EVICTING meanwhile asks where it is.
pub(crate) fn keep(table: &Table, entry: u32, generation: u32) {
    table.set(entry, generation, SEALED);
    crash_point!(25, "spill.kept");
}

/// Server: which of these, all of them EVICTING, are pinned.
pub(crate) fn pinned<'a>(tables: impl Iterator<Item = &'a PinTable>, wanted: &FxHashSet<PinKey>) -> FxHashSet<PinKey> {
    fence(Ordering::SeqCst);
    let mut pinned = FxHashSet::default();
    for table in tables {
        table.each(|pin| {
            if wanted.contains(&pin) {
                pinned.insert(pin);
            }
        });
    }
    crash_point!(23, "free.pins_read");
    pinned
}

/// Server: an entry that nobody has pinned is its lessee's again.
pub(crate) fn finish(table: &Table, entry: u32, generation: u32) {
    table.set(entry, generation, FREE);
    crash_point!(24, "free.free");
}
