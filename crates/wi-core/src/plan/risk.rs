//! What of a plan a reviewer should look at first.

use super::{AccessChange, Fate, Plan, What, Workload};

/// Parts of a plan that can do harm.
#[derive(Debug, Clone, Default)]
pub struct Risks<'a> {
    /// Roles that are taken from somebody.
    pub losses: Vec<&'a AccessChange>,
    /// Roles that let their new holder give itself or others more.
    pub increases: Vec<&'a AccessChange>,
    /// Node pools whose nodes are recreated, and how many nodes.
    pub rolls: Vec<(&'a str, u64)>,
    /// Workloads that lose the node's identity, accepted or not, by the node pool's address.
    pub losers: Vec<(&'a str, &'a Workload)>,
}

/// Roles without `admin` or `owner` in their names that are as good as one that has.
const POWERFUL: [&str; 4] = [
    "roles/editor",
    "roles/iam.serviceAccountTokenCreator",
    "roles/iam.serviceAccountOpenIdTokenCreator",
    "roles/iam.serviceAccountUser",
];

impl AccessChange {
    /// Whether its principal could raise itself or others by it: a role that administers, one that
    /// acts as other accounts, or any role on a folder or an organization.
    pub fn is_increase(&self) -> bool {
        // `ROLE (TITLE)` where there is a condition.
        let role = self.role.split(' ').next().unwrap_or_default();
        let name = role.rsplit('/').next().unwrap_or_default();
        let name = name.to_ascii_lowercase();
        let wide = ["on folder/", "on organization/"]
            .iter()
            .any(|kind| self.resource.starts_with(kind));
        self.gains
            && (POWERFUL.contains(&role)
                || name.contains("admin")
                || name.ends_with("owner")
                || wide)
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
            let What::NodePool { nodes, .. } = &change.what else {
                return None;
            };
            Some((&**address, *nodes))
        });
        let moved = self
            .impact
            .iter()
            .filter(|(address, _)| self.changes.contains_key(*address));
        let losers = moved.flat_map(|(address, impact)| {
            impact
                .workloads
                .iter()
                .filter(|(fate, _)| matches!(fate, Fate::Loses(_) | Fate::LosesAccepted))
                .flat_map(move |(_, all)| all.iter().map(move |w| (&**address, w)))
        });
        Risks {
            losses: self.access.iter().filter(|a| !a.gains).collect(),
            increases: self.access.iter().filter(|a| a.is_increase()).collect(),
            rolls: rolls.collect(),
            losers: losers.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gain(role: &str, resource: &str) -> AccessChange {
        AccessChange {
            gains: true,
            principal: "a".to_owned(),
            role: role.to_owned(),
            resource: resource.to_owned(),
            clusters: 0,
        }
    }

    #[test]
    fn roles_that_lead_to_more_are_increases() {
        for role in [
            "roles/owner",
            "roles/storage.admin",
            "roles/resourcemanager.projectIamAdmin",
            "roles/bigquery.dataOwner",
            "roles/storage.admin (until-2027)",
            "roles/iam.serviceAccountUser",
        ] {
            assert!(gain(role, "on project/acme-prod").is_increase(), "{role}");
        }
        for role in ["roles/storage.objectViewer", "the right to act as"] {
            assert!(!gain(role, "on project/acme-prod").is_increase(), "{role}");
        }
        assert!(gain("roles/viewer", "on folder/12").is_increase());
        let mut loss = gain("roles/owner", "on project/acme-prod");
        loss.gains = false;
        assert!(!loss.is_increase());
    }
}
