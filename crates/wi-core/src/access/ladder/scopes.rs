//! What tokens of a node are good for: they have the node pool's scopes.

/// What the names of scopes begin with.
const PREFIX: &str = "https://www.googleapis.com/auth/";

/// Services with scopes of their own: what permissions begin with, the scopes for all of it, those for reads.
const OWN: [(&str, &[&str], &[&str]); 9] = [
    (
        "storage.",
        &["devstorage.full_control", "devstorage.read_write"],
        &["devstorage.read_only"],
    ),
    ("bigquery.", &["bigquery"], &["bigquery.readonly"]),
    ("pubsub.", &["pubsub"], &[]),
    (
        "logging.",
        &["logging.admin", "logging.write"],
        &["logging.read"],
    ),
    (
        "monitoring.",
        &["monitoring", "monitoring.write"],
        &["monitoring.read"],
    ),
    ("cloudtrace.", &["trace.append"], &["trace.readonly"]),
    ("cloudsql.", &["sqlservice.admin"], &[]),
    ("datastore.", &["datastore"], &[]),
    ("compute.", &["compute"], &["compute.readonly"]),
];

/// Whether a token with these scopes may be used for a permission; `None`: that depends on the call.
pub(super) fn cover(scopes: &[String], permission: &str) -> Option<bool> {
    let has = |name: &str| scopes.iter().any(|s| s.strip_prefix(PREFIX) == Some(name));
    if has("cloud-platform") {
        return Some(true);
    }
    let verb = permission.rsplit('.').next().unwrap_or_default();
    let is_read = verb.starts_with("get") || verb.starts_with("list");
    let Some((_, all, reads)) = OWN.iter().find(|(start, ..)| permission.starts_with(start)) else {
        return match has("cloud-platform.read-only") {
            true => None,
            false => Some(false),
        };
    };
    if is_read && reads.iter().any(|s| has(s)) {
        return Some(true);
    }
    if all.iter().any(|s| has(s)) {
        // Which of the service's calls a scope covers differs.
        return None;
    }
    match has("cloud-platform.read-only") {
        true => None,
        false => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_of_gke_nodes_cover_what_they_are_for() {
        let of = |names: &[&str]| {
            names
                .iter()
                .map(|n| format!("{PREFIX}{n}"))
                .collect::<Vec<_>>()
        };
        let usual = of(&[
            "devstorage.read_only",
            "logging.write",
            "monitoring",
            "trace.append",
        ]);
        for (scopes, permission, covered) in [
            (
                of(&["cloud-platform"]),
                "secretmanager.versions.access",
                Some(true),
            ),
            (usual.clone(), "storage.objects.get", Some(true)),
            (usual.clone(), "storage.objects.create", Some(false)),
            (usual.clone(), "secretmanager.versions.access", Some(false)),
            (usual.clone(), "logging.logEntries.create", None),
            (
                of(&["cloud-platform.read-only"]),
                "secretmanager.versions.access",
                None,
            ),
            (of(&[]), "pubsub.topics.publish", Some(false)),
        ] {
            assert_eq!(cover(&scopes, permission), covered, "{permission}");
        }
    }
}
