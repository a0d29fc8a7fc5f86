//! Keys of service accounts: list, get, disable, enable, delete.

use serde_json::{Value, json};

use super::{account, account_mut, email};
use crate::errors::ApiError;
use crate::logging;
use crate::request::Request;
use crate::state::State;
use crate::world::AccountKey;

/// Answers `…/serviceAccounts/EMAIL/keys[/ID[:VERB]]`; `path` is what follows `keys`.
pub fn handle(
    state: &mut State,
    owner: &str,
    id: &str,
    path: &[&str],
    request: &Request,
) -> Result<Value, ApiError> {
    let [name] = path else {
        return match (request.method.as_str(), path) {
            ("GET", []) => Ok(list(state, owner, id, request)),
            _ => Err(request.not_simulated()),
        };
    };
    let (name, verb) = name.split_once(':').unwrap_or((name, ""));
    let unique_id = account(state, owner, id).unique_id.clone();
    let keys = &mut account_mut(state, owner, id).keys;
    let at = keys.iter().position(|k| k.id == name && !k.deleted);
    let at = at.ok_or_else(|| {
        ApiError::not_found(format!("Service account key {name} does not exist."))
    })?;
    let method = match (request.method.as_str(), verb) {
        ("GET", "") => {
            let kind = request.query("publicKeyType").unwrap_or_default();
            let mut shown = show(owner, id, &keys[at]);
            if !matches!(kind, "" | "TYPE_NONE") && !keys[at].public_key.is_empty() {
                shown["publicKeyData"] = crate::state::encoded(&keys[at].public_key).into();
            }
            return Ok(shown);
        }
        ("DELETE", "") => {
            keys[at].deleted = true;
            "DeleteServiceAccountKey"
        }
        ("POST", "disable") => {
            keys[at].disabled = true;
            "SERVICE_ACCOUNT_KEY_DISABLE_REASON_USER_INITIATED"
                .clone_into(&mut keys[at].disable_reason);
            "DisableServiceAccountKey"
        }
        ("POST", "enable") => {
            keys[at].disabled = false;
            keys[at].disable_reason.clear();
            "EnableServiceAccountKey"
        }
        _ => return Err(request.not_simulated()),
    };
    logging::admin_activity(
        state,
        owner,
        &format!("google.iam.admin.v1.{method}"),
        &format!("projects/-/serviceAccounts/{unique_id}/keys/{name}"),
        request,
    );
    Ok(json!({}))
}

/// All of them: there are no pages. `keys` is left out where there is none.
fn list(state: &State, owner: &str, id: &str, request: &Request) -> Value {
    let mut types = request.queries("keyTypes").peekable();
    let asked_for_others = types.peek().is_some() && !types.any(|t| t == "USER_MANAGED");
    let keys = account(state, owner, id).keys.iter();
    let shown: Vec<Value> = keys
        .filter(|k| !k.deleted && !asked_for_others)
        .map(|key| show(owner, id, key))
        .collect();
    match shown.as_slice() {
        [] => json!({}),
        keys => json!({ "keys": keys }),
    }
}

fn show(owner: &str, id: &str, key: &AccountKey) -> Value {
    let mut shown = json!({
        "name": format!("projects/{owner}/serviceAccounts/{}/keys/{}", email(owner, id), key.id),
        "keyType": "USER_MANAGED",
        "keyOrigin": key.origin,
        "keyAlgorithm": "KEY_ALG_RSA_2048",
        "validAfterTime": key.created_at,
        "validBeforeTime": key.expires_at,
    });
    if key.disabled {
        shown["disabled"] = true.into();
    }
    if !key.disable_reason.is_empty() {
        shown["disableReason"] = key.disable_reason.clone().into();
    }
    if !key.extended_status.is_empty() {
        shown["extendedStatus"] = json!(key.extended_status);
    }
    shown
}
