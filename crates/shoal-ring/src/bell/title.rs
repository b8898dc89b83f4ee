//! The title: what a process runs, for log prefixes.
//!
//! - BELL-7 the sequence is odd while a title is being written; a reader takes what stood between two equal even
//!   readings, copies it out, then checks that it is UTF-8. One thread writes; two at once garble a title, no more.

use super::page::Page;
use crate::sync::Ordering::{Acquire, Relaxed, Release};
use crate::sync::fence;

/// Bytes of a title; longer ones are cut at a character.
pub const TITLE_BYTES: usize = 64;
/// A writer needs nanoseconds; who meets it this often in a row gives up.
const TRIES: usize = 16;

pub(super) fn write(page: &Page, text: &str) {
    let mut bytes = [0; TITLE_BYTES];
    let len = (0..=text.len().min(TITLE_BYTES)).rev().find(|len| text.is_char_boundary(*len)).unwrap_or(0);
    bytes[..len].copy_from_slice(&text.as_bytes()[..len]);
    let sequence = page.title_sequence().load(Relaxed);
    page.title_sequence().store(sequence | 1, Relaxed);
    fence(Release);
    for (at, chunk) in bytes.chunks_exact(8).enumerate() {
        let word = chunk.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
        page.title_word(at).store(word, Relaxed);
    }
    page.title_sequence().store((sequence | 1).wrapping_add(1), Release);
}

pub(super) fn read(page: &Page) -> Option<String> {
    let bytes = (0..TRIES).find_map(|_| read_once(page))?;
    let len = bytes.iter().position(|byte| *byte == 0).unwrap_or(TITLE_BYTES);
    std::str::from_utf8(&bytes[..len]).ok().map(str::to_owned)
}

fn read_once(page: &Page) -> Option<[u8; TITLE_BYTES]> {
    let before = page.title_sequence().load(Acquire);
    let mut bytes = [0; TITLE_BYTES];
    for (at, chunk) in bytes.chunks_exact_mut(8).enumerate() {
        chunk.copy_from_slice(&page.title_word(at).load(Relaxed).to_le_bytes());
    }
    fence(Acquire);
    let after = page.title_sequence().load(Relaxed);
    (before == after && before.is_multiple_of(2)).then_some(bytes)
}
