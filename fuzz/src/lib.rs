//! What each fuzz target does with its bytes: nothing of it may panic, hang or grow without bound.
//!
//! `tests/it/fuzzed.rs` does the same, with mutations of its own, on a stable compiler.

use wi::view;
use wi_client::http::ApiError;
use wi_core::desired::Desired;
use wi_core::names::Member;
use wi_core::plan::saved::PlanFile;
use wi_core::resource::Resource;
use wi_core::spec::{Source, load_sources};
use wi_core::wire::budgets::Budget;
use wi_core::wire::container::{ClusterList, Operation};
use wi_core::wire::iam::ServiceAccount;
use wi_core::wire::kubernetes::ObjectMeta;
use wi_core::wire::pods::Pod;
use wi_core::wire::policy::Policy;
use wi_core::wire::upgrade::UpgradeSettings;
use wi_sandbox::World;

/// Any text as a spec: read or refused, and all that follows offline.
pub fn spec(text: &str) {
    match load_sources(vec![Source::new("wi.yaml".to_owned(), text.to_owned())]) {
        Ok(spec) => drop(Desired::of(&spec)),
        Err(errors) => drop(errors.render(80, false)),
    }
}

/// Any bytes as a plan file; and any JSON as what is in one, shown in every form.
pub fn plan_file(bytes: &[u8]) {
    let _ = PlanFile::decode(bytes);
    let Ok(file) = PlanFile::from_json(bytes) else {
        return;
    };
    drop(view::text::plan(&file.plan, 80, true));
    let about = view::markdown::About::default();
    let hash = file.hash();
    drop(view::markdown::plan(&file.plan, &hash, &about, 60_000));
    drop(view::json::plan(&file.plan, &file.desired, &hash));
    drop(file.touched());
}

/// Any text as a world.
pub fn world(text: &str) {
    let _ = World::parse(text, "world.yaml");
}

/// Any bytes as what an API answers.
pub fn answers(bytes: &[u8]) {
    let _ = serde_json::from_slice::<ClusterList>(bytes);
    let _ = serde_json::from_slice::<ServiceAccount>(bytes);
    let _ = serde_json::from_slice::<ObjectMeta>(bytes);
    let _ = serde_json::from_slice::<Pod>(bytes);
    if let Ok(operation) = serde_json::from_slice::<Operation>(bytes) {
        drop((operation.failure(), operation.node_progress()));
    }
    if let Ok(budget) = serde_json::from_slice::<Budget>(bytes) {
        let _ = budget.admits_nothing();
        drop(budget.asks_for());
    }
    if let Ok(settings) = serde_json::from_slice::<UpgradeSettings>(bytes) {
        let _ = (settings.moves_nothing(), settings.rounds(u64::MAX));
        drop(settings.to_label());
    }
    if let Ok(policy) = serde_json::from_slice::<Policy>(bytes) {
        for member in policy.bindings.iter().flat_map(|b| &b.members) {
            drop(Member::parse(member));
        }
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        names(text);
    }
    drop(ApiError::from_answer("GET", "https://x/", 403, bytes).reason());
}

/// Any text as a name that comes from a server or a spec.
fn names(text: &str) {
    drop(UpgradeSettings::from_label(text).map(|s| (s.rounds(7), s.to_label())));
    drop(Resource::parse(text, None).map(|r| (r.path(), r.full_name())));
    drop(Member::parse(text));
    assert!(!wi_core::words::safe(text).chars().any(char::is_control));
}
