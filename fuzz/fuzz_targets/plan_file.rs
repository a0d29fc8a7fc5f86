//! Any bytes as a plan file; and any JSON as what is in one, shown in every form.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wi::plan::file::PlanFile;
use wi::render;

fuzz_target!(|bytes: &[u8]| {
    let _ = PlanFile::decode(bytes);
    if let Ok(file) = serde_json::from_slice::<PlanFile>(bytes) {
        drop(render::text::plan(&file.plan, 80, true));
        let about = render::markdown::About::default();
        drop(render::markdown::plan(&file.plan, &about, 60_000));
        drop(file.plan.digest());
    }
});
