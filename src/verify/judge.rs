//! What an answer proves. A refusal proves something only where it cannot be about anything else.

use wi_client::http::ApiError;
use wi_core::access::ladder::{GET_TOKEN, Rung};
use wi_core::access::proof::Trial;
use wi_core::resource::Resource;

use super::{Outcome, Step};

/// There is nobody to have a token of.
pub(super) fn no_account(title: &str) -> Step {
    Step::new(Rung::ServiceAccount, Outcome::Broken, title)
        .why("the Kubernetes service account does not exist")
}

/// Of a service account's token.
pub(super) fn token(title: &str, e: &ApiError) -> Step {
    if e.is_not_found() {
        return no_account(title);
    }
    let mut why = e.reason().to_string();
    if e.is_denied() {
        why.push_str(". It takes `create` on serviceaccounts/token: container.serviceAccounts.createToken, as in roles/container.developer");
    }
    Step::new(Rung::ServiceAccount, Outcome::Untried, title).why(why)
}

/// Of the exchange: RFC 8693's words.
pub(super) fn exchange(title: &str, e: &ApiError) -> Step {
    let (link, outcome) = match e.status.as_str() {
        _ if e.is_api_off() => (Rung::Apis, Outcome::Broken),
        "invalid_target" => (Rung::WorkloadPool, Outcome::Broken),
        "invalid_grant" => (Rung::ClusterPool, Outcome::Broken),
        _ => (Rung::WorkloadPool, Outcome::Untried),
    };
    Step::new(link, outcome, title).why(e.reason())
}

/// Of a Google service account's token.
pub(super) fn impersonation(title: &str, e: &ApiError) -> Step {
    // In other words a refusal can be about anything: the caller's project, a perimeter.
    let is_right = e.message.contains(GET_TOKEN);
    let is_disabled = e.code == 400 && e.message.contains("disabled");
    let (link, outcome) = match e.code {
        _ if e.is_api_off() => (Rung::Apis, Outcome::Broken),
        404 => (Rung::Account, Outcome::Broken),
        _ if is_disabled => (Rung::Account, Outcome::Broken),
        403 if is_right && !e.is_quota() => (Rung::Binding, Outcome::Broken),
        _ => (Rung::Binding, Outcome::Untried),
    };
    Step::new(link, outcome, title).why(e.reason())
}

/// Of a permission.
pub(super) fn permission(
    permission: &str,
    resource: &Resource,
    is_federated: bool,
    trial: &Trial,
    tried: Result<bool, ApiError>,
) -> Step {
    let title = format!("{permission} on {resource}");
    let step = |link, outcome| Step::new(link, outcome, title.clone());
    let Trial::Test {
        shared_with,
        unread,
        depends,
        ..
    } = trial
    else {
        return step(Rung::Grant, Outcome::Untried);
    };
    match tried {
        Ok(true) if !unread.is_empty() => step(Rung::Role, Outcome::Untried).why(format!(
            "it has it, perhaps by {}, which could not be read",
            unread.join(", ")
        )),
        Ok(true) => match shared_with {
            Some(other) => step(Rung::Grant, Outcome::Holds).why(format!("{other} gives it, too")),
            None => step(Rung::Grant, Outcome::Holds),
        },
        Ok(false) if *depends => step(Rung::Condition, Outcome::Untried)
            .why("it has it not on all of it: the grant's condition depends on what is called"),
        Ok(false) => step(Rung::Grant, Outcome::Broken).why("denied"),
        Err(e) if e.is_not_found() => {
            step(Rung::Grant, Outcome::Broken).why(format!("there is no {resource}"))
        }
        Err(e) if is_federated && e.reason == "ACCESS_TOKEN_TYPE_UNSUPPORTED" => {
            step(Rung::Service, Outcome::Broken).why("the service takes no federated identity")
        }
        Err(e) => step(Rung::Grant, Outcome::Untried).why(e.reason()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: u16, body: &str) -> ApiError {
        ApiError::from_answer("POST", "https://x/", code, body.as_bytes())
    }

    fn said(step: &Step) -> (Rung, Outcome) {
        (step.link, step.outcome)
    }

    #[test]
    fn a_refusal_is_a_proof_only_where_it_says_what_is_missing() {
        let plain = refused(
            403,
            r#"{"error":{"code":403,"message":"The caller does not have permission","status":"PERMISSION_DENIED"}}"#,
        );
        assert_eq!(
            said(&impersonation("", &plain)),
            (Rung::Binding, Outcome::Untried)
        );
        let right = refused(
            403,
            r#"{"error":{"code":403,"message":"Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist).","status":"PERMISSION_DENIED"}}"#,
        );
        assert_eq!(
            said(&impersonation("", &right)),
            (Rung::Binding, Outcome::Broken)
        );
        let gone = refused(
            404,
            r#"{"error":{"code":404,"message":"Not found; Gaia id not found for email x"}}"#,
        );
        assert_eq!(
            said(&impersonation("", &gone)),
            (Rung::Account, Outcome::Broken)
        );
        for code in [401, 429, 500, 503] {
            let e = refused(code, "{}");
            assert_eq!(impersonation("", &e).outcome, Outcome::Untried, "{code}");
            assert_eq!(exchange("", &e).outcome, Outcome::Untried, "{code}");
            assert_eq!(token("", &e).outcome, Outcome::Untried, "{code}");
        }
    }

    #[test]
    fn the_words_of_the_exchange_are_told_apart() {
        let of = |error: &str| {
            let body = format!(r#"{{"error":"{error}","error_description":"why"}}"#);
            said(&exchange("", &refused(400, &body)))
        };
        assert_eq!(of("invalid_target"), (Rung::WorkloadPool, Outcome::Broken));
        assert_eq!(of("invalid_grant"), (Rung::ClusterPool, Outcome::Broken));
        assert_eq!(
            of("invalid_request"),
            (Rung::WorkloadPool, Outcome::Untried)
        );
        let off = refused(
            403,
            r#"{"error":{"code":403,"message":"off","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"SERVICE_DISABLED"}]}}"#,
        );
        assert_eq!(said(&exchange("", &off)), (Rung::Apis, Outcome::Broken));
    }
}
