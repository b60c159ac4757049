#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|input: &[u8]| dmvpn_fuzz::esp_open::run(input));

#[cfg(not(fuzzing))]
fn main() {}
