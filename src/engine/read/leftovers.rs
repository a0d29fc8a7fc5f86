//! What left the spec: policies in which its principals have something still, beside those that it names.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use wi_client::google::{assets, projects};
use wi_client::http::{ApiError, Http};
use wi_core::desired::Desired;
use wi_core::live::{Live, Seen};
use wi_core::names::{Member, ProjectId};
use wi_core::plan::{Left, Managed};
use wi_core::resource::Resource;
use wi_core::wire::asset::FoundPolicy;
use wi_core::words::safe;

use super::read_policies;

/// What searches found, and where none could be made.
#[derive(Debug, Default)]
pub struct Searched {
    found: Vec<FoundPolicy>,
    refused: BTreeMap<Resource, String>,
}

/// Searches policies for what principals of the spec's projects have.
pub async fn search(http: &Http, desired: &Desired) -> Searched {
    let Some(leftovers) = &desired.leftovers else {
        return Searched::default();
    };
    let searches = leftovers.searches(desired.pools.keys().cloned());
    let answers = join_all(searches.into_iter().map(async |(scope, query)| {
        let answer = assets::search_policies(http, &scope, &query).await;
        (scope, answer)
    }));
    let mut searched = Searched::default();
    for (scope, answer) in answers.await {
        match answer {
            Ok(found) => searched.found.extend(found),
            Err(e) => {
                searched.refused.insert(scope, why(&e));
            }
        }
    }
    searched
}

fn why(e: &ApiError) -> String {
    let helps = match e.command() {
        command if e.is_api_off() => {
            let command =
                command.unwrap_or_else(|| format!("gcloud services enable {}", assets::SERVICE));
            return format!("the Cloud Asset API is off (`{command}` turns it on)");
        }
        _ if e.code == 403 => format!(" ({} is in {})", assets::PERMISSION, assets::ROLE),
        _ => String::new(),
    };
    format!("{}{helps}", e.message.trim_end_matches('.'))
}

/// Reads the policies that `live` does not have, of what was found and of the accounts that service accounts
/// act as which left the spec: nothing is planned by what a search says.
pub async fn read(http: &Http, desired: &Desired, searched: Searched, live: &mut Live) {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let left = Left::of(desired, live);
    {
        let ours = Managed::of(desired, live, &left);
        for FoundPolicy { resource, policy } in &searched.found {
            let has = policy.bindings.iter().flat_map(|binding| {
                let members = binding.members.iter().map(|m| Member::parse(m));
                let own = members.filter(|m| ours.has(m));
                own.map(|m| format!("{} of {m}", safe(&binding.role)))
            });
            let has: BTreeSet<String> = has.collect();
            if !has.is_empty() {
                found.entry(resource.clone()).or_default().extend(has);
            }
        }
    }
    // Who may act as an account is read with the account, or its owner's to say.
    found.retain(|name, _| !name.starts_with("//iam.googleapis.com/projects/"));
    let named = join_all(found.into_iter().map(async |(name, has)| {
        let resource = resource(http, &name).await;
        (name, has, resource)
    }));
    let mut wanted: BTreeMap<Resource, BTreeSet<String>> = BTreeMap::new();
    for (name, has, resource) in named.await {
        match resource {
            Ok(resource) => {
                wanted.entry(resource).or_default().extend(has);
            }
            Err(why) => {
                let unseen = &mut live.leftovers_unseen.out_of_reach;
                unseen.insert(safe(&name), (has, why));
            }
        }
    }
    wanted.retain(|resource, _| !live.policies.contains_key(resource));
    let acted_as = left.accounts().cloned().map(Resource::ServiceAccount);
    let mut to_read: BTreeSet<Resource> = acted_as
        .filter(|resource| !live.policies.contains_key(resource))
        .collect();
    to_read.extend(wanted.keys().cloned());
    for (resource, policy) in read_policies(http, to_read).await {
        match (policy, wanted.remove(&resource)) {
            // The spec itself asks for nothing here: all else is planned.
            (Seen::Unknown(why), Some(has)) => {
                let why = format!("Its policy could not be read: {why}");
                let unseen = &mut live.leftovers_unseen.out_of_reach;
                unseen.insert(resource.to_string(), (has, why));
            }
            (policy, by_search) => {
                if by_search.is_some() {
                    live.found_by_search.insert(resource.clone());
                }
                live.policies.insert(resource, policy);
            }
        }
    }
    live.leftovers_unseen.policies = searched.refused;
}

/// What Cloud Asset's name means; an error says that `wi` cannot write there.
async fn resource(http: &Http, name: &str) -> Result<Resource, String> {
    let number = name.strip_prefix("//cloudresourcemanager.googleapis.com/projects/");
    if let Some(number) = number.and_then(|n| n.parse::<u64>().ok()) {
        let id: Result<ProjectId, ApiError> = projects::project_id(http, number).await;
        return id.map(Resource::Project).map_err(|e| e.reason().into());
    }
    Resource::from_asset(name).map_err(|_| {
        "It is of a kind that the spec has no name for: take it away by other means".to_owned()
    })
}
