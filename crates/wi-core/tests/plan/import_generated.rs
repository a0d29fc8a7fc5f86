//! Any state that a spec was applied to comes back as a spec that asks for the same.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use wi_core::desired::Desired;
use wi_core::names::Member;
use wi_core::plan;

use crate::import::made;
use crate::support::*;

/// Draws the same for the same seed.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("a number") % n
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    /// Some of them, at least so many.
    fn some<'a>(&mut self, of: &[&'a str], least: usize) -> Vec<&'a str> {
        loop {
            let drawn: Vec<&str> = of.iter().copied().filter(|_| self.below(2) == 0).collect();
            if drawn.len() >= least {
                return drawn;
            }
        }
    }
}

const WHEN: [&str; 4] = [
    "",
    "",
    ", expires: 2027-01-01",
    ", condition: { title: office, description: \"a: b\", expression: 'request.time.getHours() < 18' }",
];

const GRANTS: [&str; 5] = [
    "{ role: roles/storage.objectViewer, resource: bucket/acme-receipts }",
    "{ role: roles/pubsub.publisher, resource: topic/acme-prod/orders }",
    "{ role: roles/pubsub.publisher, resource: topic/acme-prod/orders, expires: 2027-01-01 }",
    "{ role: roles/logging.logWriter, resource: project/acme-prod }",
    "{ role: roles/iam.serviceAccountTokenCreator, resource: serviceaccount/apple-a@acme-prod.iam.gserviceaccount.com }",
];

fn grants(draw: &mut Draw) -> String {
    format!("[{}]", draw.some(&GRANTS, 0).join(", "))
}

/// How a service account reaches Google.
fn access(draw: &mut Draw, accounts: &[&str]) -> String {
    if draw.below(3) == 0 {
        return format!("grants: {}", grants(draw));
    }
    let account = draw.one(accounts);
    let when = draw.one(&WHEN);
    let through = draw.one(&["", "", "", ", through: project/acme-prod"]);
    let own = match draw.below(3) {
        0 => format!(", ownGrants: {}", grants(draw)),
        _ => String::new(),
    };
    format!("impersonates: {{ account: {account}{through}{when} }}{own}")
}

fn spec(draw: &mut Draw) -> String {
    let clusters = &["c1", "c2", "c3", "lab"][..1 + draw.below(4)];
    let accounts = &["apple-a", "apple-b", "apple-c"][..1 + draw.below(3)];
    let mut text = "apiVersion: wi/v1\nname: shop\nproject: acme-prod\nclusters:\n".to_owned();
    for name in clusters {
        let project = if *name == "lab" {
            "project: acme-lab, "
        } else {
            ""
        };
        let pools = draw.one(&["", "", ", nodePools: { exclude: [old] }"]);
        text += &format!("  {name}: {{ {project}location: europe-west1{pools} }}\n");
    }
    text += "googleServiceAccounts:\n";
    for name in accounts {
        let mut users = draw.some(&["batch/x", "acme-lab/batch/y", "batch/*"], 0);
        let when = draw.one(&WHEN);
        let limited = format!("{{ user: batch/z{when} }}");
        users.push(&limited);
        let users = users.iter().map(|u| match u.contains('*') {
            true => format!("\"{u}\""),
            false => (*u).to_owned(),
        });
        let users = users.collect::<Vec<_>>().join(", ");
        let keep = draw.one(&["", ", onRemove: delete", ", displayName: \"A: b\""]);
        text += &format!(
            "  {name}: {{ users: [{users}], grants: {}{keep} }}\n",
            grants(draw)
        );
    }
    text += "namespaces:\n";
    for namespace in ["shop", "pay"] {
        let on = draw.some(clusters, 1);
        text += &format!(
            "  {namespace}:\n    clusters: [{}]\n    serviceAccounts:\n",
            on.join(", ")
        );
        for name in ["web", "job", "api"] {
            let own = draw.some(&on, 1);
            let existing = draw.one(&["", "", ", existing: true"]);
            let over = match draw.below(2) {
                0 => String::new(),
                _ => format!(
                    ", overrides: [{{ clusters: [{}], {} }}]",
                    own[draw.below(own.len())],
                    access(draw, accounts)
                ),
            };
            text += &format!(
                "      {name}: {{ clusters: [{}], {}{existing}{over} }}\n",
                own.join(", "),
                access(draw, accounts)
            );
        }
    }
    text
}

/// What is there once a spec is applied.
fn applied(desired: &Desired) -> Value {
    let mut world = json!({
        "clusters": {}, "kubernetes": {}, "numbers": { "acme-prod": 42, "acme-lab": 77 },
        "accounts": { "acme-prod": {}, "acme-lab": {} }, "uniform": { "acme-receipts": true },
        "policies": { "project/acme-prod": { "bindings": [] }, "project/acme-lab": { "bindings": [] } },
    });
    for (name, of) in &desired.clusters {
        let pools = match of.node_pools.select("old") {
            true => json!({ "p1": pool("GKE_METADATA") }),
            false => json!({ "p1": pool("GKE_METADATA"), "old": pool("GCE_METADATA") }),
        };
        let pool = of.path.project.workload_pool();
        let settings = json!({ "workloadIdentityConfig": { "workloadPool": pool } });
        world["clusters"][name] = with(cluster(name, pools), settings);
        world["kubernetes"][name] = json!({ "Namespace": {}, "ServiceAccount": {} });
    }
    for account in desired.accounts.values() {
        let mark = match account.on_remove {
            Some(_) => "[wi:shop delete]",
            None => "[wi:shop]",
        };
        let id = account.email.account_id();
        world["accounts"]["acme-prod"][id] = json!({ "uniqueId": id, "description": mark, "displayName": account.display_name.clone().unwrap_or_default() });
        world["policies"][format!("serviceaccount/{}", account.email)] = json!({ "bindings": [] });
    }
    for key in desired.namespaces.keys() {
        world["kubernetes"][&key.cluster]["Namespace"][key.namespace.as_str()] = json!({});
    }
    for (key, ksa) in &desired.ksas {
        let account = ksa.account.as_ref().map(|a| a.as_str());
        let object = match ksa.existing {
            true => with(
                annotated(account, "helm"),
                json!({ "metadata": { "annotations": { "meta.helm.sh/release-name": "web" } } }),
            ),
            false => ours(account),
        };
        world["kubernetes"][&key.cluster]["ServiceAccount"]
            [format!("{}/{}", key.namespace, key.name)] = object;
    }
    let mut policies: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for key in desired.bindings.keys() {
        let number = |pool: &str| if pool.starts_with("acme-lab") { 77 } else { 42 };
        let member = match &key.member {
            Member::ServiceAccount(email) => format!("serviceAccount:{email}"),
            Member::Ksa(ksa) if key.is_impersonation() => ksa.legacy_member(),
            Member::Ksa(ksa) => ksa.principal(number(&ksa.pool)),
            Member::Set(set) => set.member(number(&set.pool)),
            other => other.to_string(),
        };
        let mut binding = json!({ "role": key.role.as_str(), "members": [member] });
        if let Some(condition) = &key.condition {
            binding["condition"] = json!(condition);
        }
        let on = policies.entry(key.resource.to_string()).or_default();
        on.push(binding);
    }
    for (resource, bindings) in policies {
        world["policies"][resource] = json!({ "bindings": bindings });
    }
    world
}

/// What a spec asks for, whatever it calls things.
fn asked(desired: &Desired) -> Value {
    // One that others make and that has nothing needs no words.
    let others = desired
        .bindings
        .keys()
        .filter(|key| !key.is_impersonation());
    let others: BTreeSet<&Member> = others.map(|key| &key.member).collect();
    let has_some = |member: Member| others.contains(&member);
    let told = desired.ksas.iter().filter(|(_, ksa)| {
        !ksa.existing || ksa.account.is_some() || has_some(Member::Ksa(ksa.identity.clone()))
    });
    let ksas = told.map(|(key, ksa)| {
        let account = ksa.account.as_ref().map(|a| a.as_str());
        json!([key.to_string(), account, ksa.existing])
    });
    let accounts: BTreeSet<String> = desired
        .accounts
        .values()
        .map(|a| {
            format!(
                "{} {} {:?} {:?}",
                a.email, a.managed, a.on_remove, a.display_name
            )
        })
        .collect();
    let pools = desired.clusters.iter();
    let pools =
        pools.map(|(name, c)| json!([name, c.path.to_string(), c.node_pools.select("old")]));
    let bindings = desired.bindings.keys().map(|key| format!("{key:?}"));
    json!({ "ksas": ksas.collect::<Vec<_>>(), "accounts": accounts, "clusters": pools.collect::<Vec<_>>(), "bindings": bindings.collect::<Vec<_>>() })
}

#[test]
fn any_spec_that_was_applied_comes_back_as_one_that_asks_for_the_same() {
    let is_full = std::env::var("WI_PROOFS").is_ok_and(|v| v == "full");
    for seed in 0..if is_full { 300 } else { 30 } {
        let mut draw = Draw(seed);
        (0..5).for_each(|_| _ = draw.below(2));
        let text = spec(&mut draw);
        let desired = desired(&text);
        let world = applied(&desired);
        let there = plan::plan(&desired, &live(&world), &options());
        assert_eq!(changes(&there), [""; 0], "seed {seed}:\n{text}");
        assert_eq!(errors(&there), [""; 0], "seed {seed}:\n{text}");
        let made = made(&world);
        assert_eq!(
            made.proof.against, [""; 0],
            "seed {seed}:\n{text}\n{}",
            made.text
        );
        assert_eq!(
            made.adopted(),
            [""; 0],
            "seed {seed}:\n{text}\n{}",
            made.text
        );
        let (before, after) = (asked(&desired), asked(&made.desired));
        for what in ["clusters", "accounts", "ksas", "bindings"] {
            assert_eq!(
                after[what], before[what],
                "seed {seed}: {what} of\n{text}\n{}",
                made.text
            );
        }
    }
}
