//! What the API offers: `/api`, `/apis`, `/version`, in the plain and in the aggregated form.

use serde_json::{Value, json};

use super::store::Kind;

/// The content type of the aggregated form, which kubectl asks for first.
pub const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

const REVIEWS: &str = "selfsubjectaccessreviews";

/// The document of a discovery path; `aggregated` as the client accepts it.
pub fn document(path: &str, aggregated: bool) -> Option<Value> {
    Some(match (path, aggregated) {
        ("/api", true) => aggregate("", core_resources()),
        ("/apis", true) => aggregate("authorization.k8s.io", vec![reviews()]),
        ("/api", false) => json!({
            "kind": "APIVersions",
            "versions": ["v1"],
            "serverAddressByClientCIDRs": [],
        }),
        ("/apis", false) => json!({
            "kind": "APIGroupList",
            "apiVersion": "v1",
            "groups": [group()],
        }),
        ("/apis/authorization.k8s.io", _) => {
            let mut group = group();
            group["kind"] = json!("APIGroup");
            group["apiVersion"] = json!("v1");
            group
        }
        ("/api/v1", _) => {
            let resources: Vec<Value> = Kind::ALL.iter().map(|kind| plain(*kind)).collect();
            resource_list("v1", &resources)
        }
        ("/apis/authorization.k8s.io/v1", _) => resource_list(
            "authorization.k8s.io/v1",
            &[json!({
                "name": REVIEWS,
                "singularName": "selfsubjectaccessreview",
                "namespaced": false,
                "kind": "SelfSubjectAccessReview",
                "verbs": ["create"],
            })],
        ),
        ("/version", _) => json!({
            "major": "1",
            "minor": "32",
            "gitVersion": "v1.32.4-gke.1000000",
            "gitCommit": "",
            "gitTreeState": "clean",
            "buildDate": "2025-04-23T00:00:00Z",
            "goVersion": "",
            "compiler": "",
            "platform": "linux/amd64",
        }),
        _ => return None,
    })
}

fn resource_list(group_version: &str, resources: &[Value]) -> Value {
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": resources,
    })
}

fn group() -> Value {
    let version = json!({ "groupVersion": "authorization.k8s.io/v1", "version": "v1" });
    json!({
        "name": "authorization.k8s.io",
        "versions": [version],
        "preferredVersion": version,
    })
}

fn short_names(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Namespace => &["ns"],
        Kind::Node => &["no"],
        Kind::Pod => &["po"],
        Kind::ServiceAccount => &["sa"],
    }
}

const VERBS: [&str; 6] = ["create", "delete", "get", "list", "patch", "update"];

fn plain(kind: Kind) -> Value {
    json!({
        "name": kind.plural(),
        "singularName": kind.name().to_lowercase(),
        "namespaced": kind.namespaced(),
        "kind": kind.name(),
        "verbs": VERBS,
        "shortNames": short_names(kind),
    })
}

fn core_resources() -> Vec<Value> {
    let resource = |kind: &Kind| {
        json!({
            "resource": kind.plural(),
            "responseKind": { "group": "", "version": "v1", "kind": kind.name() },
            "scope": if kind.namespaced() { "Namespaced" } else { "Cluster" },
            "singularResource": kind.name().to_lowercase(),
            "verbs": VERBS,
            "shortNames": short_names(*kind),
        })
    };
    Kind::ALL.iter().map(resource).collect()
}

fn reviews() -> Value {
    json!({
        "resource": REVIEWS,
        "responseKind": {
            "group": "authorization.k8s.io", "version": "v1", "kind": "SelfSubjectAccessReview",
        },
        "scope": "Cluster",
        "singularResource": "selfsubjectaccessreview",
        "verbs": ["create"],
    })
}

fn aggregate(group: &str, resources: Vec<Value>) -> Value {
    let mut metadata = json!({ "creationTimestamp": null });
    if !group.is_empty() {
        metadata["name"] = json!(group);
    }
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": [{
            "metadata": metadata,
            "versions": [{ "version": "v1", "resources": resources, "freshness": "Current" }],
        }],
    })
}
