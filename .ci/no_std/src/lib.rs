//! Links every library crate of the suite without the standard library.
//!
//! If any of them pulled `std` in, this would fail with a duplicate `panic_impl` lang item.
#![no_std]

extern crate dmvpn_core as _;
extern crate dmvpn_esp as _;
extern crate dmvpn_gre as _;
extern crate dmvpn_isakmp as _;
extern crate dmvpn_nhrp as _;
extern crate dmvpn_time as _;

use core::alloc::{GlobalAlloc, Layout};

struct NoMemory;

// SAFETY: it never hands out memory, which `GlobalAlloc` allows.
unsafe impl GlobalAlloc for NoMemory {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }
    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: NoMemory = NoMemory;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
