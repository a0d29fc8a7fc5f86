//! The example that is applied, its calls, and how its objects are named.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use wi_sandbox::World;

use crate::support::inside::{Inside, runtime};

pub const APPLY: [&str; 3] = ["apply", "wi.yaml", "--auto-approve"];

/// The example `shop`: two clusters in two projects, one of them moved half-way.
pub struct Shop {
    pub spec: String,
    world: World,
}

/// Calls that differ in their objects alone, each as a fault's `match`.
pub type Calls = Vec<String>;

impl Shop {
    pub fn load() -> Self {
        let read = |file: &str| {
            let path = format!("{}/examples/shop/{file}", env!("CARGO_MANIFEST_DIR"));
            std::fs::read_to_string(path).expect(file)
        };
        let world = format!("{}timeScale: 2000\n", read("world.yaml"));
        Self {
            spec: read("wi.yaml"),
            world: World::parse(&world, "world.yaml").expect("a valid world"),
        }
    }

    pub async fn open(&self) -> Inside {
        Inside::start(&self.spec, self.world.clone()).await
    }

    /// Where what takes the servers time takes none: for a client whose own clock is not theirs.
    pub async fn open_at_once(&self) -> Inside {
        let mut world = self.world.clone();
        world.time_scale *= 1000.0;
        Inside::start(&self.spec, world).await
    }

    /// All calls of an undisturbed apply.
    pub fn calls(&self) -> Vec<Calls> {
        let calls = runtime().block_on(async {
            let inside = self.open().await;
            inside.wi(&APPLY).await.ok();
            inside.sandbox.calls()
        });
        let all: BTreeSet<String> = calls["calls"]
            .as_array()
            .expect("calls")
            .iter()
            .map(pattern)
            .collect();
        let mut alike: BTreeMap<String, Calls> = BTreeMap::new();
        for call in all {
            alike.entry(shape(&call)).or_default().push(call);
        }
        alike.into_values().collect()
    }
}

/// A call as a fault's `match`: what differs from run to run is left open, and what follows is not meant.
pub fn pattern(call: &Value) -> String {
    let text = |field: &str| call[field].as_str().expect("a text").to_owned();
    let mut path = text("path");
    if let Some(rest) = path.strip_prefix("/kubernetes/") {
        let rest = rest.splitn(4, '/').nth(3).expect("a path");
        path = format!("/{rest}");
    }
    if let Some((before, _)) = path.split_once("/operations/") {
        return format!("{} {before}/operations/", text("method"));
    }
    let end = if text("query").is_empty() { "$" } else { "?" };
    format!("{} {path}{end}", text("method"))
}

/// Whether a call, as `METHOD URL`, is one of a pattern of [`pattern`]'s.
pub fn is_meant(pattern: &str, call: &str) -> bool {
    let Some((method, url)) = call.split_once(' ') else {
        return false;
    };
    let path = url
        .split_once("://")
        .and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]));
    let call = format!("{method} {}", path.unwrap_or_default());
    match pattern.strip_suffix('$') {
        Some(whole) => call == whole,
        None => call.starts_with(pattern),
    }
}

/// The call without the names of its objects. Each policy is something of its own.
fn shape(call: &str) -> String {
    if call.contains("etIamPolicy") {
        return call.to_owned();
    }
    let lists = [
        "projects",
        "locations",
        "clusters",
        "nodePools",
        "serviceAccounts",
        "serviceaccounts",
        "b",
        "roles",
    ];
    let mut shape = Vec::new();
    let mut of_list = false;
    for part in call.split('/') {
        let verb = part.find([':', '?', '$']).unwrap_or(part.len());
        shape.push(match of_list {
            true => format!("*{}", &part[verb..]),
            false => part.to_owned(),
        });
        of_list = lists.contains(&part);
    }
    shape.join("/")
}

/// How what a call is about may be named to the user: any of each.
pub fn objects(call: &str) -> Vec<Vec<&'static str>> {
    const EU: &str = "prod-eu";
    const US: &str = "prod-us";
    let (method, path) = call.split_once(' ').expect("a method and a path");
    let one = |names: &[&'static str]| vec![names.to_vec()];
    if path.starts_with("/api") {
        for (account, eu, us) in [
            (
                "/checkout",
                "ksa.prod-eu/shop/checkout",
                "ksa.prod-us/shop/checkout",
            ),
            (
                "/billing",
                "ksa.prod-eu/shop/billing",
                "ksa.prod-us/shop/billing",
            ),
            (
                "/reporter",
                "ksa.prod-eu/shop/reporter",
                "ksa.prod-us/shop/reporter",
            ),
        ] {
            if path.contains(account) {
                return vec![vec![eu], vec![us]];
            }
        }
        return match method {
            "PATCH" => one(&["namespace.prod-us/shop"]),
            // Whether it is there is looked up right before it is made.
            _ if path.contains("/namespaces/shop") => one(&["namespace.prod-us/shop"]),
            _ => vec![vec!["cluster.prod-eu"], vec!["cluster.prod-us"]],
        };
    }
    for (part, names) in [
        ("/projects/acme-prod/locations/", &[EU][..]),
        ("/projects/acme-us/locations/", &[US]),
        (
            "/serviceAccounts/checkout@",
            &["gsa.checkout", "binding.checkout"],
        ),
        (
            "/serviceAccounts/legacy@",
            &["binding.legacy", "legacy@old-project"],
        ),
        (
            "/acme-prod/serviceAccounts",
            &["gsa.checkout", "project/acme-prod"],
        ),
        ("/b/acme-inbox", &["bucket/acme-inbox"]),
        ("/b/acme-receipts", &["bucket/acme-receipts"]),
        ("/secrets/", &["secret/acme-prod/stripe-key"]),
        ("/datasets/", &["dataset/acme-prod/sales"]),
        ("/roles/bigquery.dataViewer", &["roles/bigquery.dataViewer"]),
        ("/roles/cloudsql.client", &["roles/cloudsql.client"]),
        (
            "/roles/secretmanager",
            &["roles/secretmanager.secretAccessor"],
        ),
        ("/roles/storage.objectUser", &["roles/storage.objectUser"]),
        (
            "/roles/storage.objectViewer",
            &["roles/storage.objectViewer"],
        ),
        (
            "/projects/acme-prod",
            &["project/acme-prod", "acme-prod.svc.id.goog"],
        ),
        (
            "/projects/acme-us",
            &["project/acme-us", "acme-us.svc.id.goog"],
        ),
        ("/projects/old-project", &["project/old-project"]),
    ] {
        if path.contains(part) {
            return one(names);
        }
    }
    panic!("what is {call} about?");
}

/// What others have in the world, which must stay.
pub fn of_others(inside: &Inside) -> Vec<String> {
    let mut lines = Vec::new();
    collect(&inside.world(), &mut lines);
    lines.sort();
    lines
}

/// Members that are none of this spec's.
fn collect(value: &Value, lines: &mut Vec<String>) {
    match value {
        Value::String(text) if text.contains("group:") || text.contains("user:") => {
            lines.push(text.clone());
        }
        Value::Array(items) => items.iter().for_each(|v| collect(v, lines)),
        Value::Object(fields) => fields.values().for_each(|v| collect(v, lines)),
        _ => {}
    }
}

/// One fault at each of the calls.
pub fn inject(inside: &Inside, calls: &[String], fault: &Value) {
    for call in calls {
        let mut fault = fault.clone();
        fault["match"] = json!(call);
        inside.inject(&fault);
    }
}
