//! What left the spec: policies in which its principals have something still, beside those that it names.

use std::collections::BTreeSet;

use wi_client::http::Http;
use wi_core::desired::Desired;
use wi_core::live::Live;
use wi_core::plan::Left;
use wi_core::resource::Resource;

use super::read_policies;

/// Reads the policies that `live` does not have.
pub async fn read(http: &Http, desired: &Desired, live: &mut Live) {
    let left = Left::of(desired, live);
    // Who may act as an account of others is in its own policy.
    let acted_as = left.accounts().cloned().map(Resource::ServiceAccount);
    let mut wanted: BTreeSet<Resource> = acted_as.collect();
    wanted.retain(|resource| !live.policies.contains_key(resource));
    live.policies.extend(read_policies(http, wanted).await);
}
