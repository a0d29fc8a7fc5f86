//! Annotations are access: Kubernetes service accounts that act as another Google one than before, as one in place
//! of themselves, or the other way round. No binding need change for that, and what their pods may do does.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::losses::who_acts;
use super::{Edit, Ksa, KsaAfter, Plan, Workload};
use crate::address::Address;
use crate::desired::Desired;
use crate::live::Live;
use crate::names::{Email, KsaIdentity, Member};

/// A Kubernetes service account whose annotation comes to name another Google one, or comes, or goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherAccount {
    /// As IAM knows it.
    pub identity: KsaIdentity,
    /// The spec's name of the cluster.
    pub cluster: String,
    /// As what it acts until then; `None`: as itself.
    pub before: Option<Email>,
    /// As what it acts then.
    pub after: Option<Email>,
    /// `ROLE on RESOURCE`: what its pods may do no more, of the policies that were read, and no other change says.
    pub loses: BTreeSet<String>,
    /// What they may do that they might not.
    pub gains: BTreeSet<String>,
    /// Whose pods act as that now, or why that is not known.
    pub workloads: Result<BTreeSet<Workload>, String>,
}

impl OtherAccount {
    /// From what to what, and whose pods.
    pub(super) fn in_words(&self) -> String {
        let name = |account: &Option<Email>| match account {
            Some(email) => email.to_string(),
            None => "itself".to_owned(),
        };
        let (before, after) = (name(&self.before), name(&self.after));
        let list = |roles: &BTreeSet<String>| {
            let roles: Vec<&str> = roles.iter().map(String::as_str).collect();
            roles.join(", ")
        };
        let pods = match &self.workloads {
            Ok(workloads) if workloads.is_empty() => "; no pod acts so now".to_owned(),
            Ok(workloads) => {
                let names: Vec<String> = workloads.iter().map(ToString::to_string).collect();
                format!(": {}", names.join(", "))
            }
            Err(why) => format!("; whose pods act so could not be read: {why}"),
        };
        match self.loses.is_empty() {
            true => format!(
                "{after} in place of {before}, with {}{pods}",
                list(&self.gains)
            ),
            false => format!(
                "{before}, with {}; it is {after} then{pods}",
                list(&self.loses)
            ),
        }
    }
}

/// Those of `plan`, by the addresses of the service accounts.
pub(super) fn find(desired: &Desired, live: &Live, plan: &Plan) -> BTreeMap<Address, OtherAccount> {
    let edits = plan.changes.iter();
    let changing: Vec<(&Address, &Ksa)> = edits
        .filter_map(|(address, change)| match &change.edit {
            Edit::Ksa(ksa) if matches!(ksa.after, KsaAfter::Kept { .. }) => Some((address, ksa)),
            _ => None,
        })
        .filter(|(_, ksa)| ksa.before.is_some() && ksa.changes_identity(&plan.owner))
        .collect();
    if changing.is_empty() {
        return BTreeMap::new();
    }
    let roles = Roles::of(live, plan);
    let found = changing.into_iter().filter_map(|(address, ksa)| {
        let other = other(ksa, desired, live, &roles)?;
        Some((address.clone(), other))
    });
    found.collect()
}

fn other(ksa: &Ksa, desired: &Desired, live: &Live, roles: &Roles) -> Option<OtherAccount> {
    let key = &ksa.key;
    let project = &desired.clusters.get(&key.cluster)?.path.project;
    let identity = KsaIdentity::new(
        project.workload_pool(),
        key.namespace.as_str(),
        key.name.as_str(),
    );
    let before = ksa.account_before();
    let after = ksa.account_after().and_then(|a| Email::parse(a).ok());
    if before == after {
        return None; // in other letters
    }
    let member = |account: &Option<Email>| match account {
        Some(email) => Member::ServiceAccount(email.clone()),
        None => Member::Ksa(identity.clone()),
    };
    let (from, to) = (member(&before), member(&after));
    let mut had = roles.before(&from);
    if before.is_none() {
        // What is taken from it has a line of its own.
        had.retain(|role| roles.after(&from).contains(role));
    }
    let has = roles.after(&to);
    let gains: BTreeSet<String> = match after {
        Some(_) => has.difference(&roles.before(&from)).cloned().collect(),
        // What is given to it has.
        None => BTreeSet::new(),
    };
    let loses: BTreeSet<String> = had.difference(&has).cloned().collect();
    (!(loses.is_empty() && (before.is_none() || gains.is_empty()))).then(|| OtherAccount {
        identity,
        cluster: key.cluster.clone(),
        before,
        after,
        loses,
        gains,
        workloads: who_acts(ksa, live),
    })
}

/// Which roles whoever is a member of policies has, of those that were read.
struct Roles {
    before: BTreeMap<Member, BTreeSet<String>>,
    given: BTreeMap<Member, BTreeSet<String>>,
    taken: BTreeMap<Member, BTreeSet<String>>,
}

impl Roles {
    fn of(live: &Live, plan: &Plan) -> Self {
        let mut roles = Self {
            before: BTreeMap::new(),
            given: BTreeMap::new(),
            taken: BTreeMap::new(),
        };
        for (resource, policy) in live.policies_of_all() {
            for binding in policy.found().into_iter().flat_map(|p| &p.bindings) {
                let name = binding.condition.as_ref().map(|c| c.name());
                let role = in_words(&binding.role, name, &resource.to_string());
                for member in &binding.members {
                    let of = roles.before.entry(Member::parse(member)).or_default();
                    of.insert(role.clone());
                }
            }
        }
        for change in plan.changes.values() {
            let Edit::Binding(binding) = &change.edit else {
                continue;
            };
            let key = &binding.key;
            let name = key.condition.as_ref().map(|c| c.name());
            let role = in_words(key.role.as_str(), name, &key.resource.to_string());
            let to = match binding.adds() {
                true => &mut roles.given,
                false => &mut roles.taken,
            };
            to.entry(key.member.clone()).or_default().insert(role);
        }
        roles
    }

    fn before(&self, member: &Member) -> BTreeSet<String> {
        self.before.get(member).cloned().unwrap_or_default()
    }

    fn after(&self, member: &Member) -> BTreeSet<String> {
        let mut roles = self.before(member);
        for taken in self.taken.get(member).into_iter().flatten() {
            roles.remove(taken);
        }
        roles.extend(self.given.get(member).into_iter().flatten().cloned());
        roles
    }
}

fn in_words(role: &str, condition: Option<&str>, resource: &str) -> String {
    match condition {
        Some(condition) => format!("{role} ({condition}) on {resource}"),
        None => format!("{role} on {resource}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::plan::fixture::{Case, HEAD, marked};

    const ONE: &str = "acme-prod.svc.id.goog[apps/web]";

    /// `apps/web` acts as `one` and its pod runs; both accounts let it, and have roles of their own.
    fn case(access: &str) -> Case {
        let spec = format!(
            "{HEAD}googleServiceAccounts: {{ one-sa: {{ grants: [roles/cloudsql.client, roles/logging.logWriter], users: [apps/web] }}, two-sa: {{ grants: [roles/logging.logWriter], users: [apps/web] }} }}\nnamespaces: {{ apps: {{ serviceAccounts: {{ web: {access} }} }} }}\n"
        );
        let mut case = Case::of(&spec);
        case.node_pool("main", "p", "GKE_METADATA", json!({}));
        for (account, role) in [
            ("one-sa", "roles/cloudsql.client"),
            ("one-sa", "roles/logging.logWriter"),
            ("two-sa", "roles/logging.logWriter"),
        ] {
            let member = format!("serviceAccount:{account}@acme-prod.iam.gserviceaccount.com");
            case.grant("project/acme-prod", role, &member);
        }
        for account in ["one-sa", "two-sa"] {
            case.account(account, json!({ "description": "[wi:shop]" }));
            let on = format!("serviceaccount/{account}@acme-prod.iam.gserviceaccount.com");
            case.grant(
                &on,
                "roles/iam.workloadIdentityUser",
                &format!("serviceAccount:{ONE}"),
            );
        }
        case.pod(
            "main",
            ["apps", "StatefulSet", "web"],
            "web",
            "p",
            json!({}),
        );
        case
    }

    fn told(case: &Case) -> Vec<(bool, String)> {
        let rows = case.plan().access();
        rows.iter()
            .map(|a| (a.gains, format!("{} {}", a.right.what(), a.right.on_what())))
            .collect()
    }

    #[test]
    fn pods_that_change_accounts_by_their_annotation_alone_are_told_of() {
        let mut to_less = case("{ impersonates: two-sa }");
        to_less.ksa("main", "apps", "web", marked(Some("one-sa"), true));
        assert_eq!(
            told(&to_less),
            [(
                false,
                "its account in cluster.main: one-sa@acme-prod.iam.gserviceaccount.com, with roles/cloudsql.client on project/acme-prod; it is two-sa@acme-prod.iam.gserviceaccount.com then: StatefulSet apps/web"
                    .to_owned()
            )]
        );
        let mut to_more = case("{ impersonates: one-sa }");
        to_more.ksa("main", "apps", "web", marked(Some("two-sa"), true));
        assert_eq!(
            told(&to_more),
            [(
                true,
                "another account in cluster.main: one-sa@acme-prod.iam.gserviceaccount.com in place of two-sa@acme-prod.iam.gserviceaccount.com, with roles/cloudsql.client on project/acme-prod: StatefulSet apps/web"
                    .to_owned()
            )]
        );
    }

    #[test]
    fn pods_that_act_as_themselves_in_place_of_an_account_are_told_of() {
        let mut case = case("{ grants: [roles/logging.logWriter] }");
        case.ksa("main", "apps", "web", marked(Some("one-sa"), true));
        let told = told(&case);
        assert!(
            told.iter().any(|(gains, text)| !gains
                && text.starts_with("its account in cluster.main: one-sa@")
                && text.contains("roles/cloudsql.client on project/acme-prod; it is itself then")),
            "{told:#?}"
        );
    }

    #[test]
    fn nothing_is_told_where_nothing_is_lost_or_gained() {
        let mut case = case("{ impersonates: one-sa }");
        case.ksa("main", "apps", "web", marked(Some("one-sa"), true));
        assert_eq!(told(&case), []);
    }
}
