//! Copying an object's bytes into the arena.

/// Copies `src` to `dst`. Lengths must agree.
///
/// Plain `memcpy`: for large copies glibc streams past the cache by itself, and it runs at the speed of a warm copy
/// between private pages as long as the window is warm (measured by the `put_drop` example); a second thread would take
/// a core from the user's code.
///
/// # Panics
/// When the lengths differ.
pub fn copy_into(dst: &mut [u8], src: &[u8]) {
    dst.copy_from_slice(src);
}
