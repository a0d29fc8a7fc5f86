//! What a plan leaves of what is there. A pod whose node pool moves has no more than that afterwards, unless
//! the spec gives it something.

use std::collections::BTreeMap;

use crate::address::KsaKey;
use crate::live::{Live, Seen};
use crate::plan::{AccountAfter, Binding, Edit, Ksa, KsaAfter, Plan};

/// What the changes of a plan take away.
#[derive(Debug, Default)]
pub(in crate::plan) struct Left {
    /// What the rest is looked up in; `None`: nothing is taken.
    live: Option<Live>,
    /// Annotations of the service accounts that change; `Err`: it goes.
    annotations: BTreeMap<KsaKey, Result<Option<String>, Goes>>,
}

/// A service account that is deleted.
#[derive(Debug, Clone, Copy)]
pub(in crate::plan) struct Goes;

impl Left {
    pub(in crate::plan) fn by(plan: &Plan, live: &Live) -> Self {
        let mut left = Self::default();
        for change in plan.changes.values() {
            match &change.edit {
                Edit::Ksa(ksa) => {
                    let after = annotation(ksa);
                    left.annotations.insert(ksa.key.clone(), after);
                }
                Edit::Binding(binding) if !binding.adds() => {
                    without(left.live_of(live), binding);
                }
                Edit::Account(account) => {
                    let accounts = left.live_of(live).accounts.get_mut(&account.project);
                    let Some(Seen::Found(accounts)) = accounts else {
                        continue;
                    };
                    match (&account.after, accounts.get_mut(&account.email)) {
                        (AccountAfter::Deleted, _) => {
                            accounts.remove(&account.email);
                        }
                        (AccountAfter::Disabled { .. }, Some(found)) => found.disabled = true,
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        left
    }

    /// A copy of what is looked up, without the objects of the clusters.
    fn live_of(&mut self, live: &Live) -> &mut Live {
        self.live.get_or_insert_with(|| Live {
            accounts: live.accounts.clone(),
            accounts_of_others: live.accounts_of_others.clone(),
            policies: live.policies.clone(),
            background: live.background.clone(),
            numbers: live.numbers.clone(),
            ..Live::default()
        })
    }

    /// What is there but for what is taken.
    pub(in crate::plan) fn live<'a>(&'a self, live: &'a Live) -> &'a Live {
        self.live.as_ref().unwrap_or(live)
    }

    /// The annotation of a service account that reads so now.
    ///
    /// # Errors
    /// The service account goes.
    pub(in crate::plan) fn annotation<'a>(
        &'a self,
        key: &KsaKey,
        now: Option<&'a str>,
    ) -> Result<Option<&'a str>, Goes> {
        match self.annotations.get(key) {
            Some(Ok(after)) => Ok(after.as_deref()),
            Some(Err(goes)) => Err(*goes),
            None => Ok(now),
        }
    }
}

fn annotation(ksa: &Ksa) -> Result<Option<String>, Goes> {
    match ksa.after {
        KsaAfter::Deleted => Err(Goes),
        _ => Ok(ksa.account_after().map(str::to_owned)),
    }
}

fn without(live: &mut Live, removed: &Binding) {
    let key = &removed.key;
    for policies in [&mut live.policies, &mut live.background] {
        let Some(Seen::Found(policy)) = policies.get_mut(&key.resource) else {
            continue;
        };
        let same = policy
            .bindings
            .iter_mut()
            .filter(|b| b.role == key.role.as_str() && b.condition == key.condition);
        for binding in same {
            binding.members.retain(|m| !removed.before.contains(m));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::plan::fixture::{Case, HEAD, marked};

    const POOL: &str = "nodepool.main/p";

    /// `apps/web` on a node pool that moves: whether that is held back under this spec.
    fn is_held(spec: &str, adopted: bool, account: Option<&str>) -> bool {
        let mut case = Case::of(&format!("{HEAD}{spec}"));
        case.node_pool("main", "p", "GCE_METADATA", json!({}));
        case.account("one-sa", json!({ "description": "[wi:shop]" }));
        let on = "serviceaccount/one-sa@acme-prod.iam.gserviceaccount.com";
        let member = "serviceAccount:acme-prod.svc.id.goog[apps/web]";
        case.grant(on, "roles/iam.workloadIdentityUser", member);
        let own = "principal://iam.googleapis.com/projects/123/locations/global/workloadIdentityPools/acme-prod.svc.id.goog/subject/ns/apps/sa/web";
        case.grant("project/acme-prod", "roles/logging.logWriter", own);
        case.ksa("main", "apps", "web", marked(account, adopted));
        case.pod(
            "main",
            ["apps", "StatefulSet", "web"],
            "web",
            "p",
            json!({}),
        );
        let plan = case.plan();
        let held = plan.held_back.iter().any(|h| *h.address == *POOL);
        assert_ne!(held, plan.changes.contains_key(POOL));
        held
    }

    #[test]
    fn pods_have_what_the_plan_leaves_when_their_node_pool_moves() {
        let one = "googleServiceAccounts: { one-sa: {} }\n";
        let web = |access: &str| {
            format!("{one}namespaces: {{ apps: {{ serviceAccounts: {{ web: {access} }} }} }}\n")
        };
        let acts = web("{ impersonates: one-sa }");
        assert!(
            !is_held(&acts, true, Some("one-sa")),
            "it acts as it and goes on"
        );
        let itself = web("{ grants: [roles/logging.logWriter] }");
        assert!(
            !is_held(&itself, true, None),
            "it has its role and keeps it"
        );
        // Its role goes with the plan, its annotation is taken back with it, or it goes itself.
        assert!(is_held(&web("{}"), true, None));
        assert!(is_held(one, true, Some("one-sa")));
        assert!(is_held(one, false, Some("one-sa")));
    }

    #[test]
    fn pods_of_one_that_is_given_back_have_what_it_had_before() {
        let held = |may_act_as: &str| {
            let mut case = Case::of(HEAD);
            case.node_pool("main", "p", "GCE_METADATA", json!({}));
            let mut annotations = marked(Some("one-sa"), true);
            annotations["wi/former-account"] = "old-app@acme-prod.iam.gserviceaccount.com".into();
            case.ksa("main", "apps", "web", annotations);
            for name in ["one-sa", "old-app"] {
                case.account(name, json!({}));
            }
            let on = format!("serviceaccount/{may_act_as}@acme-prod.iam.gserviceaccount.com");
            let all = "principalSet://iam.googleapis.com/projects/123/locations/global/workloadIdentityPools/acme-prod.svc.id.goog/namespace/apps";
            case.grant(&on, "roles/iam.workloadIdentityUser", all);
            case.pod(
                "main",
                ["apps", "StatefulSet", "web"],
                "web",
                "p",
                json!({}),
            );
            let plan = case.plan();
            plan.held_back.iter().any(|h| *h.address == *POOL)
        };
        assert!(held("one-sa"), "it does not act as that any more");
        assert!(!held("old-app"));
    }
}
