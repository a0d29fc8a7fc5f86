#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| wi_fuzz::answers(input));
