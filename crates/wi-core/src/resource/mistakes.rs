//! What is wrong with the name of a resource, and what was meant.

use std::collections::BTreeSet;

use super::Resource;
use super::kinds::{KINDS, Kind};
use crate::names::{NameError, ProjectId, is_location};

/// Checks the names of what is written as `s`.
pub(super) fn check(s: &str, kind: &Kind, names: &[String]) -> Result<(), NameError> {
    if names.iter().any(String::is_empty) {
        let error = NameError(format!("`{s}` lacks a name"), None);
        return Err(error.help(kind.written_form()));
    }
    if kind.in_project() {
        ProjectId::parse(&names[0])?;
    }
    if matches!(kind.short, "folder" | "organization")
        && !names[0].bytes().all(|b| b.is_ascii_digit())
    {
        let (what, list) = match kind.short {
            "folder" => ("a folder", "gcloud resource-manager folders list"),
            _ => ("an organization", "gcloud organizations list"),
        };
        let error = NameError::not(&names[0], &format!("the number of {what}"));
        return Err(error.help(format!("`{list}` shows it.")));
    }
    if matches!(kind.short, "bucket" | "managedfolder") {
        let name = &names[0];
        let ok = (3..=222).contains(&name.len())
            && name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._".contains(&b))
            && name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.ends_with(|c: char| c.is_ascii_alphanumeric());
        if !ok {
            return Err(NameError::not(
                name,
                "a bucket name: 3 to 222 lower-case letters, digits, `-`, `_` and `.`, with a letter or digit at both ends",
            ));
        }
    }
    // It may become part of a host's name.
    if let Some(location) = location_of(kind, names)
        && !is_location(location)
    {
        let error = NameError::not(location, "a location, such as europe-west1");
        return Err(error.help(kind.written_form()));
    }
    // https://cloud.google.com/bigquery/docs/datasets#dataset-naming
    if matches!(kind.short, "dataset" | "table")
        && !names[1]
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_')
    {
        let error = NameError::not(
            &names[1],
            "the name of a dataset: letters, digits and underscores",
        );
        // As bq writes it: PROJECT.DATASET and PROJECT:DATASET.
        let apart = names[1].split_once(['.', ':']);
        return Err(match apart.filter(|(p, _)| ProjectId::parse(p).is_ok()) {
            Some((project, rest)) => {
                let rest: Vec<&str> = rest
                    .split('.')
                    .chain(names[2..].iter().map(String::as_str))
                    .collect();
                error.help(format!(
                    "Write {}/{project}/{}.",
                    kind.short,
                    rest.join("/")
                ))
            }
            None => error,
        });
    }
    let bad = names.iter().find(|n| {
        n.len() > 1024
            || matches!(n.as_str(), "." | "..")
            || n.chars().any(|c| c.is_control() || c.is_whitespace())
    });
    match bad {
        Some(name) => Err(NameError::not(
            name,
            &format!("the name of a {}", kind.short),
        )),
        None => Ok(()),
    }
}

/// The name that is the resource's location, for kinds that are in one.
fn location_of<'a>(kind: &Kind, names: &'a [String]) -> Option<&'a str> {
    let mut places = kind.form.split('/');
    let at = places.position(|p| p.trim_start_matches(']') == "LOCATION")?;
    names.get(at).map(String::as_str)
}

/// What is said about a full name that no kind has: the names that its service has.
pub(super) fn no_full_name(s: &str, full: &str) -> NameError {
    let error = NameError::not(s, "the name of a resource that wi can grant on");
    let service = full.split('/').next().unwrap_or_default();
    let forms: Vec<String> = KINDS
        .iter()
        .filter(|k| k.service() == service)
        .map(|k| format!("//{}", k.full_form()))
        .collect();
    if !forms.is_empty() {
        return error.help(format!("Write {}", forms.join("\nor    ")));
    }
    let services: BTreeSet<&str> = KINDS
        .iter()
        .filter_map(|k| k.service().strip_suffix(".googleapis.com"))
        .collect();
    let services = Vec::from_iter(services).join(", ");
    error.help(format!(
        "Services that wi knows, each with .googleapis.com: {services}."
    ))
}

/// What is said about a short name of no kind.
pub(super) fn no_short_name(s: &str) -> NameError {
    let error = NameError::not(s, "a resource that wi can grant on");
    let (short, rest) = s.split_once('/').unwrap_or((s, ""));
    let mut meant: Vec<String> = s
        .strip_prefix("gs://")
        .map(|bucket| format!("bucket/{}", bucket.trim_end_matches('/')))
        .into_iter()
        .collect();
    // The APIs' own relative names, `projects/P/secrets/NAME`; some are the same in two services.
    meant.extend(KINDS.iter().filter_map(|kind| {
        let full = format!("{}/{s}", kind.service());
        let (found, names) = Resource::from_full(&full)?;
        (found.service() == kind.service()).then(|| format!("{}/{}", found.short, names.join("/")))
    }));
    meant.dedup();
    if meant.is_empty() {
        // `Bucket/x` and `buckets/x`.
        let lower = short.to_lowercase();
        let kind = Kind::of(&lower).or_else(|| Kind::of(lower.strip_suffix('s')?));
        meant.extend(kind.map(|k| format!("{}/{rest}", k.short)));
    }
    if !meant.is_empty() {
        return error.help(format!("Write {}.", meant.join(" or ")));
    }
    let kinds: Vec<&str> = KINDS.iter().map(|k| k.short).collect();
    error.help(format!(
        "Write KIND/NAME, such as bucket/acme-receipts, or a full resource name (//SERVICE/…). Kinds: {}.",
        kinds.join(", ")
    ))
}
