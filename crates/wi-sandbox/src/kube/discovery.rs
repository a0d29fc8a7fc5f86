//! What the API offers: `/api`, `/apis`, `/version`, in the plain and in the aggregated form.

use serde_json::{Value, json};

use super::kind::{Kind, version_of};
use super::openapi;

/// The content type of the aggregated form, which kubectl asks for first.
pub const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// The groups under `/apis`; `/api` is the core group.
pub const GROUPS: [&str; 7] = [
    "apps",
    REVIEW_GROUP,
    "autoscaling",
    "batch",
    "discovery.k8s.io",
    "networking.k8s.io",
    "policy",
];

const REVIEW_GROUP: &str = "authorization.k8s.io";
const REVIEWS: &str = "selfsubjectaccessreviews";
const VERBS: [&str; 8] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

/// The document of a discovery path; `aggregated` as the client accepts it.
pub fn document(path: &str, aggregated: bool) -> Option<Value> {
    Some(match (path, aggregated) {
        ("/api", true) => aggregate(&[""]),
        ("/apis", true) => aggregate(&GROUPS),
        ("/api", false) => json!({
            "kind": "APIVersions",
            "versions": ["v1"],
            "serverAddressByClientCIDRs": [],
        }),
        ("/apis", false) => json!({
            "kind": "APIGroupList",
            "apiVersion": "v1",
            "groups": GROUPS.map(group),
        }),
        ("/api/v1", _) => resource_list("v1", ""),
        ("/openapi/v2", _) => openapi::json(),
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
        (path, _) => {
            let rest = path.strip_prefix("/apis/")?;
            let name = rest.split('/').next()?;
            GROUPS.contains(&name).then_some(())?;
            if rest != name {
                (rest == format!("{name}/{}", version_of(name))).then_some(())?;
                return Some(resource_list(rest, name));
            }
            let mut group = group(name);
            group["kind"] = json!("APIGroup");
            group["apiVersion"] = json!("v1");
            group
        }
    })
}

fn resource_list(group_version: &str, group: &str) -> Value {
    let resources: Vec<Value> = match group {
        REVIEW_GROUP => vec![json!({
            "name": REVIEWS,
            "singularName": "selfsubjectaccessreview",
            "namespaced": false,
            "kind": "SelfSubjectAccessReview",
            "verbs": ["create"],
        })],
        group => Kind::of_group(group).map(plain).collect(),
    };
    json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": resources,
    })
}

fn group(name: &str) -> Value {
    let served = version_of(name);
    let version = json!({ "groupVersion": format!("{name}/{served}"), "version": served });
    json!({
        "name": name,
        "versions": [version],
        "preferredVersion": version,
    })
}

fn plain(kind: Kind) -> Value {
    json!({
        "name": kind.plural(),
        "singularName": kind.name().to_lowercase(),
        "namespaced": kind.namespaced(),
        "kind": kind.name(),
        "verbs": VERBS,
        "shortNames": kind.short_names(),
    })
}

fn aggregate(groups: &[&str]) -> Value {
    let items: Vec<Value> = groups.iter().map(|group| aggregated_group(group)).collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    })
}

fn aggregated_group(group: &str) -> Value {
    let resources: Vec<Value> = match group {
        REVIEW_GROUP => vec![json!({
            "resource": REVIEWS,
            "responseKind": {
                "group": REVIEW_GROUP, "version": "v1", "kind": "SelfSubjectAccessReview",
            },
            "scope": "Cluster",
            "singularResource": "selfsubjectaccessreview",
            "verbs": ["create"],
        })],
        group => Kind::of_group(group).map(aggregated_resource).collect(),
    };
    let mut metadata = json!({ "creationTimestamp": null });
    if !group.is_empty() {
        metadata["name"] = json!(group);
    }
    json!({
        "metadata": metadata,
        "versions": [{ "version": version_of(group), "resources": resources, "freshness": "Current" }],
    })
}

fn aggregated_resource(kind: Kind) -> Value {
    json!({
        "resource": kind.plural(),
        "responseKind": { "group": kind.group(), "version": version_of(kind.group()), "kind": kind.name() },
        "scope": if kind.namespaced() { "Namespaced" } else { "Cluster" },
        "singularResource": kind.name().to_lowercase(),
        "verbs": VERBS,
        "shortNames": kind.short_names(),
    })
}
