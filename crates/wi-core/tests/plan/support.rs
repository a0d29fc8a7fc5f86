//! Specs as text and live states as data, so that a test says all that its plan is made of; and what plans say.

use serde_json::Value;
use wi_core::desired::Desired;
use wi_core::plan::{self, Action, Options, Plan};
use wi_core::spec::{Source, load_sources};

pub use crate::objects::*;
pub use crate::world::live;

/// A Google service account with a role, a Kubernetes one that acts as it, and one with a role of its own.
pub const SPEC: &str = "apiVersion: wi/v1
name: shop
project: acme-prod
clusters: { main: { location: europe-west1 } }
googleServiceAccounts:
  checkout: { grants: [{ role: roles/pubsub.publisher, resource: topic/orders }] }
namespaces:
  shop:
    serviceAccounts:
      checkout: { impersonates: checkout }
      worker: { grants: [{ role: roles/storage.objectViewer, resource: bucket/acme-receipts }] }
";

pub const CHECKOUT: &str = "checkout@acme-prod.iam.gserviceaccount.com";
pub const POOL: &str = "acme-prod.svc.id.goog";
pub const GSA: &str = "iam.gke.io/gcp-service-account";

pub fn desired(spec: &str) -> Desired {
    let source = Source::new("wi.yaml".to_owned(), spec.to_owned());
    match load_sources(vec![source]) {
        Ok(spec) => Desired::of(&spec),
        Err(e) => panic!("{}", e.render(120, false)),
    }
}

pub fn options() -> Options {
    Options {
        now: "2026-11-30T12:00:00Z".parse().ok(),
        ..Options::default()
    }
}

pub fn plan(spec: &str, world: Value) -> Plan {
    plan_with(spec, world, &options())
}

pub fn plan_with(spec: &str, world: Value, options: &Options) -> Plan {
    plan::plan(&desired(spec), &live(&world), options)
}

/// Of those who accept that others lose what the spec does not give them.
pub fn accepting(spec: &str, world: Value) -> Plan {
    let options = Options {
        accept_loss: true,
        ..options()
    };
    plan_with(spec, world, &options)
}

/// Every change: `+`, `~` or `-`, and its address.
pub fn changes(plan: &Plan) -> Vec<String> {
    let changes = plan.changes.iter().map(|(address, change)| {
        let sign = match change.action() {
            Action::Create => '+',
            Action::Update => '~',
            Action::Delete => '-',
        };
        format!("{sign} {address}")
    });
    changes.collect()
}

/// What a change waits for.
pub fn needs<'a>(plan: &'a Plan, address: &str) -> Vec<&'a str> {
    let change = plan.changes.get(address);
    let change = change.unwrap_or_else(|| panic!("{address}: {:?}", changes(plan)));
    change.needs.iter().map(|need| &**need).collect()
}

pub fn notes(plan: &Plan, address: &str) -> String {
    let change = plan.changes.get(address);
    let change = change.unwrap_or_else(|| panic!("{address}: {:?}", changes(plan)));
    change.notes.join("\n")
}

/// Every error: what it is about, and its message.
pub fn errors(plan: &Plan) -> Vec<String> {
    let errors = plan.errors.iter();
    errors
        .map(|e| format!("{}: {}", e.subject, e.message))
        .collect()
}

/// Everything unseen, and why.
pub fn unseen(plan: &Plan) -> Vec<String> {
    let unseen = plan.unseen.iter();
    unseen.map(|u| format!("{}: {}", u.what, u.why)).collect()
}

/// Everything held back, and why.
pub fn held(plan: &Plan) -> Vec<String> {
    let held = plan.held_back.iter();
    held.map(|h| format!("{}: {:?}", h.address, h.why))
        .collect()
}

/// Whether one of the texts has all of these parts.
#[track_caller]
pub fn says(texts: &[String], parts: &[&str]) {
    let good = |text: &String| parts.iter().all(|part| text.contains(part));
    assert!(texts.iter().any(good), "{parts:?}: {texts:#?}");
}
