//! Annotations are access: Kubernetes service accounts that act as another Google one than before, as one in place
//! of themselves, or the other way round. No binding need change for that, and what their pods may do does.

use std::collections::{BTreeMap, BTreeSet};

use super::losses::who_acts;
use super::{Edit, Ksa, KsaAfter, OtherAccount, Plan};
use crate::address::Address;
use crate::desired::Desired;
use crate::live::Live;
use crate::names::{Condition, Email, KsaIdentity, Member};
use crate::resource::Resource;

/// Those of `plan`, by the addresses of the service accounts.
pub(super) fn find(desired: &Desired, live: &Live, plan: &Plan) -> BTreeMap<Address, OtherAccount> {
    let edits = plan.changes.iter();
    let changing: Vec<(&Address, Changing)> = edits
        .filter_map(|(address, change)| match &change.edit {
            Edit::Ksa(ksa) => Some((address, Changing::of(ksa, desired, plan)?)),
            _ => None,
        })
        .collect();
    if changing.is_empty() {
        return BTreeMap::new();
    }
    let members = changing.iter().flat_map(|(_, c)| [c.from(), c.to()]);
    let roles = Roles::of(members.collect(), live, plan);
    let found = changing.into_iter().filter_map(|(address, changing)| {
        let other = changing.with(&roles, live)?;
        Some((address.clone(), other))
    });
    found.collect()
}

/// A service account that acts as something else then.
struct Changing<'a> {
    ksa: &'a Ksa,
    identity: KsaIdentity,
    before: Option<Email>,
    after: Option<Email>,
}

impl<'a> Changing<'a> {
    fn of(ksa: &'a Ksa, desired: &Desired, plan: &Plan) -> Option<Self> {
        let stays = matches!(ksa.after, KsaAfter::Kept { .. }) && ksa.before.is_some();
        if !stays || !ksa.changes_identity(&plan.owner) {
            return None;
        }
        let key = &ksa.key;
        let project = &desired.clusters.get(&key.cluster)?.path.project;
        let identity = key.identity(project);
        let before = ksa.account_before();
        let after = ksa.account_after().and_then(|a| Email::parse(a).ok());
        // Or else in other letters.
        (before != after).then_some(Self {
            ksa,
            identity,
            before,
            after,
        })
    }

    fn from(&self) -> Member {
        self.member(self.before.as_ref())
    }

    fn to(&self) -> Member {
        self.member(self.after.as_ref())
    }

    fn member(&self, account: Option<&Email>) -> Member {
        match account {
            Some(email) => Member::ServiceAccount(email.clone()),
            None => Member::Ksa(self.identity.clone()),
        }
    }

    /// With what that gives and takes; `None`: nothing that no other change says.
    fn with(self, roles: &Roles, live: &Live) -> Option<OtherAccount> {
        let (from, to) = (self.from(), self.to());
        let (had, has) = (roles.before(&from), roles.after(&to));
        let stays = roles.after(&from);
        // What is taken from it has a line of its own.
        let told = |role: &&String| self.before.is_some() || stays.contains(*role);
        let loses: BTreeSet<String> = had.difference(has).filter(told).cloned().collect();
        let gains: BTreeSet<String> = match self.after {
            Some(_) => has.difference(had).cloned().collect(),
            // What is given to it has.
            None => BTreeSet::new(),
        };
        (!(loses.is_empty() && (self.before.is_none() || gains.is_empty()))).then(|| OtherAccount {
            identity: self.identity,
            cluster: self.ksa.key.cluster.clone(),
            before: self.before,
            after: self.after,
            loses,
            gains,
            workloads: who_acts(self.ksa, live),
        })
    }
}

/// Which roles some members of policies have, of those that were read.
struct Roles {
    before: BTreeMap<Member, BTreeSet<String>>,
    after: BTreeMap<Member, BTreeSet<String>>,
}

/// Of those that have none.
static NONE: BTreeSet<String> = BTreeSet::new();

impl Roles {
    fn of(members: BTreeSet<Member>, live: &Live, plan: &Plan) -> Self {
        let mut before: BTreeMap<Member, BTreeSet<String>> = BTreeMap::new();
        for (resource, policy) in live.policies_of_all() {
            for binding in policy.found().into_iter().flat_map(|p| &p.bindings) {
                let condition = binding.condition.as_ref();
                let parsed = binding.members.iter().map(|m| Member::parse(m));
                for member in parsed.filter(|m| members.contains(m)) {
                    let role = in_words(&binding.role, condition, resource);
                    before.entry(member).or_default().insert(role);
                }
            }
        }
        let mut after = before.clone();
        let edits = plan.changes.values().filter_map(|c| match &c.edit {
            Edit::Binding(binding) if members.contains(&binding.key.member) => Some(binding),
            _ => None,
        });
        let (given, taken): (Vec<_>, Vec<_>) = edits.partition(|b| b.adds());
        // What is given last: a condition may change under its title.
        for binding in taken.into_iter().chain(given) {
            let key = &binding.key;
            let role = in_words(key.role.as_str(), key.condition.as_ref(), &key.resource);
            let of = after.entry(key.member.clone()).or_default();
            match binding.adds() {
                true => of.insert(role),
                false => of.remove(&role),
            };
        }
        Self { before, after }
    }

    fn before(&self, member: &Member) -> &BTreeSet<String> {
        self.before.get(member).unwrap_or(&NONE)
    }

    fn after(&self, member: &Member) -> &BTreeSet<String> {
        self.after.get(member).unwrap_or(&NONE)
    }
}

fn in_words(role: &str, condition: Option<&Condition>, resource: &Resource) -> String {
    match condition {
        Some(condition) => format!("{role} ({}) on {resource}", condition.name()),
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
