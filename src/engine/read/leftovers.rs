//! What left the spec: policies in which its principals have something still, beside those that it names.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use wi_client::google::{assets, dns, projects};
use wi_client::http::{ApiError, Http};
use wi_core::desired::Desired;
use wi_core::live::{Live, Seen};
use wi_core::names::{Email, KsaIdentity, Member, ProjectId};
use wi_core::plan::{Left, Managed};
use wi_core::reason::Reason;
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
    live.leftovers_unseen.of_strangers = strangers(&searched, desired, live, &left);
    // Who may act as an account is read with the account, or its owner's to say, but for what this spec let act as it.
    found.retain(|name, _| !name.starts_with(ACCOUNTS));
    let let_act = may_act_as(&searched, &left, live);
    let ids = project_ids(http, found.keys(), &live.numbers).await;
    let named = join_all(found.into_iter().map(async |(name, has)| {
        let resource = resource(http, &name, &ids).await;
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
                unseen.insert(safe(&name), (has, why.to_string()));
            }
        }
    }
    wanted.retain(|resource, _| !live.policies.contains_key(resource));
    let acted_as = left.accounts().cloned().chain(let_act);
    let acted_as = acted_as.map(Resource::ServiceAccount);
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

/// What identities of the spec's own pools have that neither it names nor its marks tell of.
fn strangers(
    searched: &Searched,
    desired: &Desired,
    live: &Live,
    left: &Left,
) -> BTreeMap<KsaIdentity, BTreeSet<(String, String)>> {
    // Cloud Asset has some by numbers, where people know the ids; none is asked for only to tell of it.
    let read = live.numbers.iter();
    let read = read.filter_map(|(id, number)| Some((*number.found()?, id)));
    let said = desired.numbers.iter();
    let said = said.filter_map(|(pool, number)| Some((*number, desired.pools.get(pool)?)));
    let ids: BTreeMap<u64, &ProjectId> = read.chain(said).collect();
    let mut strangers: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    let is_account = |found: &&FoundPolicy| found.resource.starts_with(ACCOUNTS);
    for found in searched.found.iter().filter(|found| !is_account(found)) {
        let on = match Resource::from_asset(&found.resource) {
            Ok(resource) => match resource.project_number().and_then(|n| ids.get(&n)) {
                Some(id) => resource.in_project(id).to_string(),
                None => resource.to_string(),
            },
            Err(_) => safe(&found.resource),
        };
        for binding in &found.policy.bindings {
            for member in &binding.members {
                if let Member::Ksa(ksa) = Member::parse(member)
                    && desired.pools.contains_key(&ksa.pool)
                    && !left.has(&ksa)
                {
                    let has = (on.clone(), binding.role.clone());
                    strangers.entry(ksa).or_default().insert(has);
                }
            }
        }
    }
    strangers.retain(|ksa, _| desired.ksas.values().all(|k| k.identity != *ksa));
    strangers
}

/// What the names of policies of accounts begin with.
const ACCOUNTS: &str = "//iam.googleapis.com/projects/";

/// The accounts, of those that were listed, as which a service account may act that left the spec: Cloud Asset names
/// them by their unique ids.
fn may_act_as(searched: &Searched, left: &Left, live: &Live) -> BTreeSet<Email> {
    let ids: BTreeSet<&str> = searched
        .found
        .iter()
        .filter(|found| found.resource.starts_with(ACCOUNTS))
        .filter(|found| {
            let bindings = found.policy.bindings.iter();
            let mut members = bindings.flat_map(|b| &b.members).map(|m| Member::parse(m));
            members.any(|m| matches!(m, Member::Ksa(ksa) if left.has(&ksa)))
        })
        .filter_map(|found| found.resource.rsplit('/').next())
        .collect();
    let listed = live.accounts.values().filter_map(Seen::found).flatten();
    let named = listed.filter(|(email, account)| {
        ids.contains(account.unique_id.as_str()) || ids.contains(email.as_str())
    });
    named.map(|(email, _)| email.clone()).collect()
}

pub(crate) type Ids = BTreeMap<u64, Result<ProjectId, Reason>>;

/// The ids of the projects that these names have by their numbers, each asked for once.
pub(crate) async fn project_ids(
    http: &Http,
    names: impl Iterator<Item = &String>,
    known: &BTreeMap<ProjectId, Seen<u64>>,
) -> Ids {
    let known = known.iter();
    let mut ids: Ids = known
        .filter_map(|(id, number)| Some((*number.found()?, Ok(id.clone()))))
        .collect();
    let number = |name: &String| {
        name.split_once("/projects/")?
            .1
            .split('/')
            .next()?
            .parse()
            .ok()
    };
    let mut unknown: BTreeSet<u64> = names.filter_map(number).collect();
    unknown.retain(|number| !ids.contains_key(number));
    ids.extend(
        join_all(unknown.into_iter().map(async |number| {
            let id = projects::project_id(http, number).await;
            (number, id.map_err(|e| e.reason()))
        }))
        .await,
    );
    ids
}

/// What Cloud Asset's name means; an error says that `wi` cannot write there. A resource has one name in a plan,
/// and Cloud Asset has some by numbers: what the spec grants there would be taken for a grant on something that it
/// does not name.
pub(crate) async fn resource(http: &Http, name: &str, ids: &Ids) -> Result<Resource, Reason> {
    let found = Resource::from_asset(name).map_err(
        |_| "It is of a kind that the spec has no name for: take it away by other means",
    )?;
    let found = match found.project_number().and_then(|n| ids.get(&n)) {
        Some(Ok(id)) => found.in_project(id),
        Some(Err(why)) => return Err(why.clone()),
        None => found,
    };
    let names = found.names();
    let zone = match (found.kind().short, names.as_slice()) {
        ("dns-zone", [project, zone]) => zone.parse().ok().map(|number: u64| (project, number)),
        _ => None,
    };
    let Some((project, number)) = zone else {
        return Ok(found);
    };
    let zone = dns::zone_name(http, project, number).await;
    let zone = zone.map_err(|e| e.reason())?;
    Resource::parse(&format!("dns-zone/{project}/{zone}"), None).map_err(|e| e.to_string().into())
}
