//! Any bytes as what an API answers.

#![no_main]

use libfuzzer_sys::fuzz_target;
use wi::gcp::container::ClusterList;
use wi::gcp::iam::ServiceAccount;
use wi::gcp::policies::Policy;
use wi::http::ApiError;
use wi::identity::Member;
use wi::kube::ObjectMeta;
use wi::kube::pods::Pod;

fuzz_target!(|bytes: &[u8]| {
    let _ = serde_json::from_slice::<ClusterList>(bytes);
    let _ = serde_json::from_slice::<ServiceAccount>(bytes);
    let _ = serde_json::from_slice::<ObjectMeta>(bytes);
    let _ = serde_json::from_slice::<Pod>(bytes);
    if let Ok(policy) = serde_json::from_slice::<Policy>(bytes) {
        for member in policy.bindings.iter().flat_map(|b| &b.members) {
            drop(Member::parse(member));
        }
    }
    drop(ApiError::from_answer("GET", "https://x/", 403, bytes).for_user());
});
