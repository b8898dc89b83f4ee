//! How long to rest before something that has failed is tried again.

/// The second try more comes after about so long, each later one after twice as long as the one before …
const FIRST_MICROS: u64 = 50_000;
/// … up to this.
const LAST_MICROS: u64 = 5_000_000;

/// Microseconds to rest before retry `n`, counted from 1. The first comes at once: most failures are chance. `salt` tells
/// those apart that fail together, so that they don't come back together: a rest is between a half and the whole of what
/// it may be.
pub fn backoff(n: u32, salt: u64) -> u64 {
    if n <= 1 {
        return 0;
    }
    let most = LAST_MICROS.min(FIRST_MICROS << (n - 2).min(16));
    most / 2 + mix(salt ^ u64::from(n)) % (most / 2 + 1)
}

/// splitmix64's finish: each bit of the result hangs on each of the input.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_double_up_to_a_limit_and_differ_by_salt() {
        assert_eq!((backoff(0, 1), backoff(1, 1)), (0, 0));
        for (n, most) in [(2, 50_000), (3, 100_000), (8, 3_200_000), (9, 5_000_000), (u32::MAX, 5_000_000)] {
            let rests: Vec<u64> = (0..100).map(|salt| backoff(n, salt)).collect();
            assert!(rests.iter().all(|r| (most / 2..=most).contains(r)), "{n}: {rests:?}");
            let (least, greatest) = (rests.iter().min().unwrap(), rests.iter().max().unwrap());
            assert!(greatest - least > most / 4, "{n}: {rests:?}");
        }
    }
}
