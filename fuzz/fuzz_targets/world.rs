#![no_main]

libfuzzer_sys::fuzz_target!(|input: &str| wi_fuzz::world(input));
