//! What of a plan a reviewer should look at first.

use crate::plan::{AccessChange, Edit, Plan, Right, Workload};

/// Parts of a plan that can do harm.
#[derive(Debug, Clone, Default)]
pub struct Risks<'a> {
    /// Roles that are taken from somebody.
    pub losses: Vec<AccessChange>,
    /// Roles that let their new holder give itself or others more.
    pub increases: Vec<AccessChange>,
    /// Node pools whose nodes are recreated, and how many nodes.
    pub rolls: Vec<(&'a str, u64)>,
    /// Workloads that lose the node's identity, accepted or not, by the node pool's address.
    pub losers: Vec<(&'a str, &'a Workload)>,
}

/// Roles without `admin` or `owner` in their names that are as good as one that has.
const POWERFUL: [&str; 5] = [
    "roles/editor",
    "roles/writer",
    "roles/iam.serviceAccountTokenCreator",
    "roles/iam.serviceAccountOpenIdTokenCreator",
    "roles/iam.serviceAccountUser",
];

impl AccessChange {
    /// Whether its principal could raise itself or others by it: a role that administers, one that
    /// acts as other accounts, or any role on a folder or an organization.
    pub fn is_increase(&self) -> bool {
        let Right::Role { role, on, .. } = &self.right else {
            return false;
        };
        let name = role.id().to_ascii_lowercase();
        self.gains
            && (POWERFUL.contains(&role.as_str())
                || name.contains("admin")
                || name.ends_with("owner")
                || matches!(on.kind().short, "folder" | "organization"))
    }
}

impl Risks<'_> {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.losses.is_empty()
            && self.increases.is_empty()
            && self.rolls.is_empty()
            && self.losers.is_empty()
    }
}

impl Plan {
    /// What to look at first.
    pub fn risks(&self) -> Risks<'_> {
        let rolls = self.changes.iter().filter_map(|(address, change)| {
            let Edit::NodePool(pool) = &change.edit else {
                return None;
            };
            Some((&**address, pool.nodes))
        });
        let moved = self
            .impact
            .iter()
            .filter(|(address, _)| self.changes.contains_key(*address));
        let losers =
            moved.flat_map(|(address, impact)| impact.losers().map(move |w| (&**address, w)));
        let (gains, losses): (Vec<_>, Vec<_>) = self.access().into_iter().partition(|a| a.gains);
        Risks {
            losses,
            increases: gains
                .into_iter()
                .filter(AccessChange::is_increase)
                .collect(),
            rolls: rolls.collect(),
            losers: losers.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::{Email, Member, Role};
    use crate::resource::Resource;

    fn gain(role: &str, on: &str) -> AccessChange {
        AccessChange {
            gains: true,
            principal: Member::parse("user:a@b.c"),
            right: Right::Role {
                role: Role::parse(role).expect("a role"),
                on: Resource::parse(on, None).expect("a resource"),
                condition: None,
            },
            clusters: 0,
        }
    }

    #[test]
    fn roles_that_lead_to_more_are_increases() {
        for role in [
            "roles/owner",
            "roles/admin",
            "roles/writer",
            "roles/storage.admin",
            "roles/resourcemanager.projectIamAdmin",
            "roles/bigquery.dataOwner",
            "roles/iam.serviceAccountUser",
            "projects/acme-prod/roles/teamAdmin",
        ] {
            assert!(gain(role, "project/acme-prod").is_increase(), "{role}");
        }
        assert!(!gain("roles/storage.objectViewer", "project/acme-prod").is_increase());
        assert!(gain("roles/viewer", "folder/12").is_increase());
        let mut loss = gain("roles/owner", "project/acme-prod");
        loss.gains = false;
        assert!(!loss.is_increase());
        let acts = AccessChange {
            right: Right::ActAs {
                account: Email::parse("admin@acme-prod.iam.gserviceaccount.com").expect("an email"),
                condition: None,
            },
            ..gain("roles/owner", "project/acme-prod")
        };
        assert!(!acts.is_increase());
    }
}
