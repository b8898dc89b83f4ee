//! Why it was killed, in one sentence: who used how much of how much.
use super::{Holding, Reading, Rules};
use std::cmp::Reverse;

/// Holders that are named.
const NAMED: usize = 5;

pub(super) fn why(rules: &Rules, reading: &Reading, victim: &Holding, all: &[Holding]) -> String {
    let mut named: Vec<_> = all.iter().filter(|h| h.bytes > 0).collect();
    named.sort_by_key(|h| (Reverse(h.bytes), h.pid));
    let one = |h: &&Holding| match h.pid {
        0 => format!("{} {}", h.title, bytes_text(h.bytes)),
        pid => format!("{} (pid {pid}) {}", h.title, bytes_text(h.bytes)),
    };
    let list: Vec<_> = named.iter().take(NAMED).map(one).collect();
    format!(
        "memory ran out: {} of {} were used in {}, more than the {} % of memory_usage_threshold; this process held {}. \
         Most was held by: {}",
        bytes_text(reading.used),
        bytes_text(reading.limit),
        reading.place,
        (rules.threshold * 1000.0).round() / 10.0,
        bytes_text(victim.bytes),
        list.join(", ")
    )
}

/// "512 MiB", "1.5 GiB".
pub fn bytes_text(bytes: u64) -> String {
    let mib = bytes as f64 / f64::from(1 << 20);
    if mib < 1024.0 { format!("{mib:.0} MiB") } else { format!("{:.1} GiB", mib / 1024.0) }
}
