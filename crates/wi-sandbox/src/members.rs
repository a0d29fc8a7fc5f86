//! Which members of a policy IAM accepts, and how it writes them.

use std::collections::BTreeSet;

use super::errors::ApiError;
use super::state::State;

/// Checks a member and gives it in IAM's spelling: emails and domains in lower case.
///
/// # Errors
/// 400 for a form that IAM does not know, an account that does not exist (or is not visible yet),
/// and a workload pool that no cluster of its project ever had.
pub fn check(state: &State, member: &str) -> Result<String, ApiError> {
    if ["allUsers", "allAuthenticatedUsers"].contains(&member) {
        return Ok(member.to_owned());
    }
    let invalid = || {
        ApiError::invalid(format!(
            "The member {member} is of an unknown type. Please set a valid type prefix for the member."
        ))
    };
    let (kind, name) = member.split_once(':').ok_or_else(invalid)?;
    match kind {
        "user" | "group" if name.contains('@') => {
            Ok(format!("{kind}:{}", name.to_ascii_lowercase()))
        }
        "domain" if name.contains('.') => Ok(format!("{kind}:{}", name.to_ascii_lowercase())),
        "serviceAccount" => match name.strip_suffix(']').and_then(|n| n.split_once('[')) {
            Some((pool, subject)) => {
                if subject
                    .split_once('/')
                    .is_none_or(|(ns, ksa)| ns.is_empty() || ksa.is_empty())
                {
                    return Err(invalid());
                }
                check_pool(state, pool)?;
                Ok(member.to_owned())
            }
            None => check_account(state, &name.to_ascii_lowercase()),
        },
        "deleted" => check_deleted(state, member, name),
        "principal" | "principalSet" => {
            check_principal(state, member, name).map(|()| member.to_owned())
        }
        "projectOwner" | "projectEditor" | "projectViewer" if state.project(name).is_some() => {
            Ok(member.to_owned())
        }
        _ => Err(invalid()),
    }
}

/// Whether the world cannot say if there is such a member: an account of a project that it does not have, a user of a
/// workforce pool, a developer account of old.
pub fn is_foreign(state: &State, member: &str) -> bool {
    let email = member
        .trim_start_matches("deleted:")
        .strip_prefix("serviceAccount:")
        .filter(|email| !email.contains('['));
    match email {
        Some(email) => {
            let domain = email.split_once('@').map_or("", |(_, domain)| domain);
            let project = domain.strip_suffix(".iam.gserviceaccount.com");
            let own = project.is_some_and(|project| state.world.projects.contains_key(project));
            !own && !email.contains("?uid=")
        }
        None => member.starts_with("principal"),
    }
}

/// An account stands in a policy as it lives or as it died, not as both.
///
/// # Errors
/// 400 with both members.
pub fn check_consistent<'a>(members: impl Iterator<Item = &'a str>) -> Result<(), ApiError> {
    let members: BTreeSet<&str> = members.collect();
    for dead in &members {
        let live = dead
            .strip_prefix("deleted:")
            .and_then(|rest| rest.split_once("?uid="))
            .map(|(live, _)| live);
        if let Some(live) = live.filter(|live| members.contains(live)) {
            return Err(ApiError::invalid(format!(
                "Inconsistent representation of deleted member: {dead}, alternate: {live}"
            )));
        }
    }
    Ok(())
}

fn check_account(state: &State, email: &str) -> Result<String, ApiError> {
    let known = match state.find_account(email) {
        Some((project, id)) => state.visible(&state.world.projects[&project].service_accounts[&id]),
        None => is_googles(state, email),
    };
    if known {
        Ok(format!("serviceAccount:{email}"))
    } else {
        Err(ApiError::invalid(format!(
            "Service account {email} does not exist."
        )))
    }
}

/// Service agents and default accounts, which the world file does not list.
fn is_googles(state: &State, email: &str) -> bool {
    let Some((name, domain)) = email.split_once('@') else {
        return false;
    };
    let digits: String = name.chars().filter(char::is_ascii_digit).collect();
    match domain {
        "developer.gserviceaccount.com" | "cloudservices.gserviceaccount.com" => {
            name.trim_end_matches("-compute") == digits && state.project(&digits).is_some()
        }
        "appspot.gserviceaccount.com" => state.project(name).is_some(),
        _ => {
            domain.ends_with(".gserviceaccount.com")
                && (name.starts_with("service-")
                    || name.starts_with("p-")
                    || !domain.contains(".iam."))
        }
    }
}

/// A dead member can be written back as it was read, not invented.
fn check_deleted(state: &State, member: &str, rest: &str) -> Result<String, ApiError> {
    let Some((email, uid)) = rest
        .strip_prefix("serviceAccount:")
        .and_then(|account| account.split_once("?uid="))
    else {
        return Ok(member.to_owned());
    };
    if state.was_deleted(email, uid) {
        return Ok(member.to_owned());
    }
    Err(ApiError::invalid(format!(
        "Service account {email} (uid {uid}) does not exist."
    )))
}

fn check_principal(state: &State, member: &str, name: &str) -> Result<(), ApiError> {
    let invalid = || ApiError::invalid(format!("Invalid principal: {member}"));
    if name.starts_with("//cloudresourcemanager.googleapis.com/") || name.starts_with("//goog/") {
        return Ok(());
    }
    let workforce = "//iam.googleapis.com/locations/global/workforcePools/";
    if name
        .strip_prefix(workforce)
        .is_some_and(|rest| rest.contains('/'))
    {
        return Ok(());
    }
    let parts: Vec<&str> = name.splitn(9, '/').collect();
    let [
        _,
        _,
        "iam.googleapis.com",
        "projects",
        number,
        "locations",
        "global",
        "workloadIdentityPools",
        rest,
    ] = parts.as_slice()
    else {
        return Err(invalid());
    };
    let (pool, subject) = rest.split_once('/').ok_or_else(invalid)?;
    if !pool.ends_with(".svc.id.goog") {
        return Ok(());
    }
    if subject.is_empty() || number.parse::<u64>().is_err() {
        return Err(invalid());
    }
    let owner = state.project(number).ok_or_else(|| no_pool(pool))?;
    if state.workload_pool(&owner) != pool {
        return Err(no_pool(pool));
    }
    check_pool(state, pool)
}

fn check_pool(state: &State, pool: &str) -> Result<(), ApiError> {
    // Pools of fleets and of one's own making are not simulated: taken as they are.
    if !pool.ends_with(".svc.id.goog") || state.pool_exists(pool) {
        return Ok(());
    }
    Err(no_pool(pool))
}

fn no_pool(pool: &str) -> ApiError {
    ApiError::invalid(format!(
        "Identity Pool does not exist ({pool}). Please check that you specified a valid resource \
         name as returned in the `name` attribute in the configuration API."
    ))
}
