//! BigQuery datasets: an access list in place of a policy, shown here as one.
//!
//! Entries without a role (views, routines, other datasets), those of a kind that is not known, and all
//! that nobody edits are written back as they were read, in their order, equal ones as often.

use std::collections::BTreeSet;

use http::Method;
use serde_json::{Map, Value, json};
use wi_core::names::{Condition, Member};
use wi_core::resource::Resource;
use wi_core::wire::policy::{Binding, Policy};

use super::policy_url::policy_url;
use crate::http::{ApiError, Hint, Http, Request};

/// Under this key the list is kept as it was read.
const ACCESS: &str = "access";

/// The API says these in place of the roles.
const LEGACY: [(&str, &str); 3] = [
    ("OWNER", "roles/bigquery.dataOwner"),
    ("WRITER", "roles/bigquery.dataEditor"),
    ("READER", "roles/bigquery.dataViewer"),
];

pub(super) async fn read(http: &Http, resource: &Resource) -> Result<Policy, ApiError> {
    let query = "?accessPolicyVersion=3&datasetView=FULL";
    let request = Request::new(Method::GET, policy_url(http, resource, query));
    Ok(as_policy(http.json(request).await?))
}

/// Whether the caller has `bigquery.datasets.get`.
pub(super) async fn can_be_read(http: &Http, resource: &Resource) -> Result<bool, ApiError> {
    let url = policy_url(http, resource, "?datasetView=METADATA");
    match http.json::<Value>(Request::new(Method::GET, url)).await {
        Ok(_) => Ok(true),
        Err(e) if e.code == 403 && e.message.contains("bigquery.datasets.get") => Ok(false),
        Err(e) => Err(e),
    }
}

pub(super) async fn write(
    http: &Http,
    resource: &Resource,
    policy: &Policy,
) -> Result<Policy, ApiError> {
    let query = "?accessPolicyVersion=3&updateMode=UPDATE_ACL";
    let url = policy_url(http, resource, query);
    let body = json!({ ACCESS: as_access(policy) });
    let mut request = Request::new(Method::PATCH, url).body(body);
    request.if_match = Some(policy.etag.clone());
    let written = http.json(request).await;
    Ok(as_policy(written.map_err(|mut e: ApiError| {
        if let Some(gone) = named_in(&e.message, policy) {
            e.hint = Some(Hint::Say(format!(
                "The dataset's access list has {gone}, which BigQuery does not find: it refuses every list with it. Whoever owns the dataset has to take it out (bq show --format=prettyjson, bq update --source)"
            )));
        }
        e
    })?))
}

/// What of the list a refusal is about: an authorized view, routine or dataset that is gone.
fn named_in(message: &str, policy: &Policy) -> Option<String> {
    let entries = policy.rest.get(ACCESS)?.as_array()?;
    entries.iter().find_map(|entry| {
        let (kind, name) = [
            ("view", &entry["view"]),
            ("routine", &entry["routine"]),
            ("dataset", &entry["dataset"]["dataset"]),
        ]
        .into_iter()
        .find(|(_, name)| name.is_object())?;
        let parts = ["projectId", "datasetId", "tableId", "routineId"];
        let parts: Vec<&str> = parts.iter().filter_map(|p| name[p].as_str()).collect();
        // `Not found: Table acme-prod:shop.orders`
        let is_named = parts.len() > 1 && parts.iter().all(|part| message.contains(part));
        is_named.then(|| format!("the authorized {kind} {}", parts.join(".")))
    })
}

fn as_policy(dataset: Value) -> Policy {
    let access = dataset[ACCESS].as_array().cloned().unwrap_or_default();
    let mut policy = Policy {
        etag: dataset["etag"].as_str().unwrap_or_default().to_owned(),
        ..Policy::default()
    };
    for entry in &access {
        let Some((role, condition, member)) = parts(entry) else {
            continue;
        };
        let known = policy
            .bindings
            .iter_mut()
            .find(|b| b.role == role && b.condition == condition);
        match known {
            Some(binding) => binding.members.push(member),
            None => policy.bindings.push(Binding {
                role,
                members: vec![member],
                condition,
                rest: Map::new(),
            }),
        }
    }
    policy.rest.insert(ACCESS.to_owned(), access.into());
    policy
}

fn as_access(policy: &Policy) -> Vec<Value> {
    let mut wanted = BTreeSet::new();
    for binding in &policy.bindings {
        for member in &binding.members {
            wanted.insert((
                binding.role.clone(),
                binding.condition.clone(),
                member.clone(),
            ));
        }
    }
    let mut list = Vec::new();
    let mut there = BTreeSet::new();
    for entry in policy.rest[ACCESS].as_array().into_iter().flatten() {
        match parts(entry) {
            Some(key) => {
                if wanted.contains(&key) {
                    list.push(entry.clone());
                    there.insert(key);
                }
            }
            None => list.push(entry.clone()),
        }
    }
    wanted.retain(|key| !there.contains(key));
    for (role, condition, member) in wanted {
        let mut entry = json!({ "role": role });
        match Member::parse(&member) {
            Member::ServiceAccount(email) => entry["userByEmail"] = email.as_str().into(),
            _ => entry["iamMember"] = member.into(),
        }
        if let Some(condition) = condition {
            entry["condition"] = json!(condition);
        }
        list.push(entry);
    }
    list
}

/// Role, condition and member of an entry; nothing for those that name no member, or that cannot be
/// understood: they are written back as they are.
fn parts(entry: &Value) -> Option<(String, Option<Condition>, String)> {
    let text = |field: &str| entry[field].as_str();
    let role = text("role")?;
    let role = LEGACY
        .iter()
        .find(|(legacy, _)| *legacy == role)
        .map_or(role, |(_, role)| role);
    let member = if let Some(email) = text("userByEmail") {
        let kind = if email.contains("gserviceaccount.com") {
            "serviceAccount"
        } else {
            "user"
        };
        format!("{kind}:{email}")
    } else if let Some(group) = text("groupByEmail") {
        format!("group:{group}")
    } else if let Some(domain) = text("domain") {
        format!("domain:{domain}")
    } else if let Some(special) = text("specialGroup") {
        format!("specialGroup:{special}")
    } else {
        text("iamMember")?.to_owned()
    };
    // Of accounts that are gone, in whichever field.
    let member = match member.find("deleted:") {
        Some(at) => member[at..].to_owned(),
        None => member,
    };
    let condition = match &entry["condition"] {
        Value::Null => None,
        // One that cannot be read is not the same as none: the entry is left as it is.
        condition => Some(serde_json::from_value(condition.clone()).ok()?),
    };
    Some((role.to_owned(), condition, member))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_edits_is_written_back_as_it_was_read() {
        let access = json!([
            {"role": "OWNER", "specialGroup": "projectOwners"},
            {"role": "WRITER", "userByEmail": "etl@p-12345.iam.gserviceaccount.com"},
            {"role": "READER", "userByEmail": "ann@example.com"},
            {"view": {"projectId": "p", "datasetId": "d", "tableId": "v"}},
            {"role": "roles/bigquery.dataViewer", "iamMember": "principal://iam.googleapis.com/x",
             "condition": {"title": "t", "expression": "true"}},
            {"role": "READER", "userByEmail": "etl@p-12345.iam.gserviceaccount.com",
             "condition": {"expression": "request.time < timestamp('2027-01-01T00:00:00Z')", "location": "x"}},
        ]);
        let mut policy = as_policy(json!({"etag": "e", "access": access}));
        assert_eq!(policy.bindings.len(), 5, "the view aside");
        assert_eq!(policy.bindings[1].role, "roles/bigquery.dataEditor");
        assert_eq!(json!(as_access(&policy)), access);
        assert_eq!(
            named_in("Not found: Table p:d.v", &policy).as_deref(),
            Some("the authorized view p.d.v")
        );
        assert_eq!(named_in("Not found: Dataset p:d", &policy), None);

        policy.bindings[1].members[0] = "serviceAccount:p.svc.id.goog[ns/ksa]".to_owned();
        let edited = as_access(&policy);
        assert_eq!(edited.len(), 6);
        assert!(!edited.contains(&access[1]));
        assert_eq!(edited[4], access[5]);
        assert_eq!(
            edited[5],
            json!({"role": "roles/bigquery.dataEditor", "iamMember": "serviceAccount:p.svc.id.goog[ns/ksa]"})
        );
    }

    #[test]
    fn equal_entries_unknown_kinds_and_their_order_stay() {
        let access = json!([
            {"role": "READER", "userByEmail": "ann@example.com"},
            {"role": "roles/bigquery.dataViewer", "iamMember": "user:ann@example.com"},
            {"role": "READER", "principalOfTomorrow": {"id": 1}},
            {"role": "READER", "userByEmail": "ann@example.com"},
            {"role": "READER", "userByEmail": "ann@example.com", "fieldOfTomorrow": true},
            {"dataset": {"dataset": {"projectId": "p", "datasetId": "e"}, "targetTypes": ["VIEWS"]}},
        ]);
        let policy = as_policy(json!({"etag": "e", "access": access}));
        assert_eq!(json!(as_access(&policy)), access);
    }

    #[test]
    fn dead_members_are_not_written_back() {
        let access = json!([
            {"role": "READER", "iamMember": "deleted:serviceAccount:a@p-12345.iam.gserviceaccount.com?uid=1"},
            {"role": "READER", "userByEmail": "deleted:serviceAccount:b@p-12345.iam.gserviceaccount.com?uid=2"},
            {"role": "READER", "userByEmail": "ann@example.com"},
        ]);
        let policy = as_policy(json!({"etag": "e", "access": access}));
        let dead = policy.unwritable(true);
        assert_eq!(dead.len(), 2, "{dead:?}");
    }
}
