//! Whether NetworkPolicies let a pod reach the metadata server.
//!
//! GKE Dataplane V2 matches before the address is translated (169.254.169.254, ports 80 and 8080), iptables
//! after it (169.254.169.252, ports 988 and 987).
//! <https://cloud.google.com/kubernetes-engine/docs/how-to/network-policy#network-policy-and-workload-identity>

use std::collections::BTreeMap;

use crate::wire::container::Cluster;
use crate::wire::network::{NetworkPolicy, Peer, Port};

/// The NetworkPolicies of a namespace.
pub type NetworkPolicies = Vec<NetworkPolicy>;

/// Whether a pod reaches the metadata server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Nothing enforces policies in this cluster.
    NotEnforced,
    /// Nothing keeps it from it.
    Open,
    /// These policies select it, and none of them lets it.
    Closed {
        /// Their names.
        policies: Vec<String>,
        /// The address and ports that have to be let out.
        to: (&'static str, [u16; 2]),
    },
}

/// Whether a pod with these labels reaches the metadata server.
pub(super) fn reach(
    cluster: &Cluster,
    policies: &[NetworkPolicy],
    labels: &BTreeMap<String, String>,
) -> Reach {
    reach_of(cluster, &on_egress(policies, labels))
}

/// Of a pod that these policies select.
fn reach_of(cluster: &Cluster, on_egress: &[&NetworkPolicy]) -> Reach {
    if !cluster.enforces_network_policies() {
        return Reach::NotEnforced;
    }
    let (address, ports) = match cluster.has_dataplane_v2() {
        true => ("169.254.169.254", [80, 8080]),
        false => ("169.254.169.252", [988, 987]),
    };
    if lets(on_egress, address, ports[0]) {
        return Reach::Open;
    }
    Reach::Closed {
        policies: on_egress.iter().map(|p| p.metadata.name.clone()).collect(),
        to: (address, ports),
    }
}

/// Why a pod of a namespace with just these policies is cut off from all metadata servers once its node runs GKE's: until
/// then it reaches that of Compute Engine, which has another address for iptables. `None`: it is not, or has been.
pub fn cut_off<'a>(
    cluster: &Cluster,
    policies: impl IntoIterator<Item = &'a NetworkPolicy>,
    labels: &BTreeMap<String, String>,
) -> Option<String> {
    let on_egress = on_egress(policies, labels);
    let Reach::Closed {
        policies: names,
        to: (address, [first, second]),
    } = reach_of(cluster, &on_egress)
    else {
        return None;
    };
    lets(&on_egress, "169.254.169.254", 80).then(|| {
        format!(
            "NetworkPolicy {} does not let it go to the metadata server of GKE: allow egress to {address}/32, TCP ports {first} and {second}",
            names.join(", ")
        )
    })
}

/// Why a pod of a namespace with just these policies gets nothing from GKE's metadata server. `None`: nothing keeps it from
/// it.
pub fn kept_from<'a>(
    cluster: &Cluster,
    policies: impl IntoIterator<Item = &'a NetworkPolicy>,
    labels: &BTreeMap<String, String>,
) -> Option<String> {
    match reach_of(cluster, &on_egress(policies, labels)) {
        Reach::NotEnforced | Reach::Open => None,
        Reach::Closed {
            policies,
            to: (address, [first, second]),
        } => Some(format!(
            "NetworkPolicy {} does not let it go to the metadata server: allow egress to {address}/32, TCP ports {first} and {second}",
            policies.join(", ")
        )),
    }
}

fn on_egress<'a>(
    policies: impl IntoIterator<Item = &'a NetworkPolicy>,
    labels: &BTreeMap<String, String>,
) -> Vec<&'a NetworkPolicy> {
    let selected = |p: &&NetworkPolicy| p.spec.is_egress() && p.spec.pod_selector.selects(labels);
    policies.into_iter().filter(selected).collect()
}

/// Whether a pod goes there that these policies select; one that none selects goes everywhere.
fn lets(policies: &[&NetworkPolicy], address: &str, to_port: u16) -> bool {
    let lets = |policy: &&NetworkPolicy| {
        policy.spec.egress.iter().any(|rule| {
            let to = rule.to.is_empty() || rule.to.iter().any(|peer| has(peer, address));
            let port = rule.ports.is_empty() || rule.ports.iter().any(|p| is(p, to_port));
            to && port
        })
    };
    policies.is_empty() || policies.iter().any(lets)
}

/// Whether a peer is a block that has the address. Pods and namespaces are never the metadata server.
fn has(peer: &Peer, address: &str) -> bool {
    let Some(block) = &peer.ip_block else {
        return false;
    };
    let within = |cidr: &String| contains(cidr, address);
    within(&block.cidr) && !block.except.iter().any(within)
}

fn is(port: &Port, wanted: u16) -> bool {
    let is_tcp = matches!(port.protocol.as_str(), "" | "TCP");
    let number = |v: &serde_json::Value| v.as_u64();
    is_tcp
        && match (port.port.as_ref().map(number), port.end_port) {
            (None, _) => true,
            // A named port is one of a pod.
            (Some(None), _) => false,
            (Some(Some(first)), None) => first == u64::from(wanted),
            (Some(Some(first)), Some(last)) => {
                (first..=u64::from(last)).contains(&u64::from(wanted))
            }
        }
}

/// Whether an IPv4 block has an address in it.
fn contains(cidr: &str, address: &str) -> bool {
    let number = |text: &str| text.parse::<std::net::Ipv4Addr>().ok().map(u32::from);
    let (base, bits) = cidr.split_once('/').unwrap_or((cidr, "32"));
    let (Some(base), Some(address), Ok(bits)) =
        (number(base), number(address), bits.parse::<u32>())
    else {
        return false;
    };
    let mask = match bits {
        0 => 0,
        1..=32 => u32::MAX << (32 - bits),
        _ => return false,
    };
    base & mask == address & mask
}
