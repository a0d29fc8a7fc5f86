//! Where policies are.

use wi_core::resource::Resource;

use crate::http::Http;

/// Where the policy of a resource is, with what follows its path.
pub(super) fn policy_url(http: &Http, resource: &Resource, rest: &str) -> String {
    let path = format!("{}{rest}", resource.path());
    match resource {
        Resource::Named(named) if named.kind.short == "regional-secret" => {
            http.regional_url(named.kind.api, &named.names[1], &path)
        }
        _ => http.url(resource.kind().api, &path),
    }
}
