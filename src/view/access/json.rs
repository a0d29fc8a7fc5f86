//! Who reaches what, as JSON. The same input gives the same bytes.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use wi_core::access::Grant;

use super::picture::Picture;

/// The version of the format: a minor one adds fields, a major one changes them.
pub const FORMAT: &str = "1.1";

/// What somebody reaches, or who reaches something.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Reach of wi", extend("$id" = "wi-access.v1.schema.json"))]
struct Root {
    /// `MAJOR.MINOR`: a minor version adds fields, a major one changes them.
    format_version: &'static str,
    /// The `wi` that made it.
    wi_version: &'static str,
    /// Who was asked for, by the ids of nodes; empty where a resource was.
    of: Vec<String>,
    /// The resource that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    /// The permission that was asked for; not there: some role.
    #[serde(skip_serializing_if = "Option::is_none")]
    permission: Option<String>,
    /// Identities, and places where they are, that are reached or that reach it.
    nodes: Vec<NodeJson>,
    /// Who becomes whom.
    edges: Vec<EdgeJson>,
    /// People, groups and identities of elsewhere that reach it.
    people: Vec<PersonJson>,
    /// What could not be read: with it there may be more.
    unread: Vec<String>,
    /// What was not read or is never looked at: nothing may be concluded about it.
    not_evaluated: Vec<String>,
}

/// Somebody.
#[derive(Debug, Serialize, JsonSchema)]
struct NodeJson {
    /// `ksa.CLUSTER/NAMESPACE/NAME`, an email, `nodepool.CLUSTER/POOL`, `cluster.NAME`.
    id: String,
    /// `service_account`, `kubernetes_service_account`, `node_pool` or `cluster`.
    kind: &'static str,
    /// Whether it was seen to be so; otherwise it may be.
    certain: bool,
    /// The roles that it has, or by which it reaches the resource.
    roles: Vec<RoleJson>,
}

/// A role.
#[derive(Debug, Serialize, JsonSchema)]
struct RoleJson {
    #[serde(flatten)]
    grant: GrantJson,
    /// `admin`, `secrets`, `impersonates`, `writes`, `reads`, or `?` where the role could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<&'static str>,
    /// Whether its condition holds, or it has none.
    certain: bool,
    /// Where the spec asks for it: `FILE:LINE`.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
}

/// A binding.
#[derive(Debug, Serialize, JsonSchema)]
struct GrantJson {
    role: String,
    /// Whose policy has it.
    resource: String,
    /// As the policy writes it.
    member: String,
    /// The expression of its condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<String>,
}

/// One becomes another.
#[derive(Debug, Serialize, JsonSchema)]
struct EdgeJson {
    from: String,
    to: String,
    /// `token`, `sign`, `key`, `account-policy`, `policy`, `run-as`, `ksa-token`, `run-pods`, `cluster-admin`,
    /// `node-account`, `node-identity`, `pod-on-node`, `in-cluster`, `same-pool`.
    how: &'static str,
    /// Whether it was seen to be so; otherwise it may be.
    certain: bool,
    /// The bindings that give it.
    by: Vec<GrantJson>,
}

/// Somebody whom the access engine does not know.
#[derive(Debug, Serialize, JsonSchema)]
struct PersonJson {
    /// As policies write it.
    member: String,
    /// What it has on the resource or above, or on an account that reaches it.
    grants: Vec<RoleJson>,
}

/// The schema of the format.
pub fn schema() -> Value {
    schemars::schema_for!(Root).to_value()
}

fn grant(grant: &Grant) -> GrantJson {
    GrantJson {
        role: grant.role.clone(),
        resource: grant.on.to_string(),
        member: grant.member.clone(),
        condition: grant.condition.as_ref().map(|c| c.expression.clone()),
    }
}

/// One document with a line break at its end.
pub fn document(picture: &Picture) -> String {
    let (to, permission) = picture.resource.clone().unzip();
    let root = Root {
        format_version: FORMAT,
        wi_version: env!("CARGO_PKG_VERSION"),
        of: picture.subjects.clone(),
        to,
        permission: permission.flatten(),
        nodes: picture
            .nodes
            .iter()
            .map(|(id, drawn)| NodeJson {
                id: id.clone(),
                kind: drawn.kind,
                certain: drawn.certain,
                roles: drawn
                    .roles
                    .iter()
                    .map(|(class, of, certain, source)| RoleJson {
                        grant: grant(of),
                        class: Some(*class).filter(|c| !c.is_empty()),
                        certain: *certain,
                        source: source.clone(),
                    })
                    .collect(),
            })
            .collect(),
        edges: picture
            .edges
            .iter()
            .map(|((from, to, how), step)| EdgeJson {
                from: from.clone(),
                to: to.clone(),
                how: how.id(),
                certain: step.certain,
                by: step.by.iter().map(grant).collect(),
            })
            .collect(),
        people: picture
            .people
            .iter()
            .map(|(member, grants)| PersonJson {
                member: member.clone(),
                grants: grants
                    .iter()
                    .map(|(of, certain)| RoleJson {
                        grant: grant(of),
                        class: None,
                        certain: *certain,
                        source: None,
                    })
                    .collect(),
            })
            .collect(),
        unread: picture.beyond.unread.clone(),
        not_evaluated: {
            let both = picture
                .beyond
                .unread
                .iter()
                .chain(&picture.beyond.not_evaluated);
            both.cloned().collect()
        },
    };
    crate::view::json::document(&root)
}
