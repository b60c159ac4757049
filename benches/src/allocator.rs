//! An allocator that counts: how much is allocated now, and how often that was done. A program that asks declares it
//! as its own; in all others the counts stay zero.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};

/// The system's allocator, with counters in front.
pub struct Counting;

static LIVE: AtomicI64 = AtomicI64::new(0);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

/// What is allocated per size, for whoever asks where the memory is.
static BY_SIZE: [AtomicI64; 16_384] = [const { AtomicI64::new(0) }; 16_384];

fn count(size: usize, by: i64) {
    LIVE.fetch_add(by * size as i64, Relaxed);
    BY_SIZE[size.min(BY_SIZE.len() - 1)].fetch_add(by, Relaxed);
}

// SAFETY: every call goes to `System` unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        count(layout.size(), 1);
        // SAFETY: the caller's promise is `System`'s.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        // SAFETY: the caller's promise is `System`'s.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        count(layout.size(), -1);
        count(size, 1);
        // SAFETY: the caller's promise is `System`'s.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

/// Octets allocated and not freed.
pub fn live() -> i64 {
    LIVE.load(Relaxed)
}

/// Allocations and reallocations so far.
pub fn allocations() -> u64 {
    ALLOCATIONS.load(Relaxed)
}

/// How many allocations of each size live; the last is of all larger ones.
pub fn by_size() -> Vec<i64> {
    BY_SIZE.iter().map(|count| count.load(Relaxed)).collect()
}
