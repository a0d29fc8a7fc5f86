//! Any text as a spec: read or refused, and all that follows offline.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wi::desired::Desired;
use wi::spec::{Source, load_sources};

fuzz_target!(|text: &str| {
    // Without this line nothing would be looked at.
    let text = format!("apiVersion: wi/v1\n{text}");
    match load_sources(vec![Source::new("wi.yaml".to_owned(), text)]) {
        Ok(spec) => drop(Desired::of(&spec)),
        Err(errors) => drop(errors.render(80, false)),
    }
});
