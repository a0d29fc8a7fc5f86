//! What roles permit: predefined ones by a table that is cut to what workloads use, custom ones by the world.
//!
//! Of a role that the table does not have nothing is said.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use super::world::{CustomRole, World};

type Table = BTreeMap<&'static str, BTreeSet<String>>;

static TABLE: LazyLock<Table> = LazyLock::new(|| read(include_str!("roles.txt")));

/// Reads the table; its head says how it is written.
fn read(text: &'static str) -> Table {
    let mut rows: Vec<(&str, Vec<&str>)> = Vec::new();
    let lines = text
        .lines()
        .filter(|l| !l.starts_with('#') && !l.is_empty());
    for line in lines {
        match (line.strip_prefix(' '), rows.last_mut()) {
            (Some(more), Some((_, words))) => words.extend(more.split_whitespace()),
            _ => rows.push((line, Vec::new())),
        }
    }
    let all: BTreeSet<String> = rows
        .iter()
        .flat_map(|(_, words)| words)
        .filter(|word| !word.starts_with(['*', '-']))
        .flat_map(|word| several(word))
        .collect();
    rows.into_iter()
        .map(|(role, words)| {
            let mut permissions = BTreeSet::new();
            for word in words {
                match (word, word.strip_prefix('-')) {
                    ("*", _) => permissions.extend(all.iter().cloned()),
                    (_, Some(less)) => {
                        for permission in several(less) {
                            permissions.remove(&permission);
                        }
                    }
                    (word, None) => permissions.extend(several(word)),
                }
            }
            (role, permissions)
        })
        .collect()
}

/// `a.{b,c}`.
fn several(word: &str) -> Vec<String> {
    match word.strip_suffix('}').and_then(|w| w.split_once('{')) {
        Some((start, ends)) => ends.split(',').map(|end| format!("{start}{end}")).collect(),
        None => vec![word.to_owned()],
    }
}

/// The custom role of this name.
pub fn custom<'w>(world: &'w World, role: &str) -> Option<&'w CustomRole> {
    world.custom_roles.iter().find(|r| r.name() == role)
}

/// Whether a role has a permission; `None`: the table does not have the role.
pub fn permits(world: &World, role: &str, permission: &str) -> Option<bool> {
    if !role.starts_with("roles/") {
        return Some(custom(world, role).is_some_and(|r| r.gives(permission)));
    }
    if world.unknown_roles.iter().any(|r| r == role) {
        return Some(false);
    }
    TABLE
        .get(role)
        .map(|permissions| permissions.contains(permission))
}

/// The permissions of a predefined role; none where the table does not have it.
pub fn permissions(role: &str) -> impl Iterator<Item = &'static str> {
    TABLE.get(role).into_iter().flatten().map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_has_what_google_says() {
        let world = World::default();
        for (role, permission, wanted) in [
            (
                "roles/iam.workloadIdentityUser",
                "iam.serviceAccounts.list",
                true,
            ),
            (
                "roles/iam.workloadIdentityUser",
                "iam.serviceAccounts.getAccessToken",
                true,
            ),
            ("roles/owner", "iam.serviceAccounts.getAccessToken", false),
            ("roles/owner", "iam.serviceAccounts.setIamPolicy", true),
            ("roles/owner", "storage.objects.get", false),
            ("roles/owner", "storage.buckets.get", false),
            ("roles/owner", "secretmanager.versions.access", true),
            ("roles/editor", "secretmanager.versions.access", false),
            ("roles/editor", "pubsub.topics.publish", true),
            ("roles/admin", "iam.serviceAccounts.getAccessToken", false),
            ("roles/reader", "pubsub.topics.get", true),
            ("roles/viewer", "pubsub.topics.publish", false),
            ("roles/storage.objectViewer", "storage.objects.get", true),
            (
                "roles/storage.objectViewer",
                "storage.objects.create",
                false,
            ),
        ] {
            let found = permits(&world, role, permission);
            assert_eq!(found, Some(wanted), "{role} {permission}");
        }
        assert_eq!(
            permits(&world, "roles/redis.admin", "redis.instances.get"),
            None
        );
        let tokens = "iam.serviceAccounts.getAccessToken";
        let holders: Vec<&str> = TABLE
            .iter()
            .filter(|(_, p)| p.contains(tokens))
            .map(|(r, _)| *r)
            .collect();
        assert_eq!(
            holders,
            [
                "roles/iam.serviceAccountTokenCreator",
                "roles/iam.workloadIdentityUser"
            ]
        );
    }
}
