//! NetworkPolicies: what pods may reach.

use serde::Deserialize;
use serde_json::Value;

use super::budgets::Selector;
use super::kubernetes::ObjectMeta;

/// `networking.k8s.io/v1` NetworkPolicy, the fields that `wi` reads.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct NetworkPolicy {
    pub metadata: ObjectMeta,
    pub spec: NetworkPolicySpec,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkPolicySpec {
    pub pod_selector: Selector,
    /// `Ingress`, `Egress`; empty: the first, and the second where there are rules for it.
    pub policy_types: Vec<String>,
    pub egress: Vec<EgressRule>,
    pub ingress: Vec<IngressRule>,
}

impl NetworkPolicySpec {
    /// Whether it says where pods may go to.
    pub fn is_egress(&self) -> bool {
        match self.policy_types.is_empty() {
            true => !self.egress.is_empty(),
            false => self.policy_types.iter().any(|t| t == "Egress"),
        }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct IngressRule {
    /// Empty: from everywhere.
    pub from: Vec<Peer>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct EgressRule {
    /// Empty: everywhere.
    pub to: Vec<Peer>,
    /// Empty: all.
    pub ports: Vec<Port>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Peer {
    pub ip_block: Option<IpBlock>,
    pub pod_selector: Option<Selector>,
    /// Without one pods of its own namespace are meant.
    pub namespace_selector: Option<Selector>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct IpBlock {
    pub cidr: String,
    pub except: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Port {
    /// Empty: `TCP`.
    pub protocol: String,
    /// A number, or the name of a pod's port.
    pub port: Option<Value>,
    pub end_port: Option<u16>,
}
