//! The checksum of what is on disk.
//!
//! Four lanes take turns at words of eight bytes; each step is a bijection of its lane, so that one word that differs
//! always gives another sum, and any other difference does but once in 2⁶⁴. It runs at the speed of memory (a
//! cryptographic sum would not, and nobody who can write our files is an enemy), and is a few lines: no crate is needed.

const LANES: usize = 4;
const BLOCK: usize = LANES * 8;
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The sum of bytes that come in pieces.
#[derive(Clone)]
pub struct Sum {
    lanes: [u64; LANES],
    len: u64,
}

impl Default for Sum {
    fn default() -> Self {
        Self { lanes: [1, 2, 3, 4], len: 0 }
    }
}

impl Sum {
    /// The sum of one piece.
    pub fn of(bytes: &[u8]) -> u64 {
        let mut sum = Self::default();
        sum.add(bytes);
        sum.end()
    }

    /// Adds a piece. All but the last are multiples of 32 bytes long.
    pub fn add(&mut self, bytes: &[u8]) {
        debug_assert!(self.len.is_multiple_of(BLOCK as u64), "a piece after the last");
        let mut lanes = self.lanes;
        let (blocks, rest) = bytes.as_chunks::<BLOCK>();
        for block in blocks {
            let (words, _) = block.as_chunks::<8>();
            for (lane, word) in lanes.iter_mut().zip(words) {
                *lane = (*lane ^ u64::from_le_bytes(*word)).wrapping_mul(STEP).rotate_left(29);
            }
        }
        for (i, byte) in rest.iter().enumerate() {
            lanes[i % LANES] = (lanes[i % LANES] ^ u64::from(*byte)).wrapping_mul(STEP).rotate_left(29);
        }
        self.lanes = lanes;
        self.len += bytes.len() as u64;
    }

    /// The sum of all that was added.
    pub fn end(&self) -> u64 {
        let mix = |sum: u64, lane: &u64| (sum ^ lane).wrapping_mul(STEP).rotate_left(31);
        let sum = self.lanes.iter().fold(self.len, mix);
        sum ^ sum >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn one_changed_byte_changes_it(mut bytes in prop::collection::vec(any::<u8>(), 1..300), at in any::<usize>(), by in 1u8..) {
            let before = Sum::of(&bytes);
            let at = at % bytes.len();
            bytes[at] ^= by;
            prop_assert_ne!(Sum::of(&bytes), before);
        }

        #[test]
        fn pieces_make_the_same_sum(bytes in prop::collection::vec(any::<u8>(), 0..300), blocks in 0usize..9) {
            let (head, tail) = bytes.split_at((blocks * BLOCK).min(bytes.len() / BLOCK * BLOCK));
            let mut sum = Sum::default();
            sum.add(head);
            sum.add(tail);
            prop_assert_eq!(sum.end(), Sum::of(&bytes));
        }
    }

    #[test]
    fn length_and_order_count() {
        assert_ne!(Sum::of(&[0; 32]), Sum::of(&[0; 64]));
        let (a, b) = ([[1u8; 32], [2; 32]].concat(), [[2u8; 32], [1; 32]].concat());
        assert_ne!(Sum::of(&a), Sum::of(&b));
    }
}
