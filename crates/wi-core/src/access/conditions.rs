//! Whether the condition of a binding holds: by the time alone, or for one permission on one resource.

use jiff::Timestamp;

use super::facts::{Facts, Look, look};
use crate::cel::{Attributes, Expression, Name, Truth, eval};
use crate::resource::Resource;

/// Whether an IAM condition holds at `now`, for a caller of whom nothing else is known; `None` where that
/// depends on more than the time, or the time is not known.
pub fn holds(expression: &str, now: Option<Timestamp>) -> Option<bool> {
    let attributes = Attributes {
        time: now,
        ..Attributes::default()
    };
    match truth(expression, &attributes) {
        Truth::Yes => Some(true),
        Truth::No => Some(false),
        Truth::Unknown(_) => None,
    }
}

/// Whether an IAM condition holds at no time from `now` on, whatever else it depends on; `false` where that
/// cannot be told, or the time is not known.
pub fn has_ended(expression: &str, now: Option<Timestamp>) -> bool {
    let Some(now) = now else {
        return false;
    };
    // Between two of the times that it names nothing changes.
    let around = times(expression).flat_map(|time| {
        let second = jiff::SignedDuration::from_secs(1);
        [
            time.checked_sub(second).ok(),
            Some(time),
            time.checked_add(second).ok(),
        ]
    });
    let later = around.flatten().filter(|time| *time > now);
    later
        .chain([now])
        .all(|time| holds(expression, Some(time)) == Some(false))
}

/// The times that an expression names.
fn times(expression: &str) -> impl Iterator<Item = Timestamp> {
    expression.split("timestamp(").skip(1).filter_map(|rest| {
        let rest = rest.trim_start();
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        rest[1..].split(quote).next()?.parse().ok()
    })
}

/// As [`crate::cel::eval`], of a text. What cannot be read is not known.
pub(super) fn truth(expression: &str, attributes: &Attributes) -> Truth {
    match Expression::parse(expression) {
        Ok(parsed) => eval(&parsed, attributes),
        Err(e) => Truth::Unknown(format!("it cannot be read: {e}")),
    }
}

/// What conditions may ask for where this permission is used on this resource. Services that tell nothing
/// (Pub/Sub, Artifact Registry, Run, service accounts) give no value to compare.
/// <https://cloud.google.com/iam/docs/conditions-resource-attributes>
pub(super) fn attributes(
    resource: &Resource,
    permission: &str,
    at: Option<Timestamp>,
    facts: &Facts,
) -> Attributes {
    let mut attributes = Attributes {
        time: at,
        ..Attributes::default()
    };
    let Resource::Named(named) = resource else {
        return attributes;
    };
    let collection = permission.rsplit_once('.').map_or("", |(c, _)| c);
    let row = OWN.iter().find(|(short, ..)| *short == named.kind.short);
    let Some((_, service, own, below)) = row else {
        return attributes;
    };
    attributes.resource_service = Some((*service).to_owned());
    let Some(name) = relative_name(resource, facts) else {
        return attributes;
    };
    if permission == "storage.objects.list" {
        // It is of the bucket, and of no object: what the name is then is not written down.
        attributes.resource_name = Some(Name::Begins(name));
    } else if let Some((_, kind)) = own.iter().find(|(c, _)| *c == collection) {
        attributes.resource_type = Some(format!("{service}/{kind}"));
        attributes.resource_name = Some(Name::Exact(name));
    } else if let Some((_, path, kind)) = below.iter().find(|(c, ..)| *c == collection) {
        attributes.resource_type = Some(format!("{service}/{kind}"));
        attributes.resource_name = Some(Name::Begins(format!("{name}/{path}/")));
    }
    attributes
}

/// `resource.name`: the full name without the service, with the project's number where a service says so.
fn relative_name(resource: &Resource, facts: &Facts) -> Option<String> {
    let full = resource.full_name();
    let (_, name) = full.strip_prefix("//")?.split_once('/')?;
    if !matches!(resource.kind().short, "secret" | "regional-secret") {
        return Some(name.to_owned());
    }
    let mut parts: Vec<&str> = name.split('/').collect();
    let project = parts.get(1)?.parse().ok()?;
    let Look::Found(number) = look(&facts.numbers, &project) else {
        return None;
    };
    let number = number.to_string();
    *parts.get_mut(1)? = &number;
    Some(parts.join("/"))
}

/// Kind, `resource.service`, the types of the resource itself by what its permissions begin with, and of
/// what is in it with the path from there.
type Row = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static [(&'static str, &'static str, &'static str)],
);

const OWN: [Row; 9] = [
    (
        "bucket",
        "storage.googleapis.com",
        &[("storage.buckets", "Bucket")],
        &[
            ("storage.objects", "objects", "Object"),
            ("storage.managedFolders", "managedFolders", "ManagedFolder"),
        ],
    ),
    (
        "secret",
        "secretmanager.googleapis.com",
        &[("secretmanager.secrets", "Secret")],
        &[("secretmanager.versions", "versions", "SecretVersion")],
    ),
    (
        "regional-secret",
        "secretmanager.googleapis.com",
        &[("secretmanager.secrets", "Secret")],
        &[("secretmanager.versions", "versions", "SecretVersion")],
    ),
    (
        "dataset",
        "bigquery.googleapis.com",
        &[("bigquery.datasets", "Dataset")],
        &[("bigquery.tables", "tables", "Table")],
    ),
    (
        "table",
        "bigquery.googleapis.com",
        &[("bigquery.tables", "Table")],
        &[],
    ),
    (
        "keyring",
        "cloudkms.googleapis.com",
        &[("cloudkms.keyRings", "KeyRing")],
        &[("cloudkms.cryptoKeys", "cryptoKeys", "CryptoKey")],
    ),
    (
        "key",
        "cloudkms.googleapis.com",
        &[("cloudkms.cryptoKeys", "CryptoKey")],
        &[(
            "cloudkms.cryptoKeyVersions",
            "cryptoKeyVersions",
            "CryptoKeyVersion",
        )],
    ),
    (
        "spanner-instance",
        "spanner.googleapis.com",
        &[("spanner.instances", "Instance")],
        &[("spanner.databases", "databases", "Database")],
    ),
    (
        "spanner",
        "spanner.googleapis.com",
        &[("spanner.databases", "Database")],
        &[],
    ),
];

#[cfg(test)]
mod tests {
    use super::{has_ended, holds};

    #[test]
    fn condition_is_told_by_the_time_alone() {
        let now = "2026-11-30T00:00:00Z".parse().ok();
        let past = r#"request.time < timestamp("2026-01-01T00:00:00Z")"#;
        let other = r#"resource.name.startsWith("projects/_/buckets/a || b")"#;
        for (expression, wanted) in [
            (past.to_owned(), Some(false)),
            (other.to_owned(), None),
            (format!("{other} && {past}"), Some(false)),
            (
                format!("request.time.getHours() < 18 && {past}"),
                Some(false),
            ),
            ("request.time.getHours() < 18".to_owned(), None),
            ("no expression".to_owned(), None),
        ] {
            assert_eq!(holds(&expression, now), wanted, "{expression}");
        }
        assert_eq!(holds(past, None), None);
    }

    #[test]
    fn a_condition_has_ended_that_holds_at_no_time_from_now_on() {
        let now = "2026-11-30T00:00:00Z".parse().ok();
        let until = |year: u32| format!("request.time < timestamp(\"{year}-01-01T00:00:00Z\")");
        let from = |year: u32| format!("request.time >= timestamp('{year}-01-01T00:00:00Z')");
        for (expression, ended) in [
            (until(2026), true),
            (until(2027), false),
            (from(2027), false),
            (format!("{} && {}", from(2027), until(2028)), false),
            (format!("{} && {}", from(2028), until(2027)), true),
            (format!("{} && resource.name == \"x\"", until(2026)), true),
            (format!("{} || resource.name == \"x\"", until(2026)), false),
            ("false".to_owned(), true),
            ("resource.name == \"x\"".to_owned(), false),
            ("request.time.getHours() >= 9".to_owned(), false),
        ] {
            assert_eq!(has_ended(&expression, now), ended, "{expression}");
        }
        assert!(!has_ended(&until(2026), None));
    }
}
