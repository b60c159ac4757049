//! Secrets, as valgrind's memcheck sees them: octets that are marked as undefined may be computed with, but it reports every
//! jump and every address that depends on one.

use std::arch::asm;

/// Memcheck's requests, from its `memcheck.h`.
const RUNNING_ON_VALGRIND: u64 = 0x1001;
const COUNT_ERRORS: u64 = 0x1201;
const MAKE_MEM_UNDEFINED: u64 = 0x4d43_0001;
const MAKE_MEM_DEFINED: u64 = 0x4d43_0002;

/// Whether anybody looks.
pub fn is_running() -> bool {
    request(RUNNING_ON_VALGRIND, &[]) != 0
}

/// How much was reported so far.
pub fn reports() -> u64 {
    request(COUNT_ERRORS, &[])
}

/// From now on, nothing may depend on `octets`.
pub fn conceal(octets: &[u8]) {
    request(MAKE_MEM_UNDEFINED, octets);
}

/// What became of secrets and is none: to be compared with what is expected.
pub fn reveal(octets: &[u8]) {
    request(MAKE_MEM_DEFINED, octets);
}

fn request(code: u64, octets: &[u8]) -> u64 {
    let arguments = [code, octets.as_ptr().addr() as u64, octets.len() as u64, 0, 0, 0];
    let mut result = 0_u64;
    // SAFETY: four rotations that are none together, and an exchange of a register with itself. Valgrind, which runs these
    // instructions in its own way, reads `arguments` and writes `rdx`.
    unsafe {
        asm!(
            "rol rdi, 3",
            "rol rdi, 13",
            "rol rdi, 61",
            "rol rdi, 51",
            "xchg rbx, rbx",
            in("rax") &raw const arguments,
            inout("rdx") result,
            options(nostack),
        );
    }
    result
}
