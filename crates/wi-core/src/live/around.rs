//! What goes by the labels of pods in a namespace: what could take a second Deployment for its own.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;

use crate::wire::budgets::{Budget, Selector};
use crate::wire::network::NetworkPolicy;

/// A Service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServiceSeen {
    /// Its name.
    pub name: String,
    /// Which pods it sends requests to; empty: others say so.
    pub selector: BTreeMap<String, String>,
    /// Whether it does so before they are ready.
    pub sends_to_unready: bool,
}

impl ServiceSeen {
    /// Whether it sends requests to pods with these labels.
    pub fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        let mut all = self.selector.iter();
        !self.selector.is_empty() && all.all(|(key, value)| labels.get(key) == Some(value))
    }
}

/// A HorizontalPodAutoscaler.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AutoscalerSeen {
    /// Its name.
    pub name: String,
    /// The kind of what it scales.
    pub kind: String,
    /// The name of that.
    pub target: String,
}

/// What goes by the labels of pods in a namespace.
#[derive(Debug, Clone, Default)]
pub struct Around {
    /// Its Services.
    pub services: Vec<ServiceSeen>,
    /// What keeps pods, or watches them, each with its kind and name: `Deployment web`, `PodMonitoring web`.
    pub takers: Vec<(String, Selector)>,
    /// PodDisruptionBudgets.
    pub budgets: Vec<(String, Selector)>,
    /// HorizontalPodAutoscalers.
    pub autoscalers: Vec<AutoscalerSeen>,
    /// By which labels NetworkPolicies know pods: their own, and those that they let in or out to. Empty where no such
    /// policy is enforced.
    pub policies: Vec<Selector>,
    /// The names of Deployments.
    pub deployments: BTreeSet<String>,
}

/// An object of which what it selects is read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Selecting {
    spec: SelectingSpec,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SelectingSpec {
    selector: Option<Selector>,
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn name(object: &Value) -> String {
    text(&object["metadata"]["name"])
}

impl Around {
    /// Adds Services.
    pub fn services(&mut self, objects: &[Value]) {
        let each = objects.iter().map(|o| ServiceSeen {
            name: name(o),
            selector: serde_json::from_value(o["spec"]["selector"].clone()).unwrap_or_default(),
            sends_to_unready: o["spec"]["publishNotReadyAddresses"] == true,
        });
        self.services.extend(each);
    }

    /// Adds what keeps or watches pods. What another object keeps goes by that one's labels.
    pub fn takers(&mut self, kind: &str, objects: &[Value]) {
        for object in objects {
            let owners = object["metadata"]["ownerReferences"].as_array();
            if owners.is_some_and(|owners| owners.iter().any(|o| o["controller"] == true)) {
                continue;
            }
            let selector = match kind {
                // The one kind whose selector is a map of labels.
                "ReplicationController" => {
                    let labels = object["spec"]["selector"].clone();
                    serde_json::from_value(labels).ok().map(|labels| Selector {
                        match_labels: labels,
                        match_expressions: Vec::new(),
                    })
                }
                _ => {
                    let read = serde_json::from_value::<Selecting>(object.clone());
                    read.ok().and_then(|o| o.spec.selector)
                }
            };
            let named = name(object);
            if let Some(selector) = selector {
                self.takers.push((format!("{kind} {named}"), selector));
            }
            if kind == "Deployment" {
                self.deployments.insert(named);
            }
        }
    }

    /// Adds PodDisruptionBudgets. One without a selector means no pod.
    pub fn budgets(&mut self, budgets: Vec<Budget>) {
        let each = budgets
            .into_iter()
            .filter_map(|b| Some((b.metadata.name, b.spec.selector?)));
        self.budgets.extend(each);
    }

    /// Adds HorizontalPodAutoscalers.
    pub fn autoscalers(&mut self, objects: &[Value]) {
        let each = objects.iter().map(|o| {
            let target = &o["spec"]["scaleTargetRef"];
            AutoscalerSeen {
                name: name(o),
                kind: text(&target["kind"]),
                target: text(&target["name"]),
            }
        });
        self.autoscalers.extend(each);
    }

    /// Adds NetworkPolicies of all namespaces: others let pods of this one in, too.
    pub fn policies(&mut self, namespace: &str, policies: &[NetworkPolicy]) {
        for policy in policies {
            let is_here = policy.metadata.namespace == namespace;
            if is_here {
                self.policies.push(policy.spec.pod_selector.clone());
            }
            let ingress = policy.spec.ingress.iter().flat_map(|rule| &rule.from);
            let egress = policy.spec.egress.iter().flat_map(|rule| &rule.to);
            let peers = ingress.chain(egress);
            let peers = peers.filter(|p| is_here || p.namespace_selector.is_some());
            self.policies
                .extend(peers.filter_map(|peer| peer.pod_selector.clone()));
        }
    }
}
