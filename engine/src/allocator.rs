//! How mimalloc, the allocator of every program here, deals with memory that was freed.
//!
//! Batches come and go some hundred times a second, a megabyte each. By default mimalloc gives what was freed back to the
//! system within 10 ms, and gets it again a moment later as pages that the kernel clears first: a tenth of a busy node's CPU.
//! Kept for longer, the next batch finds it as it was left.

use libmimalloc_sys::{mi_option_set_default, mi_option_t};

/// `mi_option_purge_delay` of mimalloc 2.3; the bindings do not name it.
const PURGE_DELAY: mi_option_t = 15;
/// Milliseconds. Ten times that for whole segments.
const KEPT_MS: i64 = 100;

/// Keeps freed memory for a while. For the first line of a program, when no other thread is there yet;
/// `MIMALLOC_PURGE_DELAY` in its environment says otherwise.
pub fn keep_freed_memory() {
    // SAFETY: mimalloc looks at the number of the option itself; it writes one word, which nobody else reads yet.
    unsafe { mi_option_set_default(PURGE_DELAY, KEPT_MS) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libmimalloc_sys::mi_option_get;

    fn kept_ms() -> i64 {
        // SAFETY: as above; it reads one word.
        unsafe { mi_option_get(PURGE_DELAY) }
    }

    #[test]
    fn the_option_is_the_one_that_is_meant() {
        assert_eq!(kept_ms(), 10, "the default of the purge delay in mimalloc 2, and of no option beside it");
        keep_freed_memory();
        assert_eq!(kept_ms(), KEPT_MS);
    }
}
