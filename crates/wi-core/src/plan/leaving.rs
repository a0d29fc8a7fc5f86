//! Accounts that left the spec, and that others use.

use std::collections::{BTreeMap, BTreeSet};

use super::users::{self, User, Users};
use super::{Change, Edit, HeldBack, HoldReason, Options, Plan};
use crate::address::BindingKey;
use crate::desired::Desired;
use crate::live::{Live, Seen};
use crate::names::{Email, Member};
use crate::resource::Resource;

/// Holds back what ends an account that left the spec and that others use: with the right to act as it they
/// would lose all that it has.
pub(super) fn hold(held: BTreeMap<BindingKey, Users>, desired: &Desired, plan: &mut Plan) {
    let mut of_account: BTreeMap<Email, Users> = BTreeMap::new();
    for (key, users) in held {
        let ends = |c: &Change| matches!(&c.edit, Edit::Account(a) if a.ends_it() && a.email == users.account);
        if !plan.changes.values().any(ends) {
            let address = desired.binding_address(&key);
            let why = HoldReason::Users(Box::new(users));
            plan.held_back.push(HeldBack { address, why });
            continue;
        }
        let all = of_account
            .entry(users.account.clone())
            .or_insert_with(|| Users {
                seen: BTreeSet::new(),
                unseen: BTreeSet::new(),
                leaves: true,
                declare: String::new(),
                accept_loss: String::new(),
                ..users.clone()
            });
        all.seen.extend(users.seen);
        all.unseen.extend(users.unseen);
        all.accept_loss.push_str(&users.accept_loss);
    }
    for (email, users) in of_account {
        let why = HoldReason::Users(Box::new(users));
        hold_whole(&email, why, desired, plan);
    }
}

/// Holds it back with all that it has.
fn hold_whole(email: &Email, why: HoldReason, desired: &Desired, plan: &mut Plan) {
    plan.changes.retain(|_, change| match &change.edit {
        Edit::Account(account) => account.email != *email,
        Edit::Binding(binding) => {
            binding.adds() || binding.key.member != Member::ServiceAccount(email.clone())
        }
        _ => true,
    });
    let address = desired.account_address(email);
    plan.held_back.push(HeldBack { address, why });
}

/// Holds back what ends an account that left the spec and that is used in another way than by a right on the
/// account itself: by nodes that run as it, and by those who may act as all accounts of a project and are annotated
/// with this one. Says who else may make tokens of it.
pub(super) fn hold_used(desired: &Desired, live: &Live, options: &Options, plan: &mut Plan) {
    let ends: Vec<Email> = plan
        .changes
        .values()
        .filter_map(|c| match &c.edit {
            Edit::Account(account) if account.ends_it() => Some(account.email.clone()),
            _ => None,
        })
        .collect();
    for email in ends {
        let pools = node_pools(desired, live, &email);
        let users = users::annotated(desired, live, options.now, &email);
        let accepted = options.accept_loss;
        if !pools.is_empty() && !accepted {
            let pools = pools.into_iter().collect::<Vec<_>>().join(", ");
            let why = format!(
                "nodes run as it, which write logs and pull images by it whatever their pods do: {pools}. Give these another service account, or accept that they lose it: --accept-loss"
            );
            hold_whole(&email, HoldReason::InUse(why), desired, plan);
        } else if !users.is_empty() && !accepted && !are_accepted(desired, &users) {
            let lines = users.iter().map(|user| {
                format!(
                    "acceptLoss: [{}/ServiceAccount/{}]\n",
                    user.namespace, user.name
                )
            });
            let why = Users {
                account: email.clone(),
                accept_loss: lines.collect(),
                seen: users,
                unseen: BTreeSet::new(),
                leaves: true,
                declare: String::new(),
            };
            hold_whole(&email, HoldReason::Users(Box::new(why)), desired, plan);
        } else {
            tell_token_makers(desired, live, &email, plan);
        }
    }
}

fn are_accepted(desired: &Desired, users: &BTreeSet<User>) -> bool {
    let mut users = users.iter();
    users.all(|u| users::accepts(&desired.accept_loss, &u.namespace, &u.name))
}

/// The node pools that run as an account, of all clusters that were read.
fn node_pools(desired: &Desired, live: &Live, email: &Email) -> BTreeSet<String> {
    let ours = desired.clusters.keys().flat_map(|cluster| {
        let found = live.clusters.get(cluster).and_then(Seen::found);
        let pools = found.into_iter().flat_map(|c| &c.node_pools);
        let run = pools
            .filter(|pool| live.node_account(desired, cluster, &pool.name).as_ref() == Some(email));
        run.map(move |pool| format!("nodepool.{cluster}/{}", pool.name))
    });
    let outside = live.outside.iter().flat_map(|outside| {
        let pools = outside.cluster.node_pools.iter();
        let run = pools.filter(|pool| pool.config.service_account == email.as_str());
        run.map(|pool| format!("node pool {} of {}", pool.name, outside.path))
    });
    ours.chain(outside).collect()
}

/// Who may make tokens of an account that goes by roles of which nobody sees whether they are used.
fn tell_token_makers(desired: &Desired, live: &Live, email: &Email, plan: &mut Plan) {
    let policy = live.policies.get(&Resource::ServiceAccount(email.clone()));
    let bindings = policy
        .and_then(Seen::found)
        .into_iter()
        .flat_map(|p| &p.bindings);
    let others = bindings.filter(|b| {
        let role = b.role.as_str();
        matches!(
            role,
            "roles/iam.serviceAccountTokenCreator" | "roles/iam.serviceAccountUser"
        )
    });
    let others: BTreeSet<String> = others
        .flat_map(|b| b.members.iter().map(move |m| (b, m)))
        .filter(|(_, m)| !m.starts_with("deleted:"))
        .map(|(b, m)| format!("{} ({})", crate::words::safe(m), b.role))
        .collect();
    let address = desired.account_address(email);
    if let Some(change) = plan
        .changes
        .get_mut(&address)
        .filter(|_| !others.is_empty())
    {
        let others = others.into_iter().collect::<Vec<_>>().join(", ");
        change.notes.push(format!(
            "others may act as it, and whether they do cannot be seen: {others}"
        ));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::plan::fixture::{Case, HEAD};

    /// An account with its mark, a role, and somebody else's right to act as it, which is used.
    fn case(spec: &str) -> Case {
        let mut case = Case::of(&format!("{HEAD}{spec}"));
        case.account("backend", json!({ "description": "[wi:shop]" }));
        let member = "serviceAccount:backend@acme-prod.iam.gserviceaccount.com";
        case.grant("project/acme-prod", "roles/viewer", member);
        let on = "serviceaccount/backend@acme-prod.iam.gserviceaccount.com";
        let grafana = "serviceAccount:acme-prod.svc.id.goog[mon/grafana]";
        case.grant(on, "roles/iam.workloadIdentityUser", grafana);
        let account = "backend@acme-prod.iam.gserviceaccount.com";
        let annotations = json!({ "iam.gke.io/gcp-service-account": account });
        case.ksa("main", "mon", "grafana", annotations);
        case
    }

    #[test]
    fn an_account_that_leaves_and_that_others_use_is_held_back_whole_and_named_once() {
        let plan = case("").plan();
        assert!(plan.changes.is_empty(), "{:?}", plan.changes.keys());
        let held: Vec<&str> = plan.held_back.iter().map(|h| &*h.address).collect();
        assert_eq!(held, ["gsa.backend@acme-prod.iam.gserviceaccount.com"]);
    }

    #[test]
    fn of_an_account_that_stays_the_right_of_others_alone_is_held_back() {
        let plan = case("googleServiceAccounts: { backend: {} }\n").plan();
        let held: Vec<&str> = plan.held_back.iter().map(|h| &*h.address).collect();
        assert_eq!(held, ["binding.backend/acme-prod/mon/grafana"]);
        let changes: Vec<&str> = plan.changes.keys().map(|a| &**a).collect();
        assert_eq!(changes, ["grant.backend:roles/viewer@project/acme-prod"]);
    }
}
