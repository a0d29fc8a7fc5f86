//! Who is who, and who may what: access reviews, and tokens of service accounts.

use serde_json::json;

use super::api::{Api, decode};
use super::kind::Kind;
use super::protobuf;
use super::request::{Call, PROTOBUF};
use super::response::Answer;
use super::status::Status;
use crate::issued::Claims;

/// The least and the most seconds that a token may last.
const LIFETIMES: std::ops::RangeInclusive<i64> = 600..=(1 << 32);

/// Whether the caller may do something.
pub fn review(api: &Api, call: &Call) -> Result<Answer, Status> {
    let version = "authorization.k8s.io/v1";
    let mut review = match call.content_type() {
        PROTOBUF => protobuf::access_review(&call.body).ok_or_else(Status::unsupported_body)?,
        _ => decode(&call.body)?,
    };
    let kind = review["kind"].as_str().unwrap_or("SelfSubjectAccessReview");
    if !review.is_object() || kind != "SelfSubjectAccessReview" {
        return Err(Status::bad_request(format!(
            "{kind} in version \"v1\" cannot be handled as a SelfSubjectAccessReview"
        )));
    }
    let asked = &review["spec"]["resourceAttributes"];
    if !asked.is_object() && !review["spec"]["nonResourceAttributes"].is_object() {
        let message = ".authorization.k8s.io \"\" is invalid: spec.resourceAttributes: Invalid value: null: exactly one of nonResourceAttributes or resourceAttributes must be specified";
        return Err(Status::new(422, "Invalid", message));
    }
    let text = |field: &str| asked[field].as_str().unwrap_or_default().to_owned();
    let allowed = api
        .cluster
        .lock()
        .permits(&text("verb"), &text("resource"), &text("namespace"));
    review["apiVersion"] = json!(version);
    review["kind"] = json!("SelfSubjectAccessReview");
    review["status"] = json!({ "allowed": allowed });
    Ok(Answer::created(review))
}

/// `create` of a service account's `token` subresource.
pub fn token_request(
    api: &Api,
    call: &Call,
    namespace: &str,
    name: &str,
) -> Result<Answer, Status> {
    let kind = Kind::ServiceAccount;
    let what = "serviceaccounts/token";
    if !api.cluster.lock().permits("create", what, namespace) {
        let why = format!(
            "User cannot create resource {what:?} in API group \"\" in the namespace {namespace:?}"
        );
        return Err(Status::forbidden(kind, name, &why));
    }
    let mut request = match call.content_type() {
        PROTOBUF => protobuf::token_request(&call.body).ok_or_else(Status::unsupported_body)?,
        _ => decode(&call.body)?,
    };
    let is_one = request["kind"].as_str().unwrap_or("TokenRequest") == "TokenRequest";
    if !request.is_object() || !is_one {
        let why = "the object provided is unrecognized (must be of type TokenRequest)";
        return Err(Status::bad_request(why));
    }
    let account = api.cluster.account(namespace, name);
    let (_, uid) = account.ok_or_else(|| Status::not_found(kind, name))?;
    let seconds = request["spec"]["expirationSeconds"]
        .as_i64()
        .unwrap_or(3600);
    if !LIFETIMES.contains(&seconds) {
        let why = match seconds < *LIFETIMES.start() {
            true => "may not specify a duration less than 10 minutes",
            false => "may not specify a duration larger than 2^32 seconds",
        };
        let mut status = Status::new(
            422,
            "Invalid",
            format!(
                "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: {seconds}: {why}"
            ),
        );
        status = status.because(json!([{
            "reason": "FieldValueInvalid",
            "message": format!("Invalid value: {seconds}: {why}"),
            "field": "spec.expirationSeconds",
        }]));
        return Err(status);
    }
    let audiences = request["spec"]["audiences"].as_array().cloned();
    let audiences: Vec<String> = audiences
        .unwrap_or_default()
        .iter()
        .filter_map(|a| a.as_str().map(str::to_owned))
        .collect();
    let token = (api.issue)(&Claims {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        uid,
        audiences: audiences.clone(),
        seconds: seconds.unsigned_abs(),
    });
    let now = jiff::Timestamp::now() + api.ahead;
    let text = |at: jiff::Timestamp| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    request["kind"] = json!("TokenRequest");
    request["apiVersion"] = json!("authentication.k8s.io/v1");
    request["metadata"] =
        json!({"name": name, "namespace": namespace, "creationTimestamp": text(now)});
    request["spec"] = json!({
        "audiences": audiences,
        "expirationSeconds": seconds,
        "boundObjectRef": request["spec"]["boundObjectRef"],
    });
    request["status"] = json!({
        "token": token,
        "expirationTimestamp": text(now + jiff::SignedDuration::from_secs(seconds)),
    });
    Ok(Answer::created(request))
}
