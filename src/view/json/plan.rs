//! A plan as JSON: the fields of `terraform show -json`, so that policy tools work on it, and wi's
//! own under `wi`. The order of all lists is fixed, and nothing in it is about the moment: two plans
//! of the same change are the same bytes.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use wi_core::address::Address;
use wi_core::desired::Desired;
use wi_core::plan::{
    Action, Change, HeldBack, HoldReason, IdentityEffect, Impact, NodeRoles, Plan, Problem,
    Restart, Workload,
};
use wi_core::spec::model::SourceLine;

/// The version of the format: a minor one adds fields, a major one changes them.
pub const FORMAT: &str = "1.3";

/// A plan, as `terraform show -json` shows one.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(title = "Plan of wi", extend("$id" = "wi-plan.v1.schema.json"))]
struct Root {
    /// `MAJOR.MINOR`: a minor version adds fields, a major one changes them.
    format_version: &'static str,
    /// The `wi` that made it.
    wi_version: String,
    /// Whether `wi apply` would carry it out: no errors, and something to do.
    applyable: bool,
    /// Whether it is all that there is to do: nothing unread, held back or left out.
    complete: bool,
    /// Whether it has errors.
    errored: bool,
    /// What would change, by address.
    resource_changes: Vec<ResourceChange>,
    /// What Terraform's format has no place for.
    wi: Extra,
}

/// One resource that would change.
#[derive(Debug, Serialize, JsonSchema)]
struct ResourceChange {
    /// As in the plan's text: `gsa.checkout`, `nodepool.main/default-pool`.
    address: String,
    /// Always `managed`.
    mode: &'static str,
    /// The type that the Google or Kubernetes provider of Terraform calls such a resource.
    r#type: String,
    /// The address without its kind.
    name: String,
    /// Always `wi`.
    provider_name: &'static str,
    /// What changes.
    change: Diff,
    /// Why, for removals.
    #[serde(skip_serializing_if = "Option::is_none")]
    action_reason: Option<&'static str>,
    /// What Terraform's format has no place for.
    wi: ChangeExtra,
}

/// Before and after.
#[derive(Debug, Serialize, JsonSchema)]
struct Diff {
    /// `["create"]`, `["update"]` or `["delete"]`.
    actions: Vec<&'static str>,
    /// `null` for what is created. Attributes that `wi` neither sets nor changes are not there.
    before: Option<Map<String, Value>>,
    /// `null` for what is removed.
    after: Option<Map<String, Value>>,
    /// Always empty: `wi` writes nothing that it does not know.
    after_unknown: Map<String, Value>,
    /// Never anything sensitive: `{}`, or `false` where there is no before.
    before_sensitive: Value,
    /// Never anything sensitive: `{}`, or `false` where there is no after.
    after_sensitive: Value,
}

/// wi's own about a change.
#[derive(Debug, Serialize, JsonSchema)]
struct ChangeExtra {
    /// The spec's name of the cluster, for what is in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<String>,
    /// The wave of the rollout that it is carried out in.
    #[serde(skip_serializing_if = "Option::is_none")]
    wave: Option<String>,
    /// Where the spec asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Source>,
    /// What becomes of a Google service account that leaves the spec: `disable` or `delete`.
    #[serde(skip_serializing_if = "Option::is_none")]
    removal: Option<&'static str>,
    /// Remarks for the reader.
    notes: Vec<String>,
    /// Addresses of changes that are carried out before.
    depends_on: Vec<String>,
}

/// A place in the spec.
#[derive(Debug, Serialize, JsonSchema)]
struct Source {
    /// As the user named it.
    file: String,
    /// From 1.
    line: usize,
}

/// wi's own about the plan.
#[derive(Debug, Serialize, JsonSchema)]
struct Extra {
    /// The spec's name.
    name: String,
    /// What `wi apply --expect-plan-hash` compares.
    plan_hash: String,
    /// Changes by kind.
    counts: Counts,
    /// Who gains and who loses what.
    access: Vec<Access>,
    /// Node pools that move, or would, and their workloads.
    node_pools: Vec<NodePool>,
    /// Node pools that stay as they are, and why.
    held_back: Vec<Held>,
    /// Workloads that see their new identity for sure once they are restarted.
    restarts: Vec<ToRestart>,
    /// Things to know.
    warnings: Vec<String>,
    /// What is likely to be so for ever, and right.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
    /// What must be fixed before anything is applied.
    errors: Vec<Error>,
    /// What could not be read.
    unread: Vec<Unread>,
    /// How many changes `--target` left out.
    left_out: usize,
}

/// Changes by kind.
#[derive(Debug, Serialize, JsonSchema)]
struct Counts {
    add: usize,
    change: usize,
    destroy: usize,
}

/// A principal that gains or loses a role.
#[derive(Debug, Serialize, JsonSchema)]
struct Access {
    principal: String,
    /// Whether it gains; otherwise it loses.
    gains: bool,
    /// The role, or `the right to act as`.
    role: String,
    /// `on RESOURCE`, or the account that it acts as.
    resource: String,
    /// In how many clusters of the spec the principal is this same one.
    clusters: usize,
    /// Whether the role lets its holder give itself or others more.
    privilege_increase: bool,
}

/// A node pool and its workloads.
#[derive(Debug, Serialize, JsonSchema)]
struct NodePool {
    address: String,
    /// The node's service account.
    node_account: String,
    /// Roles of that account; `null`: not known.
    node_roles: Option<Vec<String>>,
    /// Accounts that workloads get and that hold no role where it was looked: such a workload loses those of the node's.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    without_roles: BTreeSet<String>,
    /// PodDisruptionBudgets that admit no eviction.
    disruption_budgets: Vec<String>,
    workloads: Vec<Affected>,
}

/// A workload on a node pool.
#[derive(Debug, Serialize, JsonSchema)]
struct Affected {
    #[serde(flatten)]
    workload: WorkloadName,
    /// `loses`, `loses_accepted`, `gets` or `keeps`.
    fate: &'static str,
    /// Why it loses, what it gets, or by what it keeps its identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// A workload.
#[derive(Debug, Serialize, JsonSchema)]
struct WorkloadName {
    namespace: String,
    kind: String,
    name: String,
    service_account: String,
}

/// A node pool that stays as it is.
#[derive(Debug, Serialize, JsonSchema)]
struct Held {
    address: String,
    /// `loss`, `unread`, `maintenance_exclusion`, `in_use`, of a right to act as an
    /// account that others have `use_unseen`, of a static key or a Secret `key`, and `key_soaks` where that
    /// passes with time.
    reason: &'static str,
    /// By whom it is used, and what cannot be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    users: Option<Vec<String>>,
    /// What stands against ending a key, or a Secret that held one.
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<Vec<String>>,
    /// Until when, for a maintenance exclusion.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

/// A workload to restart.
#[derive(Debug, Serialize, JsonSchema)]
struct ToRestart {
    cluster: String,
    #[serde(flatten)]
    workload: WorkloadName,
}

/// A resource that cannot be planned.
#[derive(Debug, Serialize, JsonSchema)]
struct Error {
    address: String,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Source>,
}

/// Something that could not be read.
#[derive(Debug, Serialize, JsonSchema)]
struct Unread {
    object: String,
    reason: String,
}

/// The JSON Schema of [`plan`]'s text.
pub fn schema() -> Value {
    schemars::schema_for!(Root).to_value()
}

/// A plan and its hash, as one JSON document with a line break at its end.
pub fn plan(plan: &Plan, desired: &Desired, hash: &str) -> String {
    let counts = plan.counts();
    let root = Root {
        format_version: FORMAT,
        wi_version: env!("CARGO_PKG_VERSION").to_owned(),
        applyable: plan.errors.is_empty() && !plan.is_empty(),
        complete: plan.is_whole(),
        errored: !plan.errors.is_empty(),
        resource_changes: plan
            .changes
            .iter()
            .map(|(address, change)| resource_change(address, change, plan, desired))
            .collect(),
        wi: Extra {
            name: plan.owner.clone(),
            plan_hash: hash.to_owned(),
            counts: Counts {
                add: counts.add,
                change: counts.change,
                destroy: counts.destroy,
            },
            access: plan
                .access()
                .iter()
                .map(|a| Access {
                    principal: a.principal.to_string(),
                    gains: a.gains,
                    role: a.right.what(),
                    resource: a.right.on_what(),
                    clusters: a.clusters,
                    privilege_increase: a.is_increase(),
                })
                .collect(),
            node_pools: plan.impact.iter().map(node_pool).collect(),
            held_back: plan.held_back.iter().map(held).collect(),
            restarts: plan.restarts.iter().map(restart).collect(),
            warnings: plan.warnings.clone(),
            notes: plan.notes.clone(),
            errors: plan.errors.iter().map(error).collect(),
            unread: plan
                .unseen
                .iter()
                .map(|u| Unread {
                    object: u.what.clone(),
                    reason: u.why.to_string(),
                })
                .collect(),
            left_out: plan.left_out,
        },
    };
    super::line(&root)
}

/// The word for an action.
pub(super) fn action(action: Action) -> &'static str {
    match action {
        Action::Create => "create",
        Action::Update => "update",
        Action::Delete => "delete",
    }
}

fn resource_change(
    address: &Address,
    change: &Change,
    plan: &Plan,
    desired: &Desired,
) -> ResourceChange {
    let values = change.edit.terraform(&plan.owner, desired);
    let sensitive = |there: bool| {
        if there {
            Value::Object(Map::new())
        } else {
            Value::Bool(false)
        }
    };
    ResourceChange {
        address: address.to_string(),
        mode: "managed",
        r#type: values.kind,
        name: address.name().to_owned(),
        provider_name: "wi",
        action_reason: (change.action() == Action::Delete)
            .then_some("delete_because_no_resource_config"),
        change: Diff {
            actions: vec![action(change.action())],
            before_sensitive: sensitive(values.before.is_some()),
            after_sensitive: sensitive(values.after.is_some()),
            before: values.before,
            after: values.after,
            after_unknown: Map::new(),
        },
        wi: ChangeExtra {
            cluster: change.cluster().map(str::to_owned),
            wave: plan
                .waves
                .as_ref()
                .and_then(|w| Some(w.waves.get(change.wave)?.name.clone())),
            source: change.place.as_ref().map(source),
            removal: values.removal,
            notes: change.notes.clone(),
            depends_on: change.needs.iter().map(Address::to_string).collect(),
        },
    }
}

fn source(place: &SourceLine) -> Source {
    Source {
        file: place.file.clone(),
        line: place.line,
    }
}

fn workload(w: &Workload) -> WorkloadName {
    WorkloadName {
        namespace: w.namespace.clone(),
        kind: w.kind.clone(),
        name: w.name.clone(),
        service_account: w.service_account.clone(),
    }
}

fn node_pool((address, impact): (&Address, &Impact)) -> NodePool {
    let workloads = impact.workloads.iter().flat_map(|(fate, all)| {
        let (fate, detail) = match fate {
            IdentityEffect::Loses(why) => ("loses", why.clone()),
            IdentityEffect::LosesAccepted => ("loses_accepted", String::new()),
            IdentityEffect::Gets(identity) => ("gets", identity.clone()),
            IdentityEffect::Keeps(by) => ("keeps", by.to_string()),
        };
        all.iter().map(move |w| Affected {
            workload: workload(w),
            fate,
            detail: Some(detail.clone()).filter(|d| !d.is_empty()),
        })
    });
    NodePool {
        address: address.to_string(),
        node_account: impact.node_account.clone(),
        node_roles: match &impact.node_roles {
            NodeRoles::Unknown(_) => None,
            NodeRoles::Known(held) => Some(
                held.iter()
                    .map(|(role, resource)| format!("{role} on {resource}"))
                    .collect(),
            ),
        },
        without_roles: impact.without_roles.clone(),
        disruption_budgets: impact.budgets.clone(),
        workloads: workloads.collect(),
    }
}

fn held(held: &HeldBack) -> Held {
    let (reason, until) = match &held.why {
        HoldReason::Loss => ("loss", None),
        HoldReason::Unread | HoldReason::RestsOn(_) => ("unread", None),
        HoldReason::InUse(_) => ("in_use", None),
        HoldReason::Exclusion { until, .. } => ("maintenance_exclusion", Some(until.clone())),
        HoldReason::Users(users) if users.seen.is_empty() => ("use_unseen", None),
        HoldReason::Users(_) => ("in_use", None),
        HoldReason::Keys { passes: true, .. } => ("key_soaks", None),
        HoldReason::Keys { .. } => ("key", None),
    };
    let users = match &held.why {
        HoldReason::Users(users) => Some(users.in_words()),
        _ => None,
    };
    let because = match &held.why {
        HoldReason::Keys { why, .. } => Some(why.clone()),
        _ => None,
    };
    Held {
        address: held.address.to_string(),
        reason,
        users,
        because,
        until,
    }
}

fn restart(restart: &Restart) -> ToRestart {
    ToRestart {
        cluster: restart.cluster.clone(),
        workload: workload(&restart.workload),
    }
}

fn error(problem: &Problem) -> Error {
    Error {
        address: problem.subject.to_string(),
        message: problem.message.clone(),
        source: problem.place.as_ref().map(source),
    }
}
