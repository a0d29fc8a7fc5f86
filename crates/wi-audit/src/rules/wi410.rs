//! A role of a service that takes no federated identity.

use super::prelude::*;

pub static RULE: Audited = Audited {
    rule: Rule {
        id: "WI410",
        severity: Severity::High,
        title: "A Kubernetes service account has a role of a service that takes no federated identity",
        help: "The call fails whatever the policy says. Let it act as a Google service account: impersonates, in the spec.",
        can_be_accepted: true,
    },
    reads: &[],
    offline: true,
    decides: "The spec grants a role of App Engine, Cloud Profiler, Deployment Manager, Cloud Source Repositories, Endpoints, Looker, Pub/Sub Lite, the login of Cloud SQL, or the invocation of Cloud Run or Cloud Run functions, to a Kubernetes service account itself.",
    references: &["Google: federated identity supported services"],
    check,
};

/// What such roles begin with, and the service.
const NOT_TAKEN: [(&str, &str); 12] = [
    ("roles/appengine.", "App Engine"),
    ("roles/cloudprofiler.", "Cloud Profiler"),
    ("roles/deploymentmanager.", "Deployment Manager"),
    ("roles/source.", "Cloud Source Repositories"),
    ("roles/servicemanagement.", "Cloud Endpoints"),
    ("roles/looker.", "Looker (core)"),
    ("roles/enterpriseknowledgegraph.", "Enterprise Knowledge Graph"),
    ("roles/pubsublite.", "Pub/Sub Lite"),
    ("roles/run.invoker", "Cloud Run, which takes ID tokens of Google service accounts"),
    ("roles/cloudfunctions.invoker", "Cloud Run functions, which take ID tokens of Google service accounts"),
    ("roles/cloudsql.instanceUser", "the database login of Cloud SQL"),
    ("roles/cloudtranslate.", "Translation"),
];

fn check(world: &World, out: &mut Out) {
    for (key, place) in &world.desired.bindings {
        if !matches!(key.member, Member::Ksa(_)) || key.is_impersonation() {
            continue;
        }
        let role = key.role.as_str();
        if let Some((_, service)) = NOT_TAKEN.iter().find(|(start, _)| role.starts_with(start)) {
            let subject = world.desired.binding_address(key).to_string();
            let place = world.place(Some(place), &[]);
            let what = format!("{service}: no federated identity is taken");
            out.found(&subject, what, place).fix = Some("impersonates: an account with the role, in place of grants".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::*;

    #[test]
    fn fires_for_itself_and_not_for_an_account() {
        let own = |role: &str| SPEC.replace("{ impersonates: web }", &format!("{{ grants: [{role}] }}"));
        by_spec(&super::RULE, &own("roles/cloudprofiler.agent"), &own("roles/pubsub.publisher"));
        by_spec(&super::RULE, &own("roles/appengine.deployer"), &SPEC.replace("grants: [", "grants: [roles/appengine.deployer, "));
    }
}
