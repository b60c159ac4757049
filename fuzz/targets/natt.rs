#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| dmvpn_fuzz::natt::run(input));

#[cfg(not(fuzzing))]
fn main() {}
