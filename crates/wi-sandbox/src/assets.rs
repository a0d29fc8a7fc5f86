//! `cloudasset.googleapis.com/v1`: the search of allow policies, by an index that is behind.

mod index;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::clock::Millis;
use super::errors::ApiError;
use super::ids;
use super::policy;
use super::request::Request;
use super::state::State;
use super::world::{Binding, Policy};
pub use index::Index;
use index::Indexed;

/// All policies, by the names that Cloud Asset has for resources.
fn all(state: &State) -> BTreeMap<String, &Policy> {
    let mut all = BTreeMap::new();
    let world = &state.world;
    for (id, project) in &world.projects {
        let name = format!("//cloudresourcemanager.googleapis.com/projects/{id}");
        all.insert(name, &project.policy);
        for account in project.service_accounts.values() {
            let name = format!(
                "//iam.googleapis.com/projects/{id}/serviceAccounts/{}",
                account.unique_id
            );
            all.insert(name, &account.policy);
        }
    }
    for (name, bucket) in &world.buckets {
        if let Some(policy) = &bucket.policy {
            all.insert(format!("//storage.googleapis.com/{name}"), policy);
        }
    }
    let named = world.resources.iter();
    all.extend(named.map(|(name, resource)| (asset_name(state, name), &resource.policy)));
    all
}

/// Services whose resources Cloud Asset names by their project's number.
const BY_NUMBER: [&str; 2] = ["secretmanager", "artifactregistry"];

/// The name that Cloud Asset has for a resource: those of some services by the number of their project, managed
/// zones by their own.
fn asset_name(state: &State, name: &str) -> String {
    let mut parts: Vec<String> = name.split('/').map(str::to_owned).collect();
    // `//SERVICE.googleapis.com/projects/ID/…`
    let service = parts.get(2).and_then(|s| s.strip_suffix(".googleapis.com"));
    match service {
        Some(service) if BY_NUMBER.contains(&service) => {
            if let Some(id) = parts.get_mut(4) {
                *id = state.number(id).to_string();
            }
        }
        Some("dns") => {
            if let Some(zone) = parts.last_mut() {
                *zone = zone_number(name).to_string();
            }
        }
        _ => {}
    }
    parts.join("/")
}

/// The number of a managed zone, by its full name: Cloud DNS gives each one, at random.
pub fn zone_number(name: &str) -> u64 {
    1_000_000_000 + ids::hash(name) % 9_000_000_000_000_000_000
}

/// Takes in what has been written since it was called last; `delay` later it is found.
pub fn take_in(state: &mut State, delay: Millis) {
    let at = state.clock.now() + delay;
    let mut index = std::mem::take(&mut state.index);
    let there = all(state);
    for (name, policy) in &there {
        if let Some(indexed) = index.0.get_mut(name) {
            if indexed.last() != *policy {
                indexed.coming.push((at, (*policy).clone()));
            }
        } else {
            let mut indexed = Indexed::default();
            if delay > 0 {
                indexed.coming.push((at, (*policy).clone()));
            } else {
                indexed.shown = (*policy).clone();
            }
            index.0.insert(name.clone(), indexed);
        }
    }
    for (name, indexed) in &mut index.0 {
        if !there.contains_key(name) && *indexed.last() != Policy::default() {
            indexed.coming.push((at, Policy::default()));
        }
    }
    state.index = index;
}

/// Answers `v1/{projects|folders|organizations}/X:searchAllIamPolicies`; `kind` and `name` are the scope.
pub fn search(
    state: &mut State,
    kind: &str,
    name: &str,
    request: &Request,
) -> Result<Value, ApiError> {
    if request.method != "GET" {
        return Err(request.not_simulated());
    }
    let now = state.clock.now();
    for indexed in state.index.0.values_mut() {
        let due = indexed
            .coming
            .iter()
            .take_while(|(at, _)| *at <= now)
            .count();
        if let Some((_, policy)) = indexed.coming.drain(..due).next_back() {
            indexed.shown = policy;
        }
    }
    let state = &*state;
    let projects = scope(state, kind, name).ok_or_else(|| {
        ApiError::permission(
            "cloudasset.assets.searchAllIamPolicies",
            &format!("{kind}/{name}"),
        )
    })?;
    let own = format!("//cloudresourcemanager.googleapis.com/{kind}/{name}");
    let query = Query::parse(request.query("query").unwrap_or_default())?;
    let found: BTreeMap<&str, Vec<Binding>> = state
        .index
        .0
        .iter()
        .filter(|(resource, _)| {
            let project = project_of(state, resource);
            **resource == own || project.is_some_and(|p| projects.contains(&p))
        })
        .filter_map(|(resource, indexed)| {
            let bindings = indexed.shown.bindings.iter();
            let matching: Vec<Binding> = bindings.filter(|b| query.finds(b)).cloned().collect();
            (!matching.is_empty()).then_some((resource.as_str(), matching))
        })
        .collect();
    let (page, next) = request.page(found.keys().copied(), (100, 500))?;
    let shown = page
        .iter()
        .map(|resource| show(state, resource, &found[resource]));
    let mut answer = json!({});
    if !page.is_empty() {
        answer["results"] = shown.collect();
    }
    if let Some(next) = next {
        answer["nextPageToken"] = next.into();
    }
    Ok(answer)
}

/// The projects that a scope has below it.
fn scope(state: &State, kind: &str, name: &str) -> Option<Vec<String>> {
    if kind == "projects" {
        return Some(vec![state.project(name)?]);
    }
    let above = format!("{}/{name}", kind.strip_suffix('s')?);
    let below = state.world.projects.iter();
    let below = below.filter(|(_, project)| project.ancestors.contains(&above));
    let below: Vec<String> = below.map(|(id, _)| id.clone()).collect();
    (!below.is_empty()).then_some(below)
}

fn project_of(state: &State, resource: &str) -> Option<String> {
    match resource.strip_prefix("//storage.googleapis.com/") {
        Some(bucket) if !bucket.contains('/') => {
            Some(state.world.buckets.get(bucket)?.project.clone())
        }
        _ => state.project_of(resource),
    }
}

/// Only what matches, and no etag: nothing that could be written back.
fn show(state: &State, resource: &str, bindings: &[Binding]) -> Value {
    let matching = Policy {
        bindings: bindings.to_vec(),
        ..Policy::default()
    };
    let mut shown = json!({
        "resource": resource,
        "assetType": asset_type(resource),
        "policy": { "bindings": policy::show(&matching, 3)["bindings"] },
    });
    if let Some(project) = project_of(state, resource) {
        shown["project"] = format!("projects/{}", state.number(&project)).into();
        let above = &state.world.projects[&project].ancestors;
        let named = |kind: &str| -> Vec<String> {
            let of_kind = above.iter().filter_map(|a| a.strip_prefix(kind));
            of_kind.map(|n| format!("{}s{n}", kind)).collect()
        };
        let folders = named("folder");
        if !folders.is_empty() {
            shown["folders"] = json!(folders);
        }
        if let Some(organization) = named("organization").pop() {
            shown["organization"] = organization.into();
        }
    }
    shown
}

/// `storage.googleapis.com/Bucket`.
fn asset_type(resource: &str) -> String {
    let name = resource.trim_start_matches('/');
    let (service, path) = name.split_once('/').unwrap_or((name, ""));
    let parts: Vec<&str> = path.split('/').collect();
    let collection = match parts.as_slice() {
        [_] | [] => "buckets",
        [.., collection, _] => collection,
    };
    let singular = collection.strip_suffix('s').unwrap_or(collection);
    let singular = match singular.strip_suffix("ie") {
        Some(start) => format!("{start}y"),
        None => singular.to_owned(),
    };
    let mut letters = singular.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    let kind: String = first.into_iter().chain(letters).collect();
    format!("{service}/{kind}")
}

/// `policy:"TEXT"`, or one of several, `policy:("TEXT" OR "TEXT")`: texts of a binding as their words, one
/// after another, whatever is between them.
#[derive(Debug)]
struct Query(Vec<Vec<String>>);

impl Query {
    fn parse(text: &str) -> Result<Self, ApiError> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let wrong = || ApiError::invalid(format!("Invalid query: {text}"));
        let of_policy = text.strip_prefix("policy:").ok_or_else(wrong)?;
        let inner = of_policy
            .strip_prefix('(')
            .map(|rest| rest.strip_suffix(')').ok_or_else(wrong))
            .transpose()?;
        let terms = match inner {
            Some(inner) => inner.split(" OR ").collect(),
            None => vec![of_policy],
        };
        let phrases = terms.into_iter().map(|term| {
            let plain = term.trim().trim_matches('"');
            let words = words(plain);
            let one =
                !plain.contains('"') && (term.trim().starts_with('"') || !plain.contains(' '));
            (one && !words.is_empty())
                .then_some(words)
                .ok_or_else(wrong)
        });
        Ok(Self(phrases.collect::<Result<_, _>>()?))
    }

    fn finds(&self, binding: &Binding) -> bool {
        let condition = binding.condition.iter().map(|c| &c.expression);
        let texts = binding
            .members
            .iter()
            .chain([&binding.role])
            .chain(condition);
        let texts: Vec<Vec<String>> = texts.map(|text| words(text)).collect();
        self.0.is_empty()
            || self.0.iter().any(|phrase| {
                let has = |text: &Vec<String>| text.windows(phrase.len()).any(|w| w == phrase);
                texts.iter().any(has)
            })
    }
}

fn words(text: &str) -> Vec<String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}
