//! Whether a pod that is on no node could come to be on one of a node pool. Only a clear no counts as
//! no.

use std::collections::{BTreeMap, BTreeSet};

use crate::wire::budgets::Requirement;
use crate::wire::container::{NodePool, NodeTaint};
use crate::wire::pods::{NodeSelectorTerm, PodSpec, Toleration};

const POOL: &str = "cloud.google.com/gke-nodepool";
const METADATA_SERVER: &str = "iam.gke.io/gke-metadata-server-enabled";

/// A node pool as the scheduler sees it, while it still is on the node's identity.
pub(super) struct Place<'a> {
    pub pool: &'a NodePool,
    /// The labels of its nodes, where it has nodes.
    pub labels: Option<&'a BTreeMap<String, BTreeSet<String>>>,
    /// Which pool each node is of.
    pub pool_of_node: &'a BTreeMap<String, String>,
}

impl Place<'_> {
    pub fn admits(&self, pod: &PodSpec) -> bool {
        match pod.node_name.as_str() {
            "" => self.may_take(pod),
            name => self.has_node(name),
        }
    }

    /// Whether such a pod, made anew, could come here.
    pub fn may_take(&self, pod: &PodSpec) -> bool {
        let required = &pod.affinity.node_affinity;
        let terms = required
            .required_during_scheduling_ignored_during_execution
            .as_ref()
            .map(|s| s.node_selector_terms.as_slice())
            .unwrap_or_default();
        pod.node_selector
            .iter()
            .all(|(key, value)| self.may_have(key, |v| v == Some(value)))
            && (terms.is_empty() || terms.iter().any(|t| self.may_satisfy(t)))
            && self.pool.config.taints.iter().all(|t| is_let_in(pod, t))
    }

    /// A node that is not known could be of any pool.
    fn has_node(&self, name: &str) -> bool {
        self.pool_of_node
            .get(name)
            .is_none_or(|pool| *pool == self.pool.name)
    }

    fn may_satisfy(&self, term: &NodeSelectorTerm) -> bool {
        let fields = term.match_fields.iter().all(|r| {
            r.key != "metadata.name"
                || r.operator != "In"
                || r.values.iter().any(|name| self.has_node(name))
        });
        fields && term.match_expressions.iter().all(|r| self.may_meet(r))
    }

    fn may_meet(&self, r: &Requirement) -> bool {
        self.may_have(&r.key, |value| match r.operator.as_str() {
            "In" => value.is_some_and(|v| r.values.contains(v)),
            "NotIn" => value.is_none_or(|v| !r.values.contains(v)),
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            _ => true, // `Gt`, `Lt`
        })
    }

    /// Whether one of its nodes may have a value of the label that is good.
    fn may_have(&self, key: &str, good: impl Fn(Option<&String>) -> bool) -> bool {
        if key == POOL {
            return good(Some(&self.pool.name));
        }
        if key == METADATA_SERVER {
            return good(None); // a pod that needs it has never lived on the node's identity
        }
        if let Some(value) = self.pool.config.labels.get(key) {
            return good(Some(value));
        }
        let of_nodes = self.labels.map(|l| l.get(key));
        match of_nodes {
            // Of the nodes that there are; others may be in another zone.
            Some(Some(values)) if !differs(key) => values.iter().any(|v| good(Some(v))),
            Some(None) if !differs(key) => good(None),
            // GKE sets labels that are nowhere in the node pool's settings.
            _ if is_set_by_gke(key) => true,
            _ => good(None),
        }
    }
}

/// Labels in which the nodes of one pool differ.
fn differs(key: &str) -> bool {
    key.starts_with("topology.")
        || key.starts_with("failure-domain.")
        || key == "kubernetes.io/hostname"
}

fn is_set_by_gke(key: &str) -> bool {
    let domain = key.split_once('/').map(|(domain, _)| domain);
    domain.is_some_and(|d| {
        ["kubernetes.io", "k8s.io", "google.com", "gke.io"]
            .iter()
            .any(|own| d == *own || d.ends_with(&format!(".{own}")))
    })
}

/// Whether a taint keeps the pod out; those whose tolerations are added at admission do not.
fn is_let_in(pod: &PodSpec, taint: &NodeTaint) -> bool {
    let added = is_set_by_gke(&taint.key) || taint.key.starts_with("nvidia.com/");
    taint.effect == "PREFER_NO_SCHEDULE"
        || added
        || pod.tolerations.iter().any(|t| covers(t, taint))
}

fn covers(toleration: &Toleration, taint: &NodeTaint) -> bool {
    let effect = match taint.effect.as_str() {
        "NO_SCHEDULE" => "NoSchedule",
        _ => "NoExecute",
    };
    let key = toleration.key.is_empty() || toleration.key == taint.key;
    let value = toleration.operator == "Exists" || toleration.value == taint.value;
    key && value && (toleration.effect.is_empty() || toleration.effect == effect)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::plan::fixture::{Case, HEAD};
    use crate::plan::{IdentityEffect, Plan};

    const APP: [&str; 3] = ["apps", "Deployment", "app"];

    /// A Deployment whose pods are on the node pool `here`, beside one named `there`.
    fn case(here: &str, spec: Value) -> Case {
        let mut case = Case::of(HEAD);
        case.node_pool("main", "here", here, json!({}));
        let labels = json!({ "config": { "labels": { "team": "there" } } });
        case.node_pool("main", "there", "GCE_METADATA", labels);
        case.template("main", APP, "default", spec.clone());
        case.pod("main", APP, "default", "here", spec);
        case
    }

    /// Why somebody loses the identity of the nodes of a node pool.
    fn losers(plan: &Plan, pool: &str) -> Vec<String> {
        let address = plan
            .impact
            .keys()
            .find(|a| a.name() == format!("main/{pool}"));
        let impact = &plan.impact[address.expect("an impact")];
        impact
            .workloads
            .keys()
            .filter_map(|fate| match fate {
                IdentityEffect::Loses(why) => Some(why.clone()),
                _ => None,
            })
            .collect()
    }

    fn held(plan: &Plan) -> Vec<&str> {
        plan.held_back.iter().map(|h| h.address.name()).collect()
    }

    #[test]
    fn whoever_may_come_from_another_node_pool_holds_this_one_back() {
        let plan = case("GCE_METADATA", json!({})).plan();
        assert_eq!(losers(&plan, "here"), [""]);
        assert_eq!(
            losers(&plan, "there"),
            ["its pods are on here now, and may come here"]
        );
        assert_eq!(held(&plan), ["main/here", "main/there"]);
    }

    #[test]
    fn what_comes_and_goes_with_time_or_nodes_may_come_wherever_it_fits() {
        for (kind, is_counted) in [
            ("DaemonSet", true),
            ("Job", true),
            ("CronJob", true),
            // Its pods live elsewhere, on an identity of their own.
            ("Deployment", false),
        ] {
            let mut case = Case::of(HEAD);
            case.node_pool("main", "here", "GCE_METADATA", json!({}));
            case.node_pool("main", "there", "GKE_METADATA", json!({}));
            let batch = ["apps", kind, "batch"];
            case.template("main", batch, "default", json!({}));
            case.pod("main", batch, "default", "there", json!({}));
            assert_eq!(
                !losers(&case.plan(), "here").is_empty(),
                is_counted,
                "{kind}"
            );
        }
    }

    #[test]
    fn pods_of_an_operator_are_templates_of_those_that_it_makes_anew() {
        let mut case = Case::of(HEAD);
        for pool in ["here", "there"] {
            case.node_pool("main", pool, "GCE_METADATA", json!({}));
        }
        let broker = ["apps", "StrimziPodSet", "broker"];
        case.pod("main", broker, "default", "here", json!({}));
        let bound = json!({ "nodeSelector": { "team": "here" } });
        case.pod(
            "main",
            ["apps", "StrimziPodSet", "bound"],
            "default",
            "here",
            bound,
        );
        let plan = case.plan();
        assert_eq!(losers(&plan, "here"), [""]);
        let there = plan.impact.iter().find(|(a, _)| a.name() == "main/there");
        let named = there.expect("an impact").1.workloads.values().flatten();
        let named: Vec<&str> = named.map(|w| w.name.as_str()).collect();
        assert_eq!(named, ["broker"]);
    }

    #[test]
    fn nobody_comes_whom_the_scheduler_keeps_out_or_who_has_no_identity_of_nodes_now() {
        let bound = json!({ "nodeSelector": { "team": "here" } });
        let plan = case("GCE_METADATA", bound).plan();
        assert_eq!(held(&plan), ["main/here"]);
        let plan = case("GKE_METADATA", json!({})).plan();
        assert!(held(&plan).is_empty(), "it lives without one where it is");
    }

    #[test]
    fn whoever_would_have_an_identity_here_is_not_named_twice() {
        let mut case = case("GCE_METADATA", json!({ "hostNetwork": true }));
        case.options.accept_loss = false;
        let plan = case.plan();
        assert!(held(&plan).is_empty());
        let there = plan.impact.iter().find(|(a, _)| a.name() == "main/there");
        assert!(there.expect("an impact").1.workloads.is_empty());
    }
}
