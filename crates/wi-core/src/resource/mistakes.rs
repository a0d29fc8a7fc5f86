//! What is wrong with the name of a resource, and what was meant.

use std::collections::BTreeSet;

use super::Resource;
use super::kind::Kind;
use super::kinds::{self, KINDS};
use crate::names::{NameError, ProjectId, is_location};

/// Checks the names of what is written as `s`.
pub(super) fn check(s: &str, kind: &Kind, names: &[String]) -> Result<(), NameError> {
    if names.iter().any(String::is_empty) {
        let error = NameError(format!("`{s}` lacks a name"), None);
        return Err(error.help(kind.written_form()));
    }
    if kind.in_project() {
        ProjectId::parse_in_name(&names[0])?;
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
    if matches!(kind.short, "dataset" | "table" | "routine")
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
        let meant = apart.map(|(project, rest)| {
            let rest: Vec<&str> = rest
                .split('.')
                .chain(names[2..].iter().map(String::as_str))
                .collect();
            format!("{}/{project}/{}", kind.short, rest.join("/"))
        });
        return Err(match meant.filter(|m| is_taken(m)) {
            Some(meant) => error.help(format!("Write {meant}.")),
            None => error.help(kind.written_form()),
        });
    }
    let bad = names.iter().find(|n| {
        let mut parts = n.split('/').filter(|_| kind.nests());
        n.len() > 1024
            || matches!(n.as_str(), "." | "..")
            || parts.any(|part| matches!(part, "" | "." | ".."))
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

/// Whether it may be written: nothing else is proposed. A project that is left out is that of the account.
fn is_taken(name: &str) -> bool {
    let any = ProjectId::parse("any-project").ok();
    Resource::parse(name, any.as_ref()).is_ok()
}

/// What is said about a short name of no kind.
pub(super) fn no_short_name(s: &str) -> NameError {
    let error = NameError::not(s, "a resource that wi can grant on");
    let (short, rest) = s.split_once('/').unwrap_or((s, ""));
    let mut meant = Vec::new();
    if let Some(path) = s.strip_prefix("gs://") {
        let path = path.trim_end_matches('/');
        meant.push(match path.split_once('/') {
            Some(_) => format!("managedfolder/{path}"),
            None => format!("bucket/{path}"),
        });
    }
    // The APIs' own relative names, `projects/P/secrets/NAME`; some are the same in two services.
    meant.extend(KINDS.iter().filter_map(|kind| {
        let full = format!("{}/{}", kind.service(), s.trim_end_matches('/'));
        let (found, names) = Resource::from_full(&full)?;
        (found.service() == kind.service()).then(|| format!("{}/{}", found.short, names.join("/")))
    }));
    meant.dedup();
    // `Bucket/x` and `buckets/x`.
    let lower = short.to_lowercase();
    let kind = kinds::of(&lower).or_else(|| kinds::of(lower.strip_suffix('s')?));
    if let Some(kind) = kind.filter(|_| meant.is_empty()) {
        meant.push(format!("{}/{}", kind.short, rest.trim_end_matches('/')));
    }
    meant.retain(|meant| is_taken(meant));
    if !meant.is_empty() {
        return error.help(format!("Write {}.", meant.join(" or ")));
    }
    if let Some(kind) = kind {
        return error.help(kind.written_form());
    }
    let kinds: Vec<&str> = KINDS.iter().map(|k| k.short).collect();
    error.help(format!(
        "Write KIND/NAME, such as bucket/acme-receipts, or a full resource name (//SERVICE/…). Kinds: {}.",
        kinds.join(", ")
    ))
}
