//! Google service accounts: create, list, change, delete and bring back.

use serde_json::{Value, json};

use super::{account, account_mut, email};
use crate::clock;
use crate::constraints;
use crate::errors::ApiError;
use crate::ids::unique_id;
use crate::request::Request;
use crate::state::State;
use crate::world::{DeletedServiceAccount, ServiceAccount};

/// The account as the API shows it; what is empty is left out.
pub fn show(project: &str, id: &str, account: &ServiceAccount) -> Value {
    let email = email(project, id);
    let mut shown = json!({
        "name": format!("projects/{project}/serviceAccounts/{email}"),
        "projectId": project,
        "uniqueId": account.unique_id,
        "email": email,
        "oauth2ClientId": account.unique_id,
        "etag": "MDEwMjE5MjA=",
    });
    for (field, text) in [
        ("displayName", &account.display_name),
        ("description", &account.description),
    ] {
        if !text.is_empty() {
            shown[field] = text.clone().into();
        }
    }
    if account.disabled {
        shown["disabled"] = true.into();
    }
    shown
}

/// A page of the project's accounts; 20 unless asked for more, 100 at most.
pub fn list(state: &State, project: &str, request: &Request) -> Result<Value, ApiError> {
    let all = &state.world.projects[project].service_accounts;
    let seen = all.iter().filter(|(_, account)| state.visible(account));
    let (page, next) = request.page(seen.map(|(id, _)| id.as_str()), (20, 100))?;
    let shown: Vec<Value> = page.iter().map(|id| show(project, id, &all[*id])).collect();
    let mut answer = json!({});
    if !shown.is_empty() {
        answer["accounts"] = shown.into();
    }
    if let Some(next) = next {
        answer["nextPageToken"] = next.into();
    }
    Ok(answer)
}

/// A new account, which IAM does not see at once.
pub fn create(state: &mut State, project: &str, body: &Value) -> Result<Value, ApiError> {
    constraints::check(
        &state.world.organization_policies,
        "iam.disableServiceAccountCreation",
        project,
        "Service account creation is not allowed on this project.",
    )?;
    let id = body["accountId"].as_str().unwrap_or_default().to_owned();
    let well_formed = (6..=30).contains(&id.len())
        && id
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && id.starts_with(|c: char| c.is_ascii_lowercase())
        && !id.ends_with('-');
    if !well_formed {
        return Err(ApiError::invalid(format!(
            "Invalid service account ID \"{id}\": it must be 6 to 30 characters matching [a-z]([-a-z0-9]*[a-z0-9])."
        )));
    }
    let mut account = ServiceAccount::default();
    if let Some(given) = body.get("serviceAccount") {
        set_texts(&mut account, given, &["displayName", "description"])?;
    }
    if state.world.projects[project]
        .service_accounts
        .contains_key(&id)
    {
        return Err(ApiError::already_exists(format!(
            "Service account {id} already exists within project projects/{project}."
        )));
    }
    account.unique_id = unique_id(&(project, &id, state.next_revision()));
    let delay = i64::from(state.world.propagation_seconds.service_account) * 1000;
    if delay > 0 {
        account.visible_from = Some(clock::text(state.clock.now() + delay));
    }
    let shown = show(project, &id, &account);
    if let Some(project) = state.world.projects.get_mut(project) {
        project.service_accounts.insert(id, account);
    }
    Ok(shown)
}

fn set_texts(account: &mut ServiceAccount, given: &Value, fields: &[&str]) -> Result<(), ApiError> {
    for field in fields {
        let text = given[*field].as_str().unwrap_or_default().to_owned();
        let (max, target) = match *field {
            "displayName" => (100, &mut account.display_name),
            _ => (256, &mut account.description),
        };
        if text.len() > max {
            return Err(ApiError::invalid(format!(
                "{field} must be at most {max} bytes long."
            )));
        }
        *target = text;
    }
    Ok(())
}

/// `PUT` of the whole account: the display name is all that it changes.
pub fn update(state: &mut State, owner: &str, id: &str, body: &Value) -> Result<Value, ApiError> {
    let changed = account_mut(state, owner, id);
    set_texts(changed, body, &["displayName"])?;
    Ok(show(owner, id, changed))
}

/// Changes what the mask in the body names; the answer has the name and these fields only.
pub fn patch(state: &mut State, owner: &str, id: &str, body: &Value) -> Result<Value, ApiError> {
    let mask = body["updateMask"]
        .as_str()
        .unwrap_or_default()
        .replace("display_name", "displayName");
    let fields: Vec<&str> = mask
        .split(',')
        .map(str::trim)
        .filter(|field| !field.is_empty())
        .collect();
    if fields.is_empty() {
        return Err(ApiError::invalid("The update mask must not be empty."));
    }
    if let Some(other) = fields
        .iter()
        .find(|field| !["displayName", "description"].contains(*field))
    {
        return Err(ApiError::invalid(format!(
            "Field {other} cannot be updated."
        )));
    }
    let changed = account_mut(state, owner, id);
    set_texts(changed, &body["serviceAccount"], &fields)?;
    let all = show(owner, id, changed);
    let mut answer = json!({"name": all["name"]});
    for field in fields {
        if let Some(value) = all.get(field) {
            answer[field] = value.clone();
        }
    }
    Ok(answer)
}

/// Disables or enables.
pub fn set_disabled(state: &mut State, owner: &str, id: &str, disabled: bool) -> Value {
    account_mut(state, owner, id).disabled = disabled;
    json!({})
}

/// Deletes for 30 days; members of policies turn into `deleted:` ones.
pub fn delete(state: &mut State, owner: &str, id: &str) -> Value {
    let gone = account(state, owner, id).clone();
    let deleted_at = clock::text(state.clock.now());
    let uid = gone.unique_id.clone();
    if let Some(project) = state.world.projects.get_mut(owner) {
        project.service_accounts.remove(id);
        project
            .deleted_service_accounts
            .push(DeletedServiceAccount {
                account_id: id.to_owned(),
                deleted_at,
                account: gone,
            });
    }
    state.rewrite_members(&email(owner, id), &uid, true);
    json!({})
}

/// Brings back the account of this unique id.
pub fn undelete(state: &mut State, unique_id: &str) -> Result<Value, ApiError> {
    if !unique_id.bytes().all(|b| b.is_ascii_digit()) {
        return Err(ApiError::invalid(
            "Undelete requires the numeric unique ID of the service account.",
        ));
    }
    let place = state.world.projects.iter().find_map(|(owner, project)| {
        let at = project
            .deleted_service_accounts
            .iter()
            .position(|d| d.account.unique_id == unique_id)?;
        Some((owner.clone(), at))
    });
    let (owner, at) = place.ok_or_else(|| ApiError::not_found("Unknown service account"))?;
    let project = state
        .world
        .projects
        .get_mut(&owner)
        .expect("found under this id");
    let id = project.deleted_service_accounts[at].account_id.clone();
    if project.service_accounts.contains_key(&id) {
        return Err(ApiError::already_exists(format!(
            "Service account {id} already exists within project projects/{owner}."
        )));
    }
    let restored = project.deleted_service_accounts.remove(at).account;
    let shown = show(&owner, &id, &restored);
    project.service_accounts.insert(id.clone(), restored);
    state.rewrite_members(&email(&owner, &id), unique_id, false);
    Ok(json!({"restoredAccount": shown}))
}
