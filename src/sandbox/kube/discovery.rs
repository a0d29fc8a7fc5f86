//! What the API offers: `/api`, `/apis`, `/version`, in the plain and in the aggregated form.

use serde_json::{Value, json};

use super::store::Kind;

/// The content type of the aggregated form, which kubectl asks for first.
pub const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

const REVIEWS: &str = "selfsubjectaccessreviews";

/// The groups beside the core.
const GROUPS: [&str; 2] = ["authorization.k8s.io", "policy"];

/// The document of a discovery path; `aggregated` as the client accepts it.
pub fn document(path: &str, aggregated: bool) -> Option<Value> {
    if let Some(path) = path.strip_prefix("/apis/") {
        let (name, version) = path.split_once('/').unwrap_or((path, ""));
        let name = GROUPS.into_iter().find(|g| *g == name)?;
        return match version {
            "" => {
                let mut group = group(name);
                group["kind"] = json!("APIGroup");
                group["apiVersion"] = json!("v1");
                Some(group)
            }
            "v1" if name == "authorization.k8s.io" => Some(resource_list(
                "authorization.k8s.io/v1",
                &[json!({
                    "name": REVIEWS,
                    "singularName": "selfsubjectaccessreview",
                    "namespaced": false,
                    "kind": "SelfSubjectAccessReview",
                    "verbs": ["create"],
                })],
            )),
            "v1" => Some(resource_list(&format!("{name}/v1"), &plain_of(name))),
            _ => None,
        };
    }
    Some(match (path, aggregated) {
        ("/api", true) => aggregate(vec![("", resources_of(""))]),
        ("/apis", true) => aggregate(vec![
            ("authorization.k8s.io", vec![reviews()]),
            ("policy", resources_of("policy")),
        ]),
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
        ("/api/v1", _) => resource_list("v1", &plain_of("")),
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

fn group(name: &str) -> Value {
    let version = json!({ "groupVersion": format!("{name}/v1"), "version": "v1" });
    json!({
        "name": name,
        "versions": [version],
        "preferredVersion": version,
    })
}

fn short_names(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Namespace => &["ns"],
        Kind::Node => &["no"],
        Kind::Pod => &["po"],
        Kind::PodDisruptionBudget => &["pdb"],
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

fn plain_of(group: &str) -> Vec<Value> {
    Kind::of_group(group).map(plain).collect()
}

fn resources_of(group: &str) -> Vec<Value> {
    let resource = |kind: Kind| {
        json!({
            "resource": kind.plural(),
            "responseKind": { "group": kind.group(), "version": "v1", "kind": kind.name() },
            "scope": if kind.namespaced() { "Namespaced" } else { "Cluster" },
            "singularResource": kind.name().to_lowercase(),
            "verbs": VERBS,
            "shortNames": short_names(kind),
        })
    };
    Kind::of_group(group).map(resource).collect()
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

fn aggregate(groups: Vec<(&str, Vec<Value>)>) -> Value {
    let items: Vec<Value> = groups
        .into_iter()
        .map(|(group, resources)| {
            let mut metadata = json!({ "creationTimestamp": null });
            if !group.is_empty() {
                metadata["name"] = json!(group);
            }
            json!({
                "metadata": metadata,
                "versions": [{ "version": "v1", "resources": resources, "freshness": "Current" }],
            })
        })
        .collect();
    json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    })
}
