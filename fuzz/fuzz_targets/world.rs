//! Any text as a world.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = wi::sandbox::World::parse(text, "world.yaml");
});
