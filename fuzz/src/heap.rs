//! A heap that counts, so that a target can bound what a parser allocates.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    static HELD: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

struct Counting;

#[global_allocator]
static HEAP: Counting = Counting;

fn taken(bytes: usize) {
    // A thread that ends has no count any more, and none is needed.
    let _ = HELD.try_with(|held| {
        let (now, peak) = held.get();
        let now = now.saturating_add(bytes);
        held.set((now, peak.max(now)));
    });
}

fn given_back(bytes: usize) {
    let _ = HELD.try_with(|held| {
        let (now, peak) = held.get();
        held.set((now.saturating_sub(bytes), peak));
    });
}

// SAFETY: everything is passed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        taken(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        taken(bytes);
        given_back(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.realloc(pointer, layout, bytes) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        given_back(layout.size());
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// What `parse` gives. It must not hold more than `bytes_max` bytes at any time, besides what is held already.
///
/// # Panics
/// If it does.
pub fn within<T>(bytes_max: usize, parse: impl FnOnce() -> T) -> T {
    let before = HELD.with(|held| {
        let (now, _) = held.get();
        held.set((now, now));
        now
    });
    let parsed = parse();
    let peak = HELD.with(Cell::get).1 - before;
    assert!(peak <= bytes_max, "{peak} bytes were held at once, more than {bytes_max}");
    parsed
}
